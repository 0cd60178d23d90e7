/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_batch.c (level 3) - single frames out and in by the dozen, a word of the bitmap at a
 * time: the per-CPU caches' way to refill and to flush.
 *
 * What costs is not a frame but the next word, and above all the next chunk, whose predecessor's
 * change goes up the tree. So work under the lock is bounded by these.
 */
#include "mm/page_search.h"
#include "mm/pagealloc_node.h"

/* Levels of the tree that chunks are settled in for one batch, at most, and one chunk for sure. */
#define TAKE_LEVELS 6u

/* Words of one lock hold when frames come back; they lie in one chunk, but wrong ones anywhere. */
#define GIVE_WORK 6u

/* ---- Out ---- */

/* The n frames from this one on. Returns the ones of a word above its bits [bit, bit + n). */
static bitword_t take_run(pfn_t *out, size_t n, size_t frame, size_t bit)
{
	pfn_t *end = out + n;

	bit += n;
	while (out < end)
		*out++ = (pfn_t){frame++};
	return bit & BITWORD_MASK ? ~(bitword_t)0 << (bit & BITWORD_MASK) : 0;
}

/* From the word that holds bit, the region's first free one; at most n. Returns how many. */
static size_t take_word(struct page_region *region, size_t bit, pfn_t *out, size_t n)
{
	bitword_t *word = region->bitmap + (bit >> BITWORD_SHIFT);
	size_t frame = region->origin + (bit & ~BITWORD_MASK);
	size_t most = BITWORD_BITS - (bit & BITWORD_MASK);
	bitword_t left = ~*word;
	pfn_t *at = out;

	if (most > n)
		most = n;
	if (left + ((bitword_t)1 << (bit & BITWORD_MASK)) == 0) {
		/* all free from bit on: memory that was never used, mostly */
		left = take_run(out, most, region->origin + bit, bit);
		at += most;
	} else {
		do {
			*at++ = (pfn_t){frame + bitword_ctz(left)};
			left &= left - 1;
		} while (left && at < out + most);
	}
	*word = ~left;
	region->first_free = at[-1].v - region->origin + 1;
	page_region_taken(region, bit, (size_t)(at - out));
	return (size_t)(at - out);
}

/* *levels: what was settled so far. */
static size_t take_region(struct page_region *region, pfn_t *out, size_t n, unsigned *levels)
{
	size_t got = 0;

	while (got < n && region->free_pages) {
		size_t bit = page_search_one(region);

		if (!page_region_has_room(region, bit, 1)) {
			if (*levels && *levels + region->tree.levels > TAKE_LEVELS)
				break;
			*levels += region->tree.levels;
		}
		got += take_word(region, bit, out + got, n - got);
	}
	return got;
}

size_t pagealloc_alloc_batch(struct pagealloc *pa, pfn_t *out, size_t n)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	size_t left = pagealloc_left_locked(pa, false);
	unsigned levels = 0;
	size_t got = 0;

	if (n > left)
		n = left;
	for (struct page_region *region = pagealloc_regions(pa); region && got < n;
	     region = pagealloc_next(region)) {
		got += take_region(region, out + got, n - got, &levels);
		/* lowest first, so the others wait for the rest of this one */
		if (region->free_pages)
			break;
	}
	count_sub(&pa->free_pages, got);
	mm_lock_release(&pa->lock, irq);
	return got;
}

/* ---- In ---- */

/* The frames of one batch; at counts those that are done with. */
struct giving {
	struct pagealloc *pa;
	const pfn_t *pfns;
	size_t n;
	size_t at;
	size_t freed;
	pfn_t bad; /* the first bad one */
};

static void note_bad(struct giving *giving, pfn_t pfn)
{
	if (pfn_is_none(giving->bad))
		giving->bad = pfn;
}

/*
 * The frames from giving->at on that lie in one word of the region and differ, as a mask. A frame
 * that comes twice is left for the next mask, and found free then.
 */
static bitword_t gather_word(struct giving *giving, const struct page_region *region)
{
	const pfn_t *pfns = giving->pfns;
	size_t at = giving->at;
	size_t frame = pfns[at].v;
	size_t low = frame & ~BITWORD_MASK;
	size_t high = low + BITWORD_BITS;
	bitword_t mask = 0;

	if (low < region->base)
		low = region->base;
	if (high - region->base > region->pages)
		high = region->base + region->pages;
	do {
		bitword_t one = (bitword_t)1 << (frame & BITWORD_MASK);

		if (mask & one)
			break;
		mask |= one;
		if (++at == giving->n)
			break;
		frame = pfns[at].v;
	} while (frame - low < high - low);
	giving->at = at;
	return mask;
}

/* n bits of the word that begins at bit. */
static void give_word(struct giving *giving, struct page_region *region, size_t bit, bitword_t mask,
		      size_t n)
{
	bitword_t *word = region->bitmap + (bit >> BITWORD_SHIFT);
	bitword_t wrong = mask & ~*word;

	if (wrong) {
		note_bad(giving, page_region_pfn(region, bit + bitword_ctz(wrong)));
		mask ^= wrong;
		n = bitword_popcount(mask);
		if (n == 0)
			return;
	}
	*word &= ~mask;
	/* the lowest of them lowers the hints most */
	page_region_hints_given(region, bit + bitword_ctz(mask), 1);
	page_region_given(region, bit, n);
	giving->freed += n;
	pagealloc_note_given_locked(giving->pa, region);
}

/* One lock hold's worth. */
static void give_some_locked(struct pagealloc *pa, struct giving *giving)
{
	size_t freed = giving->freed;
	size_t chunk = PAGE_BIT_NONE;
	unsigned work = 0;

	mm_lock_assert_held(&pa->lock);
	while (giving->at < giving->n && work < GIVE_WORK) {
		size_t at = giving->at;
		pfn_t pfn = giving->pfns[at];
		struct page_region *region = pagealloc_recent_locked(pa, pfn);

		work++;
		if (!region) {
			note_bad(giving, pfn);
			giving->at++;
			continue;
		}
		size_t bit = (pfn.v - region->origin) & ~BITWORD_MASK;

		if (chunk != PAGE_BIT_NONE && bit >> PAGE_CHUNK_SHIFT != chunk)
			break;
		/* which is work enough for one hold */
		if (!page_region_has_room(region, bit, 1)) {
			page_region_settle_one(region);
			break;
		}
		chunk = bit >> PAGE_CHUNK_SHIFT;

		bitword_t mask = gather_word(giving, region);

		give_word(giving, region, bit, mask, giving->at - at);
	}
	count_add(&pa->free_pages, giving->freed - freed);
}

size_t pagealloc_free_batch(struct pagealloc *pa, const pfn_t *pfns, size_t n, pfn_t *bad)
{
	struct giving giving = {.pa = pa, .pfns = pfns, .n = n, .bad = SLATE_PFN_NONE};

	while (giving.at < n) {
		unsigned long irq = mm_lock_acquire(&pa->lock);

		give_some_locked(pa, &giving);
		mm_lock_release(&pa->lock, irq);
	}
	*bad = giving.bad;
	return giving.freed;
}
