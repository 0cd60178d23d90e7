/* SPDX-License-Identifier: MIT */
/*
 * start.S - from the boot loader, or from PSCI, to C in the upper half.
 *
 * Entry state (arm64 boot protocol): MMU off, interrupts masked, EL2 or EL1, x0 = physical address of the device tree, or 0 when
 * QEMU loaded the ELF file. The image may lie on any page: until the MMU is on, every address is formed relative to pc.
 * With the MMU off, writes go around the caches, so the lines of the tables are thrown away before they are walked.
 */
#include "arch/aarch64/layout.h"

/* RES1 bits of SCTLR_EL1, nothing else: MMU and caches off, no alignment check. */
#define SCTLR_OFF 0x30d00800
#define SCTLR_MCI 0x1005 /* M, C, I */

/* 48 bits in both halves, 4 KiB granule, walks cacheable and inner shareable; the address size is put in at run time. */
#define TCR_VALUE (16 | 1 << 8 | 1 << 10 | 3 << 12 | 16 << 16 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30)
#define TCR_EPD0  (1 << 7)
#define TCR_DIRTY (3 << 39)	// HA, HD: the walker notes accesses and writes (written.c)
#define HAFDBS_HD 2		// ID_AA64MMFR1_EL1: it can

#define RIGHTS_TEXT   (PTE_PAGE | PTE_NORMAL | PTE_INNER | PTE_AF | PTE_RO | PTE_UXN)
#define RIGHTS_RODATA (RIGHTS_TEXT | PTE_PXN)
#define RIGHTS_DATA   (PTE_PAGE | PTE_NORMAL | PTE_INNER | PTE_AF | PTE_UXN | PTE_PXN)
#define RIGHTS_BLOCK  (PTE_BLOCK | PTE_NORMAL | PTE_INNER | PTE_AF)

.macro address reg, symbol
	adrp	\reg, \symbol
	add	\reg, \reg, :lo12:\symbol
.endm

	.section .head, "ax"
	.globl	start
start:
	b	boot_entry
	.word	0
	.quad	IMAGE_OFFSET
	.quad	image_bytes
	.quad	2			// little-endian, 4 KiB pages, near the start of RAM
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.word	0

boot_entry:
	mov	x20, x0
	bl	enter_el1
	bl	make_tables
	address	x21, image_start	// physical: the MMU is still off
	bl	mmu_on
	ldr	x0, =boot_high
	br	x0

/* PSCI starts a CPU here, x0 = virtual address of its struct percpu. */
	.globl	secondary_entry
secondary_entry:
	mov	x20, x0
	bl	enter_el1
	bl	mmu_on
	ldr	x0, =secondary_high
	br	x0

/* Leave the MMU off and EL2 behind; returns in EL1 with the exception stack pointer selected. */
enter_el1:
	mov	x9, #SCTLR_OFF & 0xffff
	movk	x9, #SCTLR_OFF >> 16, lsl #16
	msr	sctlr_el1, x9
	isb
	mrs	x9, CurrentEL
	cmp	x9, #2 << 2
	b.eq	from_el2
	msr	daifset, #15
	msr	spsel, #1
	ret

from_el2:
	mov	x9, #1 << 31		// HCR_EL2.RW: EL1 is 64-bit; nothing is trapped
	msr	hcr_el2, x9
	isb
	mov	x9, #3			// EL1 may use the physical counter and timer
	msr	cnthctl_el2, x9
	msr	cntvoff_el2, xzr
	mov	x9, #0x33ff		// CPTR_EL2: RES1 bits, no trap of FP
	msr	cptr_el2, x9
	msr	hstr_el2, xzr
	msr	vttbr_el2, xzr
	mrs	x9, midr_el1
	msr	vpidr_el2, x9
	mrs	x9, mpidr_el1
	msr	vmpidr_el2, x9

	mrs	x9, id_aa64dfr0_el1	// performance monitors: 0 and 15 mean none
	ubfx	x9, x9, #8, #4
	sub	x10, x9, #1
	cmp	x10, #14
	b.hs	1f
	mrs	x9, pmcr_el0
	ubfx	x9, x9, #11, #5
	msr	mdcr_el2, x9		// all event counters belong to EL1
1:
	mrs	x9, id_aa64pfr0_el1	// GICv3 system registers
	ubfx	x9, x9, #24, #4
	cbz	x9, 2f
	mrs	x9, s3_4_c12_c9_5	// ICC_SRE_EL2: SRE, and EL1 may choose
	mov	x10, #9
	orr	x9, x9, x10
	msr	s3_4_c12_c9_5, x9
	isb
	msr	s3_4_c12_c11_0, xzr	// ICH_HCR_EL2
2:
	mov	x9, #0x3c5		// EL1 with its own stack pointer, DAIF masked
	msr	spsr_el2, x9
	msr	elr_el2, x30
	eret

