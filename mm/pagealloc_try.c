/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_try.c (level 3) - runs of frames for callers who cannot wait, not even for this lock:
 * an NMI may have interrupted who holds it.
 *
 * A lock hold does as much as any other, and what it leaves unfinished is nobody's: the tree is
 * brought up to date chunk by chunk, and a search under constraints goes on from a frame's number.
 * No region has to remember that a search stands in it, for whoever lets go of the lock here may
 * find it busy for ever after.
 */
#include "mm/page_search.h"
#include "mm/pagealloc_node.h"

/* Lock holds of one request. */
#define TRIES 32u

struct attempt {
	size_t n;
	struct page_fit fit;
	bool tree;   /* not near the hints */
	bool again;  /* another lock hold may find what this one has not */
	size_t past; /* frame numbers: regions below are done with; */
	size_t open; /* and where a search under constraints stands, as in struct page_search; */
	size_t next; /* 0: at the beginning */
};

/* Each of the three is work enough for one lock hold: near the hints, the tree's arrears, the tree.
 */
static size_t find_plain(struct attempt *attempt, struct page_region *region)
{
	size_t bit;

	if (attempt->n == 1)
		return page_search_one(region);
	if (!attempt->tree) {
		bit = page_search_near(region, attempt->n);
		attempt->tree = attempt->again = bit == PAGE_BIT_NONE;
		return bit;
	}
	attempt->again = page_region_settle_one(region);
	if (attempt->again)
		return PAGE_BIT_NONE;
	bit = page_search_tree(region, attempt->n);
	if (bit == PAGE_BIT_NONE)
		page_search_failed(region, attempt->n);
	return bit;
}

/* On from where the last lock hold has left it, if that was in this region: it was the first one
 * with room. */
static void resume(const struct attempt *attempt, struct page_search *search)
{
	size_t origin = search->region->origin;

	if (attempt->next <= origin || attempt->next - origin < search->bit ||
	    attempt->next - origin >= search->end)
		return;
	search->bit = attempt->next - origin;
	search->open = attempt->open - origin;
}

static size_t find_fit(struct attempt *attempt, struct page_region *region)
{
	enum page_search_result result;
	struct page_search search;

	if (!page_search_begin(&search, region, attempt->n, &attempt->fit))
		return PAGE_BIT_NONE;
	resume(attempt, &search);
	result = page_search_step(&search);
	if (result == PAGE_SEARCH_FOUND)
		return search.from;
	attempt->again = result == PAGE_SEARCH_MORE;
	attempt->open = region->origin + search.open;
	attempt->next = region->origin + search.bit;
	return PAGE_BIT_NONE;
}

/* It was found free in this lock hold. */
static bool take(struct attempt *attempt, struct page_region *region, size_t bit, bool plain)
{
	size_t n = attempt->n;
	bool *known_zero = attempt->fit.known_zero;

	if (!page_region_has_room(region, bit, n)) {
		attempt->again = page_region_settle_one(region);
		return false;
	}
	/* what is told of earlier runs is not meant */
	region->zero_bit = PAGE_BIT_NONE;
	if (!page_region_take(region, bit, n))
		return false;
	if (plain && n == 1)
		region->first_free = bit + 1;
	else if (plain)
		page_search_found(region, bit, n);
	if (known_zero)
		*known_zero = region->zero_bit == bit && region->zero_taken == n;
	return true;
}

/* One region's turn. */
static pfn_t try_region_locked(struct pagealloc *pa, struct attempt *attempt,
			       struct page_region *region)
{
	bool plain = pagealloc_fit_is_plain(&attempt->fit, region);
	size_t bit = plain ? find_plain(attempt, region) : find_fit(attempt, region);

	mm_lock_assert_held(&pa->lock);
	if (bit != PAGE_BIT_NONE && take(attempt, region, bit, plain)) {
		count_sub(&pa->free_pages, attempt->n);
		return page_region_pfn(region, bit);
	}
	if (bit != PAGE_BIT_NONE && !attempt->again) {
		/* what was passed in an earlier lock hold is taken by now */
		attempt->open = attempt->next = region->origin + bit;
		attempt->again = true;
	}
	if (!attempt->again) {
		attempt->past = region->base + region->pages;
		attempt->again = pagealloc_next(region) != NULL;
		attempt->tree = false;
	}
	return SLATE_PFN_NONE;
}

static pfn_t attempt_locked(struct pagealloc *pa, struct attempt *attempt)
{
	struct page_region *region = pagealloc_regions(pa);

	mm_lock_assert_held(&pa->lock);
	attempt->again = false;
	if (pagealloc_left_locked(pa, attempt->fit.reserve) < attempt->n)
		return SLATE_PFN_NONE;
	while (region && (region->base < attempt->past || region->free_pages < attempt->n ||
			  (attempt->fit.stays && region->removable)))
		region = pagealloc_next(region);
	return region ? try_region_locked(pa, attempt, region) : SLATE_PFN_NONE;
}

pfn_t pagealloc_try_alloc(struct pagealloc *pa, size_t n, const struct page_fit *fit)
{
	struct attempt attempt = {.n = n, .fit = fit ? *fit : (struct page_fit){.min = {0}}};
	pfn_t pfn = SLATE_PFN_NONE;
	unsigned long irq;

	if (n == 0 || n > PAGEALLOC_SHORT)
		return pfn;
	for (unsigned i = 0; i < TRIES; i++) {
		if (!mm_lock_try(&pa->lock, &irq))
			break;
		pfn = attempt_locked(pa, &attempt);
		mm_lock_release(&pa->lock, irq);
		if (!attempt.again)
			break;
	}
	return pfn;
}
