/* SPDX-License-Identifier: MIT */
/* x86_64.S - from PVH's 32-bit entry to the upper half: physical GiB 0 is mapped at 0 and -2 GiB. */
#define PHYS(symbol) ((symbol) - 0xffffffff80000000)

	.section .note.pvh, "a", @note
	.align 4
	.long 4, 8, 18			/* sizes of name and descriptor; the PVH entry */
	.asciz "Xen"
	.quad PHYS(start)

	.text
	.code32
	.globl start
start:	movl	%ebx, PHYS(pvh_start_info)
	movl	$PHYS(pml4), %eax
	movl	%eax, %cr3
	movl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$0xc0000080, %ecx	/* EFER: long mode */
	movl	$0x100, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$0x80010011, %eax	/* paging, write protection, protected mode */
	movl	%eax, %cr0
	lgdt	PHYS(gdt_pointer)
	ljmp	$8, $PHYS(long_mode)
	.code64
long_mode:
	movq	$stack_top, %rsp
	movq	$kernel_main, %rax
	call	*%rax

	.data
	.align 4096
pml4:	.quad	PHYS(pdpt) + 3
	.fill	510, 8, 0
	.quad	PHYS(pdpt) + 3
pdpt:	.quad	0x83			/* present, writable, 1 GiB */
	.fill	509, 8, 0
	.quad	0x83, 0
gdt:	.quad	0, 0x00209a0000000000	/* 64-bit code, ring 0 */
gdt_pointer:
	.word	15
	.long	PHYS(gdt)
	.globl pvh_start_info
pvh_start_info:
	.long	0

	.bss
	.align 4096
	.skip	16384
stack_top:
