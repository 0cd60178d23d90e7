/* SPDX-License-Identifier: MIT */
/* page_summary.c (level 3) - summaries from bits, and from summaries. */
#include "mm/page_summary.h"

/* The longest run of ones in word, if it is longer than best; best otherwise. */
static uint32_t longer_run(bitword_t word, uint32_t best)
{
	if (best >= BITWORD_BITS)
		return best;
	for (word = bitword_runs(word, best + 1); word; word &= word >> 1)
		best++;
	return best;
}

struct page_summary page_summary_chunk(const bitword_t *words)
{
	struct page_summary sum = {0, 0, 0};
	bitword_t any = 0;
	uint32_t run = 0;

	/* runs that touch a word's edge first: often they are so long that no word needs a closer
	 * look */
	for (size_t i = 0; i < PAGE_CHUNK_WORDS; i++) {
		bitword_t word = words[i];

		if (word == 0) {
			run += BITWORD_BITS;
			continue;
		}
		run += bitword_ctz(word);
		if (!any)
			sum.start = run;
		if (run > sum.max)
			sum.max = run;
		run = bitword_clz(word);
		any |= word;
	}
	if (!any)
		return (struct page_summary){PAGE_CHUNK_PAGES, PAGE_CHUNK_PAGES, PAGE_CHUNK_PAGES};
	if (run > sum.max)
		sum.max = run;
	sum.end = run;
	/* a run that touches no edge leaves two bits of its word */
	for (size_t i = 0; i < PAGE_CHUNK_WORDS && sum.max < BITWORD_BITS - 2; i++) {
		if (~words[i])
			sum.max = longer_run(~words[i], sum.max);
	}
	return sum;
}

struct page_summary page_summary_merge(const struct page_summary *children, uint32_t span_pages)
{
	uint32_t max = 0;
	uint32_t run = 0; /* free frames just before the child */
	size_t full = 0;  /* children before the first that is not all free */

	while (full < SUMMARY_FAN && children[full].start == span_pages)
		full++;
	run = (uint32_t)full * span_pages;
	if (full == SUMMARY_FAN)
		return (struct page_summary){run, run, run};

	uint32_t start = run + children[full].start;

	for (size_t i = full; i < SUMMARY_FAN; i++) {
		const struct page_summary *child = &children[i];

		if (child->start == span_pages) {
			run += span_pages;
			continue;
		}
		run += child->start;
		if (run > max)
			max = run;
		if (child->max > max)
			max = child->max;
		run = child->end;
	}
	return (struct page_summary){start, run > max ? run : max, run};
}
