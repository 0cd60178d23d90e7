/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_long.c (level 3) - runs longer than a chunk: taken and given in pieces, with a lock
 * hold each, since their bits, and the summaries above them, would keep interrupts off for too
 * long.
 *
 * Between two pieces other CPUs may take a part of a run that is being taken. Then the pieces go
 * back and the search begins again. Pieces are taken in ascending order, so of those who are in
 * each other's way the one that has come furthest gets through.
 *
 * Shortcoming: who loses TRIES times over gets nothing, though there may be a run.
 */
#include "mm/page_search.h"
#include "mm/pagealloc_node.h"

#define TRIES 64u

/* Groups of chunks of this many frames lie below one node of the tree. */
_Static_assert(PAGEALLOC_PIECE % PAGE_CHUNK_PAGES == 0, "whole chunks");
_Static_assert((SUMMARY_FAN << PAGE_CHUNK_SHIFT) % PAGEALLOC_PIECE == 0, "below one node");

/*
 * The first piece of a run of n frames at bit, of its region or any number that differs from it by
 * whole nodes: a part of one chunk, or whole chunks below one node, which share their way up.
 */
static size_t piece_of(size_t bit, size_t n)
{
	size_t left = PAGE_CHUNK_PAGES - (bit & PAGE_CHUNK_MASK);

	if (left < PAGE_CHUNK_PAGES || n < PAGE_CHUNK_PAGES)
		return n < left ? n : left;
	left = PAGEALLOC_PIECE - (bit & (PAGEALLOC_PIECE - 1));
	return n < left ? n & ~PAGE_CHUNK_MASK : left;
}

static void next_hold_locked(struct pagealloc *pa, unsigned long *irq)
{
	mm_lock_assert_held(&pa->lock);
	mm_lock_release(&pa->lock, *irq);
	*irq = mm_lock_acquire(&pa->lock);
}

/* ---- Out ---- */

/* The lock is held before and after, and open between pieces; the caller keeps the region. */
static void give_pieces_locked(struct pagealloc *pa, struct page_region *region, size_t bit,
			       size_t n, unsigned long *irq)
{
	size_t piece;

	mm_lock_assert_held(&pa->lock);
	for (size_t at = 0; at < n; at += piece) {
		piece = piece_of(bit + at, n - at);
		page_region_give(region, bit + at, piece);
		count_add(&pa->free_pages, piece);
		pagealloc_note_given_locked(pa, region);
		next_hold_locked(pa, irq);
	}
}

static bool take_pieces_locked(struct pagealloc *pa, struct page_region *region, size_t bit,
			       size_t n, unsigned long *irq)
{
	bool taken = true;
	size_t piece;

	mm_lock_assert_held(&pa->lock);
	region->searches++;
	for (size_t at = 0; taken && at < n; at += piece) {
		piece = piece_of(bit + at, n - at);
		/* what came before, be it the search, had a hold of its own */
		next_hold_locked(pa, irq);
		taken = region != pa->isolated && page_region_take(region, bit + at, piece);
		if (taken)
			count_sub(&pa->free_pages, piece);
		else
			give_pieces_locked(pa, region, bit, at, irq);
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

pfn_t pagealloc_alloc_long(struct pagealloc *pa, size_t n, const struct page_fit *fit)
{
	const struct page_fit any = {.align_pages = 1};
	pfn_t pfn = SLATE_PFN_NONE;
	bool lost = true;

	for (unsigned i = 0; i < TRIES && lost && pfn_is_none(pfn); i++)
		pfn = take_first(pa, n, fit ? fit : &any, &lost);
	return pfn;
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

/*
 * A piece of n frames from pfn on, in one region: its length in *piece; how many are allocated,
 * beginning with the first. Freed if free, and if all are.
 */
static size_t one_piece(struct pagealloc *pa, pfn_t pfn, size_t n, bool free, size_t *piece)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	struct page_region *region = pagealloc_recent_locked(pa, pfn);
	size_t taken = 0;

	*piece = n;
	if (region) {
		size_t bit = pfn.v - region->origin;

		*piece = piece_of(bit, region->end_bit - bit < n ? region->end_bit - bit : n);
		if (free && page_region_give(region, bit, *piece)) {
			taken = *piece;
			count_add(&pa->free_pages, taken);
			pagealloc_note_given_locked(pa, region);
		} else {
			taken = bitmap_next_zero(region->bitmap, bit, bit + *piece) - bit;
		}
	}
	mm_lock_release(&pa->lock, irq);
	return taken;
}

/* Returns n, or the index of the first frame that is not an allocated one. */
static size_t all_pieces(struct pagealloc *pa, pfn_t pfn, size_t n, bool free)
{
	size_t piece;

	for (size_t at = 0; at < n; at += piece) {
		size_t taken = one_piece(pa, pfn_add(pfn, at), n - at, free, &piece);

		if (taken < piece)
			return at + taken;
	}
	return n;
}

/* All are looked at before any is freed. What a second owner frees meanwhile is found, but late. */
size_t pagealloc_free_long(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	size_t taken = all_pieces(pa, pfn, n, false);

	return taken == n ? all_pieces(pa, pfn, n, true) : taken;
}
