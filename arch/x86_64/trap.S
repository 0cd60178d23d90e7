/* SPDX-License-Identifier: MIT */
/*
 * trap.S - the 256 entries of the interrupt descriptor table. All of them, NMI included, build the
 * same frame and call trap_dispatch(), whose first act is to fix up the saved program counter.
 *
 * An NMI has a stack of its own, for it may fall anywhere: between two instructions of another
 * entry, or where the stack is being changed. NMIs are masked until the next iretq, which need not
 * be the NMI's own: an exception in its handler ends with one, too. So the stack that the next NMI
 * begins on lies below, as long as this one runs. Between the addition that undoes this and iretq
 * only a third one could fall on a frame in use, and only after such an exception.
 */
#include "arch/x86_64/layout.h"

/*
 * Entries are 16 bytes apart. An error code is pushed by the CPU for some exceptions; for all others
 * a 0 stands in.
 */
	.text
	.balign	16
	.globl	trap_entries
trap_entries:
	.set	vector, 0
	.rept	256
	.balign	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
		vector == 29 || vector == 30)
	pushq	$0
	.endif
	pushq	$vector
	.if	vector == VECTOR_NMI
	jmp	trap_nmi
	.else
	jmp	trap_common
	.endif
	.set	vector, vector + 1
	.endr

	.macro	save_registers
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	.endm

	.macro	restore_registers
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	.endm

/* No swapgs: there is no user mode, so GS always holds this CPU's base. */
	.balign	16
trap_common:
	save_registers
	cld
	movq	%rsp, %rdi		/* struct trap_frame; the stack is 16-byte aligned here */
	call	trap_dispatch
trap_return:
	restore_registers
	addq	$16, %rsp		/* vector, error code */
	iretq

	.balign	16
trap_nmi:
	subq	$NMI_LEVEL_BYTES, %gs:PERCPU_NMI_STACK
	save_registers
	cld
	movq	%rsp, %rdi
	call	trap_dispatch
	restore_registers
	addq	$NMI_LEVEL_BYTES, %gs:PERCPU_NMI_STACK
	addq	$16, %rsp
	iretq

/* void arch_resume(struct trap_frame *frame): what it was saved for goes on, here. */
	.globl	arch_resume
arch_resume:
	cli
	movq	%rdi, %rsp
	jmp	trap_return

	.section .note.GNU-stack, "", @progbits
