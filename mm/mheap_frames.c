/* SPDX-License-Identifier: MIT */
/*
 * mheap_frames.c (level 5) - frames that callers own, by the run or singly. Their class byte stays
 * PAGECLASS_FREE: the bitmap of the page allocator alone tells which are out, so neither way
 * touches the arena.
 */
#include "mm/mheap.h"

#include <slate/slate.h>

#include "mm/mmdebug.h"

/* Frames that one lock hold frees at most. */
#define FREE_BATCH 64u

static void note_frames_out(struct mheap *heap, size_t pages)
{
	atomic_fetch_add_explicit(&heap->frame_pages, pages, memory_order_relaxed);
}

static void note_frames_in(struct mheap *heap, size_t pages)
{
	atomic_fetch_sub_explicit(&heap->frame_pages, pages, memory_order_relaxed);
}

static pfn_t alloc_on(unsigned node, size_t n, const struct page_fit *fit)
{
	pfn_t pfn = pagealloc_alloc(&mheaps[node].pages, n, fit);

	if (!pfn_is_none(pfn))
		note_frames_out(&mheaps[node], n);
	return pfn;
}

pfn_t mheap_alloc_pages(size_t n, const struct page_fit *fit, unsigned preferred)
{
	pfn_t pfn = SLATE_PFN_NONE;

	if (mm_fault_now())
		return pfn;
	if (preferred < mheap_node_count())
		pfn = alloc_on(preferred, n, fit);
	for (unsigned node = 0; node < mheap_node_count() && pfn_is_none(pfn); node++) {
		if (node != preferred)
			pfn = alloc_on(node, n, fit);
	}
	return pfn;
}

/* The heap of a frame, and the bounds of its region; NULL for a frame of nobody. */
static struct mheap *heap_of(pfn_t pfn, pfn_t *start, size_t *pages)
{
	for (unsigned node = 0; node < mheap_node_count(); node++) {
		if (pagealloc_bounds(&mheaps[node].pages, pfn, start, pages))
			return &mheaps[node];
	}
	return NULL;
}

/* A frame of an object or of metadata is allocated in the bitmap as well: its class byte tells. */
static bool may_be_callers(pfn_t pfn)
{
	return arena_class(pfn) == PAGECLASS_FREE;
}

size_t mheap_free_pages(pfn_t pfn, size_t n)
{
	size_t best = 0;

	for (size_t i = 0; i < n; i++) {
		if (!may_be_callers(pfn_add(pfn, i)))
			return i;
	}
	/* another node's allocator says 0 */
	for (unsigned node = 0; node < mheap_node_count(); node++) {
		size_t freed = pagealloc_free(&mheaps[node].pages, pfn, n);

		if (freed == n) {
			note_frames_in(&mheaps[node], n);
			return n;
		}
		if (freed > best)
			best = freed;
	}
	return best;
}

unsigned mheap_take_frames(void **out, unsigned n)
{
	pfn_t pfns[FREE_BATCH];
	size_t got = 0;

	if (mm_fault_now())
		return 0;
	if (n > FREE_BATCH)
		n = FREE_BATCH;
	for (unsigned node = 0; node < mheap_node_count() && got == 0; node++) {
		got = pagealloc_alloc_batch(&mheaps[node].pages, pfns, n);
		note_frames_out(&mheaps[node], got);
	}
	/* A take pops from the top: the lowest frame goes there. */
	for (size_t i = 0; i < got; i++)
		out[i] = frame_to_slot(pfns[got - 1 - i]);
	return (unsigned)got;
}

static void sort_pfns(pfn_t *pfns, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		pfn_t pfn = pfns[i];
		unsigned at = i;

		for (; at > 0 && pfns[at - 1].v > pfn.v; at--)
			pfns[at] = pfns[at - 1];
		pfns[at] = pfn;
	}
}

void *mheap_give_frames(void **frames, unsigned n)
{
	pfn_t pfns[FREE_BATCH];
	void *first_bad = NULL;

	MM_ASSERT(n <= FREE_BATCH);
	for (unsigned i = 0; i < n; i++)
		pfns[i] = slot_to_frame(frames[i]);
	sort_pfns(pfns, n);
	for (unsigned at = 0; at < n;) {
		pfn_t start;
		size_t pages;
		struct mheap *heap =
			may_be_callers(pfns[at]) ? heap_of(pfns[at], &start, &pages) : NULL;
		unsigned run = at + 1;

		if (!heap) {
			first_bad = frame_to_slot(pfns[at++]);
			continue;
		}
		while (run < n && pfns[run].v - start.v < pages && may_be_callers(pfns[run]))
			run++;
		pfn_t bad = SLATE_PFN_NONE;
		size_t freed = pagealloc_free_batch(&heap->pages, pfns + at, run - at, &bad);

		note_frames_in(heap, freed);
		if (!pfn_is_none(bad))
			first_bad = frame_to_slot(bad);
		at = run;
	}
	return first_bad;
}
