/* SPDX-License-Identifier: MIT */
/*
 * power.c - PSCI, and the end of the machine.
 *
 * Semihosting alone can give QEMU an exit status, so it goes first. Where nobody serves it, HLT is
 * an undefined instruction: trap.c then continues behind it, and PSCI switches the machine off,
 * without a status.
 */
#include "arch/aarch64/power.h"

#include "arch/arch.h"

#define PSCI_SYSTEM_OFF    0x84000008u
#define PSCI_NOT_SUPPORTED (-1)

#define SEMIHOSTING_EXIT             0x18
#define SEMIHOSTING_EXIT_APPLICATION 0x20026 /* ADP_Stopped_ApplicationExit */

static enum fdt_psci method;
static uint32_t cpu_on;

void psci_setup(const struct fdt_machine *machine)
{
	method = machine->psci;
	cpu_on = machine->psci_cpu_on;
}

/* SMC calling convention: the callee may change x0 to x17. */
static int64_t psci_call(uint32_t function, uint64_t a, uint64_t b, uint64_t c)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a;
	register uint64_t x2 __asm__("x2") = b;
	register uint64_t x3 __asm__("x3") = c;

#define PSCI_CLOBBERS                                                                        \
	"x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", \
		"x17", "memory"
	if (method == FDT_PSCI_HVC)
		__asm__ volatile("hvc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
				 :
				 : PSCI_CLOBBERS);
	else if (method == FDT_PSCI_SMC)
		__asm__ volatile("smc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
				 :
				 : PSCI_CLOBBERS);
	else
		return PSCI_NOT_SUPPORTED;
	return (int64_t)x0;
}

int64_t psci_cpu_on(uint64_t mpidr, uint64_t entry, uint64_t context)
{
	return psci_call(cpu_on, mpidr, entry, context);
}

static void semihosting_exit(int status)
{
	uint64_t block[2] = {SEMIHOSTING_EXIT_APPLICATION, (uint32_t)status};
	register uint64_t x0 __asm__("x0") = SEMIHOSTING_EXIT;
	register uint64_t x1 __asm__("x1") = (uintptr_t)block;

	__asm__ volatile(".globl power_semihosting_call\n"
			 "power_semihosting_call:\n\t"
			 "hlt #0xf000"
			 : "+r"(x0)
			 : "r"(x1)
			 : "memory");
}

void arch_poweroff(int status)
{
	arch_irq_save();
	semihosting_exit(status);
	psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}
