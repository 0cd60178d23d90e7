/* SPDX-License-Identifier: MIT */
/*
 * mcache_walk.c (level 7) - what the caches of all CPUs hold: how much, whether one object, and all
 * of it for the mark.
 */
#include "mm/depot.h"
#include "mm/mcache.h"
#include "mm/mcache_pages.h"
#include "mm/mcache_source.h"
#include "mm/mheap.h"
#include "mm/plant.h"

size_t mcache_cached(const struct mcache *cache, unsigned class)
{
	magtop_t take = atomic_load_explicit(&cache->take[class], memory_order_relaxed);
	magtop_t give = atomic_load_explicit(&cache->give[class], memory_order_relaxed);

	if (!mcache_has_magazines(class))
		return 0;
	return magazine_count(take, mcache_capacity(class)) +
	       magazine_count(give, mcache_capacity(class)) +
	       (class == PAGECLASS_FRAME ? mcache_pages_count(cache) : 0);
}

size_t mcache_depot_cached(unsigned class)
{
	return mcache_has_magazines(class)
		       ? (size_t)depot_count(mcache_depot(class)) * mcache_capacity(class)
		       : 0;
}

size_t mcache_boot_cached(unsigned class)
{
	return mcache_any_online ? 0 : mcache_cached(&mcache_boot, class);
}

/* ---- One value ---- */

static bool magazine_holds(magtop_t top, unsigned class, const void *value)
{
	for (unsigned count = magazine_count(top, mcache_capacity(class)); count > 0;
	     count--, top--) {
		if (plant_see(top) == value)
			return true;
	}
	return false;
}

bool mcache_holds(struct mcache *cache, unsigned class, const void *value)
{
	return mcache_has_magazines(class) &&
	       (magazine_holds(mcache_top(&cache->take[class]), class, value) ||
		magazine_holds(mcache_top(&cache->give[class]), class, value) ||
		(class == PAGECLASS_FRAME && mcache_pages_hold(cache, slot_to_frame(value))));
}

bool mcache_depot_holds(unsigned class, const void *value)
{
	struct depot *depot = mcache_depot(class);
	bool found = false;

	if (!mcache_has_magazines(class))
		return false;
	unsigned long irq = mm_lock_acquire(&depot->lock);

	for (struct magazine *mag = depot->full; mag && !found; mag = depot_next_locked(mag))
		found = magazine_holds(&mag->slot[MAGAZINE_CAP_MAX], class, value);
	mm_lock_release(&depot->lock, irq);
	return found;
}

/* ---- All of it ---- */

struct walk {
	void (*fn)(unsigned class, void *value, void *arg);
	void *arg;
};

static void walk_magazine(const struct walk *walk, unsigned class, magtop_t top)
{
	for (unsigned count = magazine_count(top, mcache_capacity(class)); count > 0; count--)
		walk->fn(class, plant_see(top--), walk->arg);
}

static void walk_cache(const struct walk *walk, struct mcache *cache)
{
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++) {
		if (!mcache_has_magazines(class))
			continue;
		walk_magazine(walk, class, mcache_top(&cache->take[class]));
		walk_magazine(walk, class, mcache_top(&cache->give[class]));
	}
	/* the chain of frames holds no objects */
	magtop_t object = mcache_top(&cache->deferred[0]);

	for (; object && object != MAGAZINE_DUMMY; object = (magtop_t)*object)
		walk->fn(0, object, walk->arg);
}

static void walk_depot(const struct walk *walk, unsigned class)
{
	struct magazine *mag = mcache_depot(class)->full;

	for (; mag; mag = depot_next_locked(mag))
		walk_magazine(walk, class, &mag->slot[MAGAZINE_CAP_MAX]);
}

void mcache_for_each_cached(void (*fn)(unsigned class, void *value, void *arg), void *arg)
{
	const struct walk walk = {fn, arg};

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire: pairs with the release in mcache_online() */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		if (cache)
			walk_cache(&walk, cache);
	}
	if (!mcache_any_online)
		walk_cache(&walk, &mcache_boot);
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++) {
		if (mcache_has_magazines(class))
			walk_depot(&walk, class);
	}
}

static bool is_top_of(magtop_t top, const struct magazine *mag)
{
	return top != MAGAZINE_DUMMY && magazine_of(top) == mag;
}

static bool cache_has(struct mcache *cache, const struct magazine *mag)
{
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++) {
		if (is_top_of(mcache_top(&cache->take[class]), mag) ||
		    is_top_of(mcache_top(&cache->give[class]), mag))
			return true;
	}
	return false;
}

static bool chain_has(const struct magazine *first, const struct magazine *mag)
{
	for (; first; first = depot_next_locked(first)) {
		if (first == mag)
			return true;
	}
	return false;
}

bool mcache_has_magazine(const struct magazine *mag)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire: pairs with the release in mcache_online() */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		if (cache && cache_has(cache, mag))
			return true;
	}
	if (!mcache_any_online && cache_has(&mcache_boot, mag))
		return true;
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++) {
		const struct depot *depot =
			mcache_has_magazines(class) ? mcache_depot(class) : NULL;

		if (depot && (chain_has(depot->full, mag) || chain_has(depot->empty, mag)))
			return true;
	}
	return mcache_magazine_is_free(mag);
}
