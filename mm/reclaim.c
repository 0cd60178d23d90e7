/* SPDX-License-Identifier: MIT */
/* reclaim.c (level 8) - emptying the caches of all CPUs, before a request is refused or at the
 * kernel's wish. */
#include "mm/reclaim.h"

#include <slate/port.h>
#include <slate/slate.h>

#include "mm/deferred.h"
#include "mm/lockrank.h"
#include "mm/mcache.h"
#include "mm/scavenger.h"

static _Atomic size_t drains;   /* (a) relaxed */
static _Atomic size_t failures; /* (a) relaxed */

static void drain_here(void *arg)
{
	(void)arg;
	mcache_drain();
}

/* Returns how many other CPUs were drained. */
static unsigned drain_others(void)
{
	unsigned long irq = port_irq_save();
	unsigned self = mm_cpu();
	unsigned drained = 0;

	port_irq_restore(irq);
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire, both: pairs with the releases in mcache_online() and mcache_offline() */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		if (cpu == self || !cache ||
		    !atomic_load_explicit(&cache->online, memory_order_acquire))
			continue;
		if (port_run_on_cpu(cpu, drain_here, NULL))
			drained++;
	}
	return drained;
}

bool reclaim_next(struct reclaim *reclaim, unsigned flags)
{
	mm_lock_assert_none();
	switch (reclaim->step++) {
	case 0:
		mcache_drain();
		mcache_drain_depots();
		atomic_fetch_add_explicit(&drains, 1, memory_order_relaxed);
		return true;
	case 1:
		/* Who cannot be waited for drains at its next slow path or slate_poll(). */
		mcache_ask_drain();
		if ((flags & (SLATE_NOWAIT | SLATE_ANYCTX)) || !port_irq_enabled())
			return false;
		return drain_others() > 0;
	default:
		return false;
	}
}

void *reclaim_failed(void)
{
	atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
	return NULL;
}

size_t reclaim_drains(void)
{
	return atomic_load_explicit(&drains, memory_order_relaxed);
}

size_t reclaim_failures(void)
{
	return atomic_load_explicit(&failures, memory_order_relaxed);
}

void reclaim_reset(void)
{
	atomic_store_explicit(&drains, 0, memory_order_relaxed);
	atomic_store_explicit(&failures, 0, memory_order_relaxed);
}

void slate_poll(void)
{
	unsigned long irq = port_irq_save();

	mcache_poll();
	port_irq_restore(irq);
	mcache_drain_if_wanted();
	deferred_run();
	scavenger_poll();
}

void slate_flush(void)
{
	deferred_run();
	mcache_drain();
	if (port_irq_enabled())
		drain_others();
	mcache_drain_depots();
}
