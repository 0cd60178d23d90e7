/* SPDX-License-Identifier: MIT */
/*
 * init.c (level 8) - start-up: memory comes in by the boot map, and CPUs come online, or leave.
 *
 * The metadata of a node's boot ranges is pooled at the end of its largest mapped range, so that
 * the low addresses, which DMA wants, stay free. Ranges that come later: mm/memrange.c.
 */
#include "mm/init.h"

#include <slate/port.h>
#include <slate/slate.h>

#include "lib/bits.h"
#include "mm/bootmem.h"
#include "mm/deferred.h"
#include "mm/directmap.h"
#include "mm/kcache.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/memrange.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/numa.h"
#include "mm/onfree.h"
#include "mm/profile.h"
#include "mm/reclaim.h"
#include "mm/scavenger.h"
#include "mm/zeroer.h"
#include "mm/roots.h"
#include "mm/shrinker.h"
#include "mm/tiny.h"
#include "mm/watch.h"

/*
 * One CPU comes online at a time. It has no rank and no part in the order of locks: it is taken
 * with interrupts off, by no handler, and first of all.
 */
static struct spinlock online_lock;
static _Atomic bool
	initialised; /* (a) release at the end of slate_init(), acquire in init_check() */

bool init_check(const char *call)
{
	if (atomic_load_explicit(&initialised, memory_order_acquire))
		return true;
	struct slate_report report = {
		.crime = SLATE_CRIME_WRONG_STAGE,
		.call = call,
		.detail = "slate_init() has not run",
	};

	mm_report(&report);
	return false;
}

/* ---- Ranges ---- */

static size_t range_pages(const struct slate_range *range)
{
	return (size_t)(range->size_bytes >> SLATE_PAGE_SHIFT);
}

static pfn_t range_start(const struct slate_range *range)
{
	return paddr_to_pfn((paddr_t){range->base});
}

static bool range_usable(const struct slate_range *range, unsigned node)
{
	return range->type == SLATE_RANGE_USABLE && range->node == node;
}

/* ---- The boot map ---- */

/* Where a node's metadata lies: the last frames of one range's mapped part. */
struct pool {
	size_t range; /* its index in the map */
	pfn_t start;
	size_t pages;
};

/* Frames for the node's metadata and the window; 0 for a node without memory. */
static size_t node_metadata_pages(const struct slate_memmap *map, unsigned node,
				  size_t window_bytes)
{
	size_t arenas_end = 0;
	size_t bytes = 0;

	for (size_t i = 0; i < map->count; i++) {
		if (range_usable(&map->ranges[i], node))
			bytes += memrange_metadata(range_start(&map->ranges[i]),
						   range_pages(&map->ranges[i]), &arenas_end);
	}
	/* A pool splits its range into two regions at most. */
	return bytes ? bytes_to_pages(bytes + window_bytes +
				      2 * align_up(pagealloc_region_bytes(1), 64))
		     : 0;
}

static bool is_pool(const struct pool *pools, size_t range)
{
	for (unsigned node = 0; node < SLATE_MAX_NODES; node++) {
		if (pools[node].pages && pools[node].range == range)
			return true;
	}
	return false;
}

/* The largest mapped range of the node (SLATE_ANY_NODE: of any) that can hold the pool and is none
 * yet. */
static bool choose_pool(const struct slate_memmap *map, unsigned node, size_t pages,
			struct pool *pools, struct pool *pool)
{
	size_t best_pages = pages - 1;

	pool->pages = 0;
	for (size_t i = 0; i < map->count; i++) {
		const struct slate_range *range = &map->ranges[i];
		size_t start = range_start(range).v;
		size_t end = start + range_pages(range);

		if (range->type != SLATE_RANGE_USABLE || is_pool(pools, i) ||
		    (node != SLATE_ANY_NODE && range->node != node))
			continue;
		if (end > directmap_end.v)
			end = directmap_end.v;
		if (end > start && end - start > best_pages) {
			best_pages = end - start;
			*pool = (struct pool){i, {end - pages}, pages};
		}
	}
	return pool->pages != 0;
}

