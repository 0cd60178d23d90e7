/* SPDX-License-Identifier: MIT */
/*
 * mcache_poll.c (level 7) - caches that shrink by themselves: what a class holds and nobody touched
 * between two turns goes home.
 */
#include "mm/mcache_pages.h"
#include "mm/mcache_source.h"
#include "mm/mcentral.h"
#include "mm/percpu.h"
#include "mm/plant.h"

/* Classes that one turn looks at; and for one whose depot holds anything. */
#define POLL_CLASSES 8u
#define POLL_DEPOTS  32u

static _Atomic unsigned depot_class; /* (a) relaxed: whose turn it is, near enough */

/* Send the newer half of a detached magazine home, which holds some. */
static magtop_t magazine_halve(unsigned class, magtop_t top)
{
	unsigned n = (magazine_count(top, mcache_capacity(class)) + 1) / 2;

	mcache_source_give(class, top - n + 1, n, "slate_poll");
	return top - n;
}

/* A tick's time is short, and a stack is long work: one at a time. */
static bool return_stack(enum mcache_side side, unsigned class)
{
	magtop_t top = percpu_detach(side, class);
	bool any = magazine_count(top, mcache_capacity(class)) > 0;

	if (any)
		mcache_source_give(class, top--, 1, "slate_poll");
	mcache_put_back(side, class, top);
	return any;
}

/*
 * Returns whether anything went home. An empty magazine is not attached again: its typed cache may
 * have gone while it was detached, and nobody would find it.
 */
static bool return_idle(unsigned class)
{
	if (mcache_is_stack(class))
		return return_stack(MCACHE_GIVE, class) || return_stack(MCACHE_TAKE, class);

	if (class == PAGECLASS_FRAME && mcache_pages_flush("slate_poll"))
		return true;

	magtop_t give = percpu_detach(MCACHE_GIVE, class);
	bool any = *give;

	mcache_magazine_delete(mcache_magazine_flush(class, give, "slate_poll"));
	if (any)
		return true;

	magtop_t take = plant_detach(class);

	any = *take;
	if (any)
		take = magazine_halve(class, take);
	if (*take)
		mcache_put_back(MCACHE_TAKE, class, take);
	else
		mcache_magazine_delete(take);
	return any;
}

/* Tops move with every take and give: the same ones twice mean that the class was idle. */
static uint16_t tops_fingerprint(struct mcache *cache, unsigned class)
{
	uintptr_t take = (uintptr_t)mcache_top(&cache->take[class]);
	uintptr_t give = (uintptr_t)mcache_top(&cache->give[class]);

	return (uint16_t)((take >> 3) ^ (give << 4) ^ (give >> 10));
}

/* One class's turn: shall it return what it holds? */
static bool poll_class(struct mcache *cache, unsigned class)
{
	uint16_t fingerprint = tops_fingerprint(cache, class);
	bool idle = fingerprint == cache->seen[class];

	cache->seen[class] = fingerprint;
	if (SLATE_PROFILE)
		plant_renew_quiet(cache, class);
	cache->round_bytes += mcache_cached(cache, class) * mcache_object_bytes(class);
	return idle || cache->over_bound;
}

/* The next class that shall return what it holds, or MCACHE_ENTRIES; *looks are left. */
static unsigned next_idle(unsigned *looks)
{
	unsigned long irq;
	struct mcache *cache = percpu_hold(&irq);
	unsigned found = MCACHE_ENTRIES;

	while (*looks > 0 && found == MCACHE_ENTRIES) {
		unsigned class = cache->poll_class;

		if (class == 0) {
			cache->over_bound = cache->round_bytes > SLATE_CACHE_BYTES;
			cache->round_bytes = 0;
		}
		cache->poll_class = (uint16_t)((class + 1) % MCACHE_ENTRIES);
		if (mcache_has_magazines(class) && poll_class(cache, class))
			found = class;
		--*looks;
	}
	percpu_let_go(irq);
	return found;
}

/* What goes home does so with interrupts as the caller had them. */
void mcache_poll(void)
{
	unsigned looks = POLL_CLASSES;
	unsigned class;

	while ((class = next_idle(&looks)) != MCACHE_ENTRIES && !return_idle(class)) {
	}
}

void mcache_poll_depots(void)
{
	unsigned class = atomic_load_explicit(&depot_class, memory_order_relaxed);

	for (unsigned i = 0; i < POLL_DEPOTS; i++) {
		class = (class + 1) % MCACHE_ENTRIES;
		if (mcache_has_magazines(class) && depot_count(mcache_depot(class)) > 0) {
			mcache_return_depot(class, depot_turn(mcache_depot(class)));
			break;
		}
	}
	atomic_store_explicit(&depot_class, class, memory_order_relaxed);
}
