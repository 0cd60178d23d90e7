/* SPDX-License-Identifier: MIT */
/*
 * trap.S - the exception vectors. Every exception takes the same way: save the registers in a struct trap_frame, give it to
 * trap_dispatch(), restore, return.
 *
 * A synchronous exception first asks the MMU whether the frame fits below the stack pointer; if not, the stack has run into its
 * guard page, and the report is made on a stack kept for that. TPIDR_EL0 and TPIDRRO_EL0, user mode's registers, are
 * the scratch space: there is no user mode.
 *
 * FIQ stands for what cannot be masked: the CPU masks it while these registers are in use, and it is let through again while
 * the exception is being handled, unless that is an FIQ, or fell into one.
 */
#define PSTATE_F_BIT 6

#include "arch/aarch64/layout.h"

.macro vector kind
	.balign	0x80
	sub	sp, sp, #FRAME_BYTES
	stp	x0, x1, [sp, #0x00]
	mov	x0, #\kind
	b	trap_enter
.endm

	.section .text.vectors, "ax"
	.balign	0x800
	.globl	vectors
vectors:
	vector	TRAP_UNEXPECTED		// current EL with SP_EL0
	vector	TRAP_UNEXPECTED
	vector	TRAP_UNEXPECTED
	vector	TRAP_UNEXPECTED

	.balign	0x80			// current EL, synchronous
	msr	tpidr_el0, x0
	msr	tpidrro_el0, x1
	sub	x0, sp, #FRAME_BYTES
	at	s1e1w, x0
	isb
	mrs	x1, par_el1
	tbnz	x1, #0, stack_overflow
	mrs	x0, tpidr_el0
	mrs	x1, tpidrro_el0
	sub	sp, sp, #FRAME_BYTES
	stp	x0, x1, [sp, #0x00]
	mov	x0, #TRAP_SYNC
	b	trap_enter

	vector	TRAP_IRQ
	vector	TRAP_FIQ
	vector	TRAP_SERROR

	.rept	8			// lower EL
	vector	TRAP_UNEXPECTED
	.endr

	.balign	0x80
stack_overflow:
	mov	x0, sp			// for the report
	adrp	x1, emergency_stack_top
	add	x1, x1, :lo12:emergency_stack_top
	mov	sp, x1
	sub	sp, sp, #FRAME_BYTES
	mrs	x1, tpidrro_el0
	stp	x0, x1, [sp, #0x00]	// x0's own value is lost to the report: the frame holds sp there
	mov	x0, #TRAP_STACK_OVERFLOW

trap_enter:
	stp	x2, x3, [sp, #0x10]
	stp	x4, x5, [sp, #0x20]
	stp	x6, x7, [sp, #0x30]
	stp	x8, x9, [sp, #0x40]
	stp	x10, x11, [sp, #0x50]
	stp	x12, x13, [sp, #0x60]
	stp	x14, x15, [sp, #0x70]
	stp	x16, x17, [sp, #0x80]
	stp	x18, x19, [sp, #0x90]
	stp	x20, x21, [sp, #0xa0]
	stp	x22, x23, [sp, #0xb0]
	stp	x24, x25, [sp, #0xc0]
	stp	x26, x27, [sp, #0xd0]
	stp	x28, x29, [sp, #0xe0]
	str	x30, [sp, #0xf0]
	mov	x20, x0			// kind
	mrs	x21, elr_el1
	mrs	x22, spsr_el1

	/* Before any other C code of this exception: an interrupted restartable sequence begins again. */
	str	x21, [sp, #FRAME_RAW_PC]
	mov	x0, x21
	bl	trap_fixup
	mov	x21, x0

	str	x21, [sp, #FRAME_PC]
	add	x0, sp, #FRAME_BYTES
	stp	x22, x0, [sp, #FRAME_PSTATE]
	stp	x29, x21, [sp, #FRAME_RECORD]	// a frame record, so that backtraces go through
	add	x29, sp, #FRAME_RECORD
	cmp	x20, #TRAP_FIQ
	b.eq	1f
	tbnz	x22, #PSTATE_F_BIT, 1f
	msr	daifclr, #1
1:	mov	x0, sp
	mov	x1, x20
	bl	trap_dispatch

trap_return:
	msr	daifset, #1		// ELR_EL1 and SPSR_EL1 are ours alone from here on
	ldr	x21, [sp, #FRAME_PC]
	ldr	x22, [sp, #FRAME_PSTATE]
	msr	elr_el1, x21
	msr	spsr_el1, x22
	ldp	x2, x3, [sp, #0x10]
	ldp	x4, x5, [sp, #0x20]
	ldp	x6, x7, [sp, #0x30]
	ldp	x8, x9, [sp, #0x40]
	ldp	x10, x11, [sp, #0x50]
	ldp	x12, x13, [sp, #0x60]
	ldp	x14, x15, [sp, #0x70]
	ldp	x16, x17, [sp, #0x80]
	ldp	x18, x19, [sp, #0x90]
	ldp	x20, x21, [sp, #0xa0]
	ldp	x22, x23, [sp, #0xb0]
	ldp	x24, x25, [sp, #0xc0]
	ldp	x26, x27, [sp, #0xd0]
	ldp	x28, x29, [sp, #0xe0]
	ldr	x30, [sp, #0xf0]
	ldp	x0, x1, [sp, #0x00]
	add	sp, sp, #FRAME_BYTES
	eret

/* void arch_resume(struct trap_frame *frame): what it was saved for goes on, here. */
	.globl	arch_resume
arch_resume:
	msr	daifset, #3
	mov	sp, x0
	b	trap_return

	.section .bss.emergency, "aw", %nobits
	.balign	16
	.space	EMERGENCY_STACK_BYTES
emergency_stack_top:
