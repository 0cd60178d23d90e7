/* SPDX-License-Identifier: MIT */
/*
 * trampoline.S - what another CPU executes first: copied by smp.c into a free page below 1 MiB,
 * entered in real mode at its start by the start-up IPI. It goes to long mode at once, on the boot
 * page tables, and on to ap_start.
 */
#include "arch/x86_64/layout.h"

	.section .rodata.trampoline, "a", @progbits
	.balign	16
	.globl	trampoline_start, trampoline_end
	.globl	trampoline_gdtr, trampoline_far, trampoline_cr3, trampoline_efer, trampoline_entry
	.globl	trampoline_gdt, trampoline_long
	.code16
trampoline_start:
	cli
	cld
	movw	%cs, %ax		/* the page, whichever it is */
	movw	%ax, %ds

	movl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	trampoline_cr3 - trampoline_start, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER */
	movl	trampoline_efer - trampoline_start, %eax
	xorl	%edx, %edx
	wrmsr
	lgdtl	trampoline_gdtr - trampoline_start
	movl	$0x80010033, %eax	/* as start.S: paging and protection in one step */
	movl	%eax, %cr0
	ljmpl	*(trampoline_far - trampoline_start)

	.code64
trampoline_long:
	jmp	*trampoline_entry(%rip)

	/* smp.c fills in what depends on the page and on the boot CPU. */
	.balign	8
trampoline_gdt:
	.quad	0
	.quad	0x00af9a000000ffff
	.quad	0x00cf92000000ffff
trampoline_entry:
	.quad	0
trampoline_cr3:
	.long	0
trampoline_efer:
	.long	0
trampoline_far:
	.long	0
	.short	SEG_CODE
trampoline_gdtr:
	.short	23
	.long	0
trampoline_end:

	.section .note.GNU-stack, "", @progbits
