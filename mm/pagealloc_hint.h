/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_hint.h (level 3) - runs of frames out of a node and back where its hints lead straight
 * to them, inline: no search, no region but the one that served the last request or took the last
 * frames. The caller goes the long way (pagealloc.h) when the answer is no, be it only because the
 * lock is held: an NMI may ask as well.
 */
#ifndef MM_PAGEALLOC_HINT_H
#define MM_PAGEALLOC_HINT_H

#include "mm/arena.h"
#include "mm/page_search.h"
#include "mm/pagealloc_node.h"

/*
 * The lowest run of n frames for a caller who keeps their class bytes as they are, 2 <= n <=
 * PAGE_CHUNK_PAGES, or SLATE_PFN_NONE.
 */
static inline pfn_t pagealloc_alloc_hinted(struct pagealloc *pa, size_t n)
{
	struct page_region *region;
	pfn_t pfn = SLATE_PFN_NONE;
	unsigned long irq;
	size_t free, bit;

	if (!mm_lock_try_inline(&pa->lock, &irq))
		return pfn;
	region = pa->start;
	free = atomic_load_explicit(&pa->free_pages, memory_order_relaxed);

	/* fewer than n in all: the difference is wrong, but then none are free at the hint either
	 */
	if (!region || n < pa->start_pages ||
	    free - n < atomic_load_explicit(&pa->keep_pages, memory_order_relaxed))
		goto out;
	bit = page_search_hint(region, n);
	if (region->end_bit - bit < n || !page_region_take(region, bit, n))
		goto out;
	page_search_found(region, bit, n);
	atomic_store_explicit(&pa->free_pages, free - n, memory_order_relaxed);
	pfn = page_region_pfn(region, bit);
	region->run_callers = bit;
out:
	mm_lock_release_inline(&pa->lock, irq);
	return pfn;
}

/*
 * n frames that a caller says are his, 2 <= n <= PAGE_CHUNK_PAGES. That they are is known of the
 * run that went out last; of others class bytes and bitmap must tell.
 */
static inline bool pagealloc_free_hinted(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	struct page_region *region;
	unsigned long irq;
	bool freed = true;

	if (!mm_lock_try_inline(&pa->lock, &irq))
		return false;
	region = pa->start;
	if (region && page_region_is_last_run(region, pfn.v - region->origin, n)) {
		freed = page_region_give_last_run(region);
	} else {
		region = pa->recent;
		/* to look at many class bytes and to settle a chunk is too much for one lock hold
		 */
		freed = region && page_region_holds(region, pfn, n) &&
			(n <= BITWORD_BITS ||
			 page_region_has_room(region, pfn.v - region->origin, n)) &&
			arena_is_all_free(pfn, n) &&
			page_region_give(region, pfn.v - region->origin, n);
		if (freed)
			pagealloc_note_given_locked(pa, region);
	}
	if (freed)
		count_add(&pa->free_pages, n);
	mm_lock_release_inline(&pa->lock, irq);
	return freed;
}

#endif
