/* SPDX-License-Identifier: MIT */
/* page_summary.c (level 3) - summaries from bits, and from summaries. */
#include "mm/page_summary.h"

static inline bool set(struct page_summary *node, uint32_t start, uint32_t max, uint32_t end)
{
	if (node->max == max && node->start == start && node->end == end)
		return false;
	node->start = start;
	node->max = max;
	node->end = end;
	return true;
}

/*
 * The length of the longest run of ones in a word, given where those of len begin: twice the
 * length while there are any, then by smaller and smaller steps. The word has a zero.
 */
static uint32_t grow_run(bitword_t runs, uint32_t len)
{
	uint32_t step = len;
	bitword_t longer;

	while ((longer = runs & (runs >> step))) {
		runs = longer;
		len += step;
		step = len;
	}
	while (step > 1) {
		step = (step + 1) / 2;
		longer = runs & (runs >> step);
		if (longer) {
			runs = longer;
			len += step;
		}
	}
	return len;
}

/* The longest run of ones in a word that has a zero, if it is longer than max; max otherwise. */
static inline uint32_t longer_run(bitword_t word, uint32_t max)
{
	bitword_t runs;

	/* no longer one is left, if it touches no edge of the word; those that do are known */
	if (max >= BITWORD_BITS - 2)
		return max;
	runs = bitword_runs(word, max + 1);
	return runs ? grow_run(runs, max + 1) : max;
}

bool page_summary_chunk(struct page_summary *node, const bitword_t *words)
{
	const bitword_t *end = words + PAGE_CHUNK_WORDS;
	uint32_t start, max;
	uint32_t run = 0; /* zeros just before the word */

	if (page_chunk_is_full(words))
		return set(node, 0, 0, 0);
	for (; *words == 0; run += BITWORD_BITS) {
		if (++words == end)
			return set(node, PAGE_CHUNK_PAGES, PAGE_CHUNK_PAGES, PAGE_CHUNK_PAGES);
	}
	start = max = run + bitword_ctz(*words);
	for (; words < end; words++) {
		bitword_t word = *words;

		if (word == 0) {
			run += BITWORD_BITS;
			continue;
		}
		if (~word == 0) {
			max = run > max ? run : max;
			run = 0;
			continue;
		}
		run += bitword_ctz(word);
		max = longer_run(~word, run > max ? run : max);
		run = bitword_clz(word);
	}
	return set(node, start, run > max ? run : max, run);
}

bool page_summary_merge(struct page_summary *node, const struct page_summary *children,
			uint32_t span_pages)
{
	const struct page_summary *end = children + SUMMARY_FAN;
	uint32_t start, max;
	uint32_t run = 0; /* free frames just before the child */

	for (; children->max == span_pages; children++) {
		run += span_pages;
		if (children + 1 == end)
			return set(node, run, run, run);
	}
	start = max = run + children->start;
	for (; children < end; children++) {
		uint32_t longest = children->max;

		/* whatever is open ends here, or goes on through all of the child */
		run += children->start;
		max = run > max ? run : max;
		max = longest > max ? longest : max;
		run = longest == span_pages ? run : children->end;
	}
	return set(node, start, max, run);
}
