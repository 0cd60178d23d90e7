/* SPDX-License-Identifier: MIT */
/*
 * rseq.S - the restartable sequences of x86_64; mm/rseq.h says what they are. GS-relative addressing is used once a sequence, to load
 * the mcache: an indexed GS address was slower on real cores than base + displacement.
 *
 * In a sequence rax, rcx, rdx and what it loads are scratch; rdi, rsi and what earlier sequences loaded are inputs and stay.
 */
#include <slate/config.h>

#if SLATE_PROTECT == SLATE_PROTECT_RSEQ

#include "mm/rseq.h"

#define CACHE %gs:SLATE_PERCPU_OFFSET
#define TAKE  (8 * RSEQ_TAKE)

	.macro	function name
	.balign	32
	.globl	\name
	.type	\name, @function
\name:
	.endm

/* Bracket one sequence: `commit` stands directly before its only store. */
	.macro	sequence id
.Lstart_\id:
	.pushsection .rodata.slate_rseq, "a", @progbits
	.long	.Lstart_\id - slate_rseq_text_start, .Lcommit_\id - slate_rseq_text_start
	.popsection
	.endm
	.macro	commit id
.Lcommit_\id:
	.endm

/* Debug builds: with witnesses every call goes the slow way (mm/watch.h). */
	.macro	unwatched slow
#if SLATE_DEBUG
	cmpb	$0, witness_on(%rip)
	jne	\slow
#endif
	.endm

	.section .rodata.slate_rseq, "a", @progbits
	.balign	8
	.globl	slate_rseq_table
slate_rseq_table:

	.section .text.slate_rseq, "ax", @progbits
	.globl	slate_rseq_text_start
slate_rseq_text_start:

/* void *slate_alloc(size_t size_bytes) */
function slate_alloc
	unwatched slate_alloc_slow
	cmpq	$RSEQ_SIZE_MAX, %rdi
	ja	1f
	leaq	7(%rdi), %rsi
	shrq	$3, %rsi
	leaq	slate_rseq_size_index(%rip), %rax
	movzwl	(%rax,%rsi,2), %esi
	sequence alloc
	movq	CACHE, %rdx
	movq	(%rdx,%rsi,8), %rcx
	movq	(%rcx), %rax
	testq	%rax, %rax
	jz	2f
	subq	$8, %rcx
	commit alloc
	movq	%rcx, (%rdx,%rsi,8)
	ret
2:	leaq	1f(%rip), %r10
	jmp	exchange
1:	jmp	slate_alloc_slow

/* void *slate_alloc_index(size_t take_index): slate_alloc() with the size folded by the compiler */
function slate_alloc_index
	unwatched slate_alloc_index_slow
	sequence alloc_index
	movq	CACHE, %rdx
	movq	(%rdx,%rdi,8), %rcx
	movq	(%rcx), %rax
	testq	%rax, %rax
	jz	2f
	subq	$8, %rcx
	commit alloc_index
	movq	%rcx, (%rdx,%rdi,8)
	ret
2:	movq	%rdi, %rsi
	leaq	1f(%rip), %r10
	jmp	exchange
1:	jmp	slate_alloc_index_slow

/*
 * void slate_free(void *object)
 *
 * The rotation carries the low three bits to the top, so one compare refuses foreign, unmapped and misaligned pointers,
 * and NULL. Classes without magazines have a give top that always looks full.
 */
function slate_free
	unwatched slate_free_slow
	sequence free
	movq	CACHE, %rdx
	movq	%rdi, %rax
	subq	RSEQ_WINDOW_BASE(%rdx), %rax
	rorq	$3, %rax
	cmpq	RSEQ_WINDOW_GRANULES(%rdx), %rax
	jae	1f
	shrq	$9, %rax
	movq	RSEQ_WINDOW_MAP(%rdx), %rcx
	movzbl	(%rcx,%rax), %eax
	movq	(%rdx,%rax,8), %rcx
	addq	$8, %rcx
	testl	$RSEQ_MAGAZINE_MASK, %ecx
	jz	2f
	movq	%rdi, (%rcx)
	commit free
	movq	%rcx, (%rdx,%rax,8)
	ret
