/* SPDX-License-Identifier: MIT */
/*
 * heapmap.c (level 9) - the heap run by run: class bytes lead the way, spans tell about objects,
 * the page allocators' bitmaps about all other frames.
 *
 * It goes by pieces of at most a chunk, which bounds each lock hold; adjacent pieces of the same
 * kind are put together again before anybody hears of them. Spans are read without a lock: their
 * structs stay spans for ever, and what does not fit together is told as callers' frames.
 */
#include <slate/heapmap.h>

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/mheap.h"
#include "mm/page_summary.h"

struct walk {
	bool (*fn)(const struct slate_heap_run *run, void *arg);
	void *arg;
	struct slate_heap_run held; /* may still grow; pages 0: there is none */
};

static bool is_span(enum slate_heap_kind kind)
{
	return kind == SLATE_HEAP_OBJECTS || kind == SLATE_HEAP_LARGE || kind == SLATE_HEAP_STACK;
}

static bool tell(struct walk *walk, const struct slate_heap_run *next)
{
	struct slate_heap_run *held = &walk->held;

	if (held->pages > 0 && held->kind == next->kind && !is_span(next->kind) &&
	    pfn_add(held->start, held->pages).v == next->start.v) {
		held->pages += next->pages;
		return true;
	}
	if (held->pages > 0 && !walk->fn(held, walk->arg))
		return false;
	*held = *next;
	return true;
}

static size_t to_piece_end(pfn_t pfn)
{
	size_t mask = (PAGE_CHUNK_PAGES < ARENA_PAGES ? PAGE_CHUNK_PAGES : ARENA_PAGES) - 1;

	return (~pfn.v & mask) + 1;
}

/* Frames without a span: the bitmap of the node that has them knows. */
static struct slate_heap_run frames_at(pfn_t pfn, size_t pages)
{
	struct slate_heap_run run = {.start = pfn, .pages = pages, .kind = SLATE_HEAP_FRAMES};

	for (unsigned node = 0; node < mheap_node_count(); node++) {
		struct pagealloc_run found = pagealloc_run_at(&mheaps[node].pages, pfn, pages);

		if (found.pages == 0)
			continue;
		run.pages = found.pages;
		run.kind = found.released ? SLATE_HEAP_RELEASED
			   : found.free   ? SLATE_HEAP_FREE
					  : SLATE_HEAP_FRAMES;
		break;
	}
	return run;
}

/* The span's frames from pfn on; pages 0: the frame is no span's any more. */
static struct slate_heap_run span_at(pfn_t pfn)
{
	const struct mspan *span = arena_span(pfn);
	struct slate_heap_run run = {.start = pfn};

	if (!span)
		return run;
	size_t offset = pfn.v - virt_to_pfn((void *)span->base).v;

	if (offset >= span->pages || mspan_state(span) == MSPAN_DEAD)
		return run;
	run.pages = span->pages - offset;
	run.object_bytes = span->elem_bytes;
	if (span->span_class == PAGECLASS_STACK) {
		run.kind = SLATE_HEAP_STACK;
	} else if (span->span_class == PAGECLASS_LARGE) {
		run.kind = SLATE_HEAP_LARGE;
	} else {
		run.kind = SLATE_HEAP_OBJECTS;
		run.span_class = span->span_class;
		run.objects = span->elem_count;
		run.taken = span->allocated;
	}
	return run;
}

static struct slate_heap_run run_at(pfn_t pfn, unsigned class)
{
	size_t pages = arena_count_class(pfn, to_piece_end(pfn), class);
	struct slate_heap_run run = {.start = pfn, .pages = pages, .kind = SLATE_HEAP_METADATA};

	/* the byte may have changed between the two looks */
	if (pages == 0)
		run.pages = 1;
	if (class == PAGECLASS_META)
		return run;
	if (class != PAGECLASS_FREE) {
		run = span_at(pfn);
		if (run.pages > 0)
			return run;
		pages = 1;
	}
	return frames_at(pfn, pages ? pages : 1);
}

void slate_heap_walk(bool (*fn)(const struct slate_heap_run *run, void *arg), void *arg)
{
	struct walk walk = {.fn = fn, .arg = arg};
	pfn_t pfn = {0};

	while (pfn = arena_next(pfn), !pfn_is_none(pfn)) {
		unsigned class = arena_class(pfn);

		if (class == PAGECLASS_NONE) {
			size_t hole = arena_count_class(pfn, to_piece_end(pfn), class);

			pfn = pfn_add(pfn, hole ? hole : 1);
			continue;
		}
		struct slate_heap_run run = run_at(pfn, class);

		if (!tell(&walk, &run))
			return;
		pfn = pfn_add(pfn, run.pages);
	}
	if (walk.held.pages > 0)
		fn(&walk.held, arg);
}
