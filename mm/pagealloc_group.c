/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_group.c (level 3) - the free frames of one aligned group of 64, all at once: out in one
 * lock hold for a CPU's page cache, and what is left of them back in another. A group is a word of
 * the bitmap, or two where words are 32 bits.
 */
#include "lib/bits.h"
#include "mm/mmdebug.h"
#include "mm/page_search.h"
#include "mm/pagealloc_node.h"

#define GROUP_WORDS (PAGE_GROUP_PAGES / BITWORD_BITS)

_Static_assert(PAGE_CHUNK_PAGES % PAGE_GROUP_PAGES == 0, "a group lies in one chunk");

/* Word i of a group. */
static bitword_t group_word(uint64_t group, unsigned i)
{
	return (bitword_t)(group >> (i * BITWORD_BITS));
}

/* The lowest n ones. */
static bitword_t lowest_ones(bitword_t word, size_t n)
{
	bitword_t rest = word;

	while (rest && n-- > 0)
		rest &= rest - 1;
	return word ^ rest;
}

/* Of the group at a bit, at most `most` frames. Returns how many. */
static size_t take_group(struct page_region *region, size_t bit, size_t most,
			 struct page_group *group)
{
	size_t taken = 0;

	*group = (struct page_group){.base = {region->origin + bit}};
	for (unsigned i = 0; i < GROUP_WORDS; i++) {
		size_t at = bit + i * BITWORD_BITS;
		bitword_t *word = region->bitmap + (at >> BITWORD_SHIFT);
		bitword_t mask = ~*word;
		size_t n = bitword_popcount(mask);

		if (n > most - taken) {
			mask = lowest_ones(mask, most - taken);
			n = most - taken;
		}
		if (n == 0)
			continue;
		group->free |= (uint64_t)mask << (i * BITWORD_BITS);
		group->released |= (uint64_t)(mask & region->released[at >> BITWORD_SHIFT])
				   << (i * BITWORD_BITS);
		*word |= mask;
		page_region_taken(region, at, n);
		taken += n;
	}
	region->first_free = bit + 64 - bits_clz64(group->free);
	return taken;
}

size_t pagealloc_alloc_to_cache(struct pagealloc *pa, struct page_group *group)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	size_t left = pagealloc_left_locked(pa, false);
	struct page_region *region = pagealloc_regions(pa);
	size_t taken = 0;

	while (region && region->free_pages == 0)
		region = pagealloc_next(region);
	if (region && left > 0) {
		size_t bit = page_search_one(region) & ~(size_t)(PAGE_GROUP_PAGES - 1);

		taken = take_group(region, bit, left, group);
		count_sub(&pa->free_pages, taken);
	}
	mm_lock_release(&pa->lock, irq);
	return taken;
}

/* Returns how many of them were allocated; these are free now. */
static size_t give_group(struct page_region *region, size_t bit, const struct page_group *group)
{
	size_t given = 0;

	for (unsigned i = 0; i < GROUP_WORDS; i++) {
		size_t at = bit + i * BITWORD_BITS;
		size_t index = at >> BITWORD_SHIFT;
		bitword_t mask = group_word(group->free, i) & region->bitmap[index];
		bitword_t released = group_word(group->released, i) & mask;
		size_t n = bitword_popcount(mask);

		if (n == 0)
			continue;
		region->bitmap[index] ^= mask;
		/* the lowest of them lowers the hints most */
		page_region_hints_given(region, at + bitword_ctz(mask), 1);
		page_region_given(region, at, n);
		region->released[index] |= released;
		region->released_pages += bitword_popcount(released);
		region->marks += bitword_popcount(released);
		given += n;
	}
	return given;
}

size_t pagealloc_free_group(struct pagealloc *pa, const struct page_group *group)
{
	pfn_t first = pfn_add(group->base, bits_ctz64(group->free));
	unsigned long irq = mm_lock_acquire(&pa->lock);
	struct page_region *region = pagealloc_recent_locked(pa, first);
	size_t given = 0;

	if (region) {
		given = give_group(region, group->base.v - region->origin, group);
		count_add(&pa->free_pages, given);
		pagealloc_note_given_locked(pa, region);
	}
	mm_lock_release(&pa->lock, irq);
	return given;
}
