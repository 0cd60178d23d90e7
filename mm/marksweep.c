/* SPDX-License-Identifier: MIT */
/*
 * marksweep.c (level 9) - the leak scan and the collector, around the mark (mark.c).
 *
 * Caches go home first, so that few objects are free outside their spans; then the CPUs are stopped
 * and everything is marked; the spans with unreachable objects come out of it as a chain. They stay
 * as they are when the CPUs run on, since nobody can reach these objects to free them; should
 * somebody do so nevertheless, the object's bit or its span's epoch tells.
 *
 * A sweep takes the bits out of a span at once, under its mcentral's lock, unless objects of it
 * have records: these are freed one by one. No unreachable object can enter a magazine before,
 * because its span has it as taken until then.
 */
#include <slate/marksweep.h>

#include <slate/port.h>
#include <slate/slate.h>

#include "lib/string.h"
#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/gcbits.h"
#include "mm/init.h"
#include "mm/markcycle.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/object.h"
#include "mm/onfree.h"
#include "mm/witness.h"

static _Atomic bool busy;     /* (a) acquire and release: somebody marks or sweeps */
static struct mspan *garbage; /* (busy) spans that are not swept yet */

static bool enter(void)
{
	bool expected = false;

	if (!init_check("slate_leak_scan"))
		return false;
	/* acquire: pairs with the release in leave() */
	return atomic_compare_exchange_strong_explicit(&busy, &expected, true, memory_order_acquire,
						       memory_order_relaxed);
}

static void leave(void)
{
	atomic_store_explicit(&busy, false, memory_order_release);
}

static int mark_now(uintptr_t frame)
{
	return markcycle_run(frame, &garbage);
}

static void forget(void)
{
	garbage = NULL;
	markcycle_forget();
}

/* ---- Unreachable objects ---- */

/* Still the span that was marked? */
static bool is_current(const struct mspan *span)
{
	return span->mark_epoch == gcbits_epoch && mspan_state(span) == MSPAN_IN_USE;
}

/* The next unreachable object of the span from number on; elem_count: none. */
static size_t next_lost(const struct mspan *span, size_t number)
{
	for (; number < span->elem_count; number++) {
		if (span->mark->bits[number / MSPAN_WORD_BITS] >> (number % MSPAN_WORD_BITS) & 1)
			break;
	}
	return number;
}

static uintptr_t object_at(const struct mspan *span, size_t number)
{
	return span->base + number * span->elem_bytes;
}

/* ---- Leaks ---- */

/* Order of groups: by size, then by place. */
static bool is_before(const struct slate_leak *leak, const struct slate_leak *key)
{
	if (leak->object_bytes != key->object_bytes)
		return leak->object_bytes < key->object_bytes;
	return (uintptr_t)leak->stack < (uintptr_t)key->stack;
}

/* The group of that size and place, made if there is room. */
static struct slate_leak *group_of(struct slate_leaks *leaks, const struct slate_leak *key)
{
	size_t at = 0;

	while (at < leaks->count && is_before(&leaks->list[at], key))
		at++;
	if (at < leaks->count && !is_before(key, &leaks->list[at]))
		return &leaks->list[at];
	if (leaks->count == leaks->capacity)
		return NULL;
	memmove(&leaks->list[at + 1], &leaks->list[at],
		(leaks->count - at) * sizeof(leaks->list[0]));
	leaks->count++;
	leaks->list[at] = *key;
	return &leaks->list[at];
}

static void add_leak(struct slate_leaks *leaks, struct mspan *span, uintptr_t object)
{
	struct slate_leak key = {.object_bytes = witness_asked_bytes(span, object)};
	const struct profile_bucket *bucket = onfree_bucket(span, object);
	struct slate_leak *group;

	if (bucket) {
		key.stack = bucket->pcs;
		key.stack_depth = bucket->depth;
	}
	group = group_of(leaks, &key);
	leaks->objects++;
	leaks->bytes += key.object_bytes;
	if (!group)
		return;
	if (group->count++ == 0 || object < (uintptr_t)group->first) {
		group->first = (void *)object;
		group->head_bytes = key.object_bytes < sizeof(group->head) ? key.object_bytes
									   : sizeof(group->head);
		memcpy(group->head, (void *)object, group->head_bytes);
	}
}

static __attribute__((noinline)) int leak_scan(struct slate_leaks *leaks)
{
	int status;

	leaks->count = leaks->objects = leaks->bytes = 0;
	if (!port_irq_enabled())
		return SLATE_EBUSY;
	if (!enter())
		return SLATE_EAGAIN;
	status = mark_now((uintptr_t)__builtin_frame_address(0));
	for (struct mspan *span = garbage; span; span = span->mark->garbage_next) {
		size_t number = 0;

		while (is_current(span) && (number = next_lost(span, number)) < span->elem_count)
			add_leak(leaks, span, object_at(span, number++));
	}
	if (status == SLATE_OK)
		forget();
	leave();
	return status;
}

/*
 * The public calls save the caller's registers in their frames, and stay below them on the stack:
 * what they call is no tail call.
 */
#define STAY_ON_STACK() __asm__ volatile("" : : : "memory")

int slate_leak_scan(struct slate_leaks *leaks)
{
	__builtin_unwind_init();
	int status = leak_scan(leaks);

	STAY_ON_STACK();
	return status;
}

/* ---- Finalizers ---- */

/* The span's record with the next finalizer on an unreachable object. */
struct wanted {
	const struct mspan *span;
	uintptr_t from;
	uintptr_t found; /* 0: none */
};

static bool look_for_finalizer(const struct special *special, void *arg)
{
	struct wanted *wanted = arg;
	size_t number = mspan_object_number(wanted->span, special->object);

	if (special->kind != SPECIAL_FINALIZER || special->object < wanted->from ||
	    next_lost(wanted->span, number) != number)
		return true;
	wanted->found = special->object;
	return false;
}

/* Every unreachable object with a finalizer, in one span; fn is called without a lock. */
static size_t for_each_finalizer(struct mspan *span,
				 bool (*fn)(struct mspan *span, uintptr_t object))
{
	struct wanted wanted = {.span = span, .from = span->base};
	size_t count = 0;

	while (is_current(span) && span->specials) {
		wanted.found = 0;
		special_for_each(span, look_for_finalizer, &wanted);
		if (wanted.found == 0)
			break;
		count += fn(span, wanted.found);
		wanted.from = wanted.found + 1;
	}
	return count;
}

/* Spans with finalizers by ascending address: the lowest that is above the last one. */
static struct mspan *next_with_specials(uintptr_t above)
{
	struct mspan *lowest = NULL;

	for (struct mspan *span = garbage; span; span = span->mark->garbage_next) {
		if (span->specials && span->base > above && (!lowest || span->base < lowest->base))
			lowest = span;
	}
	return lowest;
}

static size_t run_finalizers(void)
{
	uintptr_t above = 0;
	size_t count = 0;

	for (struct mspan *span; (span = next_with_specials(above)) != NULL; above = span->base)
		count += for_each_finalizer(span, onfree_finalize);
	return count;
}

/* Its turn is the next collection: this one has asked already. */
static bool spare(struct mspan *span, uintptr_t object)
{
	size_t number = mspan_object_number(span, object);

	span->mark->bits[number / MSPAN_WORD_BITS] &= ~(1ul << (number % MSPAN_WORD_BITS));
	return true;
}

/* ---- Sweep ---- */

static void sweep_singly(struct mspan *span, struct slate_collected *collected)
{
	size_t number = 0;

	while (is_current(span) && (number = next_lost(span, number)) < span->elem_count) {
		uintptr_t object = object_at(span, number++);
		size_t bytes = span->elem_bytes;

		if (mspan_is_taken(span, object)) {
			collected->objects++;
			collected->bytes += bytes;
			slate_free_slow((void *)object);
		}
	}
}

