/* SPDX-License-Identifier: MIT */
/*
 * step.c - functions run one instruction at a time, by the trap flag.
 */
#include "arch/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/trap.h"

/* Bits of DR6: the exception is a step. */
#define DR6_STEP 0x4000u

static inline uint64_t dr6_read(void)
{
	uint64_t value;

	__asm__ volatile("movq %%dr6, %0" : "=r"(value));
	return value;
}

static inline void dr6_write(uint64_t value)
{
	__asm__ volatile("movq %0, %%dr6" : : "r"(value));
}

/* popfq sets the flag; the instruction behind it is the first that is stepped. */
void arch_step(void (*fn)(void *arg), void *arg)
{
	unsigned long flags = flags_read();

	__asm__ volatile("pushq %0; popfq" : : "r"(flags | RFLAGS_TF) : "memory", "cc");
	fn(arg);
	__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~RFLAGS_TF) : "memory", "cc");
}

bool step_trap(struct trap_frame *frame, uintptr_t pc)
{
	uintptr_t fixed = frame->rip;

	if (!(dr6_read() & DR6_STEP))
		return false;
	dr6_write(0);
	frame->rflags &= ~(uint64_t)RFLAGS_TF;
	if (kernel_step(frame, pc, frame->rflags & RFLAGS_IF)) {
		frame->rflags |= RFLAGS_TF;
		/* nothing happened in between: a sequence need not begin again, and could not end
		 */
		if (frame->rip == fixed)
			frame->rip = pc;
	}
	return true;
}