/* One usable range without its pool part. */
static bool grow_piece(unsigned node, size_t start, size_t end, struct bootmem *metadata)
{
	return start >= end || mheap_grow(node, (pfn_t){start}, end - start, metadata);
}

static bool grow_node(const struct slate_memmap *map, unsigned node, const struct pool *pools,
		      struct bootmem *metadata)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct slate_range *range = &map->ranges[i];
		size_t start = range_start(range).v;
		size_t end = start + range_pages(range);
		size_t cut_start = end;
		size_t cut_end = end;

		if (!range_usable(range, node))
			continue;
		for (unsigned n = 0; n < SLATE_MAX_NODES; n++) {
			if (pools[n].pages && pools[n].range == i) {
				cut_start = pools[n].start.v;
				cut_end = cut_start + pools[n].pages;
			}
		}
		if (!memrange_record((pfn_t){start}, end - start, node, metadata) ||
		    !grow_piece(node, start, cut_start, metadata) ||
		    !grow_piece(node, cut_end, end, metadata))
			return false;
	}
	return true;
}

/* A window may be this many times as long as the memory in it: then holes cost at most 0.2 % of
 * RAM. */
#define WINDOW_SPARSENESS 8

/* The longest stretch from the lowest range on that is dense enough; in frames. */
static void choose_window(const struct slate_memmap *map, size_t *first, size_t *end)
{
	size_t populated = 0;
	size_t low = 0;

	*first = *end = 0;
	for (size_t i = 0; i < map->count; i++) {
		size_t start = range_start(&map->ranges[i]).v;
		size_t stop = align_up(start + range_pages(&map->ranges[i]), ARENA_PAGES);

		if (map->ranges[i].type != SLATE_RANGE_USABLE)
			continue;
		if (populated == 0)
			low = align_down(start, ARENA_PAGES);
		populated += range_pages(&map->ranges[i]);
		if (stop - low > ARENA_PAGES && (stop - low) / WINDOW_SPARSENESS > populated)
			continue;
		*first = low;
		*end = stop;
	}
}

static void *window_alloc(void *arg, size_t size_bytes)
{
	return bootmem_alloc(arg, size_bytes, 64);
}

static int choose_pools(const struct slate_memmap *map, size_t window_bytes, struct pool *pools)
{
	for (unsigned node = 0; node < SLATE_MAX_NODES; node++) {
		size_t pages = node_metadata_pages(map, node, window_bytes);
		struct pool pool;

		if (pages == 0)
			continue;
		window_bytes = 0;
		if (!choose_pool(map, node, pages, pools, &pool) &&
		    !choose_pool(map, SLATE_ANY_NODE, pages, pools, &pool))
			return SLATE_ENOMEM;
		pools[node] = pool;
	}
	return SLATE_OK;
}

/* The caller's window, if he gives one; else the longest that the boot map is worth. */
static void place_window(const struct slate_init_params *params, size_t *first, size_t *end)
{
	*first = *end = 0;
	if (params->window)
		arena_window_set(paddr_to_pfn((paddr_t){params->window_base}),
				 (size_t)(params->window_bytes >> SLATE_PAGE_SHIFT),
				 params->window);
	else
		choose_window(params->map, first, end);
}

static int take_boot_map(const struct slate_init_params *params)
{
	const struct slate_memmap *map = params->map;
	struct pool pools[SLATE_MAX_NODES] = {{0}};
	size_t donated_bytes = 0;
	size_t window_first;
	size_t window_end;

	place_window(params, &window_first, &window_end);
	int status = choose_pools(map, arena_window_bytes(window_end - window_first) + 64, pools);
	if (status != SLATE_OK)
		return status;
	for (unsigned node = 0; node < SLATE_MAX_NODES; node++) {
		const struct pool *pool = &pools[node];
		struct bootmem metadata;

		if (pool->pages == 0)
			continue;
		bootmem_init(&metadata, pfn_to_virt(pool->start), pool->pages << SLATE_PAGE_SHIFT);
		if (window_end > window_first &&
		    !arena_window_make((pfn_t){window_first}, window_end - window_first,
				       window_alloc, &metadata))
			return SLATE_ENOMEM;
		window_end = window_first;
		if (!grow_node(map, node, pools, &metadata))
			return SLATE_ENOMEM;
		/* The pool of a huge machine fills arenas of its own. */
		if (!arena_register(pool->start, pool->pages, window_alloc, &metadata))
			return SLATE_ENOMEM;
		memrange_mark_metadata(pool->start, pool->pages);
		mheap_note_carved(map->ranges[pool->range].node, pool->pages);
		if (bootmem_left(&metadata) > donated_bytes) {
			donated_bytes = bootmem_left(&metadata);
			mheap_donate((void *)metadata.next, donated_bytes);
		}
	}
	return mheap_node_count() ? SLATE_OK : SLATE_ENOMEM;
}

