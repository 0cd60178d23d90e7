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

/* Lock holds that go into settling before it is done at once: other CPUs may bring more and more.
 */
#define TRIES 16u

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

		for (unsigned i = 0; i < TRIES && page_region_settle_one(region); i++)
			pagealloc_pause_locked(pa, region, &irq);
		page_region_settle(region);
		pages = page_tree_largest(&region->tree);
		if (pages > largest)
			largest = pages;
	}
	mm_lock_release(&pa->lock, irq);
	return largest;
}

/* ---- Allocation ---- */

bool pagealloc_pause_locked(struct pagealloc *pa, struct page_region *region, unsigned long *irq)
{
	mm_lock_assert_held(&pa->lock);
	pa->pauses++;
	region->searches++;
	mm_lock_release(&pa->lock, *irq);
	*irq = mm_lock_acquire(&pa->lock);
	region->searches--;
	region->zero_bit = PAGE_BIT_NONE;
	return region != pa->isolated;
}

bool pagealloc_make_room_locked(struct pagealloc *pa, struct page_region *region, size_t bit,
				size_t n, unsigned long *irq)
{
	bool here = pagealloc_pause_locked(pa, region, irq);

	for (unsigned i = 0; here && i < TRIES && !page_region_has_room(region, bit, n); i++) {
		page_region_settle_one(region);
		here = pagealloc_pause_locked(pa, region, irq);
	}
	if (here && !page_region_has_room(region, bit, n))
		page_region_settle(region);
	return here;
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
	if (page_region_take(region, search.from, n))
		return search.from;
	/* each step, and each room, has a lock hold of its own */
	while (pagealloc_pause_locked(pa, region, irq) &&
	       (result = page_search_step(&search)) != PAGE_SEARCH_NONE) {
		if (result == PAGE_SEARCH_MORE)
			continue;
		if (!page_region_has_room(region, search.from, n) &&
		    !pagealloc_make_room_locked(pa, region, search.from, n, irq))
			break;
		if (page_region_take(region, search.from, n))
			return search.from;
		page_search_again(&search);
	}
	return PAGE_BIT_NONE;
}

/* All of the tree, of which other CPUs' changes may be pending: each in a lock hold of its own. */
static size_t search_settled_locked(struct pagealloc *pa, struct page_region *region, size_t n,
				    unsigned long *irq)
{
	for (unsigned i = 0; i < TRIES && page_region_settle_one(region); i++) {
		if (!pagealloc_pause_locked(pa, region, irq))
			return PAGE_BIT_NONE;
	}
	return page_search_tree(region, n);
}

/* Not at the hint. The search, and each part of it, has a lock hold of its own. */
static __attribute__((noinline)) size_t
take_run_locked(struct pagealloc *pa, struct page_region *region, size_t n, unsigned long *irq)
{
	const size_t free = region->free_pages;
	const size_t from = region->run_from;
	size_t bit = page_search_near(region, n);

	mm_lock_assert_held(&pa->lock);
	for (unsigned i = 0;; i++) {
		if (bit == PAGE_BIT_NONE) {
			if (!pagealloc_pause_locked(pa, region, irq))
				return PAGE_BIT_NONE;
			bit = search_settled_locked(pa, region, n, irq);
			/* on its way out: nothing was searched, so nothing is known of it */
			if (bit == PAGE_BIT_NONE && region == pa->isolated)
				return bit;
		}
		if (bit == PAGE_BIT_NONE || page_region_has_room(region, bit, n))
			break;
		if (i == TRIES) {
			page_region_settle(region);
			break;
		}
		/* a lower run may come free while room is made */
		if (!pagealloc_make_room_locked(pa, region, bit, n, irq))
			return PAGE_BIT_NONE;
		bit = page_search_near(region, n);
	}
	if (bit == PAGE_BIT_NONE) {
		bool lower = region->free_pages != free || region->run_from != from;

		page_search_failed(region, n);
		if (lower)
			region->run_from = 0;
		pagealloc_pause_locked(pa, region, irq);
		return bit;
	}
	/* while the lock was open, a lower run may have come back: then the hint is not exact */
	bool changed = region->free_pages != free || region->run_from != from;

	page_region_take(region, bit, n);
	page_search_found(region, bit, n);
	if (changed) {
		region->run_from = 0;
		region->run_taken = PAGE_BIT_NONE;
	}
	return bit;
}