2:	movl	%eax, %r11d
	leaq	1f(%rip), %r10
	jmp	exchange_full
1:	jmp	slate_free_slow

/*
 * void slate_free_sized(void *object, size_t size_bytes): the size must belong to the class byte, scan or noscan.
 */
function slate_free_sized
	unwatched slate_free_sized_slow
	cmpq	$RSEQ_SIZE_MAX, %rsi
	ja	1f
	leaq	7(%rsi), %r8
	shrq	$3, %r8
	leaq	slate_rseq_size_index(%rip), %rax
	movzwl	(%rax,%r8,2), %r8d
	sequence free_sized
	movq	CACHE, %rdx
	movq	%rdi, %rax
	subq	RSEQ_WINDOW_BASE(%rdx), %rax
	rorq	$3, %rax
	cmpq	RSEQ_WINDOW_GRANULES(%rdx), %rax
	jae	1f
	shrq	$9, %rax
	movq	RSEQ_WINDOW_MAP(%rdx), %rcx
	movzbl	(%rcx,%rax), %eax
	leaq	RSEQ_TAKE(%rax), %rcx
	cmpq	%r8, %rcx
	jne	1f
	movq	(%rdx,%rax,8), %rcx
	addq	$8, %rcx
	testl	$RSEQ_MAGAZINE_MASK, %ecx
	jz	1f
	movq	%rdi, (%rcx)
	commit free_sized
	movq	%rcx, (%rdx,%rax,8)
	ret
1:	jmp	slate_free_sized_slow

/* void slate_free_index(void *object, size_t size_and_index): the index in the low byte, the size above it */
function slate_free_index
	unwatched slate_free_index_slow
	sequence free_index
	movq	CACHE, %rdx
	movq	%rdi, %rax
	subq	RSEQ_WINDOW_BASE(%rdx), %rax
	rorq	$3, %rax
	cmpq	RSEQ_WINDOW_GRANULES(%rdx), %rax
	jae	1f
	shrq	$9, %rax
	movq	RSEQ_WINDOW_MAP(%rdx), %rcx
	cmpb	%sil, (%rcx,%rax)
	jne	1f
	movzbl	%sil, %eax
	movq	(%rdx,%rax,8), %rcx
	addq	$8, %rcx
	testl	$RSEQ_MAGAZINE_MASK, %ecx
	jz	2f
	movq	%rdi, (%rcx)
	commit free_index
	movq	%rcx, (%rdx,%rax,8)
	ret
2:	movl	%eax, %r11d
	leaq	1f(%rip), %r10
	jmp	exchange_full
1:	jmp	slate_free_index_slow

/* void slate_give_index(size_t give_index, void *object) */
function slate_give_index
	unwatched slate_give_index_slow
	sequence give_index
	movq	CACHE, %rdx
	movq	(%rdx,%rdi,8), %rcx
	addq	$8, %rcx
	testl	$RSEQ_MAGAZINE_MASK, %ecx
	jz	1f
	movq	%rsi, (%rcx)
	commit give_index
	movq	%rcx, (%rdx,%rdi,8)
	ret
1:	jmp	slate_give_index_slow

/* pfn_t slate_frame_alloc(void): a slot holds frame number + 1 */
function slate_frame_alloc
	unwatched slate_frame_alloc_slow
	sequence frame_alloc
	movq	CACHE, %rdx
	movq	TAKE + 8 * RSEQ_FRAME_CLASS(%rdx), %rcx
	movq	(%rcx), %rax
	testq	%rax, %rax
	jz	2f
	subq	$8, %rcx
	commit frame_alloc
	movq	%rcx, TAKE + 8 * RSEQ_FRAME_CLASS(%rdx)
	decq	%rax
	ret
2:	movl	$(RSEQ_TAKE + RSEQ_FRAME_CLASS), %esi
	subq	$8, %rsp		/* keeps the stack aligned */
	call	slate_rseq_exchange
	addq	$8, %rsp
	testq	%rax, %rax
	jz	1f
	decq	%rax
	ret
1:	jmp	slate_frame_alloc_slow