/* Enter entry x12 of table x10 = x11. Clobbers nothing else. */
.macro set_entry
	str	x11, [x10, x12, lsl #3]
.endm

/*
 * The first tables: the identity of the GiB in which we run, for the moment when the MMU goes on, and the image in the upper
 * half. mmu.c does the rest.
 */
make_tables:
	mov	x15, x30
	bl	discard_tables
	address	x9, tables_start
	address	x10, tables_end
1:	stp	xzr, xzr, [x9], #16
	cmp	x9, x10
	b.lo	1b

	address	x13, image_start
	address	x10, table_identity_l0
	address	x11, table_identity_l1
	orr	x11, x11, #PTE_TABLE
	ubfx	x12, x13, #L0_SHIFT, #9
	set_entry
	address	x10, table_identity_l1
	bic	x11, x13, #(1 << L1_SHIFT) - 1
	mov	x12, #RIGHTS_BLOCK
	orr	x11, x11, x12
	ubfx	x12, x13, #L1_SHIFT, #9
	set_entry

	address	x10, table_kernel_l0
	address	x11, table_image_l1
	orr	x11, x11, #PTE_TABLE
	mov	x12, #(KERNEL_BASE >> L0_SHIFT) & 511
	set_entry
	address	x10, table_image_l1
	address	x11, table_image_l2
	orr	x11, x11, #PTE_TABLE
	mov	x12, #(KERNEL_BASE >> L1_SHIFT) & 511
	set_entry
	address	x10, table_image_l2
	address	x11, table_image_l3
	orr	x11, x11, #PTE_TABLE
	mov	x12, #(KERNEL_BASE >> L2_SHIFT) & 511
	add	x14, x12, #IMAGE_L3_COUNT
2:	set_entry
	add	x11, x11, #TABLE_BYTES
	add	x12, x12, #1
	cmp	x12, x14
	b.lo	2b

	address	x9, image_start
	address	x10, rodata_start
	ldr	x11, =RIGHTS_TEXT
	bl	map_pages
	address	x9, rodata_start
	address	x10, data_start
	ldr	x11, =RIGHTS_RODATA
	bl	map_pages
	address	x9, data_start
	address	x10, boot_guard
	ldr	x11, =RIGHTS_DATA
	bl	map_pages
	address	x9, boot_start
	address	x10, image_end
	ldr	x11, =RIGHTS_DATA
	bl	map_pages
	bl	discard_tables
	ret	x15

/* Map [x9, x10) of the image with rights x11. x13: physical start of the image. */
map_pages:
	address	x12, table_image_l3
1:	sub	x14, x9, x13
	lsr	x14, x14, #L3_SHIFT
	orr	x16, x9, x11
	str	x16, [x12, x14, lsl #3]
	add	x9, x9, #TABLE_BYTES
	cmp	x9, x10
	b.lo	1b
	ret

/* Throw away cached lines of the tables, which a boot loader may have left. */
discard_tables:
	dmb	sy
	address	x9, tables_start
	address	x10, tables_end
	mrs	x11, ctr_el0
	ubfx	x11, x11, #16, #4
	mov	x12, #4
	lsl	x11, x12, x11		// bytes of the smallest data cache line
1:	dc	ivac, x9
	add	x9, x9, x11
	cmp	x9, x10
	b.lo	1b
	dsb	sy
	ret

/* MMU and caches on. Returns to the identity mapping. */
mmu_on:
	ldr	x9, =MAIR_VALUE
	msr	mair_el1, x9
	ldr	x9, =TCR_VALUE
	mrs	x10, id_aa64mmfr0_el1
	and	x10, x10, #15
	mov	x11, #5			// 48 bits are all that these tables hold
	cmp	x10, x11
	csel	x10, x10, x11, lo
	bfi	x9, x10, #32, #3
	mrs	x10, id_aa64mmfr1_el1
	and	x10, x10, #15
	mov	x11, #TCR_DIRTY
	orr	x11, x11, x9
	cmp	x10, #HAFDBS_HD
	csel	x9, x11, x9, hs
	msr	tcr_el1, x9
	address	x9, table_identity_l0
	msr	ttbr0_el1, x9
	address	x9, table_kernel_l0
	msr	ttbr1_el1, x9
	isb
	tlbi	vmalle1
	dsb	nsh
	ic	iallu
	dsb	nsh
	isb
	mrs	x9, sctlr_el1
	mov	x10, #SCTLR_MCI
	orr	x9, x9, x10
	msr	sctlr_el1, x9
	isb
	ret

/* The lower half is needed no longer: null pointers fault from here on. */
.macro leave_identity
	mrs	x9, tcr_el1
	orr	x9, x9, #TCR_EPD0
	msr	tcr_el1, x9
	isb
	tlbi	vmalle1
	dsb	nsh
	isb
	address	x9, vectors
	msr	vbar_el1, x9
	isb
	mov	x29, xzr
	mov	x30, xzr
.endm

	.text
boot_high:
	leave_identity
	address	x9, boot_stack_top
	mov	sp, x9
	address	x9, bss_start
	address	x10, bss_end
1:	cmp	x9, x10
	b.hs	2f
	stp	xzr, xzr, [x9], #16
	b	1b
2:	mov	x0, x20
	mov	x1, x21
	bl	arch_boot
	b	.

secondary_high:
	leave_identity
	ldr	x9, [x20, #PERCPU_STACK_TOP]
	mov	sp, x9
	mov	x0, x20
	bl	secondary_cpu_main
	b	.

	.section .boot.stack, "aw", %nobits
	.balign	16
	.space	BOOT_STACK_BYTES
	.globl	boot_stack_top
boot_stack_top:

	.section .boot.tables, "aw", %nobits
	.balign	TABLE_BYTES
table_identity_l0:
	.space	TABLE_BYTES
table_identity_l1:
	.space	TABLE_BYTES
	.globl	table_kernel_l0
table_kernel_l0:
	.space	TABLE_BYTES
table_image_l1:
	.space	TABLE_BYTES
table_image_l2:
	.space	TABLE_BYTES
table_image_l3:
	.space	TABLE_BYTES * IMAGE_L3_COUNT
