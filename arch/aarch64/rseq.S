/* SPDX-License-Identifier: MIT */
/*
 * rseq.S - the restartable sequences of aarch64; mm/rseq.h says what they are. The per-CPU base is TPIDR_EL1.
 *
 * In a sequence: x0, x1, x8 and above are inputs and stay; x2 .. x7 are scratch.
 */
#include <slate/config.h>

#if SLATE_PROTECT == SLATE_PROTECT_RSEQ

#include "mm/rseq.h"

#define TAKE (8 * RSEQ_TAKE)

	.macro	function name
	.balign	32
	.globl	\name
	.type	\name, %function
\name:
	.endm

/* Bracket one sequence: `commit` stands directly before its only store. */
	.macro	sequence id
.Lstart_\id:
	.pushsection .rodata.slate_rseq, "a", %progbits
	.long	.Lstart_\id - slate_rseq_text_start, .Lcommit_\id - slate_rseq_text_start
	.popsection
	.endm
	.macro	commit id
.Lcommit_\id:
	.endm

	.macro	load_cache reg
	mrs	\reg, tpidr_el1
	ldr	\reg, [\reg, #SLATE_PERCPU_OFFSET]
	.endm

/* Debug builds: with witnesses every call goes the slow way (mm/watch.h). */
	.macro	unwatched slow
#if SLATE_DEBUG
	adrp	x9, witness_on
	ldrb	w9, [x9, #:lo12:witness_on]
	cbz	w9, 9f
	b	\slow
9:
#endif
	.endm

	.section .rodata.slate_rseq, "a", %progbits
	.balign	8
	.globl	slate_rseq_table
slate_rseq_table:

	.section .text.slate_rseq, "ax", %progbits
	.globl	slate_rseq_text_start
slate_rseq_text_start:

/* void *slate_alloc(size_t size_bytes) */
function slate_alloc
	unwatched slate_alloc_slow
	cmp	x0, #(RSEQ_SIZE_MAX >> 12), lsl #12
	b.hi	1f
	sequence alloc
	load_cache x3
	ldr	x4, [x3, #RSEQ_SIZE_INDEX]
	add	x1, x0, #7
	lsr	x1, x1, #3
	ldrh	w1, [x4, x1, lsl #1]
	ldr	x4, [x3, x1, lsl #3]
	ldr	x5, [x4], #-8
	cbz	x5, 2f
	commit alloc
	str	x4, [x3, x1, lsl #3]
	mov	x0, x5
	ret
2:	adr	x13, 1f
	b	exchange
1:	b	slate_alloc_slow

/* void *slate_alloc_index(size_t take_index): slate_alloc() with the size folded by the compiler */
function slate_alloc_index
	unwatched slate_alloc_index_slow
	sequence alloc_index
	load_cache x3
	ldr	x4, [x3, x0, lsl #3]
	ldr	x5, [x4], #-8
	cbz	x5, 2f
	commit alloc_index
	str	x4, [x3, x0, lsl #3]
	mov	x0, x5
	ret
2:	mov	x1, x0
	adr	x13, 1f
	b	exchange
1:	b	slate_alloc_index_slow

/*
 * void slate_free(void *object)
 *
 * The rotation carries the low three bits to the top, so one compare refuses foreign, unmapped and misaligned pointers,
 * and NULL. Classes without magazines have a give top that always looks full.
 */
function slate_free
	unwatched slate_free_slow
	sequence free
	load_cache x3
	ldp	x4, x5, [x3, #RSEQ_WINDOW_BASE]
	ldr	x6, [x3, #RSEQ_WINDOW_MAP]
	sub	x4, x0, x4
	ror	x4, x4, #3
	cmp	x4, x5
	b.hs	1f
	lsr	x4, x4, #9
	ldrb	w4, [x6, x4]
	ldr	x5, [x3, x4, lsl #3]
	add	x5, x5, #8
	tst	x5, #RSEQ_MAGAZINE_MASK
	b.eq	2f
	str	x0, [x5]
	commit free
	str	x5, [x3, x4, lsl #3]
	ret
2:	mov	x8, x4
	adr	x13, 1f
	b	exchange_full
1:	b	slate_free_slow

/*
 * void slate_free_sized(void *object, size_t size_bytes): the size must belong to the class byte, scan or noscan.
 */
function slate_free_sized
	unwatched slate_free_sized_slow
	cmp	x1, #(RSEQ_SIZE_MAX >> 12), lsl #12
	b.hi	1f
	add	x8, x1, #7
	lsr	x8, x8, #3
	sequence free_sized
	load_cache x3
	ldr	x7, [x3, #RSEQ_SIZE_INDEX]
	ldrh	w7, [x7, x8, lsl #1]
	ldp	x4, x5, [x3, #RSEQ_WINDOW_BASE]
	ldr	x6, [x3, #RSEQ_WINDOW_MAP]
	sub	x4, x0, x4
	ror	x4, x4, #3
	cmp	x4, x5
	b.hs	1f
	lsr	x4, x4, #9
	ldrb	w4, [x6, x4]
	add	x5, x4, #RSEQ_TAKE
	cmp	x5, x7
	b.ne	1f
	ldr	x5, [x3, x4, lsl #3]
	add	x5, x5, #8
	tst	x5, #RSEQ_MAGAZINE_MASK
	b.eq	1f
	str	x0, [x5]
	commit free_sized
	str	x5, [x3, x4, lsl #3]
	ret
1:	b	slate_free_sized_slow

/* void slate_free_index(void *object, size_t size_and_index): the index in the low byte, the size above it */
function slate_free_index
	unwatched slate_free_index_slow
	sequence free_index
	load_cache x3
	ldp	x4, x5, [x3, #RSEQ_WINDOW_BASE]
	ldr	x6, [x3, #RSEQ_WINDOW_MAP]
	sub	x4, x0, x4
	ror	x4, x4, #3
	cmp	x4, x5
	b.hs	1f
	lsr	x4, x4, #9
	ldrb	w4, [x6, x4]
	cmp	w4, w1, uxtb
	b.ne	1f
	ldr	x5, [x3, x4, lsl #3]
	add	x5, x5, #8
	tst	x5, #RSEQ_MAGAZINE_MASK
	b.eq	2f
	str	x0, [x5]
	commit free_index
	str	x5, [x3, x4, lsl #3]
	ret
2:	mov	x8, x4
	adr	x13, 1f
	b	exchange_full
1:	b	slate_free_index_slow

/* void slate_give_index(size_t give_index, void *object) */
function slate_give_index
	unwatched slate_give_index_slow
	sequence give_index
	load_cache x3
	ldr	x5, [x3, x0, lsl #3]
	add	x5, x5, #8
	tst	x5, #RSEQ_MAGAZINE_MASK
	b.eq	1f
	str	x1, [x5]
	commit give_index
	str	x5, [x3, x0, lsl #3]
	ret
1:	b	slate_give_index_slow

/* pfn_t slate_frame_alloc(void): a slot holds frame number + 1 */
function slate_frame_alloc
	unwatched slate_frame_alloc_slow
	sequence frame_alloc
	load_cache x3
	ldr	x4, [x3, #(TAKE + 8 * RSEQ_FRAME_CLASS)]
	ldr	x5, [x4], #-8
	cbz	x5, 2f
	commit frame_alloc
	str	x4, [x3, #(TAKE + 8 * RSEQ_FRAME_CLASS)]
	sub	x0, x5, #1
	ret
2:	mov	x1, #(RSEQ_TAKE + RSEQ_FRAME_CLASS)
	str	x30, [sp, #-16]!
	bl	slate_rseq_exchange
	ldr	x30, [sp], #16
	cbz	x0, 1f
	sub	x0, x0, #1
	ret
1:	b	slate_frame_alloc_slow

/* void slate_frame_free(pfn_t pfn): what is no taken frame is found when the magazine is flushed */
function slate_frame_free
	unwatched slate_frame_free_slow
	sequence frame_free
	load_cache x3
	ldr	x5, [x3, #(8 * RSEQ_FRAME_CLASS)]
	add	x5, x5, #8
	tst	x5, #RSEQ_MAGAZINE_MASK
	b.eq	1f
	adds	x4, x0, #1
	b.eq	1f			// SLATE_PFN_NONE
	str	x4, [x5]
	commit frame_free
	str	x5, [x3, #(8 * RSEQ_FRAME_CLASS)]
	ret
1:	b	slate_frame_free_slow

/* void *slate_stack_alloc(unsigned order) */
function slate_stack_alloc
#if SLATE_DEBUG
	b	slate_stack_alloc_slow
#else
	mov	w1, #(RSEQ_TAKE + RSEQ_STACK_HEAD + RSEQ_STACK_ORDERS)
	cmp	w0, #RSEQ_STACK_ORDERS
	add	w1, w1, w0
	b.hs	1f
	sequence stack_alloc
	load_cache x3
	ldr	x4, [x3, x1, lsl #3]
	ldr	x5, [x4], #-8
	cbz	x5, 2f
	commit stack_alloc
	str	x4, [x3, x1, lsl #3]
	mov	x0, x5
	ret
2:	adr	x13, 1f
	b	exchange
1:	b	slate_stack_alloc_slow
#endif

/*
 * void slate_stack_free(void *stack): frame aligned, in the window, its class byte a stack's lowest frame's
 */
function slate_stack_free
#if SLATE_DEBUG
	b	slate_stack_free_slow
#else
	sequence stack_free
	load_cache x3
	ldp	x4, x5, [x3, #RSEQ_WINDOW_BASE]
	ldr	x6, [x3, #RSEQ_WINDOW_MAP]
	tst	x0, #((1 << SLATE_PAGE_SHIFT) - 1)
	b.ne	1f
	sub	x4, x0, x4
	lsr	x5, x5, #9
	ror	x4, x4, #SLATE_PAGE_SHIFT
	cmp	x4, x5
	b.hs	1f
	ldrb	w4, [x6, x4]
	sub	w5, w4, #RSEQ_STACK_HEAD
	cmp	w5, #RSEQ_STACK_ORDERS
	b.hs	1f
	add	w4, w4, #RSEQ_STACK_ORDERS
	ldr	x5, [x3, x4, lsl #3]
	add	x5, x5, #8
	tst	x5, #RSEQ_MAGAZINE_MASK
	b.eq	1f
	str	x0, [x5]
	commit stack_free
	str	x5, [x3, x4, lsl #3]
	ret
1:	b	slate_stack_free_slow
#endif

/* void *slate_rseq_take(size_t index) */
function slate_rseq_take
	sequence take
	load_cache x3
	ldr	x4, [x3, x0, lsl #3]
	ldr	x5, [x4], #-8
	cbz	x5, 1f
	commit take
	str	x4, [x3, x0, lsl #3]
1:	mov	x0, x5
	ret

/* bool slate_rseq_give(size_t index, void *object) */
function slate_rseq_give
	sequence give
	load_cache x3
	ldr	x5, [x3, x0, lsl #3]
	add	x5, x5, #8
	tst	x5, #RSEQ_MAGAZINE_MASK
	b.eq	1f
	str	x1, [x5]
	commit give
	str	x5, [x3, x0, lsl #3]
	mov	w0, #1
	ret
1:	mov	w0, #0
	ret

/* magtop_t slate_rseq_detach(size_t index) */
function slate_rseq_detach
	sequence detach
	load_cache x3
	adrp	x4, magazine_dummy
	add	x4, x4, :lo12:magazine_dummy
	add	x4, x4, #RSEQ_DUMMY_SLOT
	ldr	x5, [x3, x0, lsl #3]
	commit detach
	str	x4, [x3, x0, lsl #3]
	mov	x0, x5
	ret

/* bool slate_rseq_attach(size_t index, magtop_t top) */
function slate_rseq_attach
	sequence attach
	load_cache x3
	adrp	x4, magazine_dummy
	add	x4, x4, :lo12:magazine_dummy
	add	x4, x4, #RSEQ_DUMMY_SLOT
	ldr	x5, [x3, x0, lsl #3]
	cmp	x5, x4
	b.ne	1f
	commit attach
	str	x1, [x3, x0, lsl #3]
	mov	w0, #1
	ret
1:	mov	w0, #0
	ret

#if SLATE_PROFILE
/* bool slate_rseq_quiet(size_t class) */
function slate_rseq_quiet
	sequence quiet
	load_cache x3
	add	x4, x3, x0, lsl #2
	ldr	w5, [x4, #RSEQ_QUIET]
	subs	w5, w5, #1
	b.lt	1f
	commit quiet
	str	w5, [x4, #RSEQ_QUIET]
	mov	w0, #1
	ret
1:	mov	w0, #0
	ret
#endif

/* void slate_rseq_chain(void *link, void *value, size_t index) */
function slate_rseq_chain
	mov	x8, x2
	sequence chain
	load_cache x3
	ldr	x4, [x3, x8, lsl #3]
	str	x4, [x0]
	commit chain
	str	x1, [x3, x8, lsl #3]
	ret

/*
 * void *slate_rseq_exchange(size_t unused, size_t take_index)
 *
 * The take magazine is empty. If the give magazine holds enough to be taken as it is, let the two change places and pop one object; else NULL.
 * Three sequences: detach give, put it in the place of the empty one, attach that to give. x8: give index, x9: its top,
 * x10: the object, x11: the empty top, x12: the dummy. Not where a sample of the heap profile falls into the next take magazine, or
 * is planted in this one (mm/plant.h): then its top is not at its empty place. A fourth sequence counts.
 *
 * exchange: the same for a branch from a fast path, whose x0 stays; x13: where to go instead of NULL. Returns to the fast path's caller.
 */
function slate_rseq_exchange
	adr	x13, .Lno_object
exchange:
	sub	x8, x1, #RSEQ_TAKE
	adrp	x12, magazine_dummy
	add	x12, x12, :lo12:magazine_dummy
	add	x12, x12, #RSEQ_DUMMY_SLOT
	sequence exchange_detach
	load_cache x3
	ldr	x9, [x3, x8, lsl #3]
	ldr	x10, [x9]
	cbz	x10, 1f
#if SLATE_PROFILE
	add	x4, x3, x8, lsl #2
	ldr	w4, [x4, #RSEQ_QUIET]
	cmp	w4, #0
	b.le	1f
#endif
	adrp	x4, mcache_exchange_offset
	add	x4, x4, :lo12:mcache_exchange_offset
	ldrh	w4, [x4, x8, lsl #1]
	and	x5, x9, #RSEQ_MAGAZINE_MASK
	cmp	x5, x4
	b.lo	1f
	commit exchange_detach
	str	x12, [x3, x8, lsl #3]
	sequence exchange_replace
	load_cache x3
	ldr	x11, [x3, x1, lsl #3]
	adrp	x4, mcache_empty_offset
	add	x4, x4, :lo12:mcache_empty_offset
	ldrh	w4, [x4, x8, lsl #1]
	and	x5, x11, #RSEQ_MAGAZINE_MASK
	cmp	x5, x4
	b.ne	2f
	sub	x5, x9, #8
	commit exchange_replace
	str	x5, [x3, x1, lsl #3]
	sequence exchange_attach
	load_cache x3
	ldr	x4, [x3, x8, lsl #3]
	cmp	x4, x12
	b.ne	3f
	commit exchange_attach
	str	x11, [x3, x8, lsl #3]
#if SLATE_PROFILE
	sequence exchange_count
	load_cache x3
	add	x4, x3, x8, lsl #2
	ldr	w5, [x4, #RSEQ_QUIET]
	sub	w5, w5, #1
	commit exchange_count
	str	w5, [x4, #RSEQ_QUIET]
#endif
	mov	x0, x10
	ret
1:	br	x13
/* There is none, or it is planted, or a handler put objects into it: give the detached magazine back. */
2:	stp	x0, x30, [sp, #-32]!
	str	x13, [sp, #16]
	mov	x0, x1
	mov	x1, x9
	bl	slate_exchange_undo
	ldr	x13, [sp, #16]
	ldp	x0, x30, [sp], #32
	br	x13
/* Meanwhile a handler put another magazine into give: the empty one is left over. */
3:	mov	x0, x1
	mov	x1, x11
	mov	x2, x10
	b	slate_exchange_leftover
.Lno_object:
	mov	x0, #0
	ret

/*
 * bool slate_rseq_exchange_full(void *object, size_t give_index)
 *
 * The give magazine is full. If the take magazine is at most half full, let the two change places and give the object; else false. Three
 * sequences: detach take, put it with the object in the place of the full one, attach that to take. x8: give index, x9: the take
 * magazine's top, x10: the full top, x11: take index, x12: the dummy. Not where a sample falls into the next take magazine, or is planted
 * in this one: slot 0 tells.
 *
 * exchange_full: the same for a branch from a fast path, whose x0 and x1 stay; x13 as of exchange.
 */
function slate_rseq_exchange_full
	mov	x8, x1
	adr	x13, .Lnot_given
exchange_full:
	add	x11, x8, #RSEQ_TAKE
	adrp	x12, magazine_dummy
	add	x12, x12, :lo12:magazine_dummy
	add	x12, x12, #RSEQ_DUMMY_SLOT
	sequence full_detach
	load_cache x3
	ldr	x9, [x3, x11, lsl #3]
	adrp	x4, mcache_half_offset
	add	x4, x4, :lo12:mcache_half_offset
	ldrh	w4, [x4, x8, lsl #1]
	and	x5, x9, #RSEQ_MAGAZINE_MASK
	cmp	x5, x4
	b.hi	1f
#if SLATE_PROFILE
	and	x4, x9, #~RSEQ_MAGAZINE_MASK
	ldr	x4, [x4]
	cbnz	x4, 1f
	add	x4, x3, x8, lsl #2
	ldr	w4, [x4, #RSEQ_QUIET]
	cmp	w4, #0
	b.le	1f
#endif
	commit full_detach
	str	x12, [x3, x11, lsl #3]
	sequence full_replace
	load_cache x3
	ldr	x10, [x3, x8, lsl #3]
	cmp	x10, x12
	b.eq	2f
	add	x4, x10, #8
	tst	x4, #RSEQ_MAGAZINE_MASK
	b.ne	2f
	add	x5, x9, #8
	str	x0, [x5]
	commit full_replace
	str	x5, [x3, x8, lsl #3]
	sequence full_attach
	load_cache x3
	ldr	x4, [x3, x11, lsl #3]
	cmp	x4, x12
	b.ne	3f
	commit full_attach
	str	x10, [x3, x11, lsl #3]
#if SLATE_PROFILE
	sequence full_count
	load_cache x3
	add	x4, x3, x8, lsl #2
	ldr	w5, [x4, #RSEQ_QUIET]
	sub	w5, w5, #1
	commit full_count
	str	w5, [x4, #RSEQ_QUIET]
#endif
	mov	w0, #1
	ret
1:	br	x13
/* Meanwhile a handler changed give: put the take magazine back, the object is still the caller's. */
2:	stp	x0, x30, [sp, #-32]!
	stp	x1, x13, [sp, #16]
	mov	x0, x8
	mov	x1, x9
	bl	slate_full_undo
	ldp	x1, x13, [sp, #16]
	ldp	x0, x30, [sp], #32
	br	x13
/* Meanwhile a handler put another magazine into take: the full one is left over. */
3:	mov	x0, x8
	mov	x1, x10
	b	slate_full_leftover
.Lnot_given:
	mov	w0, #0
	ret

	.globl	slate_rseq_text_end
slate_rseq_text_end:

/* void *slate_rseq_word(void); void slate_rseq_set_word(void *give) */
	.text
function slate_rseq_word
	load_cache x0
	ret

function slate_rseq_set_word
	mrs	x1, tpidr_el1
	str	x0, [x1, #SLATE_PERCPU_OFFSET]
	ret

	.section .rodata.slate_rseq, "a", %progbits
	.globl	slate_rseq_table_end
slate_rseq_table_end:

#endif

	.section .note.GNU-stack, "", %progbits
