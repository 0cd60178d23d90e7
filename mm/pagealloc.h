/* SPDX-License-Identifier: MIT */
/*
 * pagealloc.h (level 3) - the frames of one NUMA node: a bitmap with a radix tree of summaries per
 * populated region. First fit by address for any number of frames, with alignment, limits and
 * boundaries. One spinlock a node. Idea: Go's mpagealloc (max run, run at start, run at end),
 * LLFree's chunks.
 */
#ifndef MM_PAGEALLOC_H
#define MM_PAGEALLOC_H

#include <stdatomic.h>

#include "mm/lockrank.h"

struct page_region; /* one contiguous populated range and its tree; private */

struct pagealloc {
	struct mm_lock lock;
	struct page_region *regions;  /* (lock) ascending by address */
	struct page_region *isolated; /* (lock) is being removed: takes frames back, serves none */
	struct page_region *recent;   /* (lock) where the last free was */
	struct page_region *start;    /* (lock) hint: lower ones have no run of start_pages; or NULL
				       */
	size_t start_pages;           /* (lock) */
	size_t pauses;                /* (lock) how often a search opened the lock */
	size_t region_count;          /* (lock) */
	_Atomic size_t total_pages;   /* (lock) written; (a) read relaxed by statistics */
	_Atomic size_t free_pages; /* likewise; the sum of the regions', released ones among them */
	_Atomic size_t keep_pages; /* likewise; the reserve */
	unsigned node;             /* (const) */
};

/* What a run must satisfy; all in frames. Zeroes: no constraint. */
struct page_fit {
	pfn_t min;             /* lowest first frame */
	pfn_t end;             /* the run ends at or below; v == 0: no limit */
	size_t align_pages;    /* power of two; 0 or 1: any */
	size_t boundary_pages; /* power of two that the run does not cross; 0: none */
	bool stays;            /* for good: not out of regions that may be removed */
	bool reserve;          /* may take the last keep_pages frames of the node, too */
	bool *known_zero;      /* NULL, or is told whether the whole run reads as zero */
};

void pagealloc_init(struct pagealloc *pa, unsigned node);

/* Most frames of one region; longer ranges are added in pieces. */
#define PAGEALLOC_REGION_MAX ((size_t)1 << 31)

/*
 * Metadata bytes for a region of that many frames: its header, bitmap and summaries. SIZE_MAX above
 * PAGEALLOC_REGION_MAX.
 */
size_t pagealloc_region_bytes(size_t pages);

/*
 * Add [pfn, pfn + pages), all free, with metadata of pagealloc_region_bytes(pages), cache-line
 * aligned, undefined contents. Returns false, and the metadata is the caller's again, when the
 * range is empty, too long, wraps, or overlaps a region of this node. No run ever crosses from one
 * region into another. Metadata is written before the lock is taken.
 */
bool pagealloc_add(struct pagealloc *pa, pfn_t pfn, size_t pages, void *metadata);

/* The same for a region that pagealloc_remove() may take away. */
bool pagealloc_add_removable(struct pagealloc *pa, pfn_t pfn, size_t pages, void *metadata);

/*
 * The region that holds pfn serves no request from now on; frames that come back are taken. Until
 * pagealloc_restore() or pagealloc_remove(); one at a time, the caller serialises. False when there
 * is none.
 */
bool pagealloc_isolate(struct pagealloc *pa, pfn_t pfn);
void pagealloc_restore(struct pagealloc *pa);

/*
 * Forget the isolated region: its metadata is the caller's again. False, and nothing happens, while
 * frames of it are allocated or a search stands in it.
 */
bool pagealloc_remove(struct pagealloc *pa);

/*
 * The first allocated run of the isolated region in [from, end), cut there; *pages 0 and the place
 * to go on when the next few thousand frames are free. Bounded work.
 */
pfn_t pagealloc_isolated_taken(struct pagealloc *pa, pfn_t from, pfn_t end, size_t *pages);

/* Only fits that say so may leave fewer than that many frames free. */
void pagealloc_keep(struct pagealloc *pa, size_t pages);

/*
 * Lowest run of n frames that fits (fit may be NULL), or SLATE_PFN_NONE; also for n == 0 and for a
 * fit that contradicts itself. Under constraints that many free runs miss, the lock is opened
 * between steps of the search: then "lowest" means as each place was when the search passed it.
 */
pfn_t pagealloc_alloc(struct pagealloc *pa, size_t n, const struct page_fit *fit);

/*
 * The same for any context, n up to a chunk (512): the lock is tried only, and so much is looked at
 * as a few lock holds allow. So a run may be there when the answer is SLATE_PFN_NONE.
 */
pfn_t pagealloc_try_alloc(struct pagealloc *pa, size_t n, const struct page_fit *fit);

/* Exactly these frames: true only if all were free, in one region. */
bool pagealloc_alloc_at(struct pagealloc *pa, pfn_t pfn, size_t n);

/*
 * Up to n single frames, lowest first, ascending into out; returns how many. One lock hold, bounded
 * work: where free frames are scattered, or few above the reserve, they may be fewer than n, but
 * are none only when none is free there.
 */
size_t pagealloc_alloc_batch(struct pagealloc *pa, pfn_t *out, size_t n);

/* An aligned group of 64 frames: bit i stands for frame base + i. */
#define PAGE_GROUP_PAGES 64u

