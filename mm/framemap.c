/* SPDX-License-Identifier: MIT */
/*
 * framemap.c (level 9) - who holds which frames: bitmaps tell what is free, class bytes the rest.
 *
 * It goes by pieces of a chunk, 2 MiB, in registered arenas. Most of them are all free or all of
 * one kind; a piece costs one lock hold for each node.
 */
#include <slate/stats.h>

#include "mm/arena.h"
#include "mm/mheap.h"
#include "mm/page_summary.h"

#define PIECE_PAGES (PAGE_CHUNK_PAGES < ARENA_PAGES ? PAGE_CHUNK_PAGES : ARENA_PAGES)

static struct pagealloc_count count_piece(pfn_t pfn, size_t pages)
{
	struct pagealloc_count sum = {.pages = 0};

	for (unsigned node = 0; node < mheap_node_count() && sum.pages < pages; node++) {
		struct pagealloc_count count = pagealloc_count(&mheaps[node].pages, pfn, pages);

		sum.pages += count.pages;
		sum.free += count.free;
		sum.released += count.released;
	}
	return sum;
}

/* Where frames of that class are counted; NULL: they are not ours. */
static size_t *holder(struct slate_frame_block *block, unsigned class)
{
	if (class == PAGECLASS_NONE)
		return NULL;
	if (class == PAGECLASS_FREE)
		return &block->frame_pages;
	if (class == PAGECLASS_META)
		return &block->metadata_pages;
	if (class == PAGECLASS_STACK || class >= PAGECLASS_STACK_HEAD)
		return &block->stack_pages;
	return &block->object_pages;
}

static void add_piece(struct slate_frame_block *block, pfn_t pfn, size_t pages)
{
	struct pagealloc_count count = count_piece(pfn, pages);
	size_t before = block->frame_pages;

	block->free_pages += count.free - count.released;
	block->released_pages += count.released;
	if (count.free == pages)
		return;
	for (size_t at = 0; at < pages;) {
		unsigned class = arena_class(pfn_add(pfn, at));
		size_t run = arena_count_class(pfn_add(pfn, at), pages - at, class);
		size_t *held = holder(block, class);

		/* the byte may have changed between the two looks */
		if (run == 0)
			run = 1;
		if (held)
			*held += run;
		at += run;
	}
	/* Free frames have the same class byte as callers'. */
	if (block->frame_pages - before > count.free)
		block->frame_pages -= count.free;
	else
		block->frame_pages = before;
}

static void finish(struct slate_frame_block *block,
		   void (*fn)(const struct slate_frame_block *block, void *arg), void *arg)
{
	block->pages = block->free_pages + block->released_pages + block->object_pages +
		       block->stack_pages + block->frame_pages + block->metadata_pages;
	if (block->pages > 0)
		fn(block, arg);
}

void slate_frames_walk(size_t block_pages,
		       void (*fn)(const struct slate_frame_block *block, void *arg), void *arg)
{
	struct slate_frame_block block = {.start = {0}};
	pfn_t pfn = {0};

	if (block_pages == 0 || (block_pages & (block_pages - 1)))
		return;
	while (pfn = arena_next(pfn), !pfn_is_none(pfn)) {
		size_t piece = PIECE_PAGES - (pfn.v & (PIECE_PAGES - 1));
		size_t start = pfn.v & ~(block_pages - 1);

		if (start != block.start.v) {
			finish(&block, fn, arg);
			block = (struct slate_frame_block){.start = {start}};
		}
		if (piece > start + block_pages - pfn.v)
			piece = start + block_pages - pfn.v;
		add_piece(&block, pfn, piece);
		pfn = pfn_add(pfn, piece);
	}
	finish(&block, fn, arg);
}
