/* SPDX-License-Identifier: MIT */
/*
 * aarch64.S - from QEMU's entry at EL1 to kernel_main(). Exclusive loads and stores want cached memory,
 * so the MMU is switched on: the first GiB is devices, the second RAM, both mapped where they are.
 */
	.text
	.globl start
start:	adrp	x0, stack_top
	mov	sp, x0
	mov	x0, #0xff00		/* attribute 0 is device, 1 is normal memory */
	msr	mair_el1, x0
	ldr	x0, =0x80803519		/* 39-bit addresses, 4 KiB, cached; TTBR1 unused */
	msr	tcr_el1, x0
	adrp	x0, page_table
	msr	ttbr0_el1, x0
	isb
	ldr	x0, =0x30d01805		/* ones that must be; instruction cache, data cache, MMU */
	msr	sctlr_el1, x0
	isb
	bl	kernel_main

	.data
	.align 12
page_table:
	.quad	0x0060000000000401	/* never executed, accessed, device */
	.quad	0x0000000040000705	/* accessed, inner shareable, normal */
	.fill	510, 8, 0

	.bss
	.align 12
	.skip	16384
stack_top:
