/* SPDX-License-Identifier: MIT */
/*
 * page_search.c (level 3) - first fit by address: at the hint from the bitmap, else down the tree;
 * under constraints, along the tree.
 *
 * Both walks carry the free frames that end where they stand ("open"), for a run may begin in one
 * node and end in another. A node is entered only when its longest run is long enough, so without
 * constraints the walk goes straight down.
 *
 * A place is a bit where alignment and boundary let a run begin.
 *
 * Shortcoming: alignment and boundary are not summarised. A constrained search looks at each chunk
 * whose longest run is long enough, however badly placed that is: some 300 instructions a chunk of
 * 512 frames at worst. It does so in steps, and the caller may open the lock between them.
 */
#include "mm/page_search.h"

#include "lib/bits.h"

/* Nodes that one step of a constrained search looks at. A chunk's bits count as many. */
#define STEP_NODES  10u
#define CHUNK_NODES 10u

/* Is [open, end) long enough? open may lie above end. */
static inline bool fits(size_t open, size_t end, size_t n)
{
	return open < end && end - open >= n;
}

/* The lowest place at or above bit, or PAGE_BIT_NONE. */
static inline size_t place_at(const struct page_search *search, size_t bit)
{
	size_t origin = search->region->origin;
	size_t block = search->boundary;
	size_t place;

	if (search->plain)
		return bit;
	place = align_up(origin + bit, search->align);
	if (block && (place & (block - 1)) + search->n > block)
		place = align_up(place, block);
	/* wrapped to 0: there is no such frame */
	return place < origin + bit ? PAGE_BIT_NONE : place - origin;
}

/* ---- One chunk ---- */

/* The first place in a word that is followed by enough zeros within the word. */
static inline size_t search_word(const struct page_search *search, bitword_t word, size_t bit)
{
	bitword_t runs;

	if (search->n >= BITWORD_BITS)
		return PAGE_BIT_NONE;
	runs = bitword_runs(~word, search->n) & search->starts;
	if (!runs)
		return PAGE_BIT_NONE;
	bit += bitword_ctz(runs);
	/* starts does not tell alignments above a word's length */
	return place_at(search, bit) == bit ? bit : PAGE_BIT_NONE;
}

/* The first place in the free frames [open, end), if the run fits there. */
static inline size_t search_open(const struct page_search *search, size_t end)
{
	size_t place;

	if (!fits(search->open, end, search->n))
		return PAGE_BIT_NONE;
	place = place_at(search, search->open);
	return fits(place, end, search->n) ? place : PAGE_BIT_NONE;
}

/*
 * The first run that ends in this chunk, behind from, and begins at or above search->open. If
 * there is none, search->open moves to the free frames at the chunk's end.
 */
static size_t search_chunk(struct page_search *search, size_t chunk, size_t from)
{
	const bitword_t *words = search->region->bitmap;
	size_t end = (chunk + 1) << PAGE_CHUNK_SHIFT;
	bitword_t below = ~(~(bitword_t)0 << (from & BITWORD_MASK)); /* as if allocated */
	size_t found;

	for (size_t bit = from & ~BITWORD_MASK; bit < end; bit += BITWORD_BITS) {
		bitword_t word = words[bit >> BITWORD_SHIFT] | below;

		if (word == 0) {
			found = search_open(search, bit + BITWORD_BITS);
			if (found != PAGE_BIT_NONE)
				return found;
			continue;
		}
		if (word != ~(bitword_t)0) {
			found = search_open(search, bit + bitword_ctz(word));
			if (found == PAGE_BIT_NONE)
				found = search_word(search, word, bit);
			if (found != PAGE_BIT_NONE)
				return found;
		}
		search->open = bit + BITWORD_BITS - bitword_clz(word);
		below = 0;
	}
	return PAGE_BIT_NONE;
}

/* ---- One frame ---- */

/* The first zero of a chunk at or above bit, or PAGE_BIT_NONE. */
static inline size_t zero_in_chunk(const bitword_t *bitmap, size_t bit)
{
	const bitword_t *word = bitmap + (bit >> BITWORD_SHIFT);
	const bitword_t *end = bitmap + ((bit | PAGE_CHUNK_MASK) >> BITWORD_SHIFT) + 1;
	bitword_t free = ~*word & (~(bitword_t)0 << (bit & BITWORD_MASK));

	while (!free) {
		if (++word == end)
			return PAGE_BIT_NONE;
		free = ~*word;
	}
	return ((size_t)(word - bitmap) << BITWORD_SHIFT) + bitword_ctz(free);
}

