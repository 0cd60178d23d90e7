/* SPDX-License-Identifier: MIT */
/*
 * nmi.c - the handler of non-maskable interrupts. Nobody else than arch_nmi_send() sends any: one
 * that comes unasked does no harm.
 */
#include "kernel/nmi.h"

#include <stdatomic.h>

#include <slate/config.h>

#include "arch/arch.h"
#include "kernel/smp.h"

static struct nmi_cpu {
	_Alignas(64) _Atomic unsigned long count; /* (a) relaxed: a figure */
} cpus[SLATE_MAX_CPUS];

static _Atomic(nmi_fn *) hook_fn;

void kernel_nmi(void)
{
	unsigned cpu = arch_cpu();
	nmi_fn *hook;

	arch_nmi_enter();
	atomic_fetch_add_explicit(&cpus[cpu].count, 1, memory_order_relaxed);
	/* acquire: what the hook works on was set up before; pairs with nmi_hook() */
	hook = atomic_load_explicit(&hook_fn, memory_order_acquire);
	if (hook)
		hook(cpu);
	arch_nmi_leave();
}

unsigned long nmi_count(unsigned cpu)
{
	return atomic_load_explicit(&cpus[cpu].count, memory_order_relaxed);
}

void nmi_hook(nmi_fn *fn)
{
	/* release: pairs with the acquire in kernel_nmi() */
	atomic_store_explicit(&hook_fn, fn, memory_order_release);
	/* An interrupt reaches a CPU only when it has left its NMI. */
	smp_sync();
}
