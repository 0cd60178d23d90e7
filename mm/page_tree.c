/* SPDX-License-Identifier: MIT */
/* page_tree.c (level 3) - the tree of summaries, and the bitmaps of chunks that are not full. */
#include "mm/page_tree.h"

#include "lib/bits.h"

#define LINE_BYTES ((size_t)64)

/* ---- Layout ---- */

static size_t level_bytes(size_t nodes)
{
	return align_up(align_up(nodes, SUMMARY_FAN) * sizeof(struct page_summary), LINE_BYTES);
}

static size_t nodes_above(size_t nodes)
{
	return (nodes + SUMMARY_FAN - 1) >> SUMMARY_FAN_SHIFT;
}

static size_t some_bytes(size_t bits)
{
	return (BITMAP_WORDS(bits) + 1) * sizeof(bitword_t);
}

size_t page_tree_bytes(size_t chunks)
{
	size_t bytes = level_bytes(chunks);
	size_t bits = chunks;

	for (size_t nodes = chunks; nodes > SUMMARY_FAN;) {
		nodes = nodes_above(nodes);
		bytes += level_bytes(nodes);
	}
	for (; bits > BITWORD_BITS; bits = BITMAP_WORDS(bits))
		bytes += some_bytes(bits);
	return align_up(bytes + some_bytes(bits), LINE_BYTES);
}

static uintptr_t level_init(struct page_tree *tree, uintptr_t at, size_t nodes)
{
	struct page_summary *level = (struct page_summary *)at;

	for (size_t i = 0; i < align_up(nodes, SUMMARY_FAN); i++)
		level[i] = (struct page_summary){0, 0, 0};
	tree->nodes[tree->levels] = nodes;
	tree->level[tree->levels++] = level;
	return at + level_bytes(nodes);
}

static uintptr_t some_init(struct page_tree *tree, uintptr_t at, size_t bits)
{
	bitword_t *some = (bitword_t *)at;

	for (size_t i = 0; i <= BITMAP_WORDS(bits); i++)
		some[i] = 0;
	tree->some[tree->some_levels++] = some;
	return at + some_bytes(bits);
}

void page_tree_init(struct page_tree *tree, void *memory, size_t chunks)
{
	uintptr_t at = (uintptr_t)memory;
	size_t nodes = chunks;
	size_t bits = chunks;

	tree->levels = 0;
	tree->some_levels = 0;
	at = level_init(tree, at, nodes);
	while (nodes > SUMMARY_FAN) {
		nodes = nodes_above(nodes);
		at = level_init(tree, at, nodes);
	}
	at = some_init(tree, at, bits);
	while (bits > BITWORD_BITS) {
		bits = BITMAP_WORDS(bits);
		at = some_init(tree, at, bits);
	}
}

/* ---- Chunks with free frames ---- */

void page_tree_note(struct page_tree *tree, size_t chunk)
{
	size_t bit = chunk;

	/* where a bit is one, those above it are, too */
	for (unsigned level = 0; level < tree->some_levels; level++) {
		if (bitmap_test(tree->some[level], bit))
			return;
		bitmap_set(tree->some[level], bit);
		bit >>= BITWORD_SHIFT;
	}
}

static void some_clear(struct page_tree *tree, size_t chunk)
{
	size_t bit = chunk;

	for (unsigned level = 0; level < tree->some_levels; level++) {
		bitmap_clear(tree->some[level], bit);
		bit >>= BITWORD_SHIFT;
		if (tree->some[level][bit])
			return;
	}
}

size_t page_tree_next_some(const struct page_tree *tree, size_t chunk)
{
	size_t bit = chunk;
	unsigned level = 0;

	/* up, until the rest of a word holds a one */
	for (;;) {
		bitword_t rest = tree->some[level][bit >> BITWORD_SHIFT] >> (bit & BITWORD_MASK);

		if (rest) {
			bit += bitword_ctz(rest);
			break;
		}
		bit = (bit >> BITWORD_SHIFT) + 1;
		if (++level == tree->some_levels)
			return SIZE_MAX;
	}
	/* and down to the first one of each word */
	while (level-- > 0)
		bit = (bit << BITWORD_SHIFT) + bitword_ctz(tree->some[level][bit]);
	return bit;
}

/* ---- Summaries ---- */

static bool leaves_update(struct page_tree *tree, const bitword_t *bitmap, size_t start, size_t end)
{
	bool changed = false;

	for (size_t chunk = start; chunk < end; chunk++) {
		struct page_summary *leaf = &tree->level[0][chunk];

		changed |= page_summary_chunk(leaf, bitmap + chunk * PAGE_CHUNK_WORDS);
		if (leaf->max)
			page_tree_note(tree, chunk);
		else
			some_clear(tree, chunk);
	}
	return changed;
}

void page_tree_update(struct page_tree *tree, const bitword_t *bitmap, size_t start, size_t end)
{
	bool changed = leaves_update(tree, bitmap, start, end);
	const struct page_summary *below = tree->level[0];
	uint32_t span = PAGE_CHUNK_PAGES;

	for (unsigned level = 1; changed && level < tree->levels; level++) {
		struct page_summary *nodes = tree->level[level];

		changed = false;
		start >>= SUMMARY_FAN_SHIFT;
		end = nodes_above(end);
		for (size_t node = start; node < end; node++)
			changed |= page_summary_merge(&nodes[node],
						      &below[node << SUMMARY_FAN_SHIFT], span);
		below = nodes;
		span <<= SUMMARY_FAN_SHIFT;
	}
}

size_t page_tree_largest(const struct page_tree *tree)
{
	struct page_summary all = {0, 0, 0};
	unsigned top = tree->levels - 1;

	page_summary_merge(&all, tree->level[top], (uint32_t)1 << page_level_shift(top));
	return all.max;
}
