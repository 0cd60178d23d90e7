/* SPDX-License-Identifier: MIT */
/*
 * step.c - functions run one instruction at a time, by the trap flag, from a breakpoint on.
 */
#include "arch/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/trap.h"

/* Why there is a debug exception: bits of DR6. */
#define DR6_BREAK 0x0001u
#define DR6_STEP  0x4000u

/* DR7: breakpoint 0, on execution, for as long as it stands there. */
#define DR7_OFF   0x0400u
#define DR7_BREAK 0x0402u

static size_t to_skip; /* times that the breakpoint comes without being meant */

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

/* 0: nowhere. */
static void break_at(uintptr_t pc)
{
	__asm__ volatile("movq %0, %%dr0; movq %1, %%dr7"
			 :
			 : "r"(pc), "r"((uint64_t)(pc ? DR7_BREAK : DR7_OFF))
			 : "memory");
}

/* popfq sets the flag; the instruction behind it is the first that is stepped. */
void arch_step(void (*fn)(void *arg), void *arg, uintptr_t from, size_t skip)
{
	unsigned long flags = flags_read();

	to_skip = skip;
	break_at(from);
	if (!from)
		__asm__ volatile("pushq %0; popfq" : : "r"(flags | RFLAGS_TF) : "memory", "cc");
	fn(arg);
	__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~RFLAGS_TF) : "memory", "cc");
	break_at(0);
}

bool arch_step_is_delicate(void)
{
	return false;
}

bool step_trap(struct trap_frame *frame, uintptr_t pc)
{
	uintptr_t fixed = frame->rip;
	uint64_t why = dr6_read();

	if (!(why & (DR6_STEP | DR6_BREAK)))
		return false;
	dr6_write(0);
	if (!(why & DR6_STEP) && to_skip > 0) {
		to_skip--;
		frame->rip = pc;
		frame->rflags |= RFLAGS_RF; /* past the breakpoint this time */
		return true;
	}
	break_at(0);
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
