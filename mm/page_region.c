/* SPDX-License-Identifier: MIT */
/*
 * page_region.c (level 3) - the bitmap of a region, its tree, and the hints.
 *
 * Metadata of a region, in this order, each part on a cache line of its own: the header, the
 * leaves, each level above them, the bitmap.
 */
#include "mm/page_region.h"

#include "lib/bits.h"

#define LINE_BYTES ((size_t)64)

/* Chunks that may be stale at a time: what a run across one chunk border changes. */
#define PENDING_MAX ((size_t)2)

_Static_assert(PAGE_CHUNK_PAGES % BITWORD_BITS == 0, "chunks are whole words");
_Static_assert(PAGE_CHUNK_PAGES / 8 == LINE_BYTES, "a chunk's bits are one cache line");

/* ---- Layout ---- */

static size_t round_up_fan(size_t nodes)
{
	return align_up(nodes, SUMMARY_FAN);
}

static size_t level_bytes(size_t nodes)
{
	return align_up(round_up_fan(nodes) * sizeof(struct page_summary), LINE_BYTES);
}

static size_t nodes_above(size_t nodes)
{
	return (nodes + SUMMARY_FAN - 1) >> SUMMARY_FAN_SHIFT;
}

size_t page_region_bytes(size_t pages)
{
	size_t bytes = align_up(sizeof(struct page_region), LINE_BYTES);
	size_t nodes;

	if (pages > PAGE_REGION_PAGES_MAX)
		return SIZE_MAX;
	/* both ends may lie inside a chunk */
	nodes = ((pages + PAGE_CHUNK_MASK) >> PAGE_CHUNK_SHIFT) + 1;
	bytes += nodes * PAGE_CHUNK_PAGES / 8;
	for (; nodes > SUMMARY_FAN; nodes = nodes_above(nodes))
		bytes += level_bytes(nodes);
	return bytes + level_bytes(nodes);
}

static void lay_out(struct page_region *region, size_t chunks)
{
	uintptr_t at = align_up((uintptr_t)(region + 1), LINE_BYTES);
	size_t nodes = chunks;

	region->levels = 0;
	for (;;) {
		region->nodes[region->levels] = nodes;
		region->tree[region->levels++] = (struct page_summary *)at;
		at += level_bytes(nodes);
		if (nodes <= SUMMARY_FAN)
			break;
		nodes = nodes_above(nodes);
	}
	region->bitmap = (bitword_t *)at;
}

/* ---- The tree ---- */

/* Returns whether it was another. */
static bool node_set(struct page_summary *node, struct page_summary sum)
{
	if (page_summary_same(node, &sum))
		return false;
	*node = sum;
	return true;
}

static bool leaves_update(struct page_region *region, size_t start, size_t end)
{
	bool changed = false;

	for (size_t chunk = start; chunk < end; chunk++)
		changed |= node_set(&region->tree[0][chunk],
				    page_summary_chunk(region->bitmap + chunk * PAGE_CHUNK_WORDS));
	return changed;
}

/* Chunks [start, end) were changed: recompute them and what stands above, as far as it differs. */
static void tree_update(struct page_region *region, size_t start, size_t end)
{
	bool changed = leaves_update(region, start, end);

	for (unsigned level = 1; changed && level < region->levels; level++) {
		const struct page_summary *below = region->tree[level - 1];
		uint32_t span = (uint32_t)1 << page_level_shift(level - 1);

		changed = false;
		start >>= SUMMARY_FAN_SHIFT;
		end = nodes_above(end);
		for (size_t node = start; node < end; node++)
			changed |= node_set(
				&region->tree[level][node],
				page_summary_merge(&below[node << SUMMARY_FAN_SHIFT], span));
	}
}

void page_region_settle(struct page_region *region)
{
	size_t start = region->pending;
	size_t end = region->pending_end;

	if (start == end)
		return;
	region->pending = region->pending_end = 0;
	tree_update(region, start, end);
}

static void note_change_far(struct page_region *region, size_t first, size_t last)
{
	size_t start = region->pending;
	size_t end = region->pending_end;

	if (start == end) {
		start = first;
		end = last + 1;
	}
	if (first < start)
		start = first;
	if (last >= end)
		end = last + 1;
	if (end - start > PENDING_MAX) {
		page_region_settle(region);
		start = first;
		end = last + 1;
	}
	if (end - start > PENDING_MAX) {
		tree_update(region, start, end);
		return;
	}
	region->pending = start;
	region->pending_end = end;
}

/* The bits of [bit, bit + n) were changed. */
static inline void note_change(struct page_region *region, size_t bit, size_t n)
{
	size_t first = bit >> PAGE_CHUNK_SHIFT;
	size_t last = (bit + n - 1) >> PAGE_CHUNK_SHIFT;

	if (first < region->pending || last >= region->pending_end)
		note_change_far(region, first, last);
}

size_t page_region_largest(struct page_region *region)
{
	unsigned top = region->levels - 1;

	page_region_settle(region);
	return page_summary_merge(region->tree[top], (uint32_t)1 << page_level_shift(top)).max;
}

/* ---- Start ---- */

static void words_fill(bitword_t *words, size_t count, bitword_t word)
{
	for (size_t i = 0; i < count; i++)
		words[i] = word;
}

