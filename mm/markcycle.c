/* SPDX-License-Identifier: MIT */
/*
 * markcycle.c (level 8) - a mark in pieces: all CPUs stand still for each, and run on in between.
 *
 * That needs a port that tells which memory is written meanwhile (port_written_begin()); where it
 * cannot, there is one stop as long as the heap is big. With it:
 *
 *   first stop    begin to note writes; look at roots; scan on from there, as far as allowed
 *   more stops    scan on; when nothing is left, look at what was written, at the marked objects
 *                 there, and scan on from these
 *   last stop     look at what was written since, at free objects, at all roots; scan on to the end
 *
 * Any stop that comes to the end of the last one's list is the last: for a small heap, the first.
 * One that does not goes on as one of the others. After MARK_ROUNDS attempts the next has no bound.
 *
 * Why nothing reachable is missed (Boehm, Demers, Shenker 1991). At the end of the last stop let an
 * object be reachable: there is a path to it from a root through objects in use. Roots were scanned
 * in this stop, so the path's first object is marked. Let P be marked and point at Q. P was scanned
 * after it was marked, or lost its mark (below). If it was scanned before the pointer was written,
 * the write was noted, P's frame was told afterwards, and P's part in it scanned again, in that
 * stop or, where a long range was told, in a later one. If it was scanned after, Q was reached
 * then. Q was an object in use at that time, or the pointer was no pointer yet, and came to be one
 * when Q was allocated: then it was in a register or a stack first, and was written later - or is
 * there still, and scanned in this stop. So Q is marked, and stays so but for:
 *
 * - Freed, home in its span, met by the marker: its mark is taken back. It was unreachable then, so
 *   what leads to it now was written later, and reaches it anew.
 *
 * - Free in a cache during an attempt at the last stop: marked without being scanned, and taken
 *   back when the attempt ends without success. The same.
 *
 * - Its span went away: another span's mark_epoch is 0, and it has bits of its own when it is
 *   reached.
 *
 * Freed and in use again between two stops: the mark stays. The old contents were scanned or are
 * about to be, and all that the new owner, or a constructor, wrote was noted.
 *
 * That nothing unreachable is freed too late matters less: an object that was reachable when it was
 * reached, and is not any more, waits for the next mark. What nobody could reach before the first
 * stop is found.
 *
 * Shortcomings: roots and stacks are scanned in the last stop as a whole, and each span is visited
 * twice there; a thread that writes more between two stops than a stop may scan makes the last one
 * long.
 */
#include "mm/markcycle.h"

#include <slate/port.h>
#include <slate/slate.h>

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/gcbits.h"
#include "mm/markroots.h"
#include "mm/mheap.h"

/* How often a mark is tried again that found more spans than room was made for; in one stop from
 * some point on, in which no span is made. */
#define ATTEMPTS        4
#define ATTEMPTS_CHUNKS 2

/* Attempts at the last stop that keep to the bound. */
#define MARK_ROUNDS 8

size_t markcycle_chunk_words = SLATE_MARK_CHUNK_WORDS;
struct markcycle_figures markcycle_figures;

/* ---- Room for marks ---- */

/* Frames of an arena, 256 KiB: a run of that length is found in fragmented memory, too. */
#define ARENA_RUN_PAGES ((size_t)64)

/* A span's bits lie in one arena: what a longer one leaves at the end is lost. */
#define ARENA_LOSS_SHIFT 4

void markcycle_forget(void)
{
	size_t pages;

	for (void *arena; (arena = gcbits_drop(&pages)) != NULL;)
		mheap_free_pages(virt_to_pfn(arena), pages);
	gcbits_next_epoch();
}

static void *arena_new(size_t *pages)
{
	struct page_fit fit = {.end = directmap_end};

	for (*pages = ARENA_RUN_PAGES; *pages > 0; *pages /= 2) {
		pfn_t pfn = mheap_alloc_pages(*pages, &fit, SLATE_ANY_NODE);

		if (!pfn_is_none(pfn))
			return pfn_to_virt(pfn);
	}
	return NULL;
}

static bool room_make(size_t words)
{
	markcycle_forget();
	for (size_t room = 0; room < words;) {
		size_t pages, fits;
		void *arena = arena_new(&pages);

		if (!arena) {
			markcycle_forget();
			return false;
		}
		fits = gcbits_feed(arena, pages);
		room += fits - (fits >> ARENA_LOSS_SHIFT);
	}
	gcbits_next_epoch();
	return true;
}

/* ---- What was written ---- */

