/* SPDX-License-Identifier: MIT */
/*
 * removal.c (level 8) - a range of memory goes: isolate, drain, test; and if it is held, say by
 * whom and put it back into service.
 *
 * Isolated, its region serves no request, and its spans give no objects: their class bytes are
 * PAGECLASS_SLOW, so objects that are freed come straight home past the magazines. What lies in
 * magazines and depots comes home when every CPU is drained. A single frame that is freed meanwhile
 * may enter a magazine once more, and a span that was being made is found late; so there are a few
 * rounds. Whether the range is free is decided once, under the page allocator's lock.
 *
 * Shortcoming: a range with a frame of metadata in it stays. Metadata goes there last.
 */
#include <slate/slate.h>

#include "mm/arena.h"
#include "mm/init.h"
#include "mm/largecache.h"
#include "mm/mcentral.h"
#include "mm/memrange.h"
#include "mm/mheap.h"
#include "mm/reclaim.h"

#define ROUNDS 3

static pfn_t served_start(const struct memrange *range)
{
	return pfn_add(range->start, range->metadata_pages);
}

static pfn_t served_end(const struct memrange *range)
{
	return pfn_add(range->start, range->pages);
}

/* ---- Isolation ---- */

static void isolate_spans(const struct memrange *range)
{
	for (pfn_t pfn = served_start(range); pfn.v < served_end(range).v; pfn.v++) {
		unsigned class = arena_class(pfn);
		struct mheap_live live;

		if ((spanclass_is_size(class) || class == PAGECLASS_SLOW ||
		     class == PAGECLASS_TYPED || class == PAGECLASS_TINY) &&
		    mheap_live_span(range->node, pfn, class, &live, NULL))
			mcentral_isolate(live.span_class, range->node, pfn);
	}
}

static void restore(const struct memrange *range)
{
	for (unsigned class = 2; class <= PAGECLASS_SPAN_LAST; class ++)
		mcentral_restore(class);
	for (unsigned i = 0; i < SPANCLASS_TYPED_COUNT; i++)
		mcentral_restore(SPANCLASS_TYPED + i);
	pagealloc_restore(&mheaps[range->node].pages);
}

/* ---- Holders ---- */

/* The list as it grows, and its last entry, which may have no place in it. */
struct listing {
	struct slate_holders *out;
	struct slate_holder last;
	const struct mspan *span; /* of the last one; never followed */
};

static enum slate_holder_kind kind_of(unsigned class)
{
	if (class == PAGECLASS_STACK || class - PAGECLASS_STACK_HEAD < SLATE_STACK_ORDERS)
		return SLATE_HOLDER_STACK;
	switch (class) {
	case PAGECLASS_FREE:
		return SLATE_HOLDER_FRAMES;
	case PAGECLASS_LARGE:
		return SLATE_HOLDER_LARGE;
	case PAGECLASS_META:
		return SLATE_HOLDER_METADATA;
	default:
		return SLATE_HOLDER_OBJECTS;
	}
}

static void finish_holder(struct listing *listing)
{
	struct slate_holders *out = listing->out;

	if (listing->last.pages == 0)
		return;
	if (listing->last.kind == SLATE_HOLDER_LARGE)
		listing->last.object_bytes = listing->last.pages << SLATE_PAGE_SHIFT;
	if (out->count < out->capacity)
		out->list[out->count] = listing->last;
	out->count++;
	out->pages += listing->last.pages;
}

static void add_frame(struct listing *listing, pfn_t pfn, unsigned node)
{
	unsigned class = arena_class(pfn);
	const struct mspan *span = arena_span(pfn);
	struct slate_holder *last = &listing->last;
	enum slate_holder_kind kind = kind_of(class);
	struct mheap_live live;
	paddr_t end = {last->base.v + ((uint64_t)last->pages << SLATE_PAGE_SHIFT)};

	if (last->pages && last->kind == kind && listing->span == span &&
	    end.v == pfn_to_paddr(pfn).v) {
		last->pages++;
		return;
	}
	finish_holder(listing);
	listing->span = span;
	*last = (struct slate_holder){.base = pfn_to_paddr(pfn), .pages = 1, .kind = kind};
	if (kind == SLATE_HOLDER_OBJECTS && mheap_live_span(node, pfn, class, &live, NULL))
		last->object_bytes = live.elem_bytes;
}

static void find_holders(const struct memrange *range, struct slate_holders *out)
{
	struct listing listing = {.out = out};
	pfn_t at = served_start(range);

	while (at.v < served_end(range).v) {
		size_t pages;

		at = pagealloc_isolated_taken(&mheaps[range->node].pages, at, served_end(range),
					      &pages);
		for (; pages > 0; pages--) {
			add_frame(&listing, at, range->node);
			at = pfn_add(at, 1);
		}
	}
	finish_holder(&listing);
}

/* It carries what others need. */
static void held_by_metadata(const struct memrange *range, struct slate_holders *out)
{
	struct listing listing = {
		.out = out,
		.last = {.base = pfn_to_paddr(range->start),
			 .pages = range->metadata_pages,
			 .kind = SLATE_HOLDER_METADATA},
	};

	finish_holder(&listing);
}

/* ---- Removal ---- */

static void forget(struct memrange *range)
{
	pfn_t start = range->start;
	size_t pages = range->pages;

	/* the record itself lies in the metadata that goes */
	mheap_note_uncarved(range->node, range->metadata_pages);
	memrange_forget(range);
	arena_set_class(start, pages, PAGECLASS_NONE);
}

static int remove_range(struct memrange *range, struct slate_holders *holders)
{
	struct pagealloc *pa = &mheaps[range->node].pages;

	if (range->kind == MEMRANGE_STAYS) {
		held_by_metadata(range, holders);
		return SLATE_EBUSY;
	}
	if (!pagealloc_isolate(pa, served_start(range)))
		return SLATE_ENOENT;
	for (unsigned round = 0; round < ROUNDS; round++) {
		isolate_spans(range);
		slate_flush();
		if (pagealloc_remove(pa)) {
			forget(range);
			return SLATE_OK;
		}
	}
	find_holders(range, holders);
	restore(range);
	return SLATE_EBUSY;
}

int slate_remove_memory(paddr_t base, uint64_t size_bytes, struct slate_holders *holders)
{
	struct slate_holders nobody = {.capacity = 0};
	pfn_t start;
	size_t pages;

	if (!init_check("slate_remove_memory"))
		return SLATE_ESTAGE;
	if (!holders)
		holders = &nobody;
	holders->count = 0;
	holders->pages = 0;

	int status = memrange_frames(base, size_bytes, &start, &pages);

	if (status != SLATE_OK)
		return status;
	if (!memrange_begin())
		return SLATE_EAGAIN;

	struct memrange *range = memrange_find(start, pages);

	/* a large object that is freed meanwhile shall not be given out again */
	largecache_pause();
	status =
		range && range->kind != MEMRANGE_BOOT ? remove_range(range, holders) : SLATE_ENOENT;
	largecache_resume();
	memrange_end();
	return status;
}
