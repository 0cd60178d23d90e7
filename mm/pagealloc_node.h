/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_node.h (level 3) - what the pagealloc_*.c files share: counters, and the way to a
 * region.
 */
#ifndef MM_PAGEALLOC_NODE_H
#define MM_PAGEALLOC_NODE_H

#include "mm/page_region.h"
#include "mm/pagealloc.h"

/* Written under the lock, so a load and a store will do; relaxed: statistics order nothing by it.
 */
static inline void count_add(_Atomic size_t *count, size_t n)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline void count_sub(_Atomic size_t *count, size_t n)
{
	count_add(count, (size_t)0 - n);
}

/* acquire, in both: pairs with the release in pagealloc_add(), for those who hold no lock */
static inline struct page_region *pagealloc_regions(struct pagealloc *pa)
{
	return atomic_load_explicit(&pa->regions, memory_order_acquire);
}

static inline struct page_region *pagealloc_next(struct page_region *region)
{
	return atomic_load_explicit(&region->next, memory_order_acquire);
}

/* The region that holds pfn, or NULL. Lock-free; only its bounds are constant. */
struct page_region *pagealloc_region_of(struct pagealloc *pa, pfn_t pfn);

/* The same under the lock: the last one is asked first. */
static inline struct page_region *pagealloc_recent_locked(struct pagealloc *pa, pfn_t pfn)
{
	struct page_region *region = pa->recent;

	mm_lock_assert_held(&pa->lock);
	if (region && page_region_bit(region, pfn) != PAGE_BIT_NONE)
		return region;
	region = pagealloc_region_of(pa, pfn);
	if (region)
		pa->recent = region;
	return region;
}

#endif
