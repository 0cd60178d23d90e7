/* SPDX-License-Identifier: MIT */
/*
 * mcache_drain.c (level 7) - what a CPU caches goes home, by itself or when somebody asked for it;
 * and what lies in the depots.
 */
#include "mm/depot.h"
#include "mm/mcache_pages.h"
#include "mm/mcache_source.h"
#include "mm/mcentral.h"
#include "mm/percpu.h"
#include "mm/plant.h"

void mcache_drain_class(unsigned class)
{
	magtop_t take = plant_detach(class);
	magtop_t give = percpu_detach(MCACHE_GIVE, class);

	mcache_magazine_delete(mcache_magazine_flush(class, take, "slate_free"));
	mcache_magazine_delete(mcache_magazine_flush(class, give, "slate_free"));
}

size_t mcache_drain_asked(void)
{
	/* relaxed: a request that comes later than this is the next one */
	return atomic_load_explicit(&mcache_drain_wanted, memory_order_relaxed);
}

void mcache_note_drained(size_t asked)
{
	unsigned long irq;

	/* release: pairs with the acquire in mcache_drain_if_wanted() and in statistics */
	atomic_store_explicit(&percpu_hold(&irq)->drained, asked, memory_order_release);
	percpu_let_go(irq);
}

/* A task that changes its CPU in the middle has drained parts of two; then neither is
 * counted as drained. */
void mcache_drain(void)
{
	size_t wanted = mcache_drain_asked();
	unsigned long irq = port_irq_save();
	struct mcache *cache = percpu_cache();

	port_irq_restore(irq);
	if (SLATE_PROFILE)
		plant_forget();
	if (SLATE_TINY)
		tiny_drain();
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++) {
		if (mcache_has_magazines(class))
			mcache_drain_class(class);
	}
	mcache_pages_flush("slate_flush");
	largecache_drain();
	irq = port_irq_save();
	if (cache == percpu_cache())
		mcache_note_drained(wanted);
	port_irq_restore(irq);
}

void mcache_ask_drain(void)
{
	atomic_fetch_add_explicit(&mcache_drain_wanted, 1, memory_order_relaxed);
}

void mcache_return_depot(unsigned class, unsigned n)
{
	struct depot *depot = mcache_depot(class);
	struct magazine *mag;

	while (n-- > 0 && (mag = depot_pop(depot, NULL)) != NULL)
		mcache_magazine_delete(
			mcache_magazine_flush(class, &mag->slot[MAGAZINE_CAP_MAX], "slate_free"));
	/* the empty ones are no more than that needed */
	while (depot_count(depot) == 0 && (mag = depot_pop_empty(depot)) != NULL)
		mcache_magazine_delete(mag->slot);
}

void mcache_drain_depots(void)
{
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++) {
		if (mcache_has_magazines(class))
			mcache_return_depot(class, ~0u);
	}
	if (SLATE_PROFILE)
		mcentral_drop_sampled();
}
