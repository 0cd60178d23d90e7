/* SPDX-License-Identifier: MIT */
/*
 * irqoff.c - the allocator's interrupt hooks, and the stopwatch in them.
 *
 * Unwatched they cost one test more. The clock is read last before the allocator runs masked and
 * first when it stops, so that a figure holds only a few instructions of the hooks' own.
 */
#include "kernel/irqoff.h"

#include <stdatomic.h>

#include <slate/port.h>

#include "arch/arch.h"

#define unlikely(condition) __builtin_expect(!!(condition), 0)

/*
 * Written by the watching CPU, interrupts off; other CPUs read armed and cpu only. relaxed: a CPU
 * that sees armed late is not the one that watches.
 */
static struct {
	_Atomic unsigned armed; /* 0 or 1; a bool would cost an instruction more to test */
	_Atomic unsigned cpu;
	unsigned depth; /* pairs that are open, from the outermost on */
	uint64_t start;
	struct irqoff_worst worst[IRQOFF_PLACES]; /* longest first */
} watch;

static bool is_watching(void)
{
	return atomic_load_explicit(&watch.cpu, memory_order_relaxed) == arch_cpu();
}

static __attribute__((noinline, cold)) unsigned long save_watched(void)
{
	bool outermost = arch_irq_enabled();
	unsigned long state = arch_irq_save();

	if (is_watching() && (outermost || watch.depth)) {
		watch.depth++;
		if (outermost)
			watch.start = arch_instructions();
	}
	return state;
}

/* The list stays sorted: what is longer than its place's entry moves up from there. */
static void note_worst(uint64_t ticks, uintptr_t pc)
{
	struct irqoff_worst *worst = watch.worst;
	unsigned at = 0;

	while (at < IRQOFF_PLACES - 1 && worst[at].return_pc != pc)
		at++;
	if (ticks <= worst[at].ticks)
		return;
	for (; at > 0 && worst[at - 1].ticks < ticks; at--)
		worst[at] = worst[at - 1];
	worst[at] = (struct irqoff_worst){ticks, pc};
}

static __attribute__((noinline, cold)) void restore_watched(unsigned long state, uintptr_t pc)
{
	uint64_t ticks = arch_instructions() - watch.start;

	if (is_watching() && watch.depth && --watch.depth == 0)
		note_worst(ticks, pc);
	arch_irq_restore(state);
}

void irqoff_start(void)
{
	unsigned long state = arch_irq_save();

	watch.depth = 0;
	for (unsigned i = 0; i < IRQOFF_PLACES; i++)
		watch.worst[i] = (struct irqoff_worst){0};
	atomic_store_explicit(&watch.cpu, arch_cpu(), memory_order_relaxed);
	atomic_store_explicit(&watch.armed, 1, memory_order_relaxed);
	arch_irq_restore(state);
}

const struct irqoff_worst *irqoff_stop(void)
{
	atomic_store_explicit(&watch.armed, 0, memory_order_relaxed);
	return watch.worst;
}

unsigned long port_irq_save(void)
{
	if (unlikely(atomic_load_explicit(&watch.armed, memory_order_relaxed)))
		return save_watched();
	return arch_irq_save();
}

void port_irq_restore(unsigned long state)
{
	if (unlikely(atomic_load_explicit(&watch.armed, memory_order_relaxed)))
		restore_watched(state, (uintptr_t)__builtin_return_address(0));
	else
		arch_irq_restore(state);
}
