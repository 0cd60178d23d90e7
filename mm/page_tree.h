/* SPDX-License-Identifier: MIT */
/*
 * page_tree.h (level 3) - what stands above the bitmap of a region: summaries, level upon level,
 * which lead to a run; and a bitmap of the chunks that hold any free frame at all, with a bitmap
 * of its words and so on, which leads to a single frame in fewer steps.
 *
 * A bit there may be one without need, for a chunk that the owner said he would change.
 */
#ifndef MM_PAGE_TREE_H
#define MM_PAGE_TREE_H

#include "mm/page_summary.h"

/* 2^31 frames and unaligned ends: 2^22 + 1 leaves, in eight levels up to 3 nodes. */
#define PAGE_TREE_CHUNKS_MAX (((size_t)1 << 22) + 1)
#define PAGE_TREE_LEVELS     8u

/* The same in bitmaps of 32-bit words, up to one word. */
#define PAGE_TREE_SOME_LEVELS 5u

struct page_tree {
	unsigned levels;                              /* (c) 1 .. PAGE_TREE_LEVELS */
	unsigned some_levels;                         /* (c) 1 .. PAGE_TREE_SOME_LEVELS */
	size_t nodes[PAGE_TREE_LEVELS];               /* (c) of each level, leaves first */
	struct page_summary *level[PAGE_TREE_LEVELS]; /* zeros up to a multiple of the fan */
	bitword_t *some[PAGE_TREE_SOME_LEVELS];       /* each with a word of zeros behind it */
};

/* log2 of the frames below a node of that level. */
static inline unsigned page_level_shift(unsigned level)
{
	return PAGE_CHUNK_SHIFT + SUMMARY_FAN_SHIFT * level;
}

size_t page_tree_bytes(size_t chunks);

/* Lay the tree out in memory, which is aligned to a cache line; all frames allocated. */
void page_tree_init(struct page_tree *tree, void *memory, size_t chunks);

/* The bits of chunks [start, end) were changed. */
void page_tree_update(struct page_tree *tree, const bitword_t *bitmap, size_t start, size_t end);

/* The bits of a chunk will change before the next update of it. */
void page_tree_note(struct page_tree *tree, size_t chunk);

/* The first chunk at or above this one that may hold a free frame, or SIZE_MAX. */
size_t page_tree_next_some(const struct page_tree *tree, size_t chunk);

/* Longest free run. */
size_t page_tree_largest(const struct page_tree *tree);

#endif
