/* SPDX-License-Identifier: MIT */
/* arm.S - the vector table: the stack, the entry, and a loop for NMI and faults. */
	.syntax unified
	.section .vectors, "a"
	.word	stack_top, start, fault, fault

	.text
	.globl start
	.thumb_func
start:	b	kernel_main
	.thumb_func
fault:	b	fault
