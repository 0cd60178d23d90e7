/* SPDX-License-Identifier: MIT */
/*
 * stackcache.c (level 7) - kernel stacks: made with their guard page, and unmade.
 *
 * The guard page is a frame of the span, since it lies in the direct map: it is lost as long as the
 * stack lives. Where the port cannot unmap it, it goes back before the stack is published.
 */
#include "mm/stackcache.h"

#include <slate/port.h>

#include "mm/directmap.h"
#include "mm/lockrank.h"
#include "mm/mmdebug.h"

#define GUARD_PAGES 1u

static void *stack_make(unsigned order)
{
	size_t pages = (size_t)1 << order;
	struct mspan *span = mheap_alloc_manual(pages + GUARD_PAGES);

	if (!span)
		return NULL;
	mm_lock_assert_none();
	bool guarded = port_guard_unmap((void *)span->base);

	mheap_publish_manual(span, pages, guarded ? 0 : GUARD_PAGES);
	return mheap_manual_start(span);
}

unsigned stackcache_take(unsigned order, void **out, unsigned n)
{
	unsigned made = 0;

	/* A take pops from the top: the lowest stack goes there. */
	while (made < n && (out[made] = stack_make(order)) != NULL)
		made++;
	for (unsigned i = 0; i < made / 2; i++) {
		void *stack = out[i];

		out[i] = out[made - 1 - i];
		out[made - 1 - i] = stack;
	}
	return made;
}

/* The span of a stack that is still there, claimed; NULL if it is not. */
static struct mspan *stack_claim(void *stack)
{
	pfn_t pfn = virt_to_pfn(stack);
	unsigned class = arena_class(pfn);
	struct mspan *span = arena_span(pfn);

	if (class - PAGECLASS_STACK_HEAD >= SLATE_STACK_ORDERS || !span ||
	    mheap_manual_start(span) != stack)
		return NULL;
	return mspan_transition(span, MSPAN_MANUAL, MSPAN_CLAIMED) ? span : NULL;
}

static void stack_unmake(void *stack)
{
	struct mspan *span = stack_claim(stack);

	if (!span) {
		struct slate_report report = {
			.crime = SLATE_CRIME_DOUBLE_FREE,
			.call = "slate_stack_free",
			.detail = "the stack is free already; found when its magazine was flushed",
			.address = (uintptr_t)stack,
		};

		mm_report(&report);
		return;
	}
	mm_lock_assert_none();
	if (span->base != (uintptr_t)stack)
		port_guard_map((void *)span->base);
	mheap_free_span(span);
}

void stackcache_give(void **stacks, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		stack_unmake(stacks[i]);
}