static void tree_init(struct page_region *region)
{
	for (unsigned level = 0; level < region->levels; level++) {
		struct page_summary *nodes = region->tree[level];

		for (size_t i = 0; i < round_up_fan(region->nodes[level]); i++)
			nodes[i] = (struct page_summary){0, 0, 0};
	}
	tree_update(region, 0, region->nodes[0]);
}

struct page_region *page_region_init(void *metadata, pfn_t pfn, size_t pages)
{
	struct page_region *region = metadata;
	size_t origin = align_down(pfn.v, PAGE_CHUNK_PAGES);
	size_t first_bit = pfn.v - origin;
	size_t end_bit = first_bit + pages;
	size_t chunks = (end_bit + PAGE_CHUNK_MASK) >> PAGE_CHUNK_SHIFT;

	region->origin = origin;
	region->first_bit = first_bit;
	region->end_bit = end_bit;
	region->free_pages = pages;
	region->first_free = first_bit;
	region->run_from = 0;
	region->run_pages = 1;
	region->run_taken = PAGE_BIT_NONE;
	region->pending = 0;
	region->pending_end = 0;
	atomic_init(&region->next, NULL);
	lay_out(region, chunks);

	words_fill(region->bitmap, chunks * PAGE_CHUNK_WORDS, 0);
	bitmap_set_range(region->bitmap, 0, first_bit);
	bitmap_set_range(region->bitmap, end_bit, chunks << PAGE_CHUNK_SHIFT);
	tree_init(region);
	return region;
}

/* ---- Bits ---- */

/* The words that hold [bit, bit + n): masks for the first and the last, which may be one word. */
struct word_range {
	bitword_t *first;
	bitword_t *last;
	bitword_t first_mask;
	bitword_t last_mask;
};

static inline struct word_range word_range(const struct page_region *region, size_t bit, size_t n)
{
	size_t last = bit + n - 1;
	struct word_range range = {
		.first = region->bitmap + (bit >> BITWORD_SHIFT),
		.last = region->bitmap + (last >> BITWORD_SHIFT),
		.first_mask = ~(bitword_t)0 << (bit & BITWORD_MASK),
		.last_mask = ~(bitword_t)0 >> (BITWORD_MASK - (last & BITWORD_MASK)),
	};

	if (range.first == range.last)
		range.first_mask = range.last_mask &= range.first_mask;
	return range;
}

bool page_region_all_free(const struct page_region *region, size_t bit, size_t n)
{
	struct word_range range = word_range(region, bit, n);

	if ((*range.first & range.first_mask) || (*range.last & range.last_mask))
		return false;
	for (const bitword_t *word = range.first + 1; word < range.last; word++) {
		if (*word)
			return false;
	}
	return true;
}

bool page_region_all_taken(const struct page_region *region, size_t bit, size_t n)
{
	struct word_range range = word_range(region, bit, n);

	if ((~*range.first & range.first_mask) || (~*range.last & range.last_mask))
		return false;
	for (const bitword_t *word = range.first + 1; word < range.last; word++) {
		if (~*word)
			return false;
	}
	return true;
}

/* ---- Taking and giving ---- */

/* Frames from bit up to, not including, bit + n are allocated now. */
static inline void hints_taken(struct page_region *region, size_t bit, size_t n)
{
	if (region->first_free - bit < n)
		region->first_free = bit + n;
}

/* They are free now: a run that holds one of them begins run_pages - 1 earlier at most. */
static inline void hints_given(struct page_region *region, size_t bit, size_t n)
{
	size_t back = region->run_pages - 1;

	if (bit < region->first_free)
		region->first_free = bit;
	/*
	 * The run that moved the hint comes back whole, and nothing else lowered the hint
	 * meanwhile, so what stands before it is as short as it was: the hint is exact again.
	 */
	if (bit == region->run_taken && n == region->run_pages && region->run_from == bit + n)
		region->run_from = bit;
	else if (bit < back)
		region->run_from = 0;
	else if (bit - back < region->run_from)
		region->run_from = bit - back;
}

void page_region_take(struct page_region *region, size_t bit, size_t n)
{
	struct word_range range = word_range(region, bit, n);

	*range.first |= range.first_mask;
	*range.last |= range.last_mask;
	for (bitword_t *word = range.first + 1; word < range.last; word++)
		*word = ~(bitword_t)0;
	region->free_pages -= n;
	hints_taken(region, bit, n);
	note_change(region, bit, n);
}

void page_region_give(struct page_region *region, size_t bit, size_t n)
{
	struct word_range range = word_range(region, bit, n);

	*range.first &= ~range.first_mask;
	*range.last &= ~range.last_mask;
	for (bitword_t *word = range.first + 1; word < range.last; word++)
		*word = 0;
	region->free_pages += n;
	hints_given(region, bit, n);
	note_change(region, bit, n);
}

void page_region_take_word(struct page_region *region, size_t bit, bitword_t mask, size_t n)
{
	region->bitmap[bit >> BITWORD_SHIFT] |= mask;
	region->free_pages -= n;
	note_change(region, bit, BITWORD_BITS);
}

void page_region_give_word(struct page_region *region, size_t bit, bitword_t mask, size_t n)
{
	region->bitmap[bit >> BITWORD_SHIFT] &= ~mask;
	region->free_pages += n;
	/* the lowest of them lowers the hints most */
	hints_given(region, bit + bitword_ctz(mask), 1);
	note_change(region, bit, BITWORD_BITS);
}
