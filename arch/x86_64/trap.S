/* SPDX-License-Identifier: MIT */
/*
 * trap.S - the 256 entries of the interrupt descriptor table. All of them, NMI included, build the
 * same frame and call trap_dispatch(), whose first act is to fix up the saved program counter.
 */

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
	jmp	trap_common
	.set	vector, vector + 1
	.endr

/* No swapgs: there is no user mode, so GS always holds this CPU's base. */
	.balign	16
trap_common:
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
	cld
	movq	%rsp, %rdi		/* struct trap_frame; the stack is 16-byte aligned here */
	call	trap_dispatch
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
	addq	$16, %rsp		/* vector, error code */
	iretq

	.section .note.GNU-stack, "", @progbits
