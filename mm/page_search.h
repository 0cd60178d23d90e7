/* SPDX-License-Identifier: MIT */
/*
 * page_search.h (level 3) - the first free run of a region that fits.
 */
#ifndef MM_PAGE_SEARCH_H
#define MM_PAGE_SEARCH_H

#include "mm/page_region.h"
#include "mm/pagealloc.h"

/* Where a search for n frames may begin: no run of n begins below. At most end_bit. */
static inline size_t page_search_hint(const struct page_region *region, size_t n)
{
	size_t from = region->first_free;

	return n >= region->run_pages && region->run_from > from ? region->run_from : from;
}

/* The lowest run of n was found and taken, at bit. */
static inline void page_search_found(struct page_region *region, size_t bit, size_t n)
{
	region->run_pages = n;
	region->run_taken = bit;
	region->run_from = bit + n;
	region->run_callers = PAGE_BIT_NONE;
}

/* There is none, so that the next request for it need not look. */
void page_search_failed(struct page_region *region, size_t n);

/* Lowest free frame; free_pages > 0. */
size_t page_search_one(const struct page_region *region);

/*
 * Lowest free run of n >= 2 frames, or PAGE_BIT_NONE: from the bitmap at the hint, in this chunk
 * and what runs over into the next; from the tree, which is brought up to date, anywhere.
 */
size_t page_search_near(struct page_region *region, size_t n);
size_t page_search_tree(struct page_region *region, size_t n);

/* A search under constraints, in steps of bounded work, between which the lock may be released. */
struct page_search {
	struct page_region *region;
	size_t n;
	size_t align;     /* power of two, in frames */
	size_t boundary;  /* power of two, 0: none */
	size_t end;       /* the run ends at or below this bit */
	size_t from;      /* a place; no run that fits began below it */
	size_t bit;       /* where the search stands */
	size_t open;      /* the free frames that end there begin here */
	bitword_t starts; /* places within any word, as far as they repeat in each */
	bool plain;       /* every bit is a place */
};

enum page_search_result {
	PAGE_SEARCH_FOUND, /* from is the run */
	PAGE_SEARCH_NONE,
	PAGE_SEARCH_MORE, /* step again */
};

/* n >= 1. False when nothing in the region can fit, or fit contradicts itself. */
bool page_search_begin(struct page_search *search, struct page_region *region, size_t n,
		       const struct page_fit *fit);

/* When the lock was open, frames that were passed may be taken meanwhile: the caller looks. */
enum page_search_result page_search_step(struct page_search *search);

/* The run that was found is taken by now: go on from there. */
static inline void page_search_again(struct page_search *search)
{
	search->open = search->bit = search->from;
}

#endif
