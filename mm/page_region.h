/* SPDX-License-Identifier: MIT */
/*
 * page_region.h (level 3) - one contiguous populated range of frames: a bitmap, and above it a
 * tree of summaries.
 *
 * Bits are counted from the origin, which is the first frame rounded down to a chunk: a chunk is
 * 2 MiB of physical memory, aligned. Bits outside [first_bit, end_bit) are ones for ever.
 *
 * The tree lags behind the bitmap: the two chunks that were changed last are stale in it
 * ("pending") until a search needs the tree or another chunk changes. Most requests are served at
 * the hints, from the bitmap alone, and pay for no tree at all.
 *
 * Two hints say where a search may begin. Below first_free no frame is free. Below run_from no
 * free run of run_pages frames begins; it follows the last length that was asked for. Taking
 * frames never makes a hint wrong, giving frames lowers it.
 *
 * Bounds: a request settles one chunk at most, which changes one path of the tree, and a search
 * goes down one; a path has at most PAGE_TREE_LEVELS levels of SUMMARY_FAN nodes. Only the bits of
 * a run cost more with its length: longer ones than a chunk come and go in pieces
 * (pagealloc_long.c).
 *
 * A second bitmap tells which of the free frames were given back to whoever owns the machine
 * (pagealloc_release.c). To take one makes it an ordinary frame again, whoever takes it; while
 * there are none of them, that costs a test.
 *
 *   a frame is a one in bitmap, or in released, or in neither
 *   released_pages = ones of released
 *   zero_pages = ones of zeroed, all of them frames that are free (pagealloc_zero.c)
 *
 * No function here takes a lock; the caller holds the node's.
 */
#ifndef MM_PAGE_REGION_H
#define MM_PAGE_REGION_H

#include <slate/types.h>

#include "mm/page_tree.h"
#include "mm/pagealloc.h"

/* No bit. */
#define PAGE_BIT_NONE SIZE_MAX

struct page_region {
	size_t free_pages;     /* (lock) zeros of the bitmap, released ones among them */
	size_t released_pages; /* (lock) */
	size_t zero_pages;     /* (lock) */
	size_t marks;          /* (lock) released_pages + zero_pages */
	size_t zero_top;       /* (lock) hint: no frame from this bit on is known to be zero */
	size_t zero_bit;       /* (lock) where the last run with marks began, and how many of its */
	size_t zero_taken;     /* (lock) frames were known to be zero */
	size_t first_free;     /* (lock) hint, at most end_bit */
	size_t run_from;       /* (lock) hint, at most end_bit */
	size_t run_pages;      /* (lock) */
	size_t run_taken;      /* (lock) the run that set run_from begins here */
	size_t pending[2];     /* (lock) chunks that are stale in the tree; SIZE_MAX: none */
	size_t run_callers;    /* (lock) the same if it went to a caller of frames, or PAGE_BIT_NONE
				*/
	unsigned searches;     /* (lock) that stand in it while the lock is open */

	bitword_t *bitmap;        /* (c) ones are allocated frames */
	bitword_t *released;      /* (lock) the words; ones are given back */
	bitword_t *zeroed;        /* (lock) the words; ones are free and read as zero */
	size_t base;              /* (c) the first frame's number */
	size_t pages;             /* (c) */
	size_t origin;            /* (c) frame number of bit 0 */
	size_t first_bit;         /* (c) base - origin */
	size_t end_bit;           /* (c) first_bit + pages */
	bool removable;           /* (c) holds nothing that stays for good, while others can */
	struct page_region *next; /* (lock) ascending address */
	struct page_tree tree;    /* (lock) */
};

static inline pfn_t page_region_pfn(const struct page_region *region, size_t bit)
{
	return (pfn_t){region->origin + bit};
}

/* The bit of a frame, or PAGE_BIT_NONE for a frame of elsewhere. */
static inline size_t page_region_bit(const struct page_region *region, pfn_t pfn)
{
	return pfn.v - region->base < region->pages ? pfn.v - region->origin : PAGE_BIT_NONE;
}

/* Are all n frames from pfn on the region's? */
static inline bool page_region_holds(const struct page_region *region, pfn_t pfn, size_t n)
{
	size_t at = pfn.v - region->base;

	return at < region->pages && n <= region->pages - at;
}

/* Metadata bytes for any range of that many frames; SIZE_MAX above PAGEALLOC_REGION_MAX. */
size_t page_region_bytes(size_t pages);

/* Lay a region out in metadata, all frames free. 1 <= pages <= PAGEALLOC_REGION_MAX. */
struct page_region *page_region_init(void *metadata, pfn_t pfn, size_t pages);

/* Bring the tree up to date: all of it; or one pending chunk, false if there was none. */
void page_region_settle(struct page_region *region);
bool page_region_settle_one(struct page_region *region);

/*
 * Whether [bit, bit + n) can change without a chunk being settled for it. n <= PAGE_CHUNK_PAGES.
 */
