/* SPDX-License-Identifier: MIT */
/*
 * mheap_run.h (level 5) - short runs of frames at their shortest: out of this CPU's node, at its
 * page allocator's hints, and back. Inline, for calls cost as much here as the work. What the hints
 * do not settle goes the long way (mheap_frames.c).
 */
#ifndef MM_MHEAP_RUN_H
#define MM_MHEAP_RUN_H

#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/numa.h"
#include "mm/pagealloc_hint.h"

/*
 * This CPU's node. As a pointer that the compiler knows nothing about: it would make each field's
 * address anew from the node's number.
 */
static inline struct mheap *mheap_here(void)
{
	struct mheap *heap = &mheaps[numa_here()];

	__asm__("" : "+r"(heap));
	return heap;
}

static inline bool mheap_is_short_run(size_t n)
{
	return n - 2 <= PAGE_CHUNK_PAGES - 2;
}

/* n frames wherever they are, or SLATE_PFN_NONE: ask mheap_alloc_pages(). */
static inline pfn_t mheap_alloc_run(size_t n)
{
	struct mheap *heap = mheap_here();
	pfn_t pfn;

	/*
	 * Nothing is there before slate_init(), so that nothing is locked then. The long way counts
	 * the request that is to fail.
	 */
	if (!mheap_may_serve(heap, n) || mm_fault_armed())
		return SLATE_PFN_NONE;
	pfn = pagealloc_alloc_hinted(&heap->pages, n);
	if (pfn_is_none(pfn))
		return pfn;
	atomic_fetch_add_explicit(&heap->frame_pages, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&heap->local_pages, n, memory_order_relaxed);
	return pfn;
}

/* All of them, or none and false: ask mheap_free_pages(). */
static inline bool mheap_free_run(pfn_t pfn, size_t n)
{
	struct mheap *heap = mheap_here();
	bool freed = pagealloc_free_hinted(&heap->pages, pfn, n);

	if (freed)
		atomic_fetch_sub_explicit(&heap->frame_pages, n, memory_order_relaxed);
	return freed;
}

#endif
