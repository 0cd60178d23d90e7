/* SPDX-License-Identifier: MIT */
/*
 * smp.c - starts the other CPUs through PSCI.
 */
#include "arch/aarch64/mmu.h"
#include "arch/aarch64/percpu.h"
#include "arch/aarch64/power.h"
#include "arch/arch.h"
#include "boot/bootinfo.h"

#define START_SECONDS 5 /* an emulated machine may have more CPUs than its host */

extern const char secondary_entry[]; /* start.S */

void secondary_cpu_main(struct percpu *percpu) __attribute__((noreturn));

/* start.S calls it on the new CPU, on its own stack. */
void secondary_cpu_main(struct percpu *percpu)
{
	percpu_install(percpu);
	/* release: what this CPU did so far is seen by arch_cpu_start()'s acquire */
	atomic_store_explicit(&percpu->online, true, memory_order_release);
	kernel_cpu_main(percpu->number);
}

/* Of the highest bytes of a stack: a pointer behind it would be one to whatever lies there. */
#define STACK_SPARE 16

bool arch_cpu_start(unsigned cpu, void *stack_top)
{
	if (cpu == 0 || cpu >= boot_info.cpu_count)
		return false;

	struct percpu *percpu = percpu_of(cpu);

	percpu->number = cpu;
	percpu->stack_top = (uintptr_t)stack_top - STACK_SPARE;
	atomic_store_explicit(&percpu->online, false, memory_order_relaxed);
	__asm__ volatile("dsb sy" : : : "memory");
	if (psci_cpu_on(boot_info.cpus[cpu].hw_id, mmu_image_physical(secondary_entry),
			(uintptr_t)percpu) != 0)
		return false;

	uint64_t end = arch_counter() + START_SECONDS * arch_counter_hz();

	/* acquire: pairs with the release in secondary_cpu_main() */
	while (!atomic_load_explicit(&percpu->online, memory_order_acquire)) {
		if (arch_counter() > end)
			return false;
		arch_relax();
	}
	return true;
}
