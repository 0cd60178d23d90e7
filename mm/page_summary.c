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

bool page_summary_chunk(struct page_summary *node, const bitword_t *words)
{
	const bitword_t *end = words + PAGE_CHUNK_WORDS;
	uint32_t full = PAGE_CHUNK_PAGES;
	uint32_t start, max;
	uint32_t run = 0; /* zeros just before the word */
	bool mixed = false;

	for (; *words == 0; words++) {
		run += BITWORD_BITS;
		if (run == full)
			return set(node, full, full, full);
	}
	start = max = run + bitword_ctz(*words);
	/* runs that touch a word's edge first: often no other can be as long */
	for (const bitword_t *at = words; at < end; at++) {
		bitword_t word = *at;

		if (word == 0) {
			run += BITWORD_BITS;
			continue;
		}
		if (word != ~(bitword_t)0) {
			mixed = true;
			run += bitword_ctz(word);
		}
		if (run > max)
			max = run;
		run = bitword_clz(word);
	}
	if (run > max)
		max = run;
	if (mixed)
		max = longer_run(end - PAGE_CHUNK_WORDS, max);
	return set(node, start, max, run);
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
