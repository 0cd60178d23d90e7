/* SPDX-License-Identifier: MIT */
/*
 * page_region.h (level 3) - one contiguous populated range of frames: a bitmap, and above it a
 * tree of summaries.
 *
 * Bits are counted from the origin, which is the first frame rounded down to a chunk: a chunk is
 * 2 MiB of physical memory, aligned. Bits outside [first_bit, end_bit) are ones for ever.
 *
 * The tree lags behind the bitmap: the chunks that were changed last, two neighbours at most, are
 * stale in it ("pending") until a search needs the tree or another chunk changes. Most requests
 * are served at the hints, from the bitmap alone, and then pay for no tree at all.
 *
 * Two hints say where a search may begin. Below first_free no frame is free. Below run_from no
 * free run of run_pages frames begins; it follows the last length that was asked for. Taking
 * frames never makes a hint wrong, giving frames lowers it.
 *
 * Bounds: a request changes one path of the tree, and a search goes down one; both are at most
 * PAGE_LEVELS_MAX levels of SUMMARY_FAN nodes. Only the bits of a run of n frames cost more with
 * n: n / 64 words and n / 512 summaries.
 *
 * No function here takes a lock; the caller holds the node's.
 */
#ifndef MM_PAGE_REGION_H
#define MM_PAGE_REGION_H

#include <stdatomic.h>

#include <slate/types.h>

#include "mm/page_summary.h"
#include "mm/pagealloc.h"

/* More frames do not fit the tree: 8 TiB. Longer ranges are added in pieces. */
#define PAGE_REGION_PAGES_MAX PAGEALLOC_REGION_MAX

/* 2^31 frames and a chunk for unaligned ends: 2^22 + 1 leaves, in eight levels down to 8 nodes. */
#define PAGE_LEVELS_MAX 8u

/* No bit. */
#define PAGE_BIT_NONE SIZE_MAX

struct page_region {
	_Atomic(struct page_region *) next; /* (a) release by pagealloc_add(); ascending address */
	size_t origin;                      /* (c) frame number of bit 0 */
	size_t first_bit;                   /* (c) */
	size_t end_bit;                     /* (c) */
	bitword_t *bitmap;                  /* (c) ones are allocated frames */

	size_t free_pages; /* (lock) zeros of the bitmap */
	size_t first_free; /* (lock) hint */
	size_t run_from;   /* (lock) hint */
	size_t run_pages;  /* (lock) */
	size_t run_taken;  /* (lock) the run that set run_from begins here */

	size_t pending;     /* (lock) chunks [pending, pending_end) are stale in the tree */
	size_t pending_end; /* (lock) */

	unsigned levels;                            /* (c) 1 .. PAGE_LEVELS_MAX */
	size_t nodes[PAGE_LEVELS_MAX];              /* (c) nodes of each level, leaves first */
	struct page_summary *tree[PAGE_LEVELS_MAX]; /* (lock) zeros up to a multiple of the fan */
};

/* log2 of the frames below a node of that level. */
static inline unsigned page_level_shift(unsigned level)
{
	return PAGE_CHUNK_SHIFT + SUMMARY_FAN_SHIFT * level;
}

static inline size_t page_region_pages(const struct page_region *region)
{
	return region->end_bit - region->first_bit;
}

static inline pfn_t page_region_pfn(const struct page_region *region, size_t bit)
{
	return (pfn_t){region->origin + bit};
}

/* The bit of a frame, or PAGE_BIT_NONE for a frame of elsewhere. */
static inline size_t page_region_bit(const struct page_region *region, pfn_t pfn)
{
	size_t bit = pfn.v - region->origin;

	return bit - region->first_bit < page_region_pages(region) ? bit : PAGE_BIT_NONE;
}

/* Metadata bytes for any range of that many frames; SIZE_MAX for more than PAGE_REGION_PAGES_MAX.
 */
size_t page_region_bytes(size_t pages);

/* Lay a region out in metadata, all frames free. 1 <= pages <= PAGE_REGION_PAGES_MAX. */
struct page_region *page_region_init(void *metadata, pfn_t pfn, size_t pages);

/* All of [bit, bit + n) free, or all of it allocated. n >= 1, inside the region. */
bool page_region_all_free(const struct page_region *region, size_t bit, size_t n);
bool page_region_all_taken(const struct page_region *region, size_t bit, size_t n);

/* Change free frames to allocated ones and back. n >= 1; the caller has checked them. */
void page_region_take(struct page_region *region, size_t bit, size_t n);
void page_region_give(struct page_region *region, size_t bit, size_t n);

/*
 * The same for some bits of one word: the n ones of mask; bit is the word's first. Taking leaves
 * first_free to the caller.
 */
void page_region_take_word(struct page_region *region, size_t bit, bitword_t mask, size_t n);
void page_region_give_word(struct page_region *region, size_t bit, bitword_t mask, size_t n);

/* Bring the tree up to date. */
void page_region_settle(struct page_region *region);

/* Longest free run. */
size_t page_region_largest(struct page_region *region);

/* As pagealloc_validate(), for one region; *where is a frame. Settles the tree. */
const char *page_region_check(struct page_region *region, pfn_t *where);

#endif
