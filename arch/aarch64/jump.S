/* SPDX-License-Identifier: MIT */
/*
 * jump.S - changes of the stack: arch_on_stack(), arch_scrub(), and arch_jump_set() and arch_jump(): the callee-saved registers of the AAPCS64 (x19-x28, frame pointer, link
 * register) and the stack. Floating point registers are not used by the kernel.
 */
	.text
	.globl arch_jump_set
arch_jump_set:
	mov x1, sp
	stp x19, x20, [x0, #0]
	stp x21, x22, [x0, #16]
	stp x23, x24, [x0, #32]
	stp x25, x26, [x0, #48]
	stp x27, x28, [x0, #64]
	stp x29, x30, [x0, #80]
	str x1, [x0, #96]
	mov w0, #0
	ret

	.globl arch_jump
arch_jump:
	ldp x19, x20, [x0, #0]
	ldp x21, x22, [x0, #16]
	ldp x23, x24, [x0, #32]
	ldp x25, x26, [x0, #48]
	ldp x27, x28, [x0, #64]
	ldp x29, x30, [x0, #80]
	ldr x1, [x0, #96]
	mov sp, x1
	mov w0, #1
	ret

/* void arch_on_stack(fn, arg, stack_top): the saved frame record leads back to the old stack. */
	.globl arch_on_stack
arch_on_stack:
	stp x29, x30, [sp, #-16]!
	mov x29, sp
	mov x9, x0
	mov x0, x1
	mov sp, x2
	blr x9
	mov sp, x29
	ldp x29, x30, [sp], #16
	ret

/* void arch_scrub(uintptr_t low): nothing else is written, so an interrupt may come at any point. */
	.globl arch_scrub
arch_scrub:
	mov x1, sp
	b 2f
1:	str xzr, [x0], #8
2:	cmp x0, x1
	b.lo 1b
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18
	mov x\n, #0
	.endr
	ret

	.section .note.GNU-stack, "", %progbits