/* void slate_frame_free(pfn_t pfn): what is no taken frame is found when the magazine is flushed */
function slate_frame_free
	unwatched slate_frame_free_slow
	sequence frame_free
	movq	CACHE, %rdx
	movq	8 * RSEQ_FRAME_CLASS(%rdx), %rcx
	addq	$8, %rcx
	testl	$RSEQ_MAGAZINE_MASK, %ecx
	jz	1f
	movq	%rdi, %rax
	incq	%rax
	jz	1f			/* SLATE_PFN_NONE */
	movq	%rax, (%rcx)
	commit frame_free
	movq	%rcx, 8 * RSEQ_FRAME_CLASS(%rdx)
	ret
1:	jmp	slate_frame_free_slow

/* void *slate_stack_alloc(unsigned order) */
function slate_stack_alloc
#if SLATE_DEBUG
	jmp	slate_stack_alloc_slow
#else
	movl	%edi, %edi
	cmpl	$RSEQ_STACK_ORDERS, %edi
	leaq	RSEQ_TAKE + RSEQ_STACK_HEAD + RSEQ_STACK_ORDERS(%rdi), %rsi
	jae	1f
	sequence stack_alloc
	movq	CACHE, %rdx
	movq	(%rdx,%rsi,8), %rcx
	movq	(%rcx), %rax
	testq	%rax, %rax
	jz	2f
	subq	$8, %rcx
	commit stack_alloc
	movq	%rcx, (%rdx,%rsi,8)
	ret
2:	leaq	1f(%rip), %r10
	jmp	exchange
1:	jmp	slate_stack_alloc_slow
#endif

/*
 * void slate_stack_free(void *stack): frame aligned, in the window, its class byte a stack's lowest frame's
 */
function slate_stack_free
#if SLATE_DEBUG
	jmp	slate_stack_free_slow
#else
	sequence stack_free
	movq	CACHE, %rdx
	movq	%rdi, %rax
	subq	RSEQ_WINDOW_BASE(%rdx), %rax
	rorq	$3, %rax
	cmpq	RSEQ_WINDOW_GRANULES(%rdx), %rax
	jae	1f
	shrq	$9, %rax
	testl	$(1 << SLATE_PAGE_SHIFT) - 1, %edi
	jnz	1f
	movq	RSEQ_WINDOW_MAP(%rdx), %rcx
	movzbl	(%rcx,%rax), %eax
	leal	-RSEQ_STACK_HEAD(%rax), %ecx
	cmpl	$RSEQ_STACK_ORDERS, %ecx
	jae	1f
	movq	8 * RSEQ_STACK_ORDERS(%rdx,%rax,8), %rcx
	addq	$8, %rcx
	testl	$RSEQ_MAGAZINE_MASK, %ecx
	jz	1f
	movq	%rdi, (%rcx)
	commit stack_free
	movq	%rcx, 8 * RSEQ_STACK_ORDERS(%rdx,%rax,8)
	ret
1:	jmp	slate_stack_free_slow
#endif

/* void *slate_rseq_take(size_t index) */
function slate_rseq_take
	sequence take
	movq	CACHE, %rdx
	movq	(%rdx,%rdi,8), %rcx
	movq	(%rcx), %rax
	testq	%rax, %rax
	jz	1f
	subq	$8, %rcx
	commit take
	movq	%rcx, (%rdx,%rdi,8)
1:	ret

/* bool slate_rseq_give(size_t index, void *object) */
function slate_rseq_give
	sequence give
	movq	CACHE, %rdx
	xorl	%eax, %eax
	movq	(%rdx,%rdi,8), %rcx
	addq	$8, %rcx
	testl	$RSEQ_MAGAZINE_MASK, %ecx
	jz	1f
	movq	%rsi, (%rcx)
	commit give
	movq	%rcx, (%rdx,%rdi,8)
	movl	$1, %eax
1:	ret

/* magtop_t slate_rseq_detach(size_t index) */
function slate_rseq_detach
	sequence detach
	movq	CACHE, %rdx
	leaq	magazine_dummy+RSEQ_DUMMY_SLOT(%rip), %rcx
	movq	(%rdx,%rdi,8), %rax
	commit detach
	movq	%rcx, (%rdx,%rdi,8)
	ret

