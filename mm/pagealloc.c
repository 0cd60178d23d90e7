/* SPDX-License-Identifier: MIT */
/*
 * pagealloc.c (level 3) - the frames of a node: its regions, in ascending order, under one lock.
 *
 * Regions are few, one a populated range of the boot map, and they never go; so a walk over them
 * is cheap, and needs no lock where only their bounds are read.
 */
#include "mm/pagealloc.h"

#include "mm/page_search.h"
#include "mm/pagealloc_node.h"

/* Runs up to this length are tried where the hint points before anything is searched. */
#define NEAR_PAGES (2 * PAGE_CHUNK_PAGES)

void pagealloc_init(struct pagealloc *pa, unsigned node)
{
	mm_lock_init(&pa->lock, RANK_PAGEALLOC);
	atomic_init(&pa->regions, NULL);
	atomic_init(&pa->total_pages, 0);
	atomic_init(&pa->free_pages, 0);
	pa->recent = NULL;
	pa->region_count = 0;
	pa->node = node;
}

/* ---- Regions ---- */

size_t pagealloc_region_bytes(size_t pages)
{
	return page_region_bytes(pages);
}

/* Link a region in where it belongs; false when it overlaps one that is there. */
static bool region_link_locked(struct pagealloc *pa, struct page_region *region)
{
	_Atomic(struct page_region *) *link = &pa->regions;
	struct page_region *after;
	size_t start = region->base;
	size_t end = region->base + region->pages;

	mm_lock_assert_held(&pa->lock);
	/* relaxed: links change under the lock only */
	for (; (after = atomic_load_explicit(link, memory_order_relaxed)); link = &after->next) {
		if (start < after->base + after->pages)
			break;
	}
	if (after && end > after->base)
		return false;
	atomic_store_explicit(&region->next, after, memory_order_relaxed);
	/* release: pairs with the acquire in pagealloc_regions(); the region is laid out */
	atomic_store_explicit(link, region, memory_order_release);
	pa->region_count++;
	return true;
}

bool pagealloc_add(struct pagealloc *pa, pfn_t pfn, size_t pages, void *metadata)
{
	struct page_region *region;
	unsigned long irq;
	bool linked;

	if (pages == 0 || pages > PAGEALLOC_REGION_MAX || pages > SIZE_MAX - pfn.v)
		return false;
	region = page_region_init(metadata, pfn, pages);

	irq = mm_lock_acquire(&pa->lock);
	linked = region_link_locked(pa, region);
	if (linked) {
		count_add(&pa->total_pages, pages);
		count_add(&pa->free_pages, pages);
	}
	mm_lock_release(&pa->lock, irq);
	return linked;
}

struct page_region *pagealloc_region_of(struct pagealloc *pa, pfn_t pfn)
{
	struct page_region *region = pagealloc_regions(pa);

	while (region && page_region_bit(region, pfn) == PAGE_BIT_NONE)
		region = pagealloc_next(region);
	return region;
}

bool pagealloc_contains(struct pagealloc *pa, pfn_t pfn)
{
	return pagealloc_region_of(pa, pfn) != NULL;
}

bool pagealloc_is_allocated(struct pagealloc *pa, pfn_t pfn)
{
	struct page_region *region = pagealloc_region_of(pa, pfn);
	unsigned long irq;
	bool allocated;

	if (!region)
		return false;
	irq = mm_lock_acquire(&pa->lock);
	allocated = bitmap_test(region->bitmap, page_region_bit(region, pfn));
	mm_lock_release(&pa->lock, irq);
	return allocated;
}

size_t pagealloc_largest(struct pagealloc *pa)
{
	size_t largest = 0;
	unsigned long irq = mm_lock_acquire(&pa->lock);

	for (struct page_region *region = pagealloc_regions(pa); region;
	     region = pagealloc_next(region)) {
		size_t pages;

		page_region_settle(region);
		pages = page_tree_largest(&region->tree);
		if (pages > largest)
			largest = pages;
	}
	mm_lock_release(&pa->lock, irq);
	return largest;
}

/* ---- Allocation ---- */

/* Does fit leave every run of the region to choose from? */
static bool fit_is_plain(const struct page_fit *fit, const struct page_region *region)
{
	return fit->align_pages <= 1 && fit->boundary_pages == 0 && fit->min.v <= region->base &&
	       (fit->end.v == 0 || fit->end.v >= region->base + region->pages);
}

/* May open the lock for a moment. Out of line, so that the plain way saves no registers for it. */
static __attribute__((noinline)) size_t take_fit_locked(struct pagealloc *pa,
							struct page_region *region, size_t n,
							const struct page_fit *fit,
							unsigned long *irq)
{
	struct page_search search;
	enum page_search_result result;

	mm_lock_assert_held(&pa->lock);
	if (!page_search_begin(&search, region, n, fit))
		return PAGE_BIT_NONE;
	if (n <= NEAR_PAGES && page_region_take(region, search.from, n))
		return search.from;
	while ((result = page_search_step(&search)) == PAGE_SEARCH_MORE) {
		mm_lock_release(&pa->lock, *irq);
		*irq = mm_lock_acquire(&pa->lock);
	}
	if (result == PAGE_SEARCH_NONE)
		return PAGE_BIT_NONE;
	page_region_take(region, search.from, n);
	return search.from;
}