int slate_init(const struct slate_init_params *params)
{
	const uint64_t last_pfn = SIZE_MAX >> 1;

	if (atomic_load_explicit(&initialised, memory_order_relaxed))
		return SLATE_ESTAGE;
	if (!params || !params->map || (params->map->count && !params->map->ranges))
		return SLATE_EINVAL;
	if (params->window && ((params->window_base | params->window_bytes) & (ARENA_SIZE - 1)))
		return SLATE_EINVAL;
	for (size_t i = 0; i < params->map->count; i++) {
		const struct slate_range *range = &params->map->ranges[i];

		if (((range->base | range->size_bytes) & SLATE_PAGE_MASK) ||
		    range->node >= SLATE_MAX_NODES ||
		    (i > 0 && range->base < params->map->ranges[i - 1].base))
			return SLATE_EINVAL;
	}
	uint64_t limit = params->mapped_limit >> SLATE_PAGE_SHIFT;

	directmap_offset = params->direct_map_offset;
	directmap_end = (pfn_t){(size_t)(limit && limit < last_pfn ? limit : last_pfn)};
	mheap_init();
	onfree_init();
	if (SLATE_PROFILE)
		profile_init();
	roots_init();
	mcentral_init_all();
	kcache_reset();
	shrinker_init();
	watch_init();

	int status = take_boot_map(params);

	if (status != SLATE_OK)
		return status;
	mcache_init();
	for (unsigned node = 0; node < mheap_node_count(); node++) {
		if (mheap_may_serve(&mheaps[node], 1))
			mcentral_add_node(node);
	}
	if (SLATE_TINY)
		tiny_init();
	/* release: pairs with the acquire in init_check() */
	atomic_store_explicit(&initialised, true, memory_order_release);
	return SLATE_OK;
}

/* ---- CPUs ---- */

int slate_cpu_online(void)
{
	unsigned cpu = port_cpu();

	if (!init_check("slate_cpu_online"))
		return SLATE_ESTAGE;
	if (cpu >= SLATE_MAX_CPUS)
		return SLATE_ERANGE;
	numa_cpu_online(cpu);
	spinlock_acquire(&online_lock);
	int status = SLATE_ESTAGE;

	/* relaxed, both: this CPU's own */
	struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_relaxed);

	if (!cache || !atomic_load_explicit(&cache->online, memory_order_relaxed))
		status = mcache_online(cpu) ? SLATE_OK : SLATE_ENOMEM;
	if (status == SLATE_OK)
		mm_cpu_ids_valid();
	spinlock_release(&online_lock);
	return status;
}

int slate_cpu_offline(void)
{
	unsigned cpu = port_cpu();

	if (!init_check("slate_cpu_offline"))
		return SLATE_ESTAGE;
	if (cpu >= SLATE_MAX_CPUS)
		return SLATE_ERANGE;
	/* relaxed, both: this CPU's own */
	struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_relaxed);

	if (!cache || !atomic_load_explicit(&cache->online, memory_order_relaxed))
		return SLATE_ESTAGE;
	deferred_run();
	mcache_offline();
	return SLATE_OK;
}

void mm_reset(void)
{
	atomic_store_explicit(&initialised, false, memory_order_relaxed);
	spinlock_init(&online_lock);
	memrange_reset();
	mm_lock_reset();
	mm_debug_reset();
	arena_reset();
	mheap_reset();
	mcentral_reset();
	mcache_reset();
	reclaim_reset();
	scavenger_reset();
	zeroer_reset();
}