struct cycle {
	uintptr_t frame;
	unsigned rounds; /* attempts at the last stop that are left; 0: the next is the last */
	bool begun;      /* the first stop was */
	bool noted;      /* the port notes what is written */
	bool is_last;    /* the next stop may be the last one */
	bool done;       /* it was, or there is no room */
	pfn_t next;      /* what was written in frames from here on is not asked yet */
	struct slate_written written; /* told, and not looked at yet */
	struct mspan *garbage;
};

static void ask_from_start(struct cycle *cycle)
{
	cycle->next = cycle->noted ? arena_next((pfn_t){0}) : SLATE_PFN_NONE;
}

/* More that was written, in the arena that comes next. */
static void ask(struct cycle *cycle)
{
	pfn_t end = {(cycle->next.v | (ARENA_PAGES - 1)) + 1};
	uintptr_t low = (uintptr_t)pfn_to_virt(cycle->next);
	uintptr_t high = low + ((end.v - cycle->next.v) << SLATE_PAGE_SHIFT);

	mark_pay(MARK_ASK_WORDS);
	if (port_written_next(low, high, &cycle->written) && cycle->written.high < high)
		cycle->next = virt_to_pfn((void *)cycle->written.high);
	else
		cycle->next = arena_next(end);
}

/* The next frame that was written; false: there is none. */
static bool next_frame(struct cycle *cycle, uintptr_t *frame)
{
	while (cycle->written.low >= cycle->written.high) {
		if (pfn_is_none(cycle->next))
			return false;
		cycle->written = (struct slate_written){0, 0};
		ask(cycle);
	}
	*frame = cycle->written.low;
	cycle->written.low += SLATE_PAGE_SIZE;
	return true;
}

/* ---- Stops ---- */

/* False: the allowance was spent before. */
static bool scan_on(struct cycle *cycle)
{
	uintptr_t frame;

	while (mark_drain()) {
		if (mark_is_spent())
			return false;
		if (!next_frame(cycle, &frame))
			return true;
		mark_scan_frame(frame);
	}
	return false;
}

static void allow(const struct cycle *cycle)
{
	mark_allow(cycle->noted && cycle->rounds > 0 ? markcycle_chunk_words : SIZE_MAX);
}

static void try_to_end(struct cycle *cycle, const struct slate_live *live, size_t count)
{
	markroots_free(live, count, cycle->frame);
	allow(cycle);
	cycle->is_last = scan_on(cycle);
	if (cycle->is_last) {
		markroots_scan();
		allow(cycle);
		cycle->is_last = mark_drain();
	}
	if (cycle->is_last) {
		cycle->garbage = mark_turn_over();
		cycle->done = true;
	} else {
		markroots_forget();
		cycle->rounds--;
	}
}

static void stopped(const struct slate_live *live, size_t count, void *arg)
{
	struct cycle *cycle = arg;
	size_t before = mark_work();

	if (!cycle->begun) {
		cycle->begun = true;
		cycle->noted = cycle->rounds > 0 && port_written_begin();
	} else if (cycle->is_last) {
		/* in the first stop nothing had been scanned when it was written */
		ask_from_start(cycle);
	}
	if (cycle->is_last) {
		try_to_end(cycle, live, count);
	} else {
		allow(cycle);
		cycle->is_last = scan_on(cycle);
	}
	if (!mark_fits())
		cycle->done = true;
	size_t work = mark_work() - before;

	markcycle_figures.stops++;
	if (cycle->done)
		markcycle_figures.last = work;
	else if (work > markcycle_figures.chunk_most)
		markcycle_figures.chunk_most = work;
}

/* False: not all CPUs could be stopped. */
static bool attempt(struct cycle *cycle)
{
	bool stands = true;

	mark_begin();
	markcycle_figures = (struct markcycle_figures){0, 0, 0};
	while (!cycle->done && stands)
		stands = port_stop_cpus(stopped, cycle);
	if (cycle->noted)
		port_written_end();
	return stands;
}

int markcycle_run(uintptr_t frame, struct mspan **garbage)
{
	*garbage = NULL;
	slate_flush();
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		struct cycle cycle = {.frame = frame,
				      .rounds = i < ATTEMPTS_CHUNKS ? MARK_ROUNDS : 0,
				      .is_last = true,
				      .next = SLATE_PFN_NONE};

		if (!room_make(mark_words()))
			return SLATE_ENOMEM;
		if (!attempt(&cycle)) {
			markcycle_forget();
			return SLATE_EBUSY;
		}
		if (mark_fits()) {
			*garbage = cycle.garbage;
			return SLATE_OK;
		}
	}
	markcycle_forget();
	return SLATE_EAGAIN;
}
