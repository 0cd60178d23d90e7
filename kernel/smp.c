/* SPDX-License-Identifier: MIT */
/*
 * smp.c - starts the CPUs on stacks from slate_stack_alloc(), gives them work, and counts their
 * timer ticks.
 *
 * Each CPU other than the boot CPU sleeps in worker_loop() until a function is posted to it. Work
 * runs in plain context, interrupts enabled; functions inside an interrupt go by ipi.c.
 */
#include "kernel/smp.h"

#include <stdatomic.h>

#include <slate/slate.h>

#include "arch/arch.h"
#include "boot/bootinfo.h"
#include "kernel/console.h"
#include "kernel/ipi.h"
#include "kernel/stack.h"

struct worker {
	_Alignas(64) _Atomic(void (*)(void *)) fn; /* non-NULL: posted or running */
	void *arg;                                 /* written before fn, read after it */
	_Atomic uint64_t ticks;                    /* (p) written by the owner */
	atomic_bool online;
};

static struct worker workers[SLATE_MAX_CPUS];
static unsigned online_count; /* boot CPU only */
static _Atomic(smp_tick_fn *) tick_hook;

unsigned smp_count(void)
{
	return online_count;
}

bool smp_is_online(unsigned cpu)
{
	/* acquire: pairs with the release in worker_online() */
	return cpu < SLATE_MAX_CPUS &&
	       atomic_load_explicit(&workers[cpu].online, memory_order_acquire);
}

unsigned smp_next(unsigned cpu)
{
	unsigned next = cpu;

	do {
		next = (next + 1) % SLATE_MAX_CPUS;
	} while (!smp_is_online(next) && next != cpu);
	return next;
}

static bool worker_online(unsigned cpu)
{
	int status = slate_cpu_online();

	if (status != SLATE_OK) {
		kprintf("CPU %u: slate_cpu_online: %d\n", cpu, status);
		return false;
	}
	arch_irq_init_cpu();
	/* release: the caches of this CPU exist before anyone posts to it; pairs with
	 * smp_is_online() */
	atomic_store_explicit(&workers[cpu].online, true, memory_order_release);
	arch_timer_periodic(SMP_TICK_HZ);
	return true;
}

void smp_init_boot_cpu(void)
{
	if (!worker_online(arch_cpu())) {
		kprintf("The boot CPU has no caches: giving up.\n");
		arch_poweroff(1);
	}
	online_count = 1;
}

/* Sleep until work is posted. The check and the sleep are one step for interrupts, so no wake-up is
 * lost. */
static void worker_loop(struct worker *self)
{
	for (;;) {
		void (*fn)(void *);

		(void)arch_irq_save();
		/* acquire: arg is visible; pairs with the release in worker_post() */
		fn = atomic_load_explicit(&self->fn, memory_order_acquire);
		if (!fn) {
			arch_idle();
			continue;
		}
		arch_irq_enable();
		fn(self->arg);
		/* nothing of it is left for the leak scan to find */
		self->arg = NULL;
		stack_wipe();
		/* release: what fn wrote is visible to the waiter; pairs with worker_wait() */
		atomic_store_explicit(&self->fn, NULL, memory_order_release);
	}
}

void kernel_cpu_main(unsigned cpu)
{
	if (worker_online(cpu))
		worker_loop(&workers[cpu]);
	for (;;)
		arch_relax();
}

static bool worker_start(unsigned cpu)
{
	void *stack = stack_alloc(SMP_STACK_ORDER, "CPU", cpu);
	uint64_t deadline;

	if (!stack) {
		kprintf("CPU %u: no memory for its stack\n", cpu);
		return false;
	}
	/* A CPU that does not come up keeps its stack: it may still wake one day. */
	if (!arch_cpu_start(cpu, stack_top(stack, SMP_STACK_ORDER))) {
		kprintf("CPU %u does not start\n", cpu);
		return false;
	}
	deadline = smp_millis() + 5000;
	while (!smp_is_online(cpu) && smp_millis() < deadline)
		arch_relax();
	return smp_is_online(cpu);
}

unsigned smp_start(void)
{
	for (unsigned cpu = 1; cpu < boot_info.cpu_count && cpu < SLATE_MAX_CPUS; cpu++) {
		if (worker_start(cpu))
			online_count++;
	}
	return online_count;
}

static void worker_post(unsigned cpu, void (*fn)(void *), void *arg)
{
	struct worker *worker = &workers[cpu];

	worker->arg = arg;
	/* release: pairs with the acquire in worker_loop() */
	atomic_store_explicit(&worker->fn, fn, memory_order_release);
	arch_ipi_send(cpu);
}

static void worker_wait(unsigned cpu)
{
	/* acquire: pairs with the release in worker_loop() */
	while (atomic_load_explicit(&workers[cpu].fn, memory_order_acquire))
		arch_relax();
}

void smp_run(unsigned cpu, void (*fn)(void *), void *arg)
{
	if (cpu == arch_cpu()) {
		fn(arg);
		return;
	}
	worker_post(cpu, fn, arg);
	worker_wait(cpu);
}

void smp_run_all(void (*fn)(void *), void *arg)
{
	unsigned self = arch_cpu();

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (cpu != self && smp_is_online(cpu))
			worker_post(cpu, fn, arg);
	}
	fn(arg);
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (cpu != self && smp_is_online(cpu))
			worker_wait(cpu);
	}
}

static void nothing(void *arg)
{
	(void)arg;
}

void smp_sync(void)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (smp_is_online(cpu))
			ipi_call(cpu, nothing, NULL);
	}
}

/* ---- Time ---- */

void kernel_tick(void)
{
	unsigned cpu = arch_cpu();
	smp_tick_fn *hook;

	atomic_fetch_add_explicit(&workers[cpu].ticks, 1, memory_order_relaxed);
	/* acquire: what the hook works on was set up before; pairs with smp_tick_hook() */
	hook = atomic_load_explicit(&tick_hook, memory_order_acquire);
	if (hook)
		hook(cpu);
}

uint64_t smp_ticks(unsigned cpu)
{
	return atomic_load_explicit(&workers[cpu].ticks, memory_order_relaxed);
}

void smp_tick_hook(smp_tick_fn *fn)
{
	atomic_store_explicit(&tick_hook, fn, memory_order_release);
	smp_sync();
}

uint64_t smp_millis(void)
{
	uint64_t per_ms = arch_counter_hz() / 1000;

	return arch_counter() / (per_ms ? per_ms : 1);
}

void smp_delay_ms(unsigned ms)
{
	uint64_t deadline = smp_millis() + ms;

	while (smp_millis() < deadline)
		arch_relax();
}
