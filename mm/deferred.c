/* SPDX-License-Identifier: MIT */
/*
 * deferred.c (level 8) - frees that an NMI could not finish.
 *
 * A second free of the same object would close its chain to a ring, so a chain is walked once
 * before anything of it is freed; a ring is reported and given up.
 */
#include "mm/deferred.h"

#include <slate/report.h>

#include "mm/directmap.h"
#include "mm/kcache.h"
#include "mm/magazine.h"
#include "mm/mcache.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/object.h"
#include "mm/tiny.h"

typedef void *next_fn(void *element);

static void *next_object(void *object)
{
	return *(void **)object;
}

static void *next_frame(void *slot)
{
	return *arena_frame_link(slot_to_frame(slot));
}

static bool ends(const void *element)
{
	return !element || element == (void *)MAGAZINE_DUMMY;
}

/* Tortoise and hare. */
static bool is_ring(void *first, next_fn *next)
{
	void *slow = first;
	void *fast = first;

	while (!ends(fast) && !ends(next(fast))) {
		slow = next(slow);
		fast = next(next(fast));
		if (slow == fast)
			return true;
	}
	return false;
}

static void report_ring(const void *first)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_DOUBLE_FREE,
		.call = "slate_free",
		.detail = "freed twice by non-maskable interrupts; what they freed is given up",
		.address = (uintptr_t)first,
	};

	mm_leak_add(1);
	mm_report(&report);
}

static void run_chain(void *first, next_fn *next, void (*finish)(void *element))
{
	if (!ends(first) && is_ring(first, next)) {
		report_ring(first);
		return;
	}
	while (!ends(first)) {
		void *following = next(first);

		finish(first);
		first = following;
	}
}

/* The chain went through the object's first word; a tiny object's is a block without objects. A
 * stack has passed its checks when it was freed.
 */
static void finish_object(void *object)
{
	unsigned order = arena_class(virt_to_pfn(object)) - PAGECLASS_STACK_HEAD;
	const struct mspan *span = arena_span(virt_to_pfn(object));

	if (order < SLATE_STACK_ORDERS) {
		mcache_give_slow(MCACHE_STACK + order, object, "slate_stack_free");
		return;
	}
	if (span && span->page_class == PAGECLASS_TINY) {
		tiny_finish(object);
		return;
	}
	if (span && span->page_class == PAGECLASS_TYPED)
		kcache_reconstruct(span->span_class, object);
	object_free(object);
}

static void finish_frame(void *slot)
{
	object_free_frame(slot_to_frame(slot));
}

void deferred_take(struct deferred *deferred)
{
	deferred->objects = mcache_take_deferred(MCACHE_DEFERRED_OBJECTS);
	deferred->frames = mcache_take_deferred(MCACHE_DEFERRED_FRAMES);
}

void deferred_finish(struct deferred *deferred)
{
	run_chain(deferred->objects, next_object, finish_object);
	run_chain(deferred->frames, next_frame, finish_frame);
	*deferred = (struct deferred){.objects = NULL};
}

void deferred_run(void)
{
	struct deferred deferred;

	deferred_take(&deferred);
	deferred_finish(&deferred);
}
