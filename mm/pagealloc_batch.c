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

/* Chunks that a batch takes from. */
#define TAKE_CHUNKS 3u

/* Work of one lock hold when frames come back, in words; going to another chunk counts as several.
 */
#define GIVE_WORK        24u
#define GIVE_CHUNK_WORDS 8u

/* ---- Out ---- */

/* From the word that holds bit, the region's first free one; at most n. Returns how many. */
static size_t take_word(struct page_region *region, size_t bit, pfn_t *out, size_t n)
{
	size_t base = bit & ~BITWORD_MASK;
	bitword_t free = ~region->bitmap[base >> BITWORD_SHIFT];
	bitword_t left = free;
	size_t got = 0;

	while (left && got < n) {
		out[got++] = page_region_pfn(region, base + bitword_ctz(left));
		left &= left - 1;
	}
	page_region_take_word(region, base, free ^ left, got);
	region->first_free = out[got - 1].v - region->origin + 1;
	return got;
}

static size_t take_region(struct page_region *region, pfn_t *out, size_t n, unsigned *chunks)
{
	size_t chunk = PAGE_BIT_NONE;
	size_t got = 0;

	while (got < n && region->free_pages) {
		size_t bit = page_search_first(region, 1);

		if (bit >> PAGE_CHUNK_SHIFT != chunk) {
			if (*chunks == 0)
				break;
			--*chunks;
			chunk = bit >> PAGE_CHUNK_SHIFT;
		}
		got += take_word(region, bit, out + got, n - got);
	}
	return got;
}

size_t pagealloc_alloc_batch(struct pagealloc *pa, pfn_t *out, size_t n)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	unsigned chunks = TAKE_CHUNKS;
	size_t got = 0;

	for (struct page_region *region = pagealloc_regions(pa); region && got < n && chunks;
	     region = pagealloc_next(region))
		got += take_region(region, out + got, n - got, &chunks);
	count_sub(&pa->free_pages, got);
	mm_lock_release(&pa->lock, irq);
	return got;
}

/* ---- In ---- */

/* The frames of one batch; at counts those that are done with. */
struct giving {
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
 * The frames from giving->at on that lie in one word of the region and differ, as a mask; *base is
 * the word's first bit. A frame that comes twice is left for the next mask, and found free then.
 */
static bitword_t gather_word(struct giving *giving, const struct page_region *region, size_t *base)
{
	size_t first = page_region_bit(region, giving->pfns[giving->at]) & ~BITWORD_MASK;
	size_t low = first < region->first_bit ? region->first_bit : first;
	size_t high =
		first + BITWORD_BITS < region->end_bit ? first + BITWORD_BITS : region->end_bit;
	bitword_t mask = 0;

	*base = first;
	for (; giving->at < giving->n; giving->at++) {
		size_t bit = giving->pfns[giving->at].v - region->origin;

		if (bit - low >= high - low)
			break;
		bitword_t one = (bitword_t)1 << (bit & BITWORD_MASK);

		if (mask & one)
			break;
		mask |= one;
	}
	return mask;
}

static void give_word(struct giving *giving, struct page_region *region, size_t base,
		      bitword_t mask)
{
	bitword_t wrong = mask & ~region->bitmap[base >> BITWORD_SHIFT];
	size_t n;

	if (wrong) {
		note_bad(giving, page_region_pfn(region, base + bitword_ctz(wrong)));
		mask ^= wrong;
	}
	if (!mask)
		return;
	n = bitword_popcount(mask);
	page_region_give_word(region, base, mask, n);
	giving->freed += n;
}

/* One lock hold's worth. */
static void give_some_locked(struct pagealloc *pa, struct giving *giving)
{
	size_t freed = giving->freed;
	size_t chunk = PAGE_BIT_NONE;
	unsigned work = 0;

	mm_lock_assert_held(&pa->lock);
	while (giving->at < giving->n && work < GIVE_WORK) {
		pfn_t pfn = giving->pfns[giving->at];
		struct page_region *region = pagealloc_recent_locked(pa, pfn);
		size_t base;

		work++;
		if (!region) {
			note_bad(giving, pfn);
			giving->at++;
			continue;
		}
		bitword_t mask = gather_word(giving, region, &base);

		give_word(giving, region, base, mask);
		if (base >> PAGE_CHUNK_SHIFT != chunk)
			work += GIVE_CHUNK_WORDS;
		chunk = base >> PAGE_CHUNK_SHIFT;
	}
	count_add(&pa->free_pages, giving->freed - freed);
}

size_t pagealloc_free_batch(struct pagealloc *pa, const pfn_t *pfns, size_t n, pfn_t *bad)
{
	struct giving giving = {.pfns = pfns, .n = n, .bad = SLATE_PFN_NONE};

	while (giving.at < n) {
		unsigned long irq = mm_lock_acquire(&pa->lock);

		give_some_locked(pa, &giving);
		mm_lock_release(&pa->lock, irq);
	}
	*bad = giving.bad;
	return giving.freed;
}
