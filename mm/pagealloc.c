/* SPDX-License-Identifier: MIT */
/*
 * pagealloc.c (level 3) - the frames of a node: its regions, in ascending order, under one lock.
 *
 * Regions are few, one a populated range of memory, so a walk over them is cheap. One can go while
 * a search in it lets other CPUs in: the search counts itself, and looks again when it is back.
 */
#include "mm/pagealloc.h"

#include "mm/page_search.h"
#include "mm/pagealloc_node.h"

/* Runs up to this length are tried where the hint points before anything is searched. */
#define NEAR_PAGES (2 * PAGE_CHUNK_PAGES)

void pagealloc_init(struct pagealloc *pa, unsigned node)
{
	mm_lock_init(&pa->lock, RANK_PAGEALLOC);
	pa->regions = NULL;
	pa->isolated = NULL;
	atomic_init(&pa->total_pages, 0);
	atomic_init(&pa->free_pages, 0);
	atomic_init(&pa->keep_pages, 0);
	pa->recent = NULL;
	pa->start = NULL;
	pa->start_pages = 0;
	pa->pauses = 0;
	pa->region_count = 0;
	pa->node = node;
}

/* ---- Regions ---- */

size_t pagealloc_region_bytes(size_t pages)
{
	return page_region_bytes(pages);
}

bool pagealloc_link_locked(struct pagealloc *pa, struct page_region *region)
{
	struct page_region **link = &pa->regions;
	size_t start = region->base;
	size_t end = region->base + region->pages;

	mm_lock_assert_held(&pa->lock);
	while (*link && start >= (*link)->base + (*link)->pages)
		link = &(*link)->next;
	if (*link && end > (*link)->base)
		return false;
	region->next = *link;
	*link = region;
	pa->start = NULL;
	return true;
}

static bool add_region(struct pagealloc *pa, pfn_t pfn, size_t pages, void *metadata,
		       bool removable)
{
	struct page_region *region;
	unsigned long irq;
	bool linked;

	if (pages == 0 || pages > PAGEALLOC_REGION_MAX || pages > SIZE_MAX - pfn.v)
		return false;
	region = page_region_init(metadata, pfn, pages);
	region->removable = removable;

	irq = mm_lock_acquire(&pa->lock);
	linked = pagealloc_link_locked(pa, region);
	if (linked) {
		pa->region_count++;
		count_add(&pa->total_pages, pages);
		count_add(&pa->free_pages, pages);
	}
	mm_lock_release(&pa->lock, irq);
	return linked;
}

bool pagealloc_add(struct pagealloc *pa, pfn_t pfn, size_t pages, void *metadata)
{
	return add_region(pa, pfn, pages, metadata, false);
}

bool pagealloc_add_removable(struct pagealloc *pa, pfn_t pfn, size_t pages, void *metadata)
{
	return add_region(pa, pfn, pages, metadata, true);
}

struct page_region *pagealloc_region_of_locked(struct pagealloc *pa, pfn_t pfn)
{
	struct page_region *region = pagealloc_regions(pa);

	mm_lock_assert_held(&pa->lock);
	while (region && page_region_bit(region, pfn) == PAGE_BIT_NONE)
		region = pagealloc_next(region);
	if (!region && pa->isolated && page_region_bit(pa->isolated, pfn) != PAGE_BIT_NONE)
		region = pa->isolated;
	return region;
}

bool pagealloc_bounds(struct pagealloc *pa, pfn_t pfn, pfn_t *start, size_t *pages)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	const struct page_region *region = pagealloc_recent_locked(pa, pfn);

	if (region) {
		*start = (pfn_t){region->base};
		*pages = region->pages;
	}
	mm_lock_release(&pa->lock, irq);
	return region != NULL;
}

bool pagealloc_contains(struct pagealloc *pa, pfn_t pfn)
{
	pfn_t start;
	size_t pages;

	return pagealloc_bounds(pa, pfn, &start, &pages);
}

bool pagealloc_is_allocated(struct pagealloc *pa, pfn_t pfn)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	struct page_region *region = pagealloc_recent_locked(pa, pfn);
	bool allocated = region && bitmap_test(region->bitmap, page_region_bit(region, pfn));

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

bool pagealloc_pause_locked(struct pagealloc *pa, struct page_region *region, unsigned long *irq)
{
	mm_lock_assert_held(&pa->lock);
	pa->pauses++;
	region->searches++;
	mm_lock_release(&pa->lock, *irq);
	*irq = mm_lock_acquire(&pa->lock);
	region->searches--;
	return region != pa->isolated;
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
		if (!pagealloc_pause_locked(pa, region, irq))
			return PAGE_BIT_NONE;
	}
	if (result == PAGE_SEARCH_NONE)
		return PAGE_BIT_NONE;
	page_region_take(region, search.from, n);
	return search.from;
}