/* bool slate_rseq_attach(size_t index, magtop_t top) */
function slate_rseq_attach
	sequence attach
	movq	CACHE, %rdx
	xorl	%eax, %eax
	leaq	magazine_dummy+RSEQ_DUMMY_SLOT(%rip), %rcx
	cmpq	%rcx, (%rdx,%rdi,8)
	jne	1f
	commit attach
	movq	%rsi, (%rdx,%rdi,8)
	movl	$1, %eax
1:	ret

#if SLATE_PROFILE
/* bool slate_rseq_quiet(size_t class) */
function slate_rseq_quiet
	sequence quiet
	movq	CACHE, %rdx
	xorl	%eax, %eax
	movl	RSEQ_QUIET(%rdx,%rdi,4), %ecx
	testl	%ecx, %ecx
	jle	1f
	decl	%ecx
	commit quiet
	movl	%ecx, RSEQ_QUIET(%rdx,%rdi,4)
	movl	$1, %eax
1:	ret
#endif

/* void slate_rseq_chain(void *link, void *value, size_t index) */
function slate_rseq_chain
	movq	%rdx, %r8
	sequence chain
	movq	CACHE, %rdx
	movq	(%rdx,%r8,8), %rcx
	movq	%rcx, (%rdi)
	commit chain
	movq	%rsi, (%rdx,%r8,8)
	ret

/*
 * void *slate_rseq_exchange(size_t unused, size_t take_index)
 *
 * The take magazine is empty. If the give magazine holds enough to be taken as it is, let the two change places and pop one object; else NULL.
 * Three sequences: detach give, put it in the place of the empty one, attach that to give. Not where a sample of the heap profile falls
 * into the next take magazine, or is planted in this one (mm/plant.h): then its top is not at its empty place. A fourth counts.
 *
 * exchange: the same for a jump from a fast path, whose arguments in rdi and rsi stay; r10: where to go instead of NULL. Returns to the
 * fast path's caller.
 */
function slate_rseq_exchange
	leaq	.Lno_object(%rip), %r10
exchange:
	sequence exchange_detach
	movq	CACHE, %rdx
	movq	-TAKE(%rdx,%rsi,8), %r8
	movq	(%r8), %r9
	testq	%r9, %r9
	jz	1f
#if SLATE_PROFILE
	cmpl	$0, RSEQ_QUIET - 4*RSEQ_TAKE(%rdx,%rsi,4)
	jle	1f
#endif
	leaq	mcache_exchange_offset(%rip), %rax
	movl	%r8d, %ecx
	andl	$RSEQ_MAGAZINE_MASK, %ecx
	cmpw	-2*RSEQ_TAKE(%rax,%rsi,2), %cx
	jb	1f
	leaq	magazine_dummy+RSEQ_DUMMY_SLOT(%rip), %rax
	commit exchange_detach
	movq	%rax, -TAKE(%rdx,%rsi,8)
	sequence exchange_replace
	movq	CACHE, %rdx
	movq	(%rdx,%rsi,8), %r11
	leaq	mcache_empty_offset(%rip), %rax
	movl	%r11d, %ecx
	andl	$RSEQ_MAGAZINE_MASK, %ecx
	cmpw	-2*RSEQ_TAKE(%rax,%rsi,2), %cx
	jne	2f
	leaq	-8(%r8), %rcx
	commit exchange_replace
	movq	%rcx, (%rdx,%rsi,8)
	sequence exchange_attach
	movq	CACHE, %rdx
	leaq	magazine_dummy+RSEQ_DUMMY_SLOT(%rip), %rax
	cmpq	%rax, -TAKE(%rdx,%rsi,8)
	jne	3f
	commit exchange_attach
	movq	%r11, -TAKE(%rdx,%rsi,8)
#if SLATE_PROFILE
	sequence exchange_count
	movq	CACHE, %rdx
	commit exchange_count
	decl	RSEQ_QUIET - 4*RSEQ_TAKE(%rdx,%rsi,4)
#endif
	movq	%r9, %rax
	ret
