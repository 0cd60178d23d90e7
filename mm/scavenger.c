/* SPDX-License-Identifier: MIT */
/*
 * scavenger.c (level 5) - takes idle runs out of the page allocators, has the hook discard them,
 * and puts them back as released frames.
 *
 * Between the two steps a run is allocated, so nobody can be given frames that the machine's owner
 * is about to take; it counts as frames of a caller, and its class byte says that they are not
 * theirs to free. No lock is held while the hook runs.
 *
 * Long runs first: a whole chunk is one huge page of the hypervisor, which taking a part of it
 * would split. Runs of some frames cost the owner as much work a call as long ones.
 *
 * One run at a time is on its way, whoever calls: devices have one queue, and memory that is short
 * must not seem shorter than by one chunk.
 *
 * Shortcoming: an allocation that may not wait fails while the last free chunk is on its way; one
 * that may waits for it (reclaim.c).
 */
#include "mm/scavenger.h"

#include <slate/port.h>
#include <slate/slate.h>

#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/page_summary.h"

/* Shortest runs of the passes, in frames: a chunk, 64 KiB, one. The last is for slate_scavenge().
 */
static const size_t pass_pages[] = {PAGE_CHUNK_PAGES, 16, 1};
#define PASSES            (sizeof(pass_pages) / sizeof(pass_pages[0]))
#define BACKGROUND_PASSES (PASSES - 1)

/*
 * Polls without work after the hook has refused, and when no more runs are found; these end sooner
 * when that many frames more are free than there have been since.
 */
#define REST_POLLS      256u
#define REST_NEWS_PAGES (8 * (size_t)PAGE_CHUNK_PAGES)

/* Lock holds of one poll that find nothing. */
#define POLL_LOOKS 8u

/* Where a walk stands: pass after pass, in each all nodes from the last down. */
struct walk {
	struct page_idle idle;
	unsigned nodes; /* nodes below it are still to be walked; idle is of the last of them */
	unsigned pass;
};

enum step {
	STEP_RELEASED,
	STEP_LOOKED, /* nothing found yet */
	STEP_REFUSED,
	STEP_END,
};

static _Atomic bool busy; /* (a) acquire when taken, release when left: guards what is marked (b) */

static struct {
	struct walk walk;        /* (b) */
	bool active;             /* (b) above the goal, not yet down to it */
	unsigned rest;           /* (b) polls to pass over */
	size_t rest_free;        /* (b) free frames that end the rest */
	_Atomic size_t retain;   /* (a) relaxed: a wish, read at each poll */
	_Atomic size_t per_poll; /* (a) relaxed, likewise */
	_Atomic size_t discards; /* (a) relaxed */
	_Atomic size_t refused;  /* (a) relaxed */
} scavenger;

static bool enter(void)
{
	return !atomic_exchange_explicit(&busy, true, memory_order_acquire);
}

static void leave(void)
{
	atomic_store_explicit(&busy, false, memory_order_release);
}

bool scavenger_busy(void)
{
	/* acquire: pairs with the release in leave(), what it frees is there */
	return atomic_load_explicit(&busy, memory_order_acquire);
}

static void count_one(_Atomic size_t *count)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

/* ---- A run ---- */

/* It is allocated, and ours. False: the hook did not take it, and it is free as before. */
static bool release_run(struct mheap *heap, pfn_t pfn, size_t n)
{
	enum slate_discard discard;
	bool given;

	atomic_fetch_add_explicit(&heap->frame_pages, n, memory_order_relaxed);
	arena_set_class(pfn, n, PAGECLASS_META);
	mm_lock_assert_none();
	discard = port_page_discard(pfn, n);
	arena_set_class(pfn, n, PAGECLASS_FREE);
	if (discard == SLATE_DISCARD_REFUSED)
		given = pagealloc_free(&heap->pages, pfn, n) == n;
	else
		given = pagealloc_give_marked(
			&heap->pages, pfn, n,
			PAGE_MARK_RELEASED |
				(discard == SLATE_DISCARD_ZEROED ? PAGE_MARK_ZERO : 0));
	MM_ASSERT(given);
	(void)given;
	atomic_fetch_sub_explicit(&heap->frame_pages, n, memory_order_relaxed);
	count_one(discard == SLATE_DISCARD_REFUSED ? &scavenger.refused : &scavenger.discards);
	return discard != SLATE_DISCARD_REFUSED;
}

/* ---- A walk ---- */

static struct walk walk_begin(unsigned pass)
{
	return (struct walk){
		.idle = {.top = SIZE_MAX, .min_pages = pass_pages[pass]},
		.nodes = mheap_node_count(),
		.pass = pass,
	};
}

/* Adds to *released. */
static enum step walk_step(struct walk *walk, unsigned passes, size_t *released)
{
	struct mheap *heap;
	pfn_t pfn;
	size_t n;

