/* SPDX-License-Identifier: MIT */
/*
 * stats.c (level 9) - figures, gathered when asked for. The fast paths count nothing: what a
 * magazine holds is read off its top, and objects in use are those out of their spans less those in
 * magazines.
 */
#include <slate/stats.h>

#include "mm/largecache.h"
#include "mm/mcache.h"
#include "mm/mcache_source.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/reclaim.h"
#include "mm/scavenger.h"
#include "mm/shrinker.h"
#include "mm/zeroer.h"

static struct mcache *cache_of(unsigned cpu)
{
	/* acquire: pairs with the release in mcache_online() */
	return atomic_load_explicit(&mcaches[cpu], memory_order_acquire);
}

/* In all magazines and the depot. */
static size_t class_cached(unsigned class)
{
	size_t cached = mcache_depot_cached(class) + mcache_boot_cached(class);

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		const struct mcache *cache = cache_of(cpu);

		if (cache)
			cached += mcache_cached(cache, class);
	}
	return cached;
}

static size_t counter(const _Atomic size_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void add_node(unsigned node, struct slate_stats *stats)
{
	struct mheap *heap = &mheaps[node];
	struct slate_node_stats pages;

	if (!slate_node_stats(node, &pages))
		return;
	stats->total_pages += pages.total_pages;
	stats->free_pages += pages.free_pages;
	stats->released_pages += pages.released_pages;
	stats->reserved_pages += pages.reserved_pages;
	stats->object_pages += counter(&heap->object_pages);
	stats->manual_pages += counter(&heap->frame_pages);
	stats->stack_pages += counter(&heap->stack_pages);
	stats->metadata_pages += counter(&heap->metadata_pages);
	stats->large_objects += counter(&heap->large_objects);
	stats->object_bytes += counter(&heap->large_bytes);
}

/* Large objects in the caches are no objects, but frames at hand. */
static void move_large(struct slate_stats *stats, size_t held)
{
	size_t pages = largecache_held_pages(held);

	stats->cached_pages += pages;
	stats->object_pages -= pages;
	stats->large_objects -= largecache_held_spans(held);
	stats->object_bytes -= pages << SLATE_PAGE_SHIFT;
}

void slate_stats(struct slate_stats *stats)
{
	struct reclaim_counts reclaim = reclaim_counts();

	*stats = (struct slate_stats){
		.drains = reclaim.drains,
		.depot_drains = reclaim.depot_drains,
		.remote_drains = reclaim.remote_drains,
		.shrinks = shrinker_calls(),
		.shrunk_pages = shrinker_pages(),
		.scavenge_waits = reclaim.scavenge_waits,
		.reserve_uses = reclaim.reserve_uses,
		.low_nodes = reclaim.low_nodes,
		.failures = reclaim.failures,
		.reports = mm_report_count(),
		.leaked_objects = mm_leak_count(),
		.tiny_allocs = tiny_allocs(),
		.zeroed_pages = zeroer_stock(),
		.zero_saved_pages = zeroer_saved(),
		.discards = scavenger_discards(),
		.discard_refused = scavenger_refused(),
	};
	for (unsigned node = 0; node < mheap_node_count(); node++)
		add_node(node, stats);

	size_t large_held = largecache_sum();

	stats->cached_pages = class_cached(PAGECLASS_FRAME);
	for (unsigned class = MCACHE_RUN; class < MCACHE_RUN_END; class ++)
		stats->cached_pages += class_cached(class) * mcache_run_pages(class);
	stats->manual_pages -= stats->cached_pages;
	move_large(stats, large_held);
	for (unsigned order = 0; order < SLATE_STACK_ORDERS; order++)
		stats->cached_stacks += class_cached(MCACHE_STACK + order);
	stats->objects = stats->large_objects;
	for (unsigned class = 0; class < SPANCLASS_COUNT; class ++) {
		struct slate_class_stats of_class;

		if (!slate_class_stats(class, &of_class))
			continue;
		stats->objects += of_class.objects;
		stats->cached_objects += of_class.cached_objects;
		stats->object_bytes += of_class.objects * of_class.elem_bytes;
	}
}

static bool class_is_noscan(unsigned class)
{
	return spanclass_is_size(class) ? class & 1 : SLATE_TINY && class == SPANCLASS_TINY;
}

/* Of sizes, or of a typed cache that exists. */
static bool class_has_spans(unsigned class)
{
	return class < SPANCLASS_COUNT && mcache_capacity(class) > 0 &&
	       (spanclass_is_size(class) || spanclass_is_typed(class));
}

unsigned slate_class_count(void)
{
	return SPANCLASS_COUNT;
}

bool slate_class_stats(unsigned span_class, struct slate_class_stats *stats)
{
	if (!class_has_spans(span_class))
		return false;

	struct spanclass plan = spanclass_get(span_class);

	*stats = (struct slate_class_stats){
		.elem_bytes = plan.elem_bytes,
		.span_pages = plan.pages,
		.elems_per_span = plan.elems,
		.typed = spanclass_is_typed(span_class),
		.noscan = class_is_noscan(span_class),
		.cached_objects = class_cached(span_class),
	};
	mcentral_counts(span_class, &stats->spans, &stats->objects);
	stats->waste_bytes = stats->spans * (stats->span_pages * SLATE_PAGE_SIZE -
					     stats->elems_per_span * stats->elem_bytes);
	return true;
}

bool slate_cpu_stats(unsigned cpu, struct slate_cpu_stats *stats)
{
	const struct mcache *cache = cpu < SLATE_MAX_CPUS ? cache_of(cpu) : NULL;

	if (!cache)
		return false;
	*stats = (struct slate_cpu_stats){
		.online = atomic_load_explicit(&cache->online, memory_order_relaxed),
		.refills = counter(&cache->refills),
		.flushes = counter(&cache->flushes),
	};
	for (unsigned class = 0; class < SPANCLASS_COUNT; class ++) {
		size_t objects = class_has_spans(class) ? mcache_cached(cache, class) : 0;

		stats->cached_objects += objects;
		if (objects > 0)
			stats->cached_bytes += objects * spanclass_get(class).elem_bytes;
	}
	stats->cached_bytes += mcache_cached(cache, PAGECLASS_FRAME) << SLATE_PAGE_SHIFT;
	for (unsigned order = 0; order < SLATE_STACK_ORDERS; order++)
		stats->cached_bytes += mcache_cached(cache, MCACHE_STACK + order)
				       << (SLATE_PAGE_SHIFT + order);
	stats->cached_bytes += largecache_held_pages(largecache_total(&cache->large))
			       << SLATE_PAGE_SHIFT;
	return true;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

bool slate_node_stats(unsigned node, struct slate_node_stats *stats)
{
	if (node >= mheap_node_count())
		return false;
	struct mheap *heap = &mheaps[node];
	struct mheap_marks marks = mheap_marks(heap);
	unsigned long irq = mm_lock_acquire(&heap->pages.lock);

	stats->total_pages = heap->pages.total_pages + counter(&heap->carved_pages);
	/* The reserve is a number of frames, not certain ones: released ones count last. */
	stats->free_pages = heap->pages.free_pages;
	stats->reserved_pages = smaller(stats->free_pages, marks.reserve_pages);
	stats->free_pages -= stats->reserved_pages;
	stats->released_pages = smaller(stats->free_pages, pagealloc_released_locked(&heap->pages));
	stats->free_pages -= stats->released_pages;
	mm_lock_release(&heap->pages.lock, irq);
	stats->low_pages = marks.low_pages;
	stats->high_pages = marks.high_pages;
	stats->largest_run_pages = pagealloc_largest(&heap->pages);
	if (stats->largest_run_pages > stats->free_pages + stats->released_pages)
		stats->largest_run_pages = stats->free_pages + stats->released_pages;
	stats->local_pages = counter(&heap->local_pages);
	stats->remote_pages = counter(&heap->remote_pages);
	return stats->total_pages > 0;
}
