/* SPDX-License-Identifier: MIT */
/* anyctx.c (level 8) - large objects and runs of frames for requests that cannot wait. */
#include "mm/anyctx.h"

#include "mm/lockrank.h"
#include "mm/mcache.h"
#include "mm/mheap_try.h"
#include "mm/object.h"
#include "mm/reclaim.h"

static struct mheap_frames take(size_t n, struct page_fit *fit, unsigned node, unsigned flags)
{
	struct mheap_frames frames = mheap_try_frames(n, fit, node);

	if (frames.pages == 0 &&
	    reclaim_next(&(struct reclaim){.pages = n}, flags | SLATE_ANYCTX)) {
		fit->reserve = true;
		frames = mheap_try_frames(n, fit, node);
	}
	return frames;
}

pfn_t anyctx_alloc_pages(size_t n, struct page_fit *fit, unsigned node, unsigned flags)
{
	struct mheap_frames frames = take(n, fit, node, flags);

	if (frames.pages == 0) {
		reclaim_failed();
		return SLATE_PFN_NONE;
	}
	if (fit->known_zero)
		*fit->known_zero = frames.zero;
	return frames.pfn;
}

static struct mspan *try_large(size_t pages, size_t align_pages, bool reserve)
{
	const struct mheap_wish wish = {
		.pages = pages, .align_pages = align_pages, .objects = 1, .reserve = reserve};
	struct mheap_parts parts;
	struct mspan *span = mheap_try_parts(&wish, &parts) ? mheap_try_large(&parts) : NULL;

	mcache_free_later(&parts);
	return span;
}

void *anyctx_alloc_large(size_t pages, size_t align_pages, unsigned flags)
{
	struct reclaim reclaim = {.pages = pages};
	struct mspan *span = NULL;

	if (pages > ANYCTX_LARGE_MAX_PAGES)
		return reclaim_failed();
	do {
		span = try_large(pages, align_pages, reclaim.reserve);
	} while (!span && reclaim_next(&reclaim, flags | SLATE_ANYCTX));
	return span ? object_new_large(span, flags) : reclaim_failed();
}
