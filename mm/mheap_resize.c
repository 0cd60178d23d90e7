/* SPDX-License-Identifier: MIT */
/*
 * mheap_resize.c (level 5) - a large span grows into the free frames behind it, or gives its tail
 * back, where it lies.
 *
 * The span is claimed meanwhile, so that a free that comes at the same time, a mistake of the
 * caller's, is found as such. New frames get their map entries before the span's length says that
 * they are its; old ones lose theirs after it says that they are not. Whoever reads the length of
 * others' spans holds the heap's lock, or takes what it says as of a moment (spanof.c).
 *
 * Shortcoming: a free frame in another CPU's magazine counts as taken.
 */
#include "mm/mheap.h"

#include "mm/directmap.h"
#include "mm/mmdebug.h"
#include "mm/numa.h"

static void set_length(struct mspan *span, size_t pages)
{
	struct mheap *heap = &mheaps[span->node];
	size_t more_pages = pages - span->pages; /* modulo the word */
	unsigned long irq = mm_lock_acquire(&heap->lock);

	span->pages = pages;
	span->elem_bytes = pages << SLATE_PAGE_SHIFT;
	/* relaxed, both: figures */
	atomic_fetch_add_explicit(&heap->object_pages, more_pages, memory_order_relaxed);
	atomic_fetch_add_explicit(&heap->large_bytes, more_pages << SLATE_PAGE_SHIFT,
				  memory_order_relaxed);
	mm_lock_release(&heap->lock, irq);
}

/* Not the node's last frames, except for what other CPUs take between this look and the lock. */
static bool leaves_reserve(const struct mheap *heap, size_t pages)
{
	size_t free = atomic_load_explicit(&heap->pages.free_pages, memory_order_relaxed);
	size_t keep = atomic_load_explicit(&heap->pages.keep_pages, memory_order_relaxed);

	return free >= keep && free - keep >= pages;
}

static bool grow(struct mspan *span, size_t pages)
{
	struct mheap *heap = &mheaps[span->node];
	pfn_t start = virt_to_pfn((void *)span->base);
	pfn_t end = pfn_add(start, span->pages);
	size_t more_pages = pages - span->pages;

	if (pages > directmap_end.v - start.v || mm_fault_now() ||
	    !leaves_reserve(heap, more_pages) || !pagealloc_alloc_at(&heap->pages, end, more_pages))
		return false;
	mheap_note_served(heap, numa_here(), more_pages);
	arena_set_span(end, more_pages, span, span->page_class);
	set_length(span, pages);
	return true;
}

static void shrink(struct mspan *span, size_t pages)
{
	struct mheap *heap = &mheaps[span->node];
	pfn_t end = pfn_add(virt_to_pfn((void *)span->base), pages);
	size_t less_pages = span->pages - pages;
	size_t freed;

	set_length(span, pages);
	arena_set_class(end, less_pages, PAGECLASS_FREE);
	freed = pagealloc_free(&heap->pages, end, less_pages);
	MM_ASSERT(freed == less_pages);
	(void)freed;
}

bool mheap_resize_large(struct mspan *span, size_t pages)
{
	bool resized = true;

	MM_ASSERT(pages > 0);
	MM_ASSERT(span->page_class == PAGECLASS_LARGE);
	if (!mspan_claim(span))
		return false;
	if (pages > span->pages)
		resized = grow(span, pages);
	else if (pages < span->pages)
		shrink(span, pages);
	mspan_transition(span, MSPAN_CLAIMED, MSPAN_IN_USE);
	return resized;
}
