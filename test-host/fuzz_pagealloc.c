/* SPDX-License-Identifier: MIT */
/*
 * fuzz_pagealloc.c - libFuzzer's way into the page allocator: the bytes choose regions and
 * operations, the naive model judges every result.
 */
#include <stdio.h>
#include <stdlib.h>

#include "test-host/host.h"
#include "test-host/page_model.h"

#define PAGES_MAX 6000
#define OPS_MAX   400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

struct bytes {
	const uint8_t *at;
	const uint8_t *end;
};

/* Two bytes a number, so that a fuzzer's change stays where it is; zeros at the end. */
static uint64_t draw(void *arg)
{
	struct bytes *bytes = arg;
	uint64_t number = 0;

	for (unsigned i = 0; i < 2 && bytes->at < bytes->end; i++)
		number = number << 8 | *bytes->at++;
	return number;
}

static void fail(const char *what)
{
	fprintf(stderr, "differs from the model: %s\n", what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	static bool taken[3][PAGES_MAX];
	struct bytes bytes = {data, data + size_bytes};
	struct page_model model = {.count = 0};
	struct pagealloc node;
	void *metadata[3];
	size_t at = 0;

	host_reset();
	pagealloc_init(&node, 0);
	for (unsigned i = 0; i < 3; i++) {
		size_t pages = 1 + draw(&bytes) % PAGES_MAX;

		at += draw(&bytes) % 1024;
		metadata[i] = aligned_alloc(64, (pagealloc_region_bytes(pages) + 63) & ~(size_t)63);
		if (!pagealloc_add(&node, (pfn_t){at}, pages, metadata[i]) ||
		    !model_add(&model, (pfn_t){at}, pages, taken[i]))
			fail("add");
		at += pages;
	}
	for (unsigned op = 0; op < OPS_MAX && bytes.at < bytes.end; op++) {
		const char *wrong = model_step(&model, &node, draw, &bytes);

		if (wrong)
			fail(wrong);
	}
	if (!model_agrees(&model, &node))
		fail("frames");
	for (unsigned i = 0; i < 3; i++)
		free(metadata[i]);
	return 0;
}
