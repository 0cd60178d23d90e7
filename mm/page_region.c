/* SPDX-License-Identifier: MIT */
/*
 * page_region.c (level 3) - the bitmap of a region, and what its changes do to tree and hints.
 *
 * Metadata of a region, in this order, each part on a cache line of its own: the header, the tree,
 * the bitmap of allocated frames, that of released ones, that of known zeroes.
 */
#include "mm/page_region.h"

#include "lib/bits.h"

#define LINE_BYTES ((size_t)64)

_Static_assert(PAGE_CHUNK_PAGES % BITWORD_BITS == 0, "chunks are whole words");
_Static_assert(PAGE_CHUNK_PAGES / 8 == LINE_BYTES, "a chunk's bits are one cache line");
_Static_assert(PAGEALLOC_REGION_MAX >> PAGE_CHUNK_SHIFT < PAGE_TREE_CHUNKS_MAX, "tree too low");

/* ---- Start ---- */

size_t page_region_bytes(size_t pages)
{
	size_t chunks;

	if (pages > PAGEALLOC_REGION_MAX)
		return SIZE_MAX;
	/* both ends may lie inside a chunk */
	chunks = ((pages + PAGE_CHUNK_MASK) >> PAGE_CHUNK_SHIFT) + 1;
	return align_up(sizeof(struct page_region), LINE_BYTES) + page_tree_bytes(chunks) +
	       3 * chunks * LINE_BYTES;
}

struct page_region *page_region_init(void *metadata, pfn_t pfn, size_t pages)
{
	struct page_region *region = metadata;
	uintptr_t tree = (uintptr_t)metadata + align_up(sizeof(*region), LINE_BYTES);
	size_t first_bit = pfn.v & PAGE_CHUNK_MASK;
	size_t end_bit = first_bit + pages;
	size_t chunks = (end_bit + PAGE_CHUNK_MASK) >> PAGE_CHUNK_SHIFT;

	region->free_pages = pages;
	region->released_pages = 0;
	region->zero_pages = 0;
	region->marks = 0;
	region->zero_top = 0;
	region->zero_bit = PAGE_BIT_NONE;
	region->zero_taken = 0;
	region->first_free = first_bit;
	region->run_from = 0;
	region->run_pages = 1;
	region->run_taken = PAGE_BIT_NONE;
	region->run_callers = PAGE_BIT_NONE;
	region->pending[0] = SIZE_MAX;
	region->pending[1] = SIZE_MAX;
	region->searches = 0;
	region->bitmap = (bitword_t *)(tree + page_tree_bytes(chunks));
	region->released = region->bitmap + chunks * PAGE_CHUNK_WORDS;
	region->zeroed = region->released + chunks * PAGE_CHUNK_WORDS;
	region->base = pfn.v;
	region->pages = pages;
	region->origin = pfn.v - first_bit;
	region->first_bit = first_bit;
	region->end_bit = end_bit;
	region->removable = false;
	region->next = NULL;

	/* all three bitmaps */
	for (size_t i = 0; i < 3 * chunks * PAGE_CHUNK_WORDS; i++)
		region->bitmap[i] = 0;
	bitmap_set_range(region->bitmap, 0, first_bit);
	bitmap_set_range(region->bitmap, end_bit, chunks << PAGE_CHUNK_SHIFT);
	page_tree_init(&region->tree, (void *)tree, chunks);
	page_tree_update(&region->tree, region->bitmap, 0, chunks);
	return region;
}

/* ---- The tree ---- */

static bool settle_slot(struct page_region *region, unsigned slot)
{
	size_t chunk = region->pending[slot];

	if (chunk == SIZE_MAX)
		return false;
	region->pending[slot] = SIZE_MAX;
	page_tree_update(&region->tree, region->bitmap, chunk, chunk + 1);
	return true;
}

bool page_region_settle_one(struct page_region *region)
{
	return settle_slot(region, 1) || settle_slot(region, 0);
}

void page_region_settle(struct page_region *region)
{
	while (page_region_settle_one(region)) {
	}
}

/* A chunk becomes the one that was changed last. */
static void note_chunk(struct page_region *region, size_t chunk)
{
	size_t former = region->pending[0];

	if (former == chunk)
		return;
	if (region->pending[1] != chunk) {
		settle_slot(region, 1);
		page_tree_note(&region->tree, chunk);
	}
	region->pending[0] = chunk;
	region->pending[1] = former;
}

void page_region_note(struct page_region *region, size_t first_chunk, size_t last_chunk)
{
	note_chunk(region, last_chunk);
	note_chunk(region, first_chunk);
}

static inline bool is_pending(const struct page_region *region, size_t chunk)
{
	return region->pending[0] == chunk || region->pending[1] == chunk;
}

/* How many chunks would be settled if these two, perhaps the same, were noted. */
static unsigned to_settle(const struct page_region *region, size_t first, size_t last)
{
	unsigned pending =
		(region->pending[0] != SIZE_MAX) + (unsigned)(region->pending[1] != SIZE_MAX);
	unsigned more = !is_pending(region, first) + (last != first && !is_pending(region, last));

	return pending + more > 2 ? pending + more - 2 : 0;
}

bool page_region_has_room(const struct page_region *region, size_t bit, size_t n)
{
	return to_settle(region, bit >> PAGE_CHUNK_SHIFT, (bit + n - 1) >> PAGE_CHUNK_SHIFT) == 0;
}

/* A run that begins and ends with a chunk is written to the tree at once: see note_words(). */
static inline bool is_whole(size_t bit, size_t n)
{
	return ((bit | n) & PAGE_CHUNK_MASK) == 0 && n > PAGE_CHUNK_PAGES;
}

/* ---- Bits ---- */

/* The words that hold [bit, bit + n), and which bits of the first and of the last: two words at
 * least. */
struct word_range {
	bitword_t *first;
	bitword_t *last;
	bitword_t first_mask;
	bitword_t last_mask;
};

static inline struct word_range word_range(const struct page_region *region, size_t bit, size_t n)
{
	size_t last = bit + n - 1;

	return (struct word_range){
		.first = region->bitmap + (bit >> BITWORD_SHIFT),
		.last = region->bitmap + (last >> BITWORD_SHIFT),
		.first_mask = ~(bitword_t)0 << (bit & BITWORD_MASK),
		.last_mask = ~(bitword_t)0 >> (BITWORD_MASK - (last & BITWORD_MASK)),
	};
}

/* Lie the bits [bit, bit + n) in the chunks that changed last? Then the tree need not know. */
static inline bool is_noted(const struct page_region *region, size_t bit, size_t n)
{
	size_t first = bit >> PAGE_CHUNK_SHIFT;
	size_t last = (bit + n - 1) >> PAGE_CHUNK_SHIFT;

	return first == region->pending[0] && (last == first || last == region->pending[1]);
}

/* If not: may they change? Of a run over two chunks neither is settled: with its words that would
 * be too much for one lock hold. */
static __attribute__((noinline)) bool may_change(const struct page_region *region, size_t bit,
						 size_t n)
{
	size_t first = bit >> PAGE_CHUNK_SHIFT;
	size_t last = (bit + n - 1) >> PAGE_CHUNK_SHIFT;

	return first == last || is_whole(bit, n) || to_settle(region, first, last) == 0;
}

/* And they have changed. */
static __attribute__((noinline)) void note_words(struct page_region *region, size_t bit, size_t n)
{
	size_t first = bit >> PAGE_CHUNK_SHIFT;
	size_t last = (bit + n - 1) >> PAGE_CHUNK_SHIFT;

	/* summaries of whole chunks cost little, and share the way up */
	if (is_whole(bit, n))
		page_tree_update(&region->tree, region->bitmap, first, last + 1);
	else
		page_region_note(region, first, last);
}

void page_region_take_back(struct page_region *region, size_t bit, size_t n)
{
	size_t last = (bit + n - 1) >> BITWORD_SHIFT;
	size_t zero = 0;

	for (size_t i = bit >> BITWORD_SHIFT; i <= last; i++) {
		bitword_t back = region->released[i] & region->bitmap[i];
		bitword_t zeroed = region->zeroed[i] & region->bitmap[i];

		if (!(back | zeroed))
			continue;
		region->released[i] ^= back;
		region->zeroed[i] ^= zeroed;
		region->released_pages -= bitword_popcount(back);
		region->marks -= bitword_popcount(back);
		zero += bitword_popcount(zeroed);
	}
	region->zero_pages -= zero;
	region->marks -= zero;
	region->zero_bit = bit;
	region->zero_taken = zero;
}

/* Four at a time, mostly: the loop costs as much as the work. */
static inline void fill_words(bitword_t *word, const bitword_t *end, bitword_t value)
{
	for (; end - word >= 4; word += 4) {
		word[0] = value;
		word[1] = value;
		word[2] = value;
		word[3] = value;
	}
	while (word < end)
		*word++ = value;
}

/*
 * Turn over words that are all of them `from`, which is 0 or all ones. False, and nothing happens,
 * if one is not.
 */
static inline bool turn_words(bitword_t *first, const bitword_t *end, bitword_t from)
{
	bitword_t *word = first;

	for (; end - word >= 4; word += 4) {
		if ((word[0] ^ from) | (word[1] ^ from) | (word[2] ^ from) | (word[3] ^ from))
			goto undo;
		fill_words(word, word + 4, ~from);
	}
	for (; word < end; word++) {
		if (*word != from)
			goto undo;
		*word = ~from;
	}
	return true;
undo:
	fill_words(first, word, from);
	return false;
}

bool page_region_take_words(struct page_region *region, size_t bit, size_t n)
{
	struct word_range range = word_range(region, bit, n);
	bool noted = is_noted(region, bit, n);

	if ((*range.first & range.first_mask) || (*range.last & range.last_mask) ||
	    (!noted && !may_change(region, bit, n)) || !turn_words(range.first + 1, range.last, 0))
		return false;
	*range.first |= range.first_mask;
	*range.last |= range.last_mask;
	region->free_pages -= n;
	if (region->marks)
		page_region_take_back(region, bit, n);
	page_region_hints_taken(region, bit, n);
	if (!noted)
		note_words(region, bit, n);
	return true;
}

bool page_region_clear_words(struct page_region *region, size_t bit, size_t n)
{
	struct word_range range = word_range(region, bit, n);
	bool noted = is_noted(region, bit, n);

	if (!noted && !may_change(region, bit, n))
		return false;
	*range.first &= ~range.first_mask;
	fill_words(range.first + 1, range.last, 0);
	*range.last &= ~range.last_mask;
	region->free_pages += n;
	if (!noted)
		note_words(region, bit, n);
	return true;
}

bool page_region_give_words(struct page_region *region, size_t bit, size_t n)
{
	struct word_range range = word_range(region, bit, n);
	bool noted = is_noted(region, bit, n);

	if ((~*range.first & range.first_mask) || (~*range.last & range.last_mask) ||
	    (!noted && !may_change(region, bit, n)) ||
	    !turn_words(range.first + 1, range.last, ~(bitword_t)0))
		return false;
	*range.first &= ~range.first_mask;
	*range.last &= ~range.last_mask;
	region->free_pages += n;
	page_region_hints_given(region, bit, n);
	if (!noted)
		note_words(region, bit, n);
	return true;
}
