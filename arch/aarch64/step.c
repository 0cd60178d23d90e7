/* SPDX-License-Identifier: MIT */
/*
 * step.c - functions run one instruction at a time, by software step exceptions, from a breakpoint
 * on.
 *
 * Every exception clears the exclusive monitor, so a store-exclusive that is stepped would fail for
 * ever. A pair of exclusives is done by hand instead: the load notes what it found, the store is a
 * compare-and-swap against it, which fails when somebody came in between, as the real one does.
 */
#include "arch/aarch64/regs.h"
#include "arch/aarch64/trap.h"
#include "arch/arch.h"

#define MDSCR_STEP   0x0001u
#define MDSCR_KERNEL 0x2000u /* debug exceptions from this very level */
#define MDSCR_BREAK  0x8000u
#define PSTATE_I     0x80u
#define PSTATE_D     0x200u
#define PSTATE_STEP  0x200000u

/* Immediates of the two breakpoints in arch_step(). */
#define BRK_BEGIN    0x57e0
#define BRK_END      0x57e1
#define BRK_IMM_MASK 0xffffu

/* Breakpoint 0: an address, in the kernel's mode, enabled. */
#define DBGBCR_HERE 0x1e3u

/* LDXR, LDAXR, STXR, STLXR of any size, not the pairs. */
#define EXCLUSIVE_MASK 0x3fa00000u
#define EXCLUSIVE_CODE 0x08000000u
#define EXCLUSIVE_LOAD 0x00400000u

/* What the last exclusive load by hand found: one CPU steps at a time. */
static struct monitor {
	bool open;
	uintptr_t address;
	uint64_t value;
} monitor;

static struct {
	uintptr_t from; /* the breakpoint; 0: none, or it is behind us */
	size_t skip;    /* times that it comes without being meant */
} start;

#define BREAKPOINT(imm) __asm__ volatile("brk %0" : : "i"(imm) : "memory")

void arch_step(void (*fn)(void *arg), void *arg, uintptr_t from, size_t skip)
{
	start.from = from;
	start.skip = skip;
	BREAKPOINT(BRK_BEGIN);
	fn(arg);
	BREAKPOINT(BRK_END);
}

bool arch_step_is_delicate(void)
{
	return monitor.open;
}

/* bits: MDSCR_STEP, MDSCR_BREAK or 0. */
static void watch_for(uint32_t bits)
{
	uint64_t mdscr = reg_read(mdscr_el1) & ~(uint64_t)(MDSCR_STEP | MDSCR_KERNEL | MDSCR_BREAK);

	reg_write(mdscr_el1, bits ? mdscr | bits | MDSCR_KERNEL : mdscr);
	barrier_isb();
}

static void step_one(struct trap_frame *frame)
{
	frame->pc = frame->raw_pc;
	frame->pstate = (frame->pstate & ~(uint64_t)PSTATE_D) | PSTATE_STEP;
	watch_for(MDSCR_STEP);
}

static void run_to_start(struct trap_frame *frame)
{
	frame->pc = frame->raw_pc;
	frame->pstate &= ~(uint64_t)(PSTATE_D | PSTATE_STEP);
	reg_write(dbgbvr0_el1, start.from);
	reg_write(dbgbcr0_el1, DBGBCR_HERE);
	watch_for(MDSCR_BREAK);
}

bool step_begin(struct trap_frame *frame)
{
	unsigned imm = reg_read(esr_el1) & BRK_IMM_MASK;

	if (imm != BRK_BEGIN && imm != BRK_END)
		return false;
	frame->raw_pc += 4;
	frame->pc = frame->raw_pc;
	frame->pstate = (frame->pstate | PSTATE_D) & ~(uint64_t)PSTATE_STEP;
	watch_for(0);
	if (imm == BRK_END)
		return true;
	reg_write(oslar_el1, 0); /* the lock under which there are no debug exceptions */
	monitor.open = false;
	if (start.from)
		run_to_start(frame);
	else
		step_one(frame);
	return true;
}

/* ---- Exclusives by hand ---- */

static uint64_t load(uintptr_t address, unsigned size_log2)
{
	switch (size_log2) {
	case 0:
		return __atomic_load_n((uint8_t *)address, __ATOMIC_ACQUIRE);
	case 1:
		return __atomic_load_n((uint16_t *)address, __ATOMIC_ACQUIRE);
	case 2:
		return __atomic_load_n((uint32_t *)address, __ATOMIC_ACQUIRE);
	default:
		return __atomic_load_n((uint64_t *)address, __ATOMIC_ACQUIRE);
	}
}

#define SWAP(type)                                                                           \
	({                                                                                   \
		type expected_ = (type)monitor.value;                                        \
		__atomic_compare_exchange_n((type *)address, &expected_, (type)value, false, \
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
	})

static bool store(uintptr_t address, unsigned size_log2, uint64_t value)
{
	if (!monitor.open || monitor.address != address)
		return false;
	monitor.open = false;
	switch (size_log2) {
	case 0:
		return SWAP(uint8_t);
	case 1:
		return SWAP(uint16_t);
	case 2:
		return SWAP(uint32_t);
	default:
		return SWAP(uint64_t);
	}
}

static void set_register(struct trap_frame *frame, unsigned number, uint64_t value)
{
	if (number < 31)
		frame->x[number] = value;
}

/* The instruction at raw_pc is an exclusive: do it, go to the next, true. */
static bool exclusive_by_hand(struct trap_frame *frame)
{
	uint32_t code = *(const uint32_t *)frame->raw_pc;
	unsigned rt = code & 31;
	unsigned rn = code >> 5 & 31;
	unsigned rs = code >> 16 & 31;
	unsigned size_log2 = code >> 30;
	uintptr_t address;

	if ((code & EXCLUSIVE_MASK) != EXCLUSIVE_CODE)
		return false;
	address = rn < 31 ? frame->x[rn] : frame->sp;
	if (code & EXCLUSIVE_LOAD) {
		monitor = (struct monitor){true, address, load(address, size_log2)};
		set_register(frame, rt, monitor.value);
	} else {
		set_register(frame, rs, !store(address, size_log2, rt < 31 ? frame->x[rt] : 0));
	}
	frame->raw_pc += 4;
	frame->pc = trap_fixup(frame->raw_pc);
	return true;
}

bool step_trap(struct trap_frame *frame)
{
	watch_for(0);
	frame->pstate &= ~(uint64_t)PSTATE_STEP;
	if (start.from && frame->raw_pc != start.from) {
		/* stepped over the breakpoint */
		run_to_start(frame);
		return true;
	}
	if (start.from && start.skip > 0) {
		start.skip--;
		step_one(frame);
		return true;
	}
	start.from = 0;
	do {
		if (!kernel_step(frame, frame->raw_pc, !(frame->pstate & PSTATE_I)))
			return true;
	} while (exclusive_by_hand(frame));
	step_one(frame);
	return true;
}
