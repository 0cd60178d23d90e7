/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_long.c (level 3) - runs so long that their bits alone would keep interrupts off for
 * too long: taken and given in pieces, with a lock hold each.
 *
 * Between two pieces other CPUs may take a part of a run that is being taken. Then the pieces go
 * back and the search begins again; the last try is made in one lock hold, for somebody must win.
 */
#include "mm/page_search.h"
#include "mm/pagealloc_node.h"

#define TRIES 4u

static size_t piece_of(size_t n)
{
	return n < PAGEALLOC_PIECE ? n : PAGEALLOC_PIECE;
}

/* ---- Out ---- */

/* The lock is held before and after, and open between pieces; the caller keeps the region. */
static void give_pieces_locked(struct pagealloc *pa, struct page_region *region, size_t bit,
			       size_t n, unsigned long *irq)
{
	mm_lock_assert_held(&pa->lock);
	for (size_t at = 0; at < n; at += PAGEALLOC_PIECE) {
		size_t piece = piece_of(n - at);

		page_region_give(region, bit + at, piece);
		count_add(&pa->free_pages, piece);
		pagealloc_note_given_locked(pa, region);
		mm_lock_release(&pa->lock, *irq);
		*irq = mm_lock_acquire(&pa->lock);
	}
}

static bool take_pieces_locked(struct pagealloc *pa, struct page_region *region, size_t bit,
			       size_t n, unsigned long *irq)
{
	bool taken = true;

	mm_lock_assert_held(&pa->lock);
	region->searches++;
	for (size_t at = 0; taken && at < n; at += PAGEALLOC_PIECE) {
		size_t piece = piece_of(n - at);

		taken = region != pa->isolated && page_region_take(region, bit + at, piece);
		if (!taken) {
			give_pieces_locked(pa, region, bit, at, irq);
			break;
		}
		count_sub(&pa->free_pages, piece);
		mm_lock_release(&pa->lock, *irq);
		*irq = mm_lock_acquire(&pa->lock);
	}
	region->searches--;
	return taken;
}

/* As the search of pagealloc_alloc(), but nothing is taken yet. */
static size_t find_locked(struct pagealloc *pa, struct page_region *region, size_t n,
			  const struct page_fit *fit, unsigned long *irq)
{
	struct page_search search;
	enum page_search_result result;

	mm_lock_assert_held(&pa->lock);
	if (!page_search_begin(&search, region, n, fit))
		return PAGE_BIT_NONE;
	while ((result = page_search_step(&search)) == PAGE_SEARCH_MORE) {
		if (!pagealloc_pause_locked(pa, region, irq))
			return PAGE_BIT_NONE;
	}
	return result == PAGE_SEARCH_FOUND ? search.from : PAGE_BIT_NONE;
}

/* One try. *lost: there was a run, but others took a part of it. */
static pfn_t take_first(struct pagealloc *pa, size_t n, const struct page_fit *fit, bool *lost)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	pfn_t pfn = SLATE_PFN_NONE;

	*lost = false;
	struct page_region *region =
		pagealloc_left_locked(pa, fit->reserve) >= n ? pagealloc_regions(pa) : NULL;

	for (; region && pfn_is_none(pfn); region = pagealloc_next(region)) {
		size_t bit;

		if (region->free_pages < n || (fit->stays && region->removable))
			continue;
		bit = find_locked(pa, region, n, fit, &irq);
		if (bit == PAGE_BIT_NONE)
			continue;
		if (take_pieces_locked(pa, region, bit, n, &irq))
			pfn = page_region_pfn(region, bit);
		else
			*lost = true;
	}
	mm_lock_release(&pa->lock, irq);
	return pfn;
}

bool pagealloc_alloc_long(struct pagealloc *pa, size_t n, const struct page_fit *fit, pfn_t *pfn)
{
	const struct page_fit any = {.align_pages = 1};
	bool lost = true;

	for (unsigned i = 0; i < TRIES && lost; i++) {
		*pfn = take_first(pa, n, fit ? fit : &any, &lost);
		if (!pfn_is_none(*pfn))
			return true;
	}
	return !lost;
}

bool pagealloc_alloc_at_long(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	struct page_region *region = pagealloc_recent_locked(pa, pfn);
	bool taken = region && region != pa->isolated && page_region_holds(region, pfn, n) &&
		     take_pieces_locked(pa, region, pfn.v - region->origin, n, &irq);

	mm_lock_release(&pa->lock, irq);
	return taken;
}

/* ---- In ---- */

/* All are looked at before any is freed. What a second owner frees meanwhile is found, but late. */
size_t pagealloc_free_long(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	for (size_t at = 0; at < n; at += PAGEALLOC_PIECE) {
		size_t piece = piece_of(n - at);
		unsigned long irq = mm_lock_acquire(&pa->lock);
		size_t taken = pagealloc_count_taken_locked(pa, pfn_add(pfn, at), piece);

		mm_lock_release(&pa->lock, irq);
		if (taken < piece)
			return at + taken;
	}
	for (size_t at = 0; at < n; at += PAGEALLOC_PIECE) {
		size_t piece = piece_of(n - at);
		size_t freed = pagealloc_free(pa, pfn_add(pfn, at), piece);

		if (freed < piece)
			return at + freed;
	}
	return n;
}
