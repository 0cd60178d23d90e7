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

/* The longest run of zeros in one of the words, if it is longer than max; max otherwise. */
static uint32_t longer_run(const bitword_t *words, uint32_t max)
{
	/* a run that touches no edge of its word leaves two bits */
	for (size_t i = 0; i < PAGE_CHUNK_WORDS && max < BITWORD_BITS - 2; i++) {
		bitword_t runs = ~words[i];

		if (!runs)
			continue;
		for (runs = bitword_runs(runs, max + 1); runs; runs &= runs >> 1)
			max++;
	}
	return max;
}

/* Neither all free nor all allocated. */
static bool chunk_mixed(struct page_summary *node, const bitword_t *words)
{
	const bitword_t *end = words + PAGE_CHUNK_WORDS;
	uint32_t max = 0;
	uint32_t start = 0;
	uint32_t run = 0;    /* zeros just before the word */
	bool inside = false; /* a one was met */

	/* runs that touch a word's edge first: often no other can be as long */
	for (const bitword_t *at = words; at < end; at++) {
		bitword_t word = *at;

		if (word == 0) {
			run += BITWORD_BITS;
			continue;
		}
		run += bitword_ctz(word);
		if (!inside)
			start = run;
		inside = true;
		if (run > max)
			max = run;
		run = bitword_clz(word);
	}
	if (run > max)
		max = run;
	return set(node, start, longer_run(words, max), run);
}

bool page_summary_chunk(struct page_summary *node, const bitword_t *words)
{
	bitword_t any = 0;
	bitword_t all = ~(bitword_t)0;

	for (size_t i = 0; i < PAGE_CHUNK_WORDS; i++) {
		any |= words[i];
		all &= words[i];
	}
	if (any == 0)
		return set(node, PAGE_CHUNK_PAGES, PAGE_CHUNK_PAGES, PAGE_CHUNK_PAGES);
	if (~all == 0)
		return set(node, 0, 0, 0);
	return chunk_mixed(node, words);
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
	do {
		/* whatever is open ends here */
		run += children->start;
		if (run > max)
			max = run;
		if (children->max > max)
			max = children->max;
		run = children->end;
		/* those that are the same all over go by quickly */
		while (++children < end) {
			if (children->max == 0) {
				if (run > max)
					max = run;
				run = 0;
			} else if (children->max == span_pages) {
				run += span_pages;
			} else {
				break;
			}
		}
	} while (children < end);
	if (run > max)
		max = run;
	return set(node, start, max, run);
}
