/* SPDX-License-Identifier: MIT */
/*
 * page_search.h (level 3) - the first free run of a region that fits.
 */
#ifndef MM_PAGE_SEARCH_H
#define MM_PAGE_SEARCH_H

#include "mm/page_region.h"
#include "mm/pagealloc.h"

/* Lowest free run of n >= 1 frames, or PAGE_BIT_NONE. */
size_t page_search_first(struct page_region *region, size_t n);

/* Take it, too, and move the hints. */
size_t page_search_take(struct page_region *region, size_t n);

/* A search under constraints, in steps of bounded work, between which the lock may be released. */
struct page_search {
	struct page_region *region;
	size_t n;
	size_t align;     /* power of two, in frames */
	size_t boundary;  /* power of two, 0: none */
	size_t end;       /* the run ends at or below this bit */
	size_t from;      /* no run that fits begins below this bit */
	size_t open;      /* lowest place in the free frames that end where the search stands */
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
enum page_search_result page_search_step(struct page_search *search);

#endif
