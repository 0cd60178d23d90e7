/* SPDX-License-Identifier: MIT */
/*
 * stack.c (level 8) - the public calls for kernel stacks: order to magazine, and back by the class
 * byte of the lowest frame.
 *
 * In debug builds a stack is in use (MSPAN_IN_USE) while it is handed out and manual while it is
 * cached, so that a double free is found at once; release builds leave it manual.
 */
#include <slate/slate.h>

#include "mm/directmap.h"
#include "mm/init.h"
#include "mm/mcache.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/object.h"
#include "mm/percpu.h"
#include "mm/reclaim.h"
#include "mm/trace.h"
#include "mm/watch.h"

#if SLATE_DEBUG
static void note_alloc(void *stack, const void *caller)
{
	struct mspan *span = arena_span(virt_to_pfn(stack));

	if (!span || !mspan_transition(span, MSPAN_MANUAL, MSPAN_IN_USE))
		mm_assert_failed("a cached stack is free", __FILE__, __LINE__);
	else
		mm_poison(stack, POISON_STACK, span->elem_bytes);
	watch_stack_alloc(stack, caller);
}

static bool note_free(void *stack, const void *caller)
{
	struct mspan *span = arena_span(virt_to_pfn(stack));

	if (!span || mspan_state(span) != MSPAN_IN_USE)
		return false;
	/* before it can be anybody else's */
	watch_stack_free(stack, caller);
	return mspan_transition(span, MSPAN_IN_USE, MSPAN_MANUAL);
}
#else
static inline void note_alloc(void *stack, const void *caller)
{
	(void)stack;
	(void)caller;
}

static inline bool note_free(void *stack, const void *caller)
{
	(void)stack;
	(void)caller;
	return true;
}
#endif

/* Behind the sequence, or instead of it. */
void *slate_stack_alloc_slow(unsigned order)
{
	struct reclaim reclaim = {0};

	if (order >= SLATE_STACK_ORDERS)
		return NULL;

	void *stack = percpu_take(MCACHE_STACK + order);

	if (!stack && init_check("slate_stack_alloc")) {
		do {
			stack = mcache_take_slow(MCACHE_STACK + order);
		} while (!stack && reclaim_next(&reclaim, 0));
	}
	if (!stack)
		return reclaim_failed();
	note_alloc(stack, TRACE_CALLER);
	if (trace_is_on())
		trace_note(SLATE_TRACE_STACK_ALLOC, (uintptr_t)stack, SLATE_PAGE_SIZE << order,
			   TRACE_CALLER);
	return stack;
}

static void report_stack(enum slate_crime crime, const char *call, const char *detail,
			 const void *stack)
{
	struct slate_report report = {
		.crime = crime,
		.call = call,
		.detail = detail,
		.address = (uintptr_t)stack,
	};

	mm_report(&report);
}

static __attribute__((noinline)) void report_not_stack(const void *stack, const char *call)
{
	unsigned class = arena_class(virt_to_pfn(stack));

	if (class == PAGECLASS_NONE)
		report_stack(SLATE_CRIME_FOREIGN, call,
			     "the address lies in no memory that was added", stack);
	else if (class == PAGECLASS_STACK || class - PAGECLASS_STACK_HEAD < SLATE_STACK_ORDERS)
		report_stack(SLATE_CRIME_INTERIOR, call,
			     "the pointer is not the lowest address of the stack", stack);
	else
		report_stack(SLATE_CRIME_NOT_STACK, call, "the frame is no stack's", stack);
}

/* The order of a stack by its lowest address; SLATE_STACK_ORDERS or more for any other pointer. */
static inline unsigned order_of(const void *stack)
{
	unsigned order = arena_class(virt_to_pfn(stack)) - PAGECLASS_STACK_HEAD;

	return (uintptr_t)stack & SLATE_PAGE_MASK ? SLATE_STACK_ORDERS : order;
}

void slate_stack_free_slow(void *stack)
{
	unsigned order = order_of(stack);

	if (trace_is_on() && order < SLATE_STACK_ORDERS)
		trace_note(SLATE_TRACE_STACK_FREE, (uintptr_t)stack, SLATE_PAGE_SIZE << order,
			   TRACE_CALLER);
	if (order >= SLATE_STACK_ORDERS) {
		if (stack)
			report_not_stack(stack, "slate_stack_free");
	} else if (!note_free(stack, TRACE_CALLER)) {
		report_stack(SLATE_CRIME_DOUBLE_FREE, "slate_stack_free",
			     "the stack is free already", stack);
	} else if (!percpu_give(MCACHE_STACK + order, stack)) {
		mcache_give_slow(MCACHE_STACK + order, stack, "slate_stack_free");
	}
}

#if SLATE_PROTECT != SLATE_PROTECT_RSEQ
/* With restartable sequences arch/ARCH/rseq.S defines these. */
void *slate_stack_alloc(unsigned order)
{
	return slate_stack_alloc_slow(order);
}

void slate_stack_free(void *stack)
{
	slate_stack_free_slow(stack);
}
#endif

void slate_stack_fill(void *stack)
{
	unsigned order = order_of(stack);

	if (order >= SLATE_STACK_ORDERS)
		report_not_stack(stack, "slate_stack_fill");
	else
		mm_poison(stack, POISON_STACK, SLATE_PAGE_SIZE << order);
}

size_t slate_stack_used(const void *stack)
{
	unsigned order = order_of(stack);

	if (order >= SLATE_STACK_ORDERS) {
		report_not_stack(stack, "slate_stack_used");
		return 0;
	}
	size_t size_bytes = SLATE_PAGE_SIZE << order;

	return size_bytes - mm_poison_check(stack, POISON_STACK, size_bytes);
}

bool slate_stack_find(const void *address, struct slate_stack_info *info)
{
	pfn_t pfn = virt_to_pfn(address);
	const struct mspan *span = arena_span(pfn);

	if (!span || span->page_class != PAGECLASS_STACK)
		return false;
	info->stack = mheap_manual_start(span);
	info->size_bytes = span->elem_bytes;
	info->guarded = span->base != (uintptr_t)info->stack;
	info->in_guard = (uintptr_t)address < (uintptr_t)info->stack;
	return true;
}