/*
 * Not at the hint. A search for a run needs the tree, and brings it up to date for two chunks:
 * where both are pending, the first of them has a lock hold of its own.
 */
static __attribute__((noinline)) size_t
take_run_locked(struct pagealloc *pa, struct page_region *region, size_t n, unsigned long *irq)
{
	mm_lock_assert_held(&pa->lock);
	if (n > 1 && region->pending[1] != SIZE_MAX) {
		page_region_settle_one(region);
		mm_lock_release(&pa->lock, *irq);
		*irq = mm_lock_acquire(&pa->lock);
	}
	return page_search_take(region, n);
}

static inline size_t take_plain_locked(struct pagealloc *pa, struct page_region *region, size_t n,
				       unsigned long *irq)
{
	size_t bit = page_search_hint(region, n);

	if (region->end_bit - bit < n)
		return PAGE_BIT_NONE;
	if (n > NEAR_PAGES || !page_region_take(region, bit, n))
		return take_run_locked(pa, region, n, irq);
	if (n > 1)
		page_search_found(region, bit, n);
	return bit;
}

pfn_t pagealloc_alloc(struct pagealloc *pa, size_t n, const struct page_fit *fit)
{
	struct page_region *region;
	size_t bit = PAGE_BIT_NONE;
	unsigned long irq;

	if (n == 0)
		return SLATE_PFN_NONE;
	irq = mm_lock_acquire(&pa->lock);
	for (region = pagealloc_regions(pa); region; region = pagealloc_next(region)) {
		if (region->free_pages < n)
			continue;
		if (!fit || fit_is_plain(fit, region))
			bit = take_plain_locked(pa, region, n, &irq);
		else
			bit = take_fit_locked(pa, region, n, fit, &irq);
		if (bit != PAGE_BIT_NONE) {
			count_sub(&pa->free_pages, n);
			break;
		}
	}
	mm_lock_release(&pa->lock, irq);
	return region ? page_region_pfn(region, bit) : SLATE_PFN_NONE;
}

bool pagealloc_alloc_at(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	struct page_region *region = pagealloc_region_of(pa, pfn);
	unsigned long irq;
	bool taken;

	if (n == 0 || !region)
		return false;
	if (!page_region_holds(region, pfn, n))
		return false;
	irq = mm_lock_acquire(&pa->lock);
	taken = page_region_take(region, pfn.v - region->origin, n);
	if (taken)
		count_sub(&pa->free_pages, n);
	mm_lock_release(&pa->lock, irq);
	return taken;
}

/* ---- Freeing ---- */

/* Frames from pfn on that are allocated ones of this node, at most n. */
static size_t count_taken_locked(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	size_t done = 0;

	mm_lock_assert_held(&pa->lock);
	while (done < n) {
		struct page_region *region = pagealloc_region_of(pa, pfn_add(pfn, done));
		size_t bit, end;

		if (!region)
			break;
		bit = page_region_bit(region, pfn_add(pfn, done));
		end = n - done < region->end_bit - bit ? bit + n - done : region->end_bit;
		done += bitmap_next_zero(region->bitmap, bit, end) - bit;
		if (!bitmap_all_set(region->bitmap, bit, end))
			break;
	}
	return done;
}

/* Frames that were checked; they may lie in several regions that touch. */
static void give_all_locked(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	mm_lock_assert_held(&pa->lock);
	while (n > 0) {
		struct page_region *region = pagealloc_recent_locked(pa, pfn);
		size_t bit = page_region_bit(region, pfn);
		size_t here = region->end_bit - bit < n ? region->end_bit - bit : n;

		page_region_give(region, bit, here);
		count_add(&pa->free_pages, here);
		pfn = pfn_add(pfn, here);
		n -= here;
	}
}

/*
 * The index of the first frame that is not an allocated one; n, and all are freed, if there is
 * none. Out of line: see above.
 */
static __attribute__((noinline)) size_t free_anywhere_locked(struct pagealloc *pa, pfn_t pfn,
							     size_t n)
{
	size_t taken = count_taken_locked(pa, pfn, n);

	if (taken == n)
		give_all_locked(pa, pfn, n);
	return taken;
}

size_t pagealloc_free(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	unsigned long irq;
	struct page_region *region;

	if (n == 0)
		return 0;
	irq = mm_lock_acquire(&pa->lock);
	region = pa->recent;
	if (region && page_region_holds(region, pfn, n) &&
	    page_region_give(region, pfn.v - region->origin, n))
		count_add(&pa->free_pages, n);
	else
		n = free_anywhere_locked(pa, pfn, n);
	mm_lock_release(&pa->lock, irq);
	return n;
}
