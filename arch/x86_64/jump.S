/* SPDX-License-Identifier: MIT */
/*
 * jump.S - changes of the stack: arch_on_stack(), arch_scrub(), and arch_jump_set() and arch_jump(): the callee-saved registers of the System V ABI, the stack and the return
 * address.
 */
	.text
	.globl arch_jump_set
arch_jump_set:
	mov (%rsp), %rax
	lea 8(%rsp), %rdx
	mov %rbx, 0(%rdi)
	mov %rbp, 8(%rdi)
	mov %r12, 16(%rdi)
	mov %r13, 24(%rdi)
	mov %r14, 32(%rdi)
	mov %r15, 40(%rdi)
	mov %rdx, 48(%rdi)
	mov %rax, 56(%rdi)
	xor %eax, %eax
	ret

	.globl arch_jump
arch_jump:
	mov 0(%rdi), %rbx
	mov 8(%rdi), %rbp
	mov 16(%rdi), %r12
	mov 24(%rdi), %r13
	mov 32(%rdi), %r14
	mov 40(%rdi), %r15
	mov 48(%rdi), %rsp
	mov $1, %eax
	jmp *56(%rdi)

/* void arch_on_stack(fn, arg, stack_top): the saved frame pointer leads back to the old stack. */
	.globl arch_on_stack
arch_on_stack:
	push %rbp
	mov %rsp, %rbp
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsp
	call *%rax
	mov %rbp, %rsp
	pop %rbp
	ret

/* void arch_scrub(uintptr_t low): nothing else is written, so an interrupt may come at any point. */
	.globl arch_scrub
arch_scrub:
	xor %eax, %eax
	jmp 2f
1:	mov %rax, (%rdi)
	add $8, %rdi
2:	cmp %rsp, %rdi
	jb 1b
	xor %ecx, %ecx
	xor %edx, %edx
	xor %esi, %esi
	xor %edi, %edi
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r11d, %r11d
	ret

	.section .note.GNU-stack, "", @progbits
