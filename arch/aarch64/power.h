/* SPDX-License-Identifier: MIT */
/*
 * power.h - calls to the firmware: CPUs on, machine off.
 */
#ifndef ARCH_AARCH64_POWER_H
#define ARCH_AARCH64_POWER_H

#include "boot/fdt_machine.h"

/* Once on the boot CPU: how to reach the firmware. */
void psci_setup(const struct fdt_machine *machine);

/* Start the CPU with that affinity at a physical address with x0 = context. Returns 0, or a
 * negative PSCI error. */
int64_t psci_cpu_on(uint64_t mpidr, uint64_t entry, uint64_t context);

/* The instruction that asks for semihosting; trap.c steps over it when nobody answered. */
extern const char power_semihosting_call[];

#endif