	if (walk->nodes == 0 || walk->idle.top == 0) {
		if (walk->nodes > 1) {
			walk->nodes--;
			walk->idle.top = SIZE_MAX;
		} else if (walk->pass + 1 < passes) {
			*walk = walk_begin(walk->pass + 1);
		} else {
			return STEP_END;
		}
		return STEP_LOOKED;
	}
	heap = &mheaps[walk->nodes - 1];
	n = pagealloc_take_idle(&heap->pages, &walk->idle, &pfn);
	if (n == 0)
		return STEP_LOOKED;
	if (!release_run(heap, pfn, n))
		return STEP_REFUSED;
	*released += n;
	return STEP_RELEASED;
}

size_t slate_scavenge(size_t pages)
{
	size_t released = 0;

	if (pages == 0 || !enter())
		return 0;
	struct walk walk = walk_begin(0);

	while (released < pages) {
		enum step step = walk_step(&walk, PASSES, &released);

		if (step == STEP_REFUSED || step == STEP_END)
			break;
	}
	leave();
	return released;
}

/* ---- In the background ---- */

void slate_scavenge_pace(size_t retain_pages, size_t pages_per_poll)
{
	atomic_store_explicit(&scavenger.retain, retain_pages, memory_order_relaxed);
	atomic_store_explicit(&scavenger.per_poll, pages_per_poll, memory_order_relaxed);
}

static size_t idle_pages(void)
{
	size_t idle = 0;

	for (unsigned node = 0; node < mheap_node_count(); node++) {
		struct pagealloc *pa = &mheaps[node].pages;
		unsigned long irq = mm_lock_acquire(&pa->lock);

		idle += pa->free_pages - pagealloc_released_locked(pa);
		mm_lock_release(&pa->lock, irq);
	}
	return idle;
}

/* How much of this poll's share is above the goal. */
static size_t poll_share(size_t per_poll)
{
	size_t retain = atomic_load_explicit(&scavenger.retain, memory_order_relaxed);
	size_t slack = (retain >> 3) + PAGE_CHUNK_PAGES;
	size_t idle = idle_pages();
	size_t above = idle > retain ? idle - retain : 0;

	if (above > slack)
		scavenger.active = true;
	if (above == 0)
		scavenger.active = false;
	if (!scavenger.active)
		return 0;
	return above < per_poll ? above : per_poll;
}

/* Free frames, released ones among them, as near as it is without locks. */
static size_t free_pages(void)
{
	size_t pages = 0;

	for (unsigned node = 0; node < mheap_node_count(); node++)
		pages += atomic_load_explicit(&mheaps[node].pages.free_pages, memory_order_relaxed);
	return pages;
}

static void rest_begin(bool refused)
{
	scavenger.walk = walk_begin(0);
	scavenger.rest = REST_POLLS;
	scavenger.rest_free = refused ? SIZE_MAX : free_pages() + REST_NEWS_PAGES;
}

/* Passes one poll over, unless there are news. */
static bool rests(void)
{
	size_t free = free_pages();

	if (scavenger.rest == 0)
		return false;
	scavenger.rest = free < scavenger.rest_free ? scavenger.rest - 1 : 0;
	if (scavenger.rest_free != SIZE_MAX && scavenger.rest_free > free + REST_NEWS_PAGES)
		scavenger.rest_free = free + REST_NEWS_PAGES;
	return scavenger.rest > 0;
}

/* One poll's work, with busy held. */
static void poll_once(size_t per_poll)
{
	size_t share = poll_share(per_poll);
	size_t released = 0;
	unsigned looks = 0;

	if (scavenger.walk.nodes == 0)
		scavenger.walk = walk_begin(0);
	while (released < share && looks < POLL_LOOKS) {
		enum step step = walk_step(&scavenger.walk, BACKGROUND_PASSES, &released);

		looks += step == STEP_LOOKED;
		if (step == STEP_REFUSED || step == STEP_END) {
			rest_begin(step == STEP_REFUSED);
			break;
		}
	}
}

void scavenger_poll(void)
{
	size_t per_poll = atomic_load_explicit(&scavenger.per_poll, memory_order_relaxed);

	if (per_poll == 0 || !port_irq_enabled() || !enter())
		return;
	if (!rests())
		poll_once(per_poll);
	leave();
}

size_t scavenger_discards(void)
{
	return atomic_load_explicit(&scavenger.discards, memory_order_relaxed);
}

size_t scavenger_refused(void)
{
	return atomic_load_explicit(&scavenger.refused, memory_order_relaxed);
}

void scavenger_reset(void)
{
	scavenger.walk = (struct walk){.pass = 0};
	scavenger.active = false;
	scavenger.rest = 0;
	slate_scavenge_pace(0, 0);
	atomic_store_explicit(&scavenger.discards, 0, memory_order_relaxed);
	atomic_store_explicit(&scavenger.refused, 0, memory_order_relaxed);
	leave();
}