size_t page_search_one(const struct page_region *region)
{
	size_t bit = region->first_free;
	size_t found = zero_in_chunk(region->bitmap, bit);

	if (found != PAGE_BIT_NONE)
		return found;
	/* pending chunks alone can turn out full, so this ends soon */
	do {
		size_t chunk = page_tree_next_some(&region->tree, (bit >> PAGE_CHUNK_SHIFT) + 1);

		bit = chunk << PAGE_CHUNK_SHIFT;
	} while (page_chunk_is_full(region->bitmap + (bit >> BITWORD_SHIFT)));
	return zero_in_chunk(region->bitmap, bit);
}

/* ---- A run ---- */

static struct page_search search_of(struct page_region *region, size_t n)
{
	return (struct page_search){
		.region = region,
		.n = n,
		.starts = ~(bitword_t)0,
		.plain = true,
	};
}

size_t page_search_near(struct page_region *region, size_t n)
{
	struct page_search search = search_of(region, n);
	size_t from = page_search_hint(region, n);
	size_t chunk = from >> PAGE_CHUNK_SHIFT;
	size_t found;

	if (region->end_bit - from < n)
		return PAGE_BIT_NONE;
	search.open = from;
	found = search_chunk(&search, chunk, from);
	if (found != PAGE_BIT_NONE || ++chunk == region->tree.nodes[0])
		return found;
	from = chunk << PAGE_CHUNK_SHIFT;
	return search.open < from ? search_chunk(&search, chunk, from) : PAGE_BIT_NONE;
}

/* Down the tree from its top. */
static size_t search_tree(struct page_search *search)
{
	const struct page_tree *tree = &search->region->tree;
	unsigned level = tree->levels - 1;
	unsigned shift = page_level_shift(level);
	const struct page_summary *sum = tree->level[level];
	const struct page_summary *end = sum + tree->nodes[level];
	size_t n = search->n;
	size_t run = 0; /* free frames just before the node */

	while (sum < end) {
		size_t node = (size_t)(sum - tree->level[level]);

		if (run + sum->start >= n)
			return (node << shift) - run;
		if (sum->max < n) {
			run = sum->max >> shift ? run + sum->max : sum->end;
			/* full ones go by quickly */
			while (++sum < end && sum->max == 0)
				run = 0;
			continue;
		}
		if (level-- == 0) {
			search->open = node << PAGE_CHUNK_SHIFT;
			return search_chunk(search, node, search->open);
		}
		shift -= SUMMARY_FAN_SHIFT;
		sum = &tree->level[level][node << SUMMARY_FAN_SHIFT];
		end = sum + SUMMARY_FAN;
	}
	return PAGE_BIT_NONE;
}

size_t page_search_tree(struct page_region *region, size_t n)
{
	struct page_search search = search_of(region, n);

	page_region_settle(region);
	return search_tree(&search);
}

void page_search_failed(struct page_region *region, size_t n)
{
	region->run_pages = n;
	region->run_taken = PAGE_BIT_NONE;
	region->run_callers = PAGE_BIT_NONE;
	region->run_from = region->end_bit;
}

/* ---- Under constraints ---- */

/* The places that a word has whichever it is: alignments and boundaries of at most its length. */
static bitword_t word_places(size_t n, size_t align, size_t boundary)
{
	bitword_t places = 1;

	for (size_t step = align; step < BITWORD_BITS; step <<= 1)
		places |= places << step;
	if (boundary == 0 || boundary > BITWORD_BITS)
		return places;

	bitword_t inside = ~(bitword_t)0 >> (BITWORD_MASK - (boundary - n));

	for (size_t step = boundary; step < BITWORD_BITS; step <<= 1)
		inside |= inside << step;
	return places & inside;
}

