/* SPDX-License-Identifier: MIT */
/* pure_page_rows.c - runs the rows of pure_page_rows.h. */
#include "test-host/pure_page_rows.h"

/* 70 chunks and the tree above them. */
#define METADATA_BYTES (48 << 10)

struct pagealloc page_row_node;

static _Alignas(64) unsigned char metadata[ROW_REGIONS][METADATA_BYTES];

struct comparison {
	const struct page_run *expected;
	size_t at;
};

static void compare_run(pfn_t pfn, size_t pages, void *arg)
{
	struct comparison *comparison = arg;

	if (comparison->at < ROW_RUNS && pfn.v == comparison->expected[comparison->at].pfn &&
	    pages == comparison->expected[comparison->at].pages)
		comparison->at++;
	else
		comparison->at = ROW_RUNS + 1;
}

void page_row_check(const struct page_run *expected)
{
	struct comparison comparison = {expected, 0};
	size_t sum = 0;
	pfn_t where;

	pagealloc_for_each_free(&page_row_node, compare_run, &comparison);
	CHECK(comparison.at <= ROW_RUNS);
	CHECK(comparison.at == ROW_RUNS || expected[comparison.at].pages == 0);
	for (size_t i = 0; i < comparison.at; i++)
		sum += expected[i].pages;
	CHECK(page_row_node.free_pages == sum);
	CHECK(!pagealloc_validate(&page_row_node, &where));
}

void page_row_start(void)
{
	for (size_t i = 0; i < sizeof(page_row_node); i++)
		((unsigned char *)&page_row_node)[i] = 0xa5;
	pagealloc_init(&page_row_node, 0);
}

bool page_row_add(unsigned slot, size_t pfn, size_t pages)
{
	/* what lay there before must not matter */
	for (size_t i = 0; i < METADATA_BYTES; i++)
		metadata[slot][i] = (unsigned char)(0xa5 + i);
	return pagealloc_add(&page_row_node, (pfn_t){pfn}, pages, metadata[slot]);
}

static size_t run_step(const struct page_step *step)
{
	struct pagealloc *node = &page_row_node;
	const struct page_fit *fit = &step->fit;
	bool plain = !fit->min.v && !fit->end.v && !fit->align_pages && !fit->boundary_pages;
	pfn_t pfn = {step->pfn};

	switch (step->operation) {
	case PAGE_ALLOC:
		return pagealloc_alloc(node, step->n, plain ? NULL : fit).v;
	case PAGE_AT:
		return pagealloc_alloc_at(node, pfn, step->n);
	case PAGE_FREE:
		return pagealloc_free(node, pfn, step->n);
	case PAGE_TAKEN:
		return pagealloc_is_allocated(node, pfn);
	case PAGE_HELD:
		return pagealloc_contains(node, pfn);
	default:
		return pagealloc_largest(node);
	}
}

/* Validation brings the tree up to date, so it also hides what makes the tree lag. */
static void run_steps(const struct page_row *row, bool validate)
{
	pfn_t where;

	page_row_start();
	for (unsigned i = 0; i < ROW_REGIONS && row->regions[i].pages; i++) {
		CHECK(pagealloc_region_bytes(row->regions[i].pages) <= METADATA_BYTES);
		CHECK(page_row_add(i, row->regions[i].pfn, row->regions[i].pages));
	}
	for (unsigned i = 0; i < ROW_RUNS && row->taken[i].pages; i++)
		CHECK(pagealloc_alloc_at(&page_row_node, (pfn_t){row->taken[i].pfn},
					 row->taken[i].pages));
	for (unsigned i = 0; i < ROW_STEPS && row->steps[i].operation; i++) {
		CHECK(run_step(&row->steps[i]) == row->steps[i].expect);
		CHECK(!validate || !pagealloc_validate(&page_row_node, &where));
	}
	page_row_check(row->free);
}

void page_row_run(const struct page_row *row)
{
	run_steps(row, false);
	run_steps(row, true);
}
