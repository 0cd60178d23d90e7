/* SPDX-License-Identifier: MIT */
/*
 * pagealloc.h (level 3) - the frames of one NUMA node: a bitmap with a radix tree of summaries per populated region.
 * First fit by address for any number of frames, with alignment, limits and boundaries. One spinlock a node.
 * Idea: Go's mpagealloc (max run, run at start, run at end), LLFree's chunks.
 */
#ifndef MM_PAGEALLOC_H
#define MM_PAGEALLOC_H

#include "mm/lockrank.h"

struct page_region; /* one contiguous populated range and its tree; private */

struct pagealloc {
	struct mm_lock lock;
	struct page_region *regions; /* (lock) ascending by address */
	size_t region_count;         /* (lock) */
	size_t total_pages;          /* (lock) in all regions */
	size_t free_pages;           /* (lock) written; (a) read relaxed by statistics */
	unsigned node;               /* (const) */
};

/* What a run must satisfy; all in frames. Zeroes: no constraint. */
struct page_fit {
	pfn_t min;              /* lowest first frame */
	pfn_t end;              /* the run ends at or below; v == 0: no limit */
	size_t align_pages;     /* power of two; 0 or 1: any */
	size_t boundary_pages;  /* power of two that the run does not cross; 0: none */
};

void pagealloc_init(struct pagealloc *pa, unsigned node);

/* Metadata bytes for a region of that many frames: its header, bitmap and summaries. */
size_t pagealloc_region_bytes(size_t pages);

/*
 * Add [pfn, pfn + pages), all free, with metadata of pagealloc_region_bytes(pages), cache-line aligned, undefined contents. Returns false when
 * it overlaps a region of this node. No run ever crosses from one region into another.
 */
bool pagealloc_add(struct pagealloc *pa, pfn_t pfn, size_t pages, void *metadata);

/* Lowest run of n frames that fits (fit may be NULL), or SLATE_PFN_NONE. n >= 1. */
pfn_t pagealloc_alloc(struct pagealloc *pa, size_t n, const struct page_fit *fit);

/* Exactly these frames: true only if all were free. */
bool pagealloc_alloc_at(struct pagealloc *pa, pfn_t pfn, size_t n);

/* Up to n single frames, lowest first, ascending into out; returns how many. One lock hold, bounded work. */
size_t pagealloc_alloc_batch(struct pagealloc *pa, pfn_t *out, size_t n);

/*
 * Free n frames, all or nothing: returns n, or the index of the first frame that is not an allocated one of this node (then
 * nothing changed).
 */
size_t pagealloc_free(struct pagealloc *pa, pfn_t pfn, size_t n);

/* Free single frames, in ascending order for speed; returns how many were freed; the first bad one goes to *bad (else NONE), the rest is freed. */
size_t pagealloc_free_batch(struct pagealloc *pa, const pfn_t *pfns, size_t n, pfn_t *bad);

/* Does this node hold pfn? Is it allocated? */
bool pagealloc_contains(struct pagealloc *pa, pfn_t pfn);
bool pagealloc_is_allocated(struct pagealloc *pa, pfn_t pfn);

/* Longest free run, in frames. */
size_t pagealloc_largest(struct pagealloc *pa);

/* Call fn for each region, or each maximal free run, in ascending order, under the lock (fn must not allocate). */
void pagealloc_for_each_region(struct pagealloc *pa, void (*fn)(pfn_t pfn, size_t pages, void *arg), void *arg);
void pagealloc_for_each_free(struct pagealloc *pa, void (*fn)(pfn_t pfn, size_t pages, void *arg), void *arg);

/* Bitmaps against summaries against counts. NULL when consistent, else static text that names the contradiction, and its frame in *where. */
const char *pagealloc_validate(struct pagealloc *pa, pfn_t *where);

#endif