/* What is free is found. */
static size_t take_one_locked(struct pagealloc *pa, struct page_region *region)
{
	size_t bit = page_search_one(region);

	mm_lock_assert_held(&pa->lock);
	page_region_take(region, bit, 1);
	region->first_free = bit + 1;
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
	if (!page_region_take(region, bit, n))
		return n == 1 ? take_one_locked(pa, region) : take_run_locked(pa, region, n, irq);
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

	if (n == 0)
		return SLATE_PFN_NONE;
	if (n > PAGEALLOC_SHORT)
		return pagealloc_alloc_long(pa, n, fit);
	irq = mm_lock_acquire(&pa->lock);
	pauses = pa->pauses;
	region = pagealloc_left_locked(pa, fit && fit->reserve) >= n ? pagealloc_regions(pa) : NULL;
	for (; region; region = pagealloc_next(region)) {
		if (region->free_pages < n || (fit && fit->stays && region->removable))
			continue;
		/* what is told of earlier runs is not meant */
		region->zero_bit = PAGE_BIT_NONE;
		if (!fit || pagealloc_fit_is_plain(fit, region))
			bit = take_plain_locked(pa, region, n, &irq);
		else
			bit = take_fit_locked(pa, region, n, fit, &irq);
		if (bit != PAGE_BIT_NONE) {
			count_sub(&pa->free_pages, n);
			if (fit && fit->known_zero)
				*fit->known_zero =
					region->zero_bit == bit && region->zero_taken == n;
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
	if (n > PAGEALLOC_SHORT)
		return pagealloc_alloc_at_long(pa, pfn, n);
	irq = mm_lock_acquire(&pa->lock);
	region = pagealloc_recent_locked(pa, pfn);
	taken = region && region != pa->isolated && page_region_holds(region, pfn, n) &&
		(page_region_has_room(region, pfn.v - region->origin, n) ||
		 pagealloc_make_room_locked(pa, region, pfn.v - region->origin, n, &irq)) &&
		page_region_take(region, pfn.v - region->origin, n);
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
		struct page_region *region = pagealloc_region_of_locked(pa, pfn_add(pfn, done));
		size_t bit, end, stop;

		if (!region)
			break;
		bit = page_region_bit(region, pfn_add(pfn, done));
		end = n - done < region->end_bit - bit ? bit + n - done : region->end_bit;
		stop = bitmap_next_zero(region->bitmap, bit, end);
		done += stop - bit;
		if (stop < end)
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

		/* of a run in one region that is done with already */
		while (!page_region_has_room(region, bit, here))
			page_region_settle_one(region);
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
							     size_t n, unsigned long *irq)
{
	struct page_region *region = pagealloc_region_of_locked(pa, pfn);
	size_t taken;

	/* whether the region stays is no matter: it takes frames back all the same */
	if (region && page_region_holds(region, pfn, n) &&
	    !page_region_has_room(region, pfn.v - region->origin, n))
		pagealloc_make_room_locked(pa, region, pfn.v - region->origin, n, irq);
	taken = count_taken_locked(pa, pfn, n);
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
	if (n > PAGEALLOC_SHORT)
		return pagealloc_free_long(pa, pfn, n);
	irq = mm_lock_acquire(&pa->lock);
	region = pa->recent;
	if (region && page_region_holds(region, pfn, n) &&
	    page_region_give(region, pfn.v - region->origin, n)) {
		count_add(&pa->free_pages, n);
		pagealloc_note_given_locked(pa, region);
	} else {
		n = free_anywhere_locked(pa, pfn, n, &irq);
	}
	mm_lock_release(&pa->lock, irq);
	return n;
}