struct page_group {
	pfn_t base;        /* a multiple of PAGE_GROUP_PAGES */
	uint64_t free;     /* these are meant */
	uint64_t released; /* of these, they were given back to the machine's owner before */
};

/*
 * All free frames of the lowest group that has any, as far as they are above the reserve. Returns
 * how many; 0, and nothing is written: there are none. One lock hold.
 */
size_t pagealloc_alloc_to_cache(struct pagealloc *pa, struct page_group *group);

/*
 * Free the frames of a group, at least one, released ones as released. Returns how many were
 * allocated ones of this node; the others stay as they are. One lock hold.
 */
size_t pagealloc_free_group(struct pagealloc *pa, const struct page_group *group);

/*
 * Free n frames, any part of any runs, all or nothing: returns n, or the index of the first frame
 * that is not an allocated one of this node (then nothing changed). The lock is opened within runs
 * above 2 MiB: what somebody else frees of them meanwhile can end the call half way.
 */
size_t pagealloc_free(struct pagealloc *pa, pfn_t pfn, size_t n);

/*
 * Free single frames, in ascending order for speed; returns how many were freed. The first that was
 * not an allocated frame of this node goes to *bad (else NONE), the others are freed. The lock is
 * opened between groups of frames.
 */
size_t pagealloc_free_batch(struct pagealloc *pa, const pfn_t *pfns, size_t n, pfn_t *bad);

/* ---- Frames that are given back to whoever owns the machine (pagealloc_release.c) ---- */

/* A walk over idle runs, which are free and not released, from the highest down. */
struct page_idle {
	size_t top; /* frames below it are still to be looked at; SIZE_MAX at first, 0: done */
	size_t min_pages; /* shorter runs are passed over; at most PAGE_CHUNK_PAGES */
	size_t max_pages; /* of longer ones only the end is taken; 0: all */
	bool dirty;       /* frames that are known to be zero are passed over, too */
};

/*
 * Allocate the next idle run of the walk, at most a chunk of 2 MiB and never across two: returns
 * its length. 0: none was found so far; the walk goes on unless its top is 0. The node's reserve
 * stays. One lock hold, bounded work.
 */
size_t pagealloc_take_idle(struct pagealloc *pa, struct page_idle *idle, pfn_t *pfn);

/* Free such a run as released. False, and nothing changes, when it is not allocated as a whole. */
bool pagealloc_give_released(struct pagealloc *pa, pfn_t pfn, size_t n);

/* The same with what is known of the frames: as given back, as zero. */
#define PAGE_MARK_RELEASED 1u
#define PAGE_MARK_ZERO     2u
bool pagealloc_give_marked(struct pagealloc *pa, pfn_t pfn, size_t n, unsigned marks);

/*
 * One frame that reads as zero, out of the regions that end at or below end; SLATE_PFN_NONE when
 * none was found: it may be there. The reserve stays. One lock hold, bounded work.
 */
pfn_t pagealloc_alloc_zeroed(struct pagealloc *pa, pfn_t end);

/* How many of the free frames are known to read as zero. */
size_t pagealloc_zeroed(struct pagealloc *pa);

/* How many of the free frames are released. */
size_t pagealloc_released_locked(struct pagealloc *pa);
size_t pagealloc_released(struct pagealloc *pa);

/* Does this node hold pfn? */
bool pagealloc_contains(struct pagealloc *pa, pfn_t pfn);

/* The bounds of the region that holds pfn; false when none does. */
bool pagealloc_bounds(struct pagealloc *pa, pfn_t pfn, pfn_t *start, size_t *pages);

/* Is it a frame of this node, and allocated? */
bool pagealloc_is_allocated(struct pagealloc *pa, pfn_t pfn);

/* Longest free run, in frames. */
size_t pagealloc_largest(struct pagealloc *pa);

/*
 * Call fn for each region, or each maximal free run, in ascending order, under the lock (fn must
 * not allocate). Time under the lock grows with the node's size; so it does in
 * pagealloc_validate().
 */
void pagealloc_for_each_region(struct pagealloc *pa, void (*fn)(pfn_t pfn, size_t pages, void *arg),
			       void *arg);
void pagealloc_for_each_free(struct pagealloc *pa, void (*fn)(pfn_t pfn, size_t pages, void *arg),
			     void *arg);

struct pagealloc_count {
	size_t pages;    /* this node's frames in the range */
	size_t free;     /* of these, released ones among them */
	size_t released; /* of these */
};

/* Count the frames of [pfn, pfn + pages), at most a chunk (512), under one lock hold. */
struct pagealloc_count pagealloc_count(struct pagealloc *pa, pfn_t pfn, size_t pages);

/* Frames that are all free, all released or all allocated. */
struct pagealloc_run {
	size_t pages; /* 0: the first one is not this node's */
	bool free;
	bool released; /* and free */
};

/* What pfn and its followers, at most pages of them and at most a chunk (512), are; one lock hold.
 */
struct pagealloc_run pagealloc_run_at(struct pagealloc *pa, pfn_t pfn, size_t pages);

/*
 * Bitmaps against summaries against counts against hints. NULL when consistent, else static text
 * that names the contradiction, and its frame in *where.
 */
const char *pagealloc_validate(struct pagealloc *pa, pfn_t *where);

#endif
