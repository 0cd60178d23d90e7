/* SPDX-License-Identifier: MIT */
/*
 * percpu.c - each CPU's area, and the functions that ask for this CPU.
 */
#include <slate/port.h>

#include "arch/aarch64/percpu.h"
#include "arch/aarch64/regs.h"
#include "arch/aarch64/timer.h"
#include "arch/arch.h"
#include "boot/bootinfo.h"

static struct percpu areas[BOOT_MAX_CPUS];

struct percpu *percpu_of(unsigned number)
{
	return &areas[number];
}

void percpu_install(struct percpu *percpu)
{
	percpu->mpidr = reg_read(mpidr_el1) & MPIDR_AFFINITY;
	reg_write(tpidr_el1, (uintptr_t)percpu);
	timer_init_cpu();
	__asm__ volatile("msr daifclr, #4" : : : "memory");
}

unsigned arch_cpu(void)
{
	return percpu_self()->number;
}

/* One load: the allocator asks on its slow paths. */
bool port_in_nmi(void)
{
	return percpu_self()->nmi_depth > 0;
}

/* An NMI between load and store leaves the value as it found it. */
void arch_nmi_enter(void)
{
	percpu_self()->nmi_depth++;
}

void arch_nmi_leave(void)
{
	percpu_self()->nmi_depth--;
}
