/* SPDX-License-Identifier: MIT */
/*
 * start.S - the entries of the loaders, from 32-bit protected mode without paging to C in the upper
 * half, and the entry of the other CPUs behind their trampoline.
 *
 * The boot page tables map the first 4 GiB three times: at 0 (this code and the trampoline run
 * there), at DIRECT_MAP_BASE, and 1 GiB of it at KERNEL_VMA. mmu.c replaces them by final ones
 * without the low half; a starting CPU still passes through these.
 */
#include "arch/x86_64/layout.h"

	.set	PHYS, -KERNEL_VMA	/* symbol + PHYS: its physical address */

/* ---- Multiboot2: what we ask of the loader ---- */

	.section .boot.header, "a", @progbits
	.balign	8
mb2_header:
	.long	0xe85250d6
	.long	0			/* entry in 32-bit protected mode */
	.long	mb2_header_end - mb2_header
	.long	-(0xe85250d6 + 0 + (mb2_header_end - mb2_header))
	.balign	8
	.short	1, 0			/* information request: */
	.long	12
	.long	6			/* the memory map */
	.balign	8
	.short	6, 0			/* modules on page boundaries */
	.long	8
	.balign	8
	.short	0, 0			/* end */
	.long	8
mb2_header_end:

/* ---- PVH: XEN_ELFNOTE_PHYS32_ENTRY ---- */

	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 8, 18
	.asciz	"Xen"
	.quad	pvh_start

/* ---- 32-bit entry: ebx points to the loader's information ---- */

	.section .boot.text, "ax", @progbits
	.code32
	.globl	pvh_start
pvh_start:
	movl	$LOADER_PVH, %edi
	jmp	start32

	.globl	mb2_start
mb2_start:
	movl	$LOADER_MULTIBOOT2, %edi
	cmpl	$0x36d76289, %eax
	movl	$no_loader_text, %ebp
	jne	die32

start32:
	cli
	cld
	movl	%ebx, %esi
	movl	$(boot_stack_top + PHYS), %esp

	/* Long mode, or a word to whoever watches the serial line. */
	movl	$no_long_mode_text, %ebp
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	die32
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx
	jnc	die32

	/* EFER: LME, and NXE where no-execute exists. */
	movl	$0x100, %ebp
	btl	$20, %edx
	jnc	1f
	orl	$0x800, %ebp
1:
	/* 2048 entries of 2 MiB, present, writable, large. */
	movl	$(boot_pd + PHYS), %ecx
	movl	$0x83, %eax
1:	movl	%eax, (%ecx)
	addl	$8, %ecx
	addl	$0x200000, %eax
	jnc	1b

	movl	$(boot_pd + PHYS + 3), %eax
	movl	%eax, boot_pdpt_kernel + PHYS + 8 * KERNEL_PDPT_INDEX
	movl	$(boot_pdpt + PHYS), %ecx
1:	movl	%eax, (%ecx)
	addl	$8, %ecx
	addl	$0x1000, %eax
	cmpl	$(boot_pdpt + PHYS + 32), %ecx
	jne	1b

	movl	$(boot_pdpt + PHYS + 3), %eax
	movl	%eax, boot_pml4 + PHYS
	movl	%eax, boot_pml4 + PHYS + 8 * DIRECT_PML4_INDEX
	movl	$(boot_pdpt_kernel + PHYS + 3), %eax
	movl	%eax, boot_pml4 + PHYS + 8 * KERNEL_PML4_INDEX

	movl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$(boot_pml4 + PHYS), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	movl	%ebp, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$0x80010033, %eax	/* PG, WP, NE, ET, MP, PE; caches on */
	movl	%eax, %cr0

	lgdt	boot_gdtr
	ljmp	$8, $start64

/* ebp: text for the serial line; polls the 16550 at COM1. */
die32:
	movb	(%ebp), %cl
	testb	%cl, %cl
	jz	2f
	movw	$0x3fd, %dx
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	movw	$0x3f8, %dx
	movb	%cl, %al
	outb	%al, %dx
	incl	%ebp
	jmp	die32
2:	cli
	hlt
	jmp	2b

no_loader_text:
	.asciz	"Slate: not started by a multiboot2 or PVH loader\n"
no_long_mode_text:
	.asciz	"Slate: this CPU has no 64-bit mode\n"

	.balign	8
boot_gdt:
	.quad	0
	.quad	0x00af9a000000ffff	/* 0x08: 64-bit code */
	.quad	0x00cf92000000ffff	/* 0x10: data */
boot_gdtr:
	.short	. - boot_gdt - 1
	.long	boot_gdt

	.code64
start64:
	movabsq	$start_high, %rax
	jmp	*%rax

/* ---- 64-bit, in the upper half ---- */

	.text
start_high:
	movl	$0x10, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movq	$boot_stack_top, %rsp
	xorl	%ebp, %ebp		/* the end of the backtrace */
	movl	%edi, %edi		/* arch_boot(loader, information) */
	movl	%esi, %esi
	call	arch_boot
	ud2

/*
 * Another CPU, behind its trampoline: no stack yet, boot page tables. Only the first one to come
 * takes the mailbox; one that was given up, or was started twice, finds it taken and stops for ever.
 */
	.globl	ap_start
ap_start:
	movl	$0x10, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$AP_WANTED, %eax
	movl	$AP_TAKEN, %ecx
	lock cmpxchgl %ecx, ap_mailbox + AP_STATE
	jne	1f
	movq	ap_mailbox + AP_CR3, %rax
	movq	%rax, %cr3
	movq	ap_mailbox + AP_STACK, %rsp
	movq	ap_mailbox + AP_PERCPU, %rdi
	xorl	%ebp, %ebp
	call	ap_main
	ud2
1:	cli
	hlt
	jmp	1b

/* ---- Boot page tables and the boot CPU's stack ---- */

	.section .bss.pages, "aw", @nobits
	.balign	4096
	.globl	boot_pml4
boot_pml4:
	.skip	4096
boot_pdpt:
	.skip	4096
boot_pdpt_kernel:
	.skip	4096
boot_pd:
	.skip	4 * 4096

	/* Left unmapped by mmu.c: an overflow faults here. */
	.globl	boot_stack_guard
boot_stack_guard:
	.skip	4096
	.skip	BOOT_STACK_BYTES
	.globl	boot_stack_top
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
