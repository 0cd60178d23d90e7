/* SPDX-License-Identifier: MIT */
/*
 * fuzz_constraints.c - libFuzzer's way into constrained searches: the bytes lay out taken and free
 * frames, then ask for run after run with limits, alignment and boundary; the naive model knows
 * which one it must be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test-host/host.h"
#include "test-host/page_model.h"

#define PAGES  5000
#define BASE   777
#define LAYOUT 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

struct bytes {
	const uint8_t *at;
	const uint8_t *end;
};

static size_t draw(struct bytes *bytes)
{
	size_t number = 0;

	for (unsigned i = 0; i < 2 && bytes->at < bytes->end; i++)
		number = number << 8 | *bytes->at++;
	return number;
}

static void fail(const char *what)
{
	fprintf(stderr, "differs from the model: %s\n", what);
	abort();
}

static void lay_out(struct bytes *bytes, struct page_model *model, struct pagealloc *node)
{
	size_t at = BASE;

	for (unsigned i = 0; i < LAYOUT && bytes->at < bytes->end; i++) {
		size_t n = 1 + draw(bytes) % 200;

		at += draw(bytes) % 100;
		if (at + n > BASE + PAGES)
			return;
		if (pagealloc_alloc_at(node, (pfn_t){at}, n) !=
		    model_alloc_at(model, (pfn_t){at}, n))
			fail("exact frames");
		at += n;
	}
}

static void ask(struct bytes *bytes, struct page_model *model, struct pagealloc *node)
{
	size_t kind = draw(bytes);
	size_t n = 1 + draw(bytes) % (kind & 1 ? 600 : 12);
	struct page_fit fit = {.align_pages = (size_t)1 << (kind >> 1) % 11};
	pfn_t got;
	pfn_t right;

	if (kind & 0x1000)
		fit.min.v = BASE - 10 + draw(bytes) % (PAGES + 20);
	if (kind & 0x2000)
		fit.end.v = BASE - 10 + draw(bytes) % (PAGES + 20);
	if (kind & 0x4000)
		fit.boundary_pages = (size_t)1 << draw(bytes) % 13;
	got = pagealloc_alloc(node, n, &fit);
	right = model_alloc(model, n, &fit);
	if (got.v != right.v)
		fail("which run");
	if (!pfn_is_none(got) && kind & 0x8000 &&
	    pagealloc_free(node, got, n) != model_free(model, got, n))
		fail("free");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	static bool taken[PAGES];
	struct bytes bytes = {data, data + size_bytes};
	struct page_model model = {.count = 0};
	struct pagealloc node;
	void *metadata;

	host_reset();
	pagealloc_init(&node, 0);
	metadata = aligned_alloc(64, (pagealloc_region_bytes(PAGES) + 63) & ~(size_t)63);
	if (!pagealloc_add(&node, (pfn_t){BASE}, PAGES, metadata) ||
	    !model_add(&model, (pfn_t){BASE}, PAGES, taken))
		fail("add");
	lay_out(&bytes, &model, &node);
	while (bytes.at < bytes.end)
		ask(&bytes, &model, &node);
	if (!model_agrees(&model, &node))
		fail("frames");
	free(metadata);
	return 0;
}