bool page_search_begin(struct page_search *search, struct page_region *region, size_t n,
		       const struct page_fit *fit)
{
	size_t start = region->origin + page_search_hint(region, n);
	size_t end = region->origin + region->end_bit;
	size_t align = fit->align_pages ? fit->align_pages : 1;
	size_t boundary = fit->boundary_pages;

	if (!bits_is_pow2(align) || (boundary && (!bits_is_pow2(boundary) || n > boundary)))
		return false;
	if (fit->min.v > start)
		start = fit->min.v;
	if (fit->end.v && fit->end.v < end)
		end = fit->end.v;
	if (!fits(start, end, n))
		return false;
	*search = (struct page_search){
		.region = region,
		.n = n,
		.align = align,
		.boundary = boundary,
		.end = end - region->origin,
		.from = start - region->origin,
		.starts = word_places(n, align, boundary),
		.plain = align == 1 && !boundary,
	};
	search->from = place_at(search, search->from);
	page_search_again(search);
	return fits(search->from, search->end, n);
}

/* The highest node that begins at bit, the start of a chunk. */
static unsigned level_at(const struct page_tree *tree, size_t bit)
{
	unsigned top = tree->levels - 1;
	unsigned level;

	if (bit == 0)
		return top;
	level = (bitword_ctz(bit) - PAGE_CHUNK_SHIFT) / SUMMARY_FAN_SHIFT;
	return level < top ? level : top;
}

/*
 * Whether a node must be entered, whose longest run is long enough. If not, *bit and search->open
 * move behind it, or on to where the next place is.
 */
static bool enter_node(struct page_search *search, const struct page_summary *sum, size_t span,
		       size_t *bit)
{
	size_t place = place_at(search, search->open);
	size_t end = *bit + span;

	if (place >= end) {
		*bit = place < search->end ? align_down(place, PAGE_CHUNK_PAGES) : search->end;
		search->open = place;
		return false;
	}
	/* the run at its only place was looked at from outside */
	if (place == *bit && search->align >= span) {
		*bit = end;
		if (sum->start != span)
			search->open = end - sum->end;
		return false;
	}
	return true;
}

/*
 * One node, the highest at *bit that need not be entered, or a chunk. Returns a run that ends in
 * it, or PAGE_BIT_NONE; *bit moves on. Counts what it looks at.
 */
static size_t search_node(struct page_search *search, size_t *bit, unsigned *looked)
{
	const struct page_tree *tree = &search->region->tree;
	unsigned level = level_at(tree, *bit);
	size_t start = *bit;

	for (;; level--) {
		unsigned shift = page_level_shift(level);
		const struct page_summary *sum = &tree->level[level][start >> shift];
		size_t span = (size_t)1 << shift;
		size_t found = search_open(search, start + sum->start);

		++*looked;
		if (found != PAGE_BIT_NONE)
			return found;
		if (sum->max < search->n) {
			*bit = start + span;
			if (sum->start != span)
				search->open = *bit - sum->end;
			return PAGE_BIT_NONE;
		}
		if (!enter_node(search, sum, span, bit))
			return PAGE_BIT_NONE;
		if (level == 0)
			break;
	}
	*looked += CHUNK_NODES;
	*bit = start + PAGE_CHUNK_PAGES;
	return search_chunk(search, start >> PAGE_CHUNK_SHIFT, start);
}

enum page_search_result page_search_step(struct page_search *search)
{
	unsigned looked = 0;
	size_t found = PAGE_BIT_NONE;
	size_t bit = search->bit;

	if (bit & PAGE_CHUNK_MASK) {
		looked = CHUNK_NODES;
		search->bit = align_up(bit, PAGE_CHUNK_PAGES);
		found = search_chunk(search, bit >> PAGE_CHUNK_SHIFT, bit);
	} else if (page_region_settle_one(search->region)) {
		/* the tree's arrears are steps of their own */
		return PAGE_SEARCH_MORE;
	}
	while (found == PAGE_BIT_NONE && search->bit < search->end && looked < STEP_NODES)
		found = search_node(search, &search->bit, &looked);
	if (found == PAGE_BIT_NONE)
		return search->bit < search->end ? PAGE_SEARCH_MORE : PAGE_SEARCH_NONE;
	if (!fits(found, search->end, search->n))
		return PAGE_SEARCH_NONE;
	search->from = found;
	return PAGE_SEARCH_FOUND;
}
