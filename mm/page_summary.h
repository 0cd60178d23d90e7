/* SPDX-License-Identifier: MIT */
/*
 * page_summary.h (level 3) - what a stretch of frames can hold: the free run at its start, the
 * longest one, the one at its end. Summaries of neighbours add up to the summary of both, so a
 * tree of them leads to the first run of any length.
 */
#ifndef MM_PAGE_SUMMARY_H
#define MM_PAGE_SUMMARY_H

#include "lib/bitmap.h"

/* A chunk is what one leaf summarises, and one cache line of bitmap: 512 frames, 2 MiB. */
#define PAGE_CHUNK_SHIFT 9
#define PAGE_CHUNK_PAGES ((size_t)1 << PAGE_CHUNK_SHIFT)
#define PAGE_CHUNK_MASK  (PAGE_CHUNK_PAGES - 1)
#define PAGE_CHUNK_WORDS (PAGE_CHUNK_PAGES / BITWORD_BITS)

/* Children of a node. */
#define SUMMARY_FAN_SHIFT 3
#define SUMMARY_FAN       ((size_t)1 << SUMMARY_FAN_SHIFT)

/* In frames. All of it free: the three are equal to its length. None of it: all are 0. */
struct page_summary {
	uint32_t start;
	uint32_t max;
	uint32_t end;
};

/*
 * Ones of the result: where n consecutive ones of word begin. Runs that leave the word do not
 * count. 1 <= n <= BITWORD_BITS.
 */
static inline bitword_t bitword_runs(bitword_t word, size_t n)
{
	/* each line proves twice as many bits from every one that is left on; a loop costs as much
	 * again, and this is the inner one of searches and summaries */
	if (n < 2)
		return word;
	word &= word >> 1;
	if (n < 4)
		return word & (word >> (n - 2));
	word &= word >> 2;
	if (n < 8)
		return word & (word >> (n - 4));
	word &= word >> 4;
	if (n < 16)
		return word & (word >> (n - 8));
	word &= word >> 8;
	if (n < 32)
		return word & (word >> (n - 16));
	word &= word >> 16;
	return word & (word >> (n - 32));
}

/* Are all frames of a chunk allocated? */
static inline bool page_chunk_is_full(const bitword_t *words)
{
	for (unsigned i = 0; i < PAGE_CHUNK_WORDS; i += 4) {
		if (~(words[i] & words[i + 1] & words[i + 2] & words[i + 3]))
			return false;
	}
	return true;
}

/*
 * Set *node to the summary of the PAGE_CHUNK_WORDS words of a chunk, in which a one is an
 * allocated frame; or of SUMMARY_FAN neighbours of span_pages each. Returns whether it was
 * another.
 */
bool page_summary_chunk(struct page_summary *node, const bitword_t *words);
bool page_summary_merge(struct page_summary *node, const struct page_summary *children,
			uint32_t span_pages);

#endif