1:	jmp	*%r10
/* There is none, or it is planted, or a handler put objects into it: give the detached magazine back. */
2:	pushq	%rdi
	pushq	%rsi
	pushq	%r10
	movq	%rsi, %rdi
	movq	%r8, %rsi
	call	slate_exchange_undo
	popq	%r10
	popq	%rsi
	popq	%rdi
	jmp	*%r10
/* Meanwhile a handler put another magazine into give: the empty one is left over. */
3:	movq	%rsi, %rdi
	movq	%r11, %rsi
	movq	%r9, %rdx
	jmp	slate_exchange_leftover
.Lno_object:
	xorl	%eax, %eax
	ret

/*
 * bool slate_rseq_exchange_full(void *object, size_t give_index)
 *
 * The give magazine is full. If the take magazine is at most half full, let the two change places and give the object; else false. Three
 * sequences: detach take, put it with the object in the place of the full one, attach that to take. Not where a sample falls into the next take magazine, or is planted in this one: slot 0 tells.
 *
 * exchange_full: the same for a jump from a fast path, as exchange; r11: the give index.
 */
function slate_rseq_exchange_full
	movq	%rsi, %r11
	leaq	.Lnot_given(%rip), %r10
exchange_full:
	sequence full_detach
	movq	CACHE, %rdx
	movq	TAKE(%rdx,%r11,8), %r8
	leaq	mcache_half_offset(%rip), %rax
	movl	%r8d, %ecx
	andl	$RSEQ_MAGAZINE_MASK, %ecx
	cmpw	(%rax,%r11,2), %cx
	ja	1f
#if SLATE_PROFILE
	movq	%r8, %rcx
	andq	$~RSEQ_MAGAZINE_MASK, %rcx
	cmpq	$0, (%rcx)
	jne	1f
	cmpl	$0, RSEQ_QUIET(%rdx,%r11,4)
	jle	1f
#endif
	leaq	magazine_dummy+RSEQ_DUMMY_SLOT(%rip), %rax
	commit full_detach
	movq	%rax, TAKE(%rdx,%r11,8)
	sequence full_replace
	movq	CACHE, %rdx
	leaq	magazine_dummy+RSEQ_DUMMY_SLOT(%rip), %rax
	movq	(%rdx,%r11,8), %r9
	cmpq	%rax, %r9
	je	2f
	leaq	8(%r9), %rcx
	testl	$RSEQ_MAGAZINE_MASK, %ecx
	jnz	2f
	leaq	8(%r8), %rcx
	movq	%rdi, (%rcx)
	commit full_replace
	movq	%rcx, (%rdx,%r11,8)
	sequence full_attach
	movq	CACHE, %rdx
	leaq	magazine_dummy+RSEQ_DUMMY_SLOT(%rip), %rax
	cmpq	%rax, TAKE(%rdx,%r11,8)
	jne	3f
	commit full_attach
	movq	%r9, TAKE(%rdx,%r11,8)
#if SLATE_PROFILE
	sequence full_count
	movq	CACHE, %rdx
	commit full_count
	decl	RSEQ_QUIET(%rdx,%r11,4)
#endif
	movl	$1, %eax
	ret
1:	jmp	*%r10
/* Meanwhile a handler changed give: put the take magazine back, the object is still the caller's. */
2:	pushq	%rdi
	pushq	%rsi
	pushq	%r10
	movq	%r11, %rdi
	movq	%r8, %rsi
	call	slate_full_undo
	popq	%r10
	popq	%rsi
	popq	%rdi
	jmp	*%r10
/* Meanwhile a handler put another magazine into take: the full one is left over. */
3:	movq	%r11, %rdi
	movq	%r9, %rsi
	jmp	slate_full_leftover
.Lnot_given:
	xorl	%eax, %eax
	ret

	.globl	slate_rseq_text_end
slate_rseq_text_end:

/* void *slate_rseq_word(void); void slate_rseq_set_word(void *give) */
	.text
function slate_rseq_word
	movq	CACHE, %rax
	ret

function slate_rseq_set_word
	movq	%rdi, CACHE
	ret

	.section .rodata.slate_rseq, "a", @progbits
	.globl	slate_rseq_table_end
slate_rseq_table_end:

#endif

	.section .note.GNU-stack, "", @progbits
