/* SPDX-License-Identifier: MIT */
/*
 * watch_walk.c (level 8) - debug builds: a look at all objects of all spans; and the witnesses of
 * stacks, whose spans tell themselves whether they are taken (stack.c).
 *
 * Other CPUs may run meanwhile: an object whose record changed while it was looked at is passed
 * over.
 */
#include "mm/watch.h"

#if SLATE_DEBUG

#include "mm/arena.h"
#include "mm/mheap.h"
#include "mm/object.h"
#include "mm/watched.h"

struct walk {
	size_t damaged;
	struct watched first;
	struct witness_damage damage;
	enum slate_crime crime;
};

static struct witness_damage look(const struct watched *w, enum slate_crime *crime)
{
	size_t elem_bytes = w->span->elem_bytes;

	switch (witness_state(w->witness)) {
	case WITNESS_TAKEN:
		*crime = SLATE_CRIME_OVERFLOW;
		return witness_zone_check(w->witness, w->object, elem_bytes);
	case WITNESS_NONE:
	case WITNESS_ASIDE:
	case WITNESS_HOME:
		*crime = SLATE_CRIME_WRITE_AFTER_FREE;
		return witness_freed_check(w->witness, w->object, elem_bytes);
	default:
		return (struct witness_damage){.address = 0};
	}
}

static uint32_t changes(const struct witness *witness)
{
	/* acquire: pairs with the release of who changes it */
	return atomic_load_explicit(&witness->changes, memory_order_acquire);
}

static bool walk_span(struct mspan *span, void *arg)
{
	struct walk *walk = arg;
	struct watched w = {.span = span};

	if (!span->witnesses || span->page_class == PAGECLASS_STACK)
		return true;
	for (size_t i = 0; i < span->elem_count; i++) {
		enum slate_crime crime;

		w.object = span->base + i * span->elem_bytes;
		w.witness = witness_of(span, w.object);
		uint32_t before = changes(w.witness);
		struct witness_damage damage = look(&w, &crime);

		if (!damage.address || changes(w.witness) != before)
			continue;
		if (walk->damaged++ > 0)
			continue;
		walk->first = w;
		walk->damage = damage;
		walk->crime = crime;
	}
	return true;
}

size_t watch_validate(void)
{
	struct walk walk = {.damaged = 0};

	for (unsigned node = 0; node < mheap_node_count(); node++)
		mheap_for_each_span(node, walk_span, &walk);
	if (walk.damaged > 0)
		watched_report_damage(&walk.first, &walk.damage, walk.crime, "slate_validate");
	return walk.damaged;
}

/* ---- Objects that were given up ---- */

static bool find_lost(struct mspan *span, void *arg)
{
	struct watched *found = arg;

	for (size_t i = 0; span->witnesses && i < span->elem_count; i++) {
		if (witness_state(&span->witnesses->list[i]) != WITNESS_LOST)
			continue;
		*found = (struct watched){.object = span->base + i * span->elem_bytes,
					  .span = span,
					  .witness = &span->witnesses->list[i]};
		return false;
	}
	return true;
}

void watch_forgive(void)
{
	struct watched lost;

	do {
		lost.span = NULL;
		for (unsigned node = 0; node < mheap_node_count() && !lost.span; node++)
			mheap_for_each_span(node, find_lost, &lost);
		if (!lost.span)
			return;
		witness_fill_freed(lost.witness, lost.object, lost.span->elem_bytes);
		witness_set_state(lost.witness, WITNESS_HOME);
		object_free_bare((void *)lost.object);
	} while (true);
}

/* ---- Stacks ---- */

static struct witness *of_stack(void *stack)
{
	struct mspan *span = arena_span(virt_to_pfn(stack));

	return span && span->witnesses ? &span->witnesses->list[0] : NULL;
}

void watch_stack_alloc(void *stack, const void *caller)
{
	struct witness *witness = of_stack(stack);

	if (!witness)
		return;
	witness_note(&witness->allocated, caller);
	witness->freed.known = false;
}

void watch_stack_free(void *stack, const void *caller)
{
	struct witness *witness = of_stack(stack);

	if (witness)
		witness_note(&witness->freed, caller);
}

#endif