/* Past the cache of large objects: its frames are what is wanted. */
static void sweep_large(struct mspan *span, struct slate_collected *collected)
{
	size_t bytes = span->elem_bytes;

	if (next_lost(span, 0) != 0 ||
	    (span->specials && !onfree_release(span, (void *)span->base, "slate_collect")) ||
	    !mspan_claim(span))
		return;
	collected->objects++;
	collected->bytes += bytes;
	mheap_free_span(span);
}

static void sweep(struct mspan *span, struct slate_collected *collected)
{
	size_t bytes = span->elem_bytes;
	size_t count;

	if (!is_current(span))
		return;
	if (span->span_class == PAGECLASS_LARGE) {
		sweep_large(span, collected);
		return;
	}
	if (span->specials) {
		sweep_singly(span, collected);
		return;
	}
	count = mcentral_sweep(span, span->mark->bits);
	collected->objects += count;
	collected->bytes += count * bytes;
}

/* ---- Collect ---- */

static size_t free_pages(void)
{
	size_t pages = 0;

	for (unsigned node = 0; node < mheap_node_count(); node++)
		pages += atomic_load_explicit(&mheaps[node].pages.free_pages, memory_order_relaxed);
	return pages;
}

/* Sweep until so many frames more are free. Returns how many. */
static size_t sweep_some(size_t pages, struct slate_collected *collected)
{
	size_t before = free_pages();
	size_t goal = pages < SIZE_MAX - before ? before + pages : SIZE_MAX;
	size_t after;

	while (garbage && free_pages() < goal) {
		struct mspan *span = garbage;

		garbage = span->mark->garbage_next;
		sweep(span, collected);
	}
	after = free_pages();
	if (!garbage)
		forget();
	return after > before ? after - before : 0;
}

static int mark_and_finalize(struct slate_collected *collected, uintptr_t frame)
{
	int status = mark_now(frame);

	if (status != SLATE_OK)
		return status;
	collected->finalized = run_finalizers();
	if (collected->finalized == 0)
		return SLATE_OK;
	status = mark_now(frame);
	for (struct mspan *span = garbage; span; span = span->mark->garbage_next)
		for_each_finalizer(span, spare);
	return status;
}

static __attribute__((noinline)) int collect(struct slate_collected *collected)
{
	int status;

	*collected = (struct slate_collected){.objects = 0};
	if (!port_irq_enabled())
		return SLATE_EBUSY;
	if (!enter())
		return SLATE_EAGAIN;
	status = mark_and_finalize(collected, (uintptr_t)__builtin_frame_address(0));
	if (status == SLATE_OK) {
		sweep_some(SIZE_MAX, collected);
		slate_flush();
	}
	leave();
	return status;
}

int slate_collect(struct slate_collected *collected)
{
	struct slate_collected own;

	__builtin_unwind_init();
	int status = collect(collected ? collected : &own);

	STAY_ON_STACK();
	return status;
}

static __attribute__((noinline)) size_t reclaim_pages(size_t pages)
{
	struct slate_collected collected = {.objects = 0};
	size_t got = 0;

	if (!port_irq_enabled() || !enter())
		return 0;
	if (garbage || mark_and_finalize(&collected, (uintptr_t)__builtin_frame_address(0)) == 0)
		got = sweep_some(pages, &collected);
	leave();
	return got;
}

size_t slate_reclaim(size_t pages)
{
	__builtin_unwind_init();
	size_t got = reclaim_pages(pages);

	STAY_ON_STACK();
	return got;
}

/* ---- Records ---- */

int slate_not_leak(void *object)
{
	return onfree_set_word(object, SPECIAL_KEEP, 1);
}

int slate_probe(void *object)
{
	return onfree_set_word(object, SPECIAL_PROBE, PROBE_NEW);
}

int slate_reachable(const void *object)
{
	switch (onfree_word(object, SPECIAL_PROBE)) {
	case PROBE_REACHED:
		return 1;
	case PROBE_LOST:
		return 0;
	default:
		return -1;
	}
}
