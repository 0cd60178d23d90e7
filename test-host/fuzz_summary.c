/* SPDX-License-Identifier: MIT */
/*
 * fuzz_summary.c - libFuzzer's way into the summaries: the bytes are runs of taken and free frames
 * of eight chunks; the summary of each chunk, and of the eight, is what one finds by looking at
 * each frame in turn. bitword_runs() likewise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/page_summary.h"

#define FRAMES (SUMMARY_FAN * PAGE_CHUNK_PAGES)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static bool taken[FRAMES];
static bitword_t words[SUMMARY_FAN * PAGE_CHUNK_WORDS];

static void fail(const char *what, size_t at)
{
	fprintf(stderr, "%s %zu is wrong\n", what, at);
	abort();
}

/* Two bytes a run: which kind, and how long; lengths next to a chunk's and a word's are frequent.
 */
static void lay_out(const uint8_t *data, size_t size_bytes)
{
	static const size_t round[] = {0, 32, 64, 512, 511, 513, 1024, 4096};
	size_t at = 0;

	memset(taken, 0, sizeof(taken));
	for (size_t i = 0; i + 1 < size_bytes && at < FRAMES; i += 2) {
		size_t length = round[data[i] >> 1 & 7] + data[i + 1];

		for (; length > 0 && at < FRAMES; length--)
			taken[at++] = data[i] & 1;
	}
	memset(words, 0, sizeof(words));
	for (size_t i = 0; i < FRAMES; i++)
		if (taken[i])
			words[i / BITWORD_BITS] |= (bitword_t)1 << i % BITWORD_BITS;
}

static struct page_summary look(size_t first, size_t count)
{
	struct page_summary summary = {0, 0, 0};
	uint32_t run = 0;

	for (size_t i = 0; i < count; i++) {
		run = taken[first + i] ? 0 : run + 1;
		if (run == i + 1)
			summary.start = run;
		if (run > summary.max)
			summary.max = run;
	}
	summary.end = run;
	return summary;
}

static bool same(const struct page_summary *a, const struct page_summary *b)
{
	return a->start == b->start && a->max == b->max && a->end == b->end;
}

static void check_runs(bitword_t word, size_t n)
{
	bitword_t runs = bitword_runs(word, n);

	for (size_t bit = 0; bit < BITWORD_BITS; bit++) {
		bool fits = bit + n <= BITWORD_BITS;

		for (size_t i = 0; fits && i < n; i++)
			fits = word >> (bit + i) & 1;
		if (fits != (runs >> bit & 1))
			fail("run of", n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct page_summary chunks[SUMMARY_FAN];
	struct page_summary all = {1, 2, 3};
	struct page_summary right;

	lay_out(data, size_bytes);
	for (size_t i = 0; i < SUMMARY_FAN; i++) {
		chunks[i] = (struct page_summary){1, 2, 3};
		right = look(i * PAGE_CHUNK_PAGES, PAGE_CHUNK_PAGES);
		if (!page_summary_chunk(&chunks[i], words + i * PAGE_CHUNK_WORDS) ||
		    !same(&chunks[i], &right))
			fail("chunk", i);
		if (page_summary_chunk(&chunks[i], words + i * PAGE_CHUNK_WORDS))
			fail("change of chunk", i);
	}
	right = look(0, FRAMES);
	if (!page_summary_merge(&all, chunks, PAGE_CHUNK_PAGES) || !same(&all, &right))
		fail("the whole of", SUMMARY_FAN);
	if (size_bytes > 0)
		check_runs(words[data[0] % (SUMMARY_FAN * PAGE_CHUNK_WORDS)] ^ -(bitword_t)1,
			   1 + data[0] % BITWORD_BITS);
	return 0;
}