/* Not at the hint. */
static __attribute__((noinline)) size_t
take_run_locked(struct pagealloc *pa, struct page_region *region, size_t n, unsigned long *irq)
{
	size_t bit;

	mm_lock_assert_held(&pa->lock);
	if (n == 1) {
		/* what is free is found */
		bit = page_search_one(region);
		page_region_take(region, bit, 1);
		region->first_free = bit + 1;
		return bit;
	}
	bit = page_search_near(region, n);
	if (bit == PAGE_BIT_NONE) {
		/* where two chunks are pending, the tree's first update has a lock hold of its own
		 */
		if (region->pending[1] != SIZE_MAX) {
			page_region_settle_one(region);
			if (!pagealloc_pause_locked(pa, region, irq))
				return PAGE_BIT_NONE;
		}
		bit = page_search_tree(region, n);
	}
	if (bit == PAGE_BIT_NONE) {
		page_search_failed(region, n);
		return bit;
	}
	page_region_take(region, bit, n);
	page_search_found(region, bit, n);
	return bit;
}

/* No region below has a run of n, unless one came back while the search had opened the lock. */
static void note_start_locked(struct pagealloc *pa, struct page_region *region, size_t n,
			      bool paused)
{
	mm_lock_assert_held(&pa->lock);
	pa->start = paused ? NULL : region;
	pa->start_pages = n;
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

void pagealloc_keep(struct pagealloc *pa, size_t pages)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);

	atomic_store_explicit(&pa->keep_pages, pages, memory_order_relaxed);
	mm_lock_release(&pa->lock, irq);
}

pfn_t pagealloc_alloc(struct pagealloc *pa, size_t n, const struct page_fit *fit)
{
	struct page_region *region;
	size_t bit = PAGE_BIT_NONE;
	unsigned long irq;
	size_t pauses;
	pfn_t pfn;

	if (n == 0)
		return SLATE_PFN_NONE;
	if (n > PAGEALLOC_PIECE && pagealloc_alloc_long(pa, n, fit, &pfn))
		return pfn;
	irq = mm_lock_acquire(&pa->lock);
	pauses = pa->pauses;
	region = pagealloc_left_locked(pa, fit && fit->reserve) >= n ? pagealloc_regions(pa) : NULL;
	for (; region; region = pagealloc_next(region)) {
		if (region->free_pages < n || (fit && fit->stays && region->removable))
			continue;
		if (!fit || fit_is_plain(fit, region))
			bit = take_plain_locked(pa, region, n, &irq);
		else
			bit = take_fit_locked(pa, region, n, fit, &irq);
		if (bit != PAGE_BIT_NONE) {
			count_sub(&pa->free_pages, n);
			if (!fit)
				note_start_locked(pa, region, n, pa->pauses != pauses);
			break;
		}
	}
	mm_lock_release(&pa->lock, irq);
	return region ? page_region_pfn(region, bit) : SLATE_PFN_NONE;
}

bool pagealloc_alloc_at(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	struct page_region *region;
	unsigned long irq;
	bool taken;

	if (n == 0)
		return false;
	if (n > PAGEALLOC_PIECE)
		return pagealloc_alloc_at_long(pa, pfn, n);
	irq = mm_lock_acquire(&pa->lock);
	region = pagealloc_recent_locked(pa, pfn);
	taken = region && region != pa->isolated && page_region_holds(region, pfn, n) &&
		page_region_take(region, pfn.v - region->origin, n);
	if (taken)
		count_sub(&pa->free_pages, n);
	mm_lock_release(&pa->lock, irq);
	return taken;
}

/* ---- Freeing ---- */

size_t pagealloc_count_taken_locked(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	size_t done = 0;

	mm_lock_assert_held(&pa->lock);
	while (done < n) {
		struct page_region *region = pagealloc_region_of_locked(pa, pfn_add(pfn, done));
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
		pagealloc_note_given_locked(pa, region);
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
	size_t taken = pagealloc_count_taken_locked(pa, pfn, n);

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
	if (n > PAGEALLOC_PIECE)
		return pagealloc_free_long(pa, pfn, n);
	irq = mm_lock_acquire(&pa->lock);
	region = pa->recent;
	if (region && page_region_holds(region, pfn, n) &&
	    page_region_give(region, pfn.v - region->origin, n)) {
		count_add(&pa->free_pages, n);
		pagealloc_note_given_locked(pa, region);
	} else {
		n = free_anywhere_locked(pa, pfn, n);
	}
	mm_lock_release(&pa->lock, irq);
	return n;
}
