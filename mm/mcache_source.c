/* SPDX-License-Identifier: MIT */
/* mcache_source.c (level 7) - where magazines are filled from and emptied to. */
#include "mm/mcache_source.h"

#include <slate/slate.h>

#include "mm/mcache_pages.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/stackcache.h"

size_t mcache_object_bytes(unsigned class)
{
	if (mcache_is_stack(class))
		return SLATE_PAGE_SIZE << (class - MCACHE_STACK);
	if (mcache_is_run(class))
		return mcache_run_pages(class) << SLATE_PAGE_SHIFT;
	return class == PAGECLASS_FRAME ? SLATE_PAGE_SIZE : spanclass_get(class).elem_bytes;
}

_Static_assert(SLATE_RUN_CLASS == MCACHE_RUN && SLATE_FOLD_TAKE == MCACHE_TAKE, "front ends know");

/* Longer runs do not come out of a page cache. */
#define CACHED_RUN_MAX 8u

/* A huge frame first where it is one of the machine's. */
static pfn_t run_alloc(size_t pages)
{
	const struct page_fit huge = {.align_pages = 512};
	pfn_t pfn = SLATE_PFN_NONE;

	if (pages == 512)
		pfn = mheap_alloc_pages(pages, &huge, SLATE_ANY_NODE);
	return pfn_is_none(pfn) ? mheap_alloc_pages(pages, NULL, SLATE_ANY_NODE) : pfn;
}

static unsigned take_runs(size_t pages, void **out, unsigned n)
{
	unsigned got = 0;

	for (; got < n; got++) {
		pfn_t pfn = SLATE_PFN_NONE;

		if (pages <= CACHED_RUN_MAX)
			pfn = mcache_pages_take_run((unsigned)pages);
		if (pfn_is_none(pfn))
			pfn = run_alloc(pages);
		if (pfn_is_none(pfn))
			break;
		out[got] = frame_to_slot(pfn);
	}
	return got;
}

unsigned mcache_source_take(unsigned class, void **out, unsigned n)
{
	if (class == PAGECLASS_FRAME)
		return mcache_pages_take(out, n);
	if (mcache_is_stack(class))
		return stackcache_take(class - MCACHE_STACK, out, n);
	if (mcache_is_run(class))
		return take_runs(mcache_run_pages(class), out, n);
	return mcentral_take(class, out, n);
}

/* Whoever flushes: it is the free that was wrong. */
static void report_bad_frame(pfn_t pfn, size_t pages)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_PAGE_FREE,
		.call = "slate_page_free",
		.detail = "the frame is free already; found when the magazine was flushed",
		.address = (uintptr_t)pfn_to_paddr(pfn).v,
		.size_bytes = pages << SLATE_PAGE_SHIFT,
	};

	mm_report(&report);
}

static void give_runs(size_t pages, void **slots, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pfn_t pfn = slot_to_frame(slots[i]);
		size_t freed = mheap_free_pages(pfn, pages);

		if (freed != pages)
			report_bad_frame(pfn_add(pfn, freed), pages);
	}
}

void mcache_source_give(unsigned class, void **objects, unsigned n, const char *call)
{
	if (mcache_is_stack(class)) {
		stackcache_give(objects, n);
		return;
	}
	if (mcache_is_run(class)) {
		give_runs(mcache_run_pages(class), objects, n);
		return;
	}
	if (class != PAGECLASS_FRAME) {
		mcentral_give(class, objects, n, call);
		return;
	}
	void *bad = mheap_give_frames(objects, n);

	if (bad)
		report_bad_frame(slot_to_frame(bad), 1);
}
