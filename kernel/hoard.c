/* SPDX-License-Identifier: MIT */
/*
 * hoard.c - takes runs by descending powers of two: a terabyte in about a thousand calls.
 */
#include "kernel/hoard.h"

#include <slate/slate.h>

#include "kernel/selftest.h"

/* 1 GiB */
#define HOARD_MAX_ORDER (30 - SLATE_PAGE_SHIFT)

static size_t free_pages(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	return stats.free_pages + stats.released_pages + stats.cached_pages;
}

static bool hoard_one(struct hoard *hoard, size_t pages, const struct slate_page_constraints *fit)
{
	pfn_t pfn = slate_page_alloc(pages, fit);
	struct hoard_run *run;

	if (pfn_is_none(pfn))
		return false;
	/* A frame above the direct map can be had, but not be written. */
	if (pfn_to_paddr(pfn).v >= mapped_end()) {
		slate_page_free(pfn, pages);
		return false;
	}
	run = slate_virt(pfn_to_paddr(pfn));
	run->next = hoard->runs;
	run->pages = pages;
	hoard->runs = run;
	hoard->pages += pages;
	return true;
}

void hoard_take(struct hoard *hoard, size_t leave)
{
	struct slate_page_constraints fit = {.max = mapped_end(), .node = SLATE_ANY_NODE};

	for (unsigned order = HOARD_MAX_ORDER + 1; order-- > 0;) {
		size_t pages = (size_t)1 << order;

		while (leave == 0 || free_pages() >= leave + pages) {
			if (!hoard_one(hoard, pages, &fit))
				break;
		}
	}
	if (leave == 0)
		hoard_take_singles(hoard);
}

void hoard_take_singles(struct hoard *hoard)
{
	while (hoard_one(hoard, 1, NULL))
		;
}

void hoard_release(struct hoard *hoard)
{
	while (hoard->runs) {
		struct hoard_run *run = hoard->runs;

		hoard->runs = run->next;
		slate_page_free(paddr_to_pfn(slate_phys(run)), run->pages);
	}
	hoard->pages = 0;
}

/* The words of a run behind its header, at most max_pages of it. */
static uint64_t *run_words(struct hoard_run *run, size_t max_pages, size_t *count)
{
	size_t pages = run->pages < max_pages ? run->pages : max_pages;

	*count = (pages * SLATE_PAGE_SIZE - sizeof(*run)) / sizeof(uint64_t);
	return (uint64_t *)(run + 1);
}

size_t hoard_fill(const struct hoard *hoard, size_t max_pages)
{
	size_t left = max_pages;

	for (struct hoard_run *run = hoard->runs; run && left > 0; run = run->next) {
		size_t count;
		uint64_t *words = run_words(run, left, &count);

		for (size_t i = 0; i < count; i++)
			words[i] = ~(uint64_t)(uintptr_t)&words[i];
		left -= run->pages < left ? run->pages : left;
	}
	return max_pages - left;
}

bool hoard_check(const struct hoard *hoard, size_t max_pages)
{
	size_t left = max_pages;

	for (struct hoard_run *run = hoard->runs; run && left > 0; run = run->next) {
		size_t count;
		const uint64_t *words = run_words(run, left, &count);

		for (size_t i = 0; i < count; i++) {
			if (words[i] != ~(uint64_t)(uintptr_t)&words[i])
				return false;
		}
		left -= run->pages < left ? run->pages : left;
	}
	return true;
}