bool page_region_has_room(const struct page_region *region, size_t bit, size_t n);

/* As pagealloc_validate(), for one region; *where is a frame. Settles the tree. */
const char *page_region_check(struct page_region *region, pfn_t *where);

/* ---- Taking and giving frames ---- */

/* The general part of what stands below. */
void page_region_note(struct page_region *region, size_t first_chunk, size_t last_chunk);
bool page_region_take_words(struct page_region *region, size_t bit, size_t n);
bool page_region_give_words(struct page_region *region, size_t bit, size_t n);

/* Free [bit, bit + n), two words at least, all of them allocated; the hints are seen to. May refuse
 * as page_region_give(). */
bool page_region_clear_words(struct page_region *region, size_t bit, size_t n);

/* Frames of the words that hold [bit, bit + n) were allocated: they are no released ones now. */
void page_region_take_back(struct page_region *region, size_t bit, size_t n);

/* Some bits of one word were turned over, n of them; bit is any of its bits. */
static inline void page_region_taken(struct page_region *region, size_t bit, size_t n)
{
	size_t chunk = bit >> PAGE_CHUNK_SHIFT;

	region->free_pages -= n;
	if (region->marks)
		page_region_take_back(region, bit, 1);
	if (region->pending[0] != chunk)
		page_region_note(region, chunk, chunk);
}

static inline void page_region_given(struct page_region *region, size_t bit, size_t n)
{
	size_t chunk = bit >> PAGE_CHUNK_SHIFT;

	region->free_pages += n;
	if (region->pending[0] != chunk)
		page_region_note(region, chunk, chunk);
}

/* [bit, bit + n) was free and is allocated now, or the other way. */
static inline void page_region_hints_taken(struct page_region *region, size_t bit, size_t n)
{
	if (region->first_free - bit < n)
		region->first_free = bit + n;
}

static inline void page_region_hints_given(struct page_region *region, size_t bit, size_t n)
{
	size_t back = region->run_pages - 1;

	if (bit < region->first_free)
		region->first_free = bit;
	/*
	 * The run that moved the hint comes back whole, and nothing else lowered the hint
	 * meanwhile, so what stands before it is as short as it was: the hint is exact again.
	 * Otherwise a run that holds the bit begins run_pages - 1 earlier at most.
	 */
	if (region->run_taken == bit && back + 1 == n && region->run_from == bit + n)
		region->run_from = bit;
	else if (bit < region->run_from + back)
		region->run_from = bit < back ? 0 : bit - back;
}

/*
 * Allocate [bit, bit + n), or free it: if all of it was the other, else nothing happens and they
 * return false. n >= 1; inside the region. To keep the work bounded they refuse as well when one
 * chunk would have to be settled for a run that lies in two; not where page_region_has_room().
 */
static inline bool page_region_take(struct page_region *region, size_t bit, size_t n)
{
	size_t shift = bit & BITWORD_MASK;
	bitword_t *word = region->bitmap + (bit >> BITWORD_SHIFT);
	bitword_t mask;

	if (n > BITWORD_BITS - shift)
		return page_region_take_words(region, bit, n);
	mask = ~(bitword_t)0 >> (BITWORD_BITS - n) << shift;
	if (*word & mask)
		return false;
	*word |= mask;
	page_region_hints_taken(region, bit, n);
	page_region_taken(region, bit, n);
	return true;
}

static inline bool page_region_give(struct page_region *region, size_t bit, size_t n)
{
	size_t shift = bit & BITWORD_MASK;
	bitword_t *word = region->bitmap + (bit >> BITWORD_SHIFT);
	bitword_t mask;

	if (n > BITWORD_BITS - shift)
		return page_region_give_words(region, bit, n);
	mask = ~(bitword_t)0 >> (BITWORD_BITS - n) << shift;
	if (~*word & mask)
		return false;
	*word &= ~mask;
	page_region_hints_given(region, bit, n);
	page_region_given(region, bit, n);
	return true;
}

/*
 * Is [bit, bit + n) the run that set run_from, taken for a caller of frames, and all of it taken
 * still? Frames of it that had come back would have lowered run_from.
 */
static inline bool page_region_is_last_run(const struct page_region *region, size_t bit, size_t n)
{
	return region->run_callers == bit && region->run_pages == n && region->run_from == bit + n;
}

/* Give that run back. May refuse as page_region_give(). */
static inline bool page_region_give_last_run(struct page_region *region)
{
	size_t bit = region->run_callers;
	size_t n = region->run_pages;

	if (n <= BITWORD_BITS - (bit & BITWORD_MASK)) {
		region->bitmap[bit >> BITWORD_SHIFT] ^=
			~(bitword_t)0 >> (BITWORD_BITS - n) << (bit & BITWORD_MASK);
		page_region_given(region, bit, n);
	} else if (!page_region_clear_words(region, bit, n)) {
		return false;
	}
	if (bit < region->first_free)
		region->first_free = bit;
	region->run_from = bit;
	return true;
}

#endif
