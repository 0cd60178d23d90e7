/* SPDX-License-Identifier: MIT */
/*
 * mheap_frames.c (level 5) - frames that callers own, by the run or singly. Their class byte stays
 * PAGECLASS_FREE: the bitmap of the page allocator alone tells which are out, so neither way
 * touches the arena.
 */
#include "mm/mheap.h"

#include <slate/slate.h>

#include "mm/mmdebug.h"
#include "mm/numa.h"
#include "mm/pagecache.h"

/* Frames that one lock hold frees at most. */
#define FREE_BATCH 64u

/* Frames of a node above its reserve from which on CPUs may keep groups of its frames. */
#define PLENTY_PAGES 1024u

static void note_frames_out(struct mheap *heap, unsigned here, size_t pages)
{
	atomic_fetch_add_explicit(&heap->frame_pages, pages, memory_order_relaxed);
	mheap_note_served(heap, here, pages);
}

static void note_frames_in(struct mheap *heap, size_t pages)
{
	atomic_fetch_sub_explicit(&heap->frame_pages, pages, memory_order_relaxed);
}

pfn_t mheap_alloc_pages(size_t n, const struct page_fit *fit, unsigned preferred)
{
	unsigned here = numa_here();
	const uint8_t *order = numa_order(preferred < SLATE_MAX_NODES ? preferred : here);
	pfn_t pfn = SLATE_PFN_NONE;

	if (mm_fault_now())
		return pfn;
	for (unsigned i = 0; i < SLATE_MAX_NODES && pfn_is_none(pfn); i++) {
		struct mheap *heap = &mheaps[order[i]];

		if (mheap_may_serve(heap, n))
			pfn = pagealloc_alloc(&heap->pages, n, fit);
		if (!pfn_is_none(pfn))
			note_frames_out(heap, here, n);
	}
	return pfn;
}

pfn_t mheap_alloc_zeroed(pfn_t end, unsigned preferred)
{
	unsigned here = numa_here();
	struct mheap *heap = &mheaps[preferred < SLATE_MAX_NODES ? preferred : here];
	pfn_t pfn = SLATE_PFN_NONE;

	/* a near frame that must be zeroed before a far one that must not */
	if (mheap_may_serve(heap, 1) && !mm_fault_armed())
		pfn = pagealloc_alloc_zeroed(&heap->pages, end);
	if (!pfn_is_none(pfn))
		note_frames_out(heap, here, 1);
	return pfn;
}

bool mheap_alloc_pages_at(pfn_t pfn, size_t n)
{
	for (unsigned node = 0; node < mheap_node_count(); node++) {
		if (pagealloc_alloc_at(&mheaps[node].pages, pfn, n)) {
			note_frames_out(&mheaps[node], numa_here(), n);
			return true;
		}
	}
	return false;
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
	size_t best = arena_count_class(pfn, n, PAGECLASS_FREE);

	/* frames of objects and of metadata are allocated in the bitmap as well */
	if (best < n)
		return best;
	best = 0;
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
	unsigned here = numa_here();
	const uint8_t *order = numa_order(here);
	pfn_t pfns[FREE_BATCH];
	size_t got = 0;

	if (mm_fault_now())
		return 0;
	if (n > FREE_BATCH)
		n = FREE_BATCH;
	for (unsigned i = 0; i < SLATE_MAX_NODES && got == 0; i++) {
		struct mheap *heap = &mheaps[order[i]];

		if (!mheap_may_serve(heap, 1))
			continue;
		got = pagealloc_alloc_batch(&heap->pages, pfns, n);
		note_frames_out(heap, here, got);
	}
	/* A take pops from the top: the lowest frame goes there. */
	for (size_t i = 0; i < got; i++)
		out[i] = frame_to_slot(pfns[got - 1 - i]);
	return (unsigned)got;
}

/* A cache keeps up to 63 frames from all others: only where that is little of what there is. */
static bool has_plenty(const struct mheap *heap)
{
	size_t free = atomic_load_explicit(&heap->pages.free_pages, memory_order_relaxed);
	size_t keep = atomic_load_explicit(&heap->pages.keep_pages, memory_order_relaxed);

	return free >= keep + PLENTY_PAGES;
}

size_t mheap_fill_pages(struct pagecache *cache)
{
	unsigned here = numa_here();
	const uint8_t *order = numa_order(here);
	size_t got = 0;

	if (mm_fault_armed())
		return 0;
	for (unsigned i = 0; i < SLATE_MAX_NODES && got == 0; i++) {
		struct mheap *heap = &mheaps[order[i]];

		/* a poor near node before a rich far one: its frames come by the batch */
		if (!has_plenty(heap) && mheap_may_serve(heap, 1))
			return 0;
		if (mheap_may_serve(heap, 1))
			got = pagecache_fill(cache, &heap->pages);
		note_frames_out(heap, here, got);
	}
	return got;
}

static void report_lost(const struct page_group *group, size_t lost, const char *call)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_PAGE_FREE,
		.call = call,
		.detail = "frames of a CPU's page cache were freed by somebody else",
		.address = (uintptr_t)pfn_to_paddr(group->base).v,
		.size_bytes = lost << SLATE_PAGE_SHIFT,
	};

	mm_report(&report);
}

void mheap_flush_pages(struct pagecache *cache, const char *call)
{
	struct page_group group = cache->group;
	size_t count = pagecache_count(cache);
	pfn_t start;
	size_t pages;

	if (count == 0)
		return;
	struct mheap *heap = heap_of(pfn_add(group.base, bits_ctz64(group.free)), &start, &pages);
	size_t given = heap ? pagecache_flush(cache, &heap->pages) : 0;

	if (heap)
		note_frames_in(heap, given);
	if (given < count)
		report_lost(&group, count - given, call);
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
