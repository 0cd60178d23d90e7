/* SPDX-License-Identifier: MIT */
/*
 * mheap_try.c (level 5) - frames and spans without a wait.
 *
 * Shortcoming: runs of more than 512 frames are taken in pieces, and never here.
 */
#include "mm/mheap_try.h"

#include <slate/slate.h>

#include "mm/directmap.h"
#include "mm/mheap_span.h"
#include "mm/mheap_witness.h"
#include "mm/mmdebug.h"
#include "mm/numa.h"

/* More frames are a caller's, or fewer. */
static void count_frames(unsigned node, size_t pages)
{
	atomic_fetch_add_explicit(&mheaps[node].frame_pages, pages, memory_order_relaxed);
}

struct mheap_frames mheap_try_frames(size_t n, const struct page_fit *fit, unsigned preferred)
{
	unsigned here = numa_here();
	const uint8_t *order = numa_order(preferred < SLATE_MAX_NODES ? preferred : here);
	struct mheap_frames frames = {.pages = 0};
	struct page_fit wish = fit ? *fit : (struct page_fit){.min = {0}};

	wish.known_zero = &frames.zero;
	if (mm_fault_now())
		return frames;
	for (unsigned i = 0; i < SLATE_MAX_NODES && frames.pages == 0; i++) {
		struct mheap *heap = &mheaps[order[i]];

		if (!mheap_may_serve(heap, n))
			continue;
		frames.pfn = pagealloc_try_alloc(&heap->pages, n, &wish);
		if (pfn_is_none(frames.pfn))
			continue;
		frames.pages = n;
		frames.node = order[i];
		count_frames(frames.node, n);
		mheap_note_served(heap, here, n);
	}
	return frames;
}

/* ---- Metadata ---- */

/* Where metadata_in_zone() looks first, but one zone only; then anywhere that stays. */
static struct mheap_frames metadata_frame(bool reserve)
{
	struct mheap *heap = &mheaps[numa_here()];
	size_t zone = atomic_load_explicit(&heap->metadata_zone, memory_order_relaxed);
	size_t end = atomic_load_explicit(&heap->stays_end, memory_order_relaxed);
	struct page_fit fit = {.end = directmap_end, .stays = true, .reserve = reserve};
	struct page_fit inside = fit;
	struct mheap_frames frames = {.pages = 0};

	inside.min = (pfn_t){zone};
	inside.end = (pfn_t){zone + MHEAP_ZONE_PAGES < end ? zone + MHEAP_ZONE_PAGES : end};
	if (end > 0)
		frames = mheap_try_frames(1, &inside, SLATE_ANY_NODE);
	if (frames.pages == 0)
		frames = mheap_try_frames(1, &fit, SLATE_ANY_NODE);
	fit.stays = false;
	return frames.pages > 0 ? frames : mheap_try_frames(1, &fit, SLATE_ANY_NODE);
}

void mheap_frames_to_metadata(const struct mheap_frames *frames)
{
	arena_set_class(frames->pfn, frames->pages, PAGECLASS_META);
	count_frames(frames->node, (size_t)0 - frames->pages);
	atomic_fetch_add_explicit(&mheaps[frames->node].metadata_pages, frames->pages,
				  memory_order_relaxed);
}

static void *bring_frame(void *arg, size_t size_bytes, size_t align_bytes)
{
	struct mheap_frames *frame = arg;

	(void)size_bytes;
	(void)align_bytes;
	mheap_frames_to_metadata(frame);
	frame->pages = 0;
	return pfn_to_virt(frame->pfn);
}

/* There is one. If not, *left, if it has pages, is a frame that nothing came of. */
static bool stock(struct fixalloc *fa, bool reserve, struct mheap_frames *left)
{
	if (fixalloc_try_stock(fa) ||
	    fixalloc_try_feed(fa, SLATE_PAGE_SIZE, mheap_try_donated, NULL))
		return true;
	*left = metadata_frame(reserve);
	return left->pages > 0 && fixalloc_try_feed(fa, SLATE_PAGE_SIZE, bring_frame, left);
}

/* ---- Spans ---- */

bool mheap_try_parts(const struct mheap_wish *wish, struct mheap_parts *parts)
{
	struct page_fit fit = {.end = directmap_end, .reserve = wish->reserve};
	size_t table_pages = mheap_witness_pages(wish->objects);

	*parts = (struct mheap_parts){.frames = {.pages = 0}};
	if (!stock(&mheap_span_structs, wish->reserve, &parts->frames) ||
	    (wish->bits && !stock(&mheap_span_bits, wish->reserve, &parts->frames)))
		return false;
	if (table_pages > 0)
		parts->table = mheap_try_frames(table_pages, &fit, SLATE_ANY_NODE);
	if (parts->table.pages != table_pages)
		return false;
	fit.align_pages = wish->align_pages;
	parts->frames = mheap_try_frames(wish->pages, &fit, SLATE_ANY_NODE);
	return parts->frames.pages > 0;
}

/* A span that is set up but for its place, and now comes out of the parts. */
static void publish_locked(struct mheap *heap, struct mspan *span, struct mheap_parts *parts)
{
	mm_lock_assert_held(&heap->lock);
	mheap_witness_attach(span, mheap_witness_make(&parts->table, span->elem_count));
	count_frames(span->node, (size_t)0 - span->pages);
	mheap_map_span(span);
	mheap_list_span_locked(heap, span);
	parts->frames.pages = parts->table.pages = 0;
}

struct mspan *mheap_try_span(unsigned span_class, struct mheap_parts *parts)
{
	const struct mheap_frames *frames = &parts->frames;
	struct mheap *heap = &mheaps[frames->node];
	struct fixalloc *with = mspan_needs_bits(span_class) ? &mheap_span_bits : NULL;
	struct mspan *span;
	void *bits = NULL;
	unsigned long irq;

	if (!mm_lock_try(&heap->lock, &irq))
		return NULL;
	span = fixalloc_try_alloc(&mheap_span_structs, with, &bits);
	if (span) {
		span->node = (uint8_t)frames->node;
		mspan_init(span, pfn_to_virt(frames->pfn), frames->pages, span_class, bits);
		publish_locked(heap, span, parts);
	}
	mm_lock_release(&heap->lock, irq);
	return span;
}

struct mspan *mheap_try_large(struct mheap_parts *parts)
{
	const struct mheap_frames *frames = &parts->frames;
	struct mheap *heap = &mheaps[frames->node];
	struct mspan *span;
	unsigned long irq;

	if (!mm_lock_try(&heap->lock, &irq))
		return NULL;
	span = fixalloc_try_alloc(&mheap_span_structs, NULL, NULL);
	if (span) {
		span->node = (uint8_t)frames->node;
		mheap_init_large(span, pfn_to_virt(frames->pfn), frames->pages, frames->zero);
		publish_locked(heap, span, parts);
	}
	mm_lock_release(&heap->lock, irq);
	return span;
}
