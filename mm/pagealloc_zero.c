/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_zero.c (level 3) - free frames that are known to read as zero: a third bitmap of a
 * region. To take a frame clears its mark, whoever takes it, so what was ever handed out comes back
 * as any other frame. Searches take the lowest frames, so the highest ones stay zero longest: there
 * the idle-time zeroer begins, and requests for zeroes look.
 */
#include "mm/pagealloc_node.h"

/* Words that one lock hold looks at. */
#define ZERO_LOOKS 48u

/* Of the region that fit leaves whole, the highest known zero; PAGE_BIT_NONE: none was found. */
static size_t take_zero(struct page_region *region, unsigned *looks)
{
	size_t word = (region->zero_top + BITWORD_MASK) >> BITWORD_SHIFT;
	size_t bit;

	while (word > 0 && *looks > 0 && !region->zeroed[word - 1]) {
		word--;
		--*looks;
	}
	region->zero_top = word << BITWORD_SHIFT;
	if (word == 0 || !region->zeroed[word - 1])
		return PAGE_BIT_NONE;
	bit = region->zero_top - 1 - bitword_clz(region->zeroed[word - 1]);
	page_region_take(region, bit, 1);
	return bit;
}

pfn_t pagealloc_alloc_zeroed(struct pagealloc *pa, pfn_t end)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	struct page_region *region =
		pagealloc_left_locked(pa, false) > 0 ? pagealloc_regions(pa) : NULL;
	pfn_t pfn = SLATE_PFN_NONE;
	unsigned looks = ZERO_LOOKS;

	for (; region && looks > 0 && pfn_is_none(pfn); region = pagealloc_next(region)) {
		size_t bit = PAGE_BIT_NONE;

		if (region->zero_pages > 0 && region->base + region->pages <= end.v)
			bit = take_zero(region, &looks);
		if (bit != PAGE_BIT_NONE) {
			pfn = page_region_pfn(region, bit);
			count_sub(&pa->free_pages, 1);
		}
	}
	mm_lock_release(&pa->lock, irq);
	return pfn;
}

void pagealloc_mark_zero_locked(struct page_region *region, size_t bit, size_t n)
{
	bitmap_set_range(region->zeroed, bit, bit + n);
	region->zero_pages += n;
	region->marks += n;
	if (region->zero_top < bit + n)
		region->zero_top = bit + n;
}

size_t pagealloc_zeroed(struct pagealloc *pa)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	size_t pages = pa->isolated ? pa->isolated->zero_pages : 0;

	for (struct page_region *region = pagealloc_regions(pa); region;
	     region = pagealloc_next(region))
		pages += region->zero_pages;
	mm_lock_release(&pa->lock, irq);
	return pages;
}
