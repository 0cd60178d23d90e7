/* SPDX-License-Identifier: MIT */
/*
 * markroots.c (level 8) - where a mark begins: roots, stacks, kept objects; and where it must not:
 * free objects that their spans have as taken.
 *
 * What lies in magazines, depots and other stores of free objects is marked without being scanned:
 * it is no leak, and what its former owner left in it means nothing. A CPU that was stopped in a
 * slow path holds a magazine that no cache shows; then a word of its stack points into it, and the
 * objects up to there are marked the same way.
 */
#include "mm/markroots.h"

#include <slate/marksweep.h>

#include "mm/arena.h"
#include "mm/kcache.h"
#include "mm/magazine.h"
#include "mm/mark.h"
#include "mm/mcache.h"
#include "mm/mheap.h"
#include "mm/onfree.h"
#include "mm/quarantine.h"
#include "mm/roots.h"
#include "mm/spanclass.h"
#include "mm/witness.h"

#define WORD_BYTES sizeof(uintptr_t)

/* Stacks of the host are redzoned by its sanitizers; here every word is looked at. */
#define READS_ANY_WORD __attribute__((no_sanitize("address")))

static struct {
	const struct slate_live *live; /* of this stop */
	size_t count;
	uintptr_t frame;
	void (*object)(uintptr_t object); /* what is done to what is free: mark_free, mark_forget */
	void (*stack)(struct mspan *span);
} walk;

static void for_each_span(bool (*fn)(struct mspan *span, void *arg), void *arg)
{
	for (unsigned node = 0; node < mheap_node_count(); node++)
		mheap_for_each_span(node, fn, arg);
}

/* ---- Free objects outside their spans ---- */

static void take_slot(unsigned class, void *value, void *arg)
{
	(void)arg;
	if (class == 0 || spanclass_is_size(class) || spanclass_is_typed(class)) {
		walk.object((uintptr_t)value);
	} else if (class >= MCACHE_STACK && class < MCACHE_STACK_END) {
		struct mspan *span = arena_span(virt_to_pfn(value));

		if (span)
			walk.stack(span);
	}
}

#if SLATE_DEBUG
/* Objects that were given up after a report: told already, and counted. */
static bool take_lost(struct mspan *span, void *arg)
{
	(void)arg;
	for (size_t i = 0; span->witnesses && i < span->elem_count; i++) {
		if (witness_state(&span->witnesses->list[i]) == WITNESS_LOST)
			walk.object(span->base + i * span->elem_bytes);
	}
	return true;
}
#endif

static void take_reserved(void *object, void *arg)
{
	(void)arg;
	walk.object((uintptr_t)object);
}

static void take_stores(void)
{
	mcache_for_each_cached(take_slot, NULL);
	kcache_for_each_reserved(take_reserved, NULL);
#if SLATE_DEBUG
	quarantine_for_each(take_reserved, NULL);
	for_each_span(take_lost, NULL);
#endif
}

/* A word of a stack may be the top of a magazine, or its first byte. Does the slot hold an object?
 */
READS_ANY_WORD static bool take_if_object(const uintptr_t *slot)
{
	uintptr_t object;
	struct mspan *span = mark_object(*slot, &object);

	/* that of a span struct is its own first object: not a magazine */
	if (!span || object != *slot || (const void *)span == slot)
		return false;
	walk.object(object);
	return true;
}

static void take_magazine(uintptr_t word)
{
	const uintptr_t *slot = (const uintptr_t *)word;

	if (word % WORD_BYTES || arena_class(virt_to_pfn(slot)) != PAGECLASS_META)
		return;
	/* of these the tops tell what they hold; what a stray word says is out of date */
	if (mcache_has_magazine(magazine_of((magtop_t)word)))
		return;
	if ((word & MAGAZINE_TOP_MASK) == 0) {
		for (unsigned i = 0; i < MAGAZINE_SLOTS; i++)
			take_if_object(slot + i);
		return;
	}
	/* a plant's object is in slot 0 (plant.h) */
	while ((uintptr_t)slot & MAGAZINE_TOP_MASK &&
	       take_if_object(*slot ? slot : (const uintptr_t *)magazine_of((magtop_t)word)->slot))
		slot--;
}

READS_ANY_WORD static void take_magazines(uintptr_t low, uintptr_t high)
{
	for (; low < high && high - low >= WORD_BYTES; low += WORD_BYTES)
		take_magazine(*(const uintptr_t *)low);
}

/* ---- Stacks ---- */

static bool is_live(const struct mspan *span)
{
	for (size_t i = 0; i < walk.count; i++) {
		if (walk.live[i].low - span->base < span->pages << SLATE_PAGE_SHIFT)
			return true;
	}
	return false;
}

/* A stack that nobody named, and that lies in no magazine: somebody's who sleeps. */
static bool is_sleeper(const struct mspan *span)
{
	return span->span_class == PAGECLASS_STACK && !mark_is_set(span, 0) && !is_live(span);
}

static void scan_stack(uintptr_t low, uintptr_t high)
{
	mark_scan(low, high);
	take_magazines(low, high);
}

static void for_each_live(void (*fn)(uintptr_t low, uintptr_t high))
{
	for (size_t i = 0; i < walk.count; i++) {
		uintptr_t low = walk.live[i].low;
		uintptr_t high = walk.live[i].high;

		fn(walk.frame - low < high - low ? walk.frame : low, high);
	}
}

static bool take_sleepers_magazines(struct mspan *span, void *arg)
{
	uintptr_t start = (uintptr_t)mheap_manual_start(span);

	(void)arg;
	if (is_sleeper(span))
		take_magazines(start, start + span->elem_bytes);
	return true;
}

/* ---- Roots ---- */

static void scan_root(uintptr_t low, uintptr_t high, void *arg)
{
	(void)arg;
	mark_scan(low, high);
}

static void reach_queued(uintptr_t object, void *arg)
{
	(void)arg;
	mark_reach(object);
}

static bool reach_kept(const struct special *special, void *arg)
{
	(void)arg;
	if (special->kind == SPECIAL_KEEP)
		mark_reach(special->object);
	return true;
}

static bool scan_span(struct mspan *span, void *arg)
{
	uintptr_t start = (uintptr_t)mheap_manual_start(span);

	if (span->specials)
		special_for_each(span, reach_kept, arg);
	if (is_sleeper(span))
		scan_stack(start, start + span->elem_bytes);
	return true;
}

/* ---- In order ---- */

void markroots_free(const struct slate_live *live, size_t count, uintptr_t frame)
{
	walk.live = live;
	walk.count = count;
	walk.frame = frame;
	walk.object = mark_free;
	walk.stack = mark_stack;
	take_stores();
}

void markroots_scan(void)
{
	onfree_for_each_queued(reach_queued, NULL);
	for_each_live(scan_stack);
	for_each_span(scan_span, NULL);
	roots_for_each(scan_root, NULL);
}

void markroots_forget(void)
{
	walk.object = mark_forget;
	walk.stack = mark_forget_stack;
	for_each_live(take_magazines);
	for_each_span(take_sleepers_magazines, NULL);
	take_stores();
}
