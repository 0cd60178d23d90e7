/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_isolate.c (level 3) - a region on its way out: unlinked from those that serve requests,
 * so that they pay nothing for it, but found by frames that come back.
 */
#include "mm/pagealloc_node.h"

/* Frames that one look at the bitmap covers: 64 or 128 words under the lock. */
#define LOOK_PAGES 4096u

bool pagealloc_isolate(struct pagealloc *pa, pfn_t pfn)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	struct page_region **link = &pa->regions;

	while (*link && page_region_bit(*link, pfn) == PAGE_BIT_NONE)
		link = &(*link)->next;
	bool found = *link && !pa->isolated;
	if (found) {
		/* its own next stays, for a search that stands in it */
		pa->isolated = *link;
		pa->start = NULL;
		*link = pa->isolated->next;
	}
	mm_lock_release(&pa->lock, irq);
	return found;
}

void pagealloc_restore(struct pagealloc *pa)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	struct page_region *region = pa->isolated;

	pa->isolated = NULL;
	if (region)
		pagealloc_link_locked(pa, region);
	mm_lock_release(&pa->lock, irq);
}

bool pagealloc_remove(struct pagealloc *pa)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	struct page_region *region = pa->isolated;
	bool gone = region && region->free_pages == region->pages && region->searches == 0;

	if (gone) {
		pa->isolated = NULL;
		if (pa->recent == region)
			pa->recent = NULL;
		pa->region_count--;
		count_sub(&pa->total_pages, region->pages);
		count_sub(&pa->free_pages, region->pages);
	}
	mm_lock_release(&pa->lock, irq);
	return gone;
}

pfn_t pagealloc_isolated_taken(struct pagealloc *pa, pfn_t from, pfn_t end, size_t *pages)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	const struct page_region *region = pa->isolated;
	size_t bit = region ? page_region_bit(region, from) : PAGE_BIT_NONE;

	*pages = 0;
	if (bit != PAGE_BIT_NONE && from.v < end.v) {
		size_t stop =
			region->end_bit - bit < LOOK_PAGES ? region->end_bit : bit + LOOK_PAGES;

		if (stop - bit > end.v - from.v)
			stop = bit + (end.v - from.v);
		bit = bitmap_next_set(region->bitmap, bit, stop);
		*pages = bitmap_next_zero(region->bitmap, bit, stop) - bit;
		end = page_region_pfn(region, bit);
	}
	mm_lock_release(&pa->lock, irq);
	return end;
}
