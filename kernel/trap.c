/* SPDX-License-Identifier: MIT */
/*
 * trap.c - the end of the line for a trap that nobody handles: say what happened where, and stop
 * the machine with a failing status.
 */
#include <stdatomic.h>

#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/fault.h"
#include "kernel/stack.h"

/* The status that qemu-run.sh gets back, apart from the shell's 1 and a report's 2. */
#define TRAP_STATUS     3
#define OVERFLOW_STATUS 4

static atomic_flag trapped = ATOMIC_FLAG_INIT;

void fault_backtrace(void)
{
	uintptr_t pcs[16];
	size_t depth = arch_backtrace(pcs, sizeof(pcs) / sizeof(pcs[0]));

	if (depth == 0)
		return;
	kprintf("  called from:");
	for (size_t i = 0; i < depth; i++)
		kprintf(" 0x%lx", (unsigned long)pcs[i]);
	kprintf("\n  (addr2line -fpe slate.elf ADDRESS names them)\n");
}

void kernel_trap(const char *name, uintptr_t pc, uintptr_t address, unsigned long code)
{
	console_bust();
	/* A trap inside the report of a trap: printing is what fails. */
	if (atomic_flag_test_and_set_explicit(&trapped, memory_order_relaxed))
		arch_poweroff(TRAP_STATUS);
	kprintf("\nTRAP on CPU %u: %s at pc 0x%lx, address 0x%lx, code 0x%lx\n", arch_cpu(), name,
		(unsigned long)pc, (unsigned long)address, code);
	bool overflow = stack_report_overflow(address);

	fault_backtrace();
	arch_poweroff(overflow ? OVERFLOW_STATUS : TRAP_STATUS);
}
