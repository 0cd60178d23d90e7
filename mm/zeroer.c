/* SPDX-License-Identifier: MIT */
/*
 * zeroer.c (level 5) - takes free frames whose contents are unknown, zeroes them with no lock held
 * and interrupts as the caller had them, and gives them back as known zeroes.
 *
 * As the scavenger does, from the highest frames down, since searches take the lowest. Meanwhile a
 * run is allocated, and its class byte says that it is nobody's to free. Released frames are passed
 * over: to write them would take them back from the machine's owner.
 */
#include "mm/zeroer.h"

#include <slate/slate.h>

#include "lib/string.h"
#include "mm/directmap.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"

/* Frames of one run: what an idle loop that is woken has to finish first. */
#define RUN_PAGES 8u

/* Lock holds of one call that find nothing. */
#define CALL_LOOKS 8u

static _Atomic bool busy; /* (a) acquire when taken, release when left: guards the walk */
static struct page_idle walk;
static unsigned walk_node;
static _Atomic size_t saved; /* (a) relaxed: a figure */

void zeroer_note_saved(size_t pages)
{
	atomic_fetch_add_explicit(&saved, pages, memory_order_relaxed);
}

size_t zeroer_saved(void)
{
	return atomic_load_explicit(&saved, memory_order_relaxed);
}

size_t zeroer_stock(void)
{
	size_t pages = 0;

	for (unsigned node = 0; node < mheap_node_count(); node++)
		pages += pagealloc_zeroed(&mheaps[node].pages);
	return pages;
}

static void zero_run(struct mheap *heap, pfn_t pfn, size_t n)
{
	bool given;

	atomic_fetch_add_explicit(&heap->frame_pages, n, memory_order_relaxed);
	arena_set_class(pfn, n, PAGECLASS_META);
	mm_lock_assert_none();
	memset(pfn_to_virt(pfn), 0, n << SLATE_PAGE_SHIFT);
	arena_set_class(pfn, n, PAGECLASS_FREE);
	given = pagealloc_give_marked(&heap->pages, pfn, n, PAGE_MARK_ZERO);
	MM_ASSERT(given);
	(void)given;
	atomic_fetch_sub_explicit(&heap->frame_pages, n, memory_order_relaxed);
}

/* One look; returns how many frames were zeroed. */
static size_t step(size_t most)
{
	struct mheap *heap;
	pfn_t pfn;
	size_t n;

	if (walk.top == 0) {
		walk_node = walk_node + 1 < mheap_node_count() ? walk_node + 1 : 0;
		walk = (struct page_idle){.top = directmap_end.v, .dirty = true};
	}
	walk.max_pages = most < RUN_PAGES ? most : RUN_PAGES;
	heap = &mheaps[walk_node];
	n = pagealloc_take_idle(&heap->pages, &walk, &pfn);
	if (n > 0)
		zero_run(heap, pfn, n);
	return n;
}

size_t slate_idle_zero(size_t max_pages, size_t goal_pages)
{
	size_t stock = zeroer_stock();
	size_t done = 0;

	if (stock >= goal_pages || atomic_exchange_explicit(&busy, true, memory_order_acquire))
		return 0;
	if (max_pages > goal_pages - stock)
		max_pages = goal_pages - stock;
	for (unsigned looks = 0; looks < CALL_LOOKS && done < max_pages;) {
		size_t n = step(max_pages - done);

		done += n;
		looks += n == 0;
	}
	atomic_store_explicit(&busy, false, memory_order_release);
	return done;
}

void zeroer_reset(void)
{
	walk = (struct page_idle){.top = 0};
	walk_node = 0;
	atomic_store_explicit(&saved, 0, memory_order_relaxed);
	atomic_store_explicit(&busy, false, memory_order_relaxed);
}
