/* SPDX-License-Identifier: MIT */
/*
 * trap.c - what an exception was, in words; and the way back along the frame pointers.
 */
#include "arch/aarch64/trap.h"

#include "arch/aarch64/irq.h"
#include "arch/aarch64/power.h"
#include "arch/aarch64/regs.h"
#include "arch/arch.h"

extern const char image_start[], rodata_start[]; /* kernel.ld */

/* ESR_EL1: class in bits 31:26, fault status of an abort in bits 5:0 */
#define ESR_CLASS_SHIFT 26
#define ESR_STATUS_MASK 0x3f

enum esr_class {
	CLASS_UNKNOWN = 0x00,
	CLASS_FP = 0x07,
	CLASS_ILLEGAL_STATE = 0x0e,
	CLASS_SVC = 0x15,
	CLASS_HVC = 0x16,
	CLASS_SMC = 0x17,
	CLASS_SYSTEM_REGISTER = 0x18,
	CLASS_FETCH_ABORT = 0x21,
	CLASS_PC_ALIGNMENT = 0x22,
	CLASS_DATA_ABORT = 0x25,
	CLASS_SP_ALIGNMENT = 0x26,
	CLASS_BREAKPOINT = 0x31,
	CLASS_STEP = 0x33,
	CLASS_WATCHPOINT = 0x35,
	CLASS_BRK = 0x3c,
};

uintptr_t slate_interrupt_fixup(uintptr_t pc);

/* Off: a test wants to see what happens then. Written while nothing else runs. */
static bool fixup_on = true;

void arch_fixup_set(bool on)
{
	fixup_on = on;
}

/* The one place where an interrupted restartable sequence is rewound. */
uintptr_t trap_fixup(uintptr_t pc)
{
	return fixup_on ? slate_interrupt_fixup(pc) : pc;
}

uintptr_t arch_interrupted_pc(void)
{
	return percpu_self()->interrupted;
}

const struct trap_frame *arch_interrupted_frame(void)
{
	return percpu_self()->interrupted_frame;
}

static const char *data_abort_name(unsigned status)
{
	if (status == 0x21)
		return "alignment fault";
	switch (status >> 2) {
	case 0:
		return "address size fault";
	case 1:
		return "page fault";
	case 2:
		return "access flag fault";
	case 3:
		return "permission fault";
	case 4:
	case 5:
		return "external abort";
	default:
		return "data abort";
	}
}

static const char *sync_name(uint64_t esr)
{
	switch (esr >> ESR_CLASS_SHIFT & 0x3f) {
	case CLASS_UNKNOWN:
		return "undefined instruction";
	case CLASS_FP:
		return "floating-point instruction";
	case CLASS_ILLEGAL_STATE:
		return "illegal execution state";
	case CLASS_SVC:
		return "svc instruction";
	case CLASS_HVC:
		return "hvc instruction";
	case CLASS_SMC:
		return "smc instruction";
	case CLASS_SYSTEM_REGISTER:
		return "system register trap";
	case CLASS_FETCH_ABORT:
		return "instruction fetch fault";
	case CLASS_PC_ALIGNMENT:
		return "misaligned pc";
	case CLASS_DATA_ABORT:
		return data_abort_name(esr & ESR_STATUS_MASK);
	case CLASS_SP_ALIGNMENT:
		return "misaligned stack pointer";
	case CLASS_BREAKPOINT:
		return "hardware breakpoint";
	case CLASS_STEP:
		return "single step";
	case CLASS_WATCHPOINT:
		return "watchpoint";
	case CLASS_BRK:
		return "brk instruction";
	default:
		return "synchronous exception";
	}
}

/* FAR_EL1 says something for aborts, misaligned pc and watchpoints only. */
static uintptr_t sync_address(uint64_t esr)
{
	switch (esr >> ESR_CLASS_SHIFT & 0x3f) {
	case CLASS_FETCH_ABORT:
	case CLASS_PC_ALIGNMENT:
	case CLASS_DATA_ABORT:
	case CLASS_WATCHPOINT:
		return reg_read(far_el1);
	default:
		return 0;
	}
}

static void trap_sync(struct trap_frame *frame)
{
	uint64_t esr = reg_read(esr_el1);

	if (frame->pc == (uintptr_t)power_semihosting_call) {
		frame->pc += 4;
		return;
	}
	unsigned class = esr >> ESR_CLASS_SHIFT & 0x3f;

	if ((class == CLASS_STEP || class == CLASS_BREAKPOINT) && step_trap(frame))
		return;
	if (class == CLASS_BRK && step_begin(frame))
		return;
	kernel_trap(sync_name(esr), frame->pc, sync_address(esr), esr);
}

void trap_dispatch(struct trap_frame *frame, unsigned kind)
{
	switch (kind) {
	case TRAP_SYNC:
		trap_sync(frame);
		return;
	case TRAP_IRQ:
		percpu_self()->interrupted = frame->raw_pc;
		percpu_self()->interrupted_frame = frame;
		irq_handle();
		return;
	case TRAP_FIQ:
		fiq_handle();
		return;
	case TRAP_SERROR:
		kernel_trap("system error", frame->pc, 0, reg_read(esr_el1));
	case TRAP_STACK_OVERFLOW:
		/* x0 is the stack pointer; below it there is no room for a frame */
		kernel_trap("stack overflow", frame->pc, frame->x[0] - FRAME_BYTES,
			    reg_read(esr_el1));
	default:
		kernel_trap("exception from an unused mode", frame->pc, 0, reg_read(esr_el1));
	}
}

/* Ask the MMU whether address can be read. */
static bool readable(uintptr_t address)
{
	__asm__ volatile("at s1e1r, %0; isb" : : "r"(address) : "memory");
	return !(reg_read(par_el1) & 1);
}

/*
 * A frame record is (x29 of the caller, return address), 16-byte aligned here, so it lies within
 * one page. Code without frame pointers leaves anything in x29, so every step is checked: it goes
 * up, which ends every loop, can be read, and finds a return address in the kernel's text.
 */
size_t arch_backtrace(uintptr_t *pcs, size_t max)
{
	uintptr_t fp = (uintptr_t)__builtin_frame_address(0);
	uintptr_t last = 0;
	unsigned long irq = arch_irq_save(); /* PAR_EL1 is one for all */
	size_t n = 0;

	while (n < max && fp > last && (fp & 15) == 0 && readable(fp)) {
		const uintptr_t *record = (const uintptr_t *)fp;

		if (record[1] < (uintptr_t)image_start || record[1] >= (uintptr_t)rodata_start)
			break;
		pcs[n++] = record[1];
		last = fp;
		fp = record[0];
	}
	arch_irq_restore(irq);
	return n;
}
