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

/*
 * How many frames a request may take, with or without the reserve. A search that opens the lock was
 * asked before: the requests of other CPUs may dip into the reserve by what they take meanwhile.
 */
static inline size_t pagealloc_left_locked(struct pagealloc *pa, bool reserve)
{
	size_t free = atomic_load_explicit(&pa->free_pages, memory_order_relaxed);
	size_t keep = reserve ? 0 : atomic_load_explicit(&pa->keep_pages, memory_order_relaxed);

	return free > keep ? free - keep : 0;
}

/* Does fit leave every run of the region to choose from? */
static inline bool pagealloc_fit_is_plain(const struct page_fit *fit,
					  const struct page_region *region)
{
	return fit->align_pages <= 1 && fit->boundary_pages == 0 && fit->min.v <= region->base &&
	       (fit->end.v == 0 || fit->end.v >= region->base + region->pages);
}

/* [bit, bit + n) is free and reads as zero; it has no such mark yet. */
void pagealloc_mark_zero_locked(struct page_region *region, size_t bit, size_t n);

/* Frames of the region came back: a search for any number may begin there. */
static inline void pagealloc_note_given_locked(struct pagealloc *pa,
					       const struct page_region *region)
{
	if (region != pa->start && pa->start && region->base < pa->start->base)
		pa->start = NULL;
}

/* Those that serve requests, in ascending order; the caller holds the lock. */
static inline struct page_region *pagealloc_regions(struct pagealloc *pa)
{
	return pa->regions;
}

static inline struct page_region *pagealloc_next(struct page_region *region)
{
	return region->next;
}

/* The region that holds pfn, isolated or not, or NULL. */
struct page_region *pagealloc_region_of_locked(struct pagealloc *pa, pfn_t pfn);

/* Link a region in where it belongs; false when it overlaps one that is there. */
bool pagealloc_link_locked(struct pagealloc *pa, struct page_region *region);

/* The same as pagealloc_region_of_locked(): the last one is asked first. */
static inline struct page_region *pagealloc_recent_locked(struct pagealloc *pa, pfn_t pfn)
{
	struct page_region *region = pa->recent;

	mm_lock_assert_held(&pa->lock);
	if (region && page_region_bit(region, pfn) != PAGE_BIT_NONE)
		return region;
	region = pagealloc_region_of_locked(pa, pfn);
	if (region)
		pa->recent = region;
	return region;
}

/*
 * Let other CPUs in for a moment. False: the region was isolated meanwhile, nothing may be taken
 * there. Its next one is still the right one: only one region goes at a time.
 */
bool pagealloc_pause_locked(struct pagealloc *pa, struct page_region *region, unsigned long *irq);

/*
 * Settle chunks, each in a lock hold of its own, until [bit, bit + n) can change without; n <=
 * PAGE_CHUNK_PAGES. The lock was open if it returns at all; false as pagealloc_pause_locked().
 */
bool pagealloc_make_room_locked(struct pagealloc *pa, struct page_region *region, size_t bit,
				size_t n, unsigned long *irq);

/* ---- Long runs (pagealloc_long.c) ---- */

/* Longer runs than a chunk, in frames, are taken and given in pieces, the longest of them this. */
#define PAGEALLOC_SHORT PAGE_CHUNK_PAGES
#define PAGEALLOC_PIECE (4 * PAGE_CHUNK_PAGES)

/* The calls of pagealloc.h for n > PAGEALLOC_SHORT. */
pfn_t pagealloc_alloc_long(struct pagealloc *pa, size_t n, const struct page_fit *fit);
bool pagealloc_alloc_at_long(struct pagealloc *pa, pfn_t pfn, size_t n);
size_t pagealloc_free_long(struct pagealloc *pa, pfn_t pfn, size_t n);

#endif
