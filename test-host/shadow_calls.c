/* SPDX-License-Identifier: MIT */
/*
 * shadow_calls.c - what else there is to call, against the shadow model: any context, finalizers
 * and tags, marks, traces, and questions.
 */
#include <string.h>

#include <slate/marksweep.h>
#include <slate/port.h>
#include <slate/shrinker.h>
#include <slate/span.h>
#include <slate/trace.h>
#include <slate/whois.h>

#include "test-host/shadow.h"

#define FAIL(...) host_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Allocations and frees in one trace. */
#define TRACED 30u

bool shadow_in_nmi;

static size_t finals; /* finalizers that were set and not removed */
static size_t finalized;

/* ---- Any context ---- */

static unsigned some_flags(struct shadow *shadow)
{
	static const unsigned flags[] = {
		SLATE_ANYCTX,
		SLATE_ANYCTX | SLATE_ZERO,
		SLATE_ANYCTX | SLATE_RESERVE,
		SLATE_NOWAIT,
		SLATE_NOWAIT | SLATE_RESERVE | SLATE_ZERO,
		SLATE_RESERVE,
		SLATE_ANYCTX | SLATE_NOSCAN,
	};

	return flags[host_random_below(&shadow->random, sizeof(flags) / sizeof(flags[0]))];
}

static void step_flags(struct shadow *shadow)
{
	struct shadow_object *slot = shadow_free_slot(shadow);
	unsigned flags = some_flags(shadow);
	size_t size_bytes = shadow_random_size(shadow);
	char *start = slot ? slate_alloc_flags(size_bytes, flags) : NULL;

	if (!start)
		return;
	if (flags & SLATE_ZERO)
		shadow_check_zero(start, size_bytes);
	shadow_enter(shadow, slot, SHADOW_OBJECT, start, size_bytes);
	shadow->done[SHADOW_ANYCTX] += (flags & SLATE_ANYCTX) != 0;
}

static void step_pages(struct shadow *shadow)
{
	struct shadow_object *slot = shadow_free_slot(shadow);
	const struct slate_page_constraints fit = {
		.align_bytes = SLATE_PAGE_SIZE << host_random_below(&shadow->random, 4),
		.node = SLATE_ANY_NODE,
		.flags = some_flags(shadow),
	};
	size_t pages = 1 + host_random_below(&shadow->random, 40);
	pfn_t pfn = slot ? slate_page_alloc(pages, &fit) : SLATE_PFN_NONE;

	if (pfn_is_none(pfn))
		return;
	if (pfn_to_paddr(pfn).v % fit.align_bytes)
		FAIL("run %zu is not aligned", pfn.v);
	shadow_enter(shadow, slot, SHADOW_RUN, slate_virt(pfn_to_paddr(pfn)),
		     pages << SLATE_PAGE_SHIFT);
	if (fit.flags & SLATE_ANYCTX)
		shadow->done[SHADOW_ANYCTX]++;
}

/* One allocation and one free as an NMI does them, on code that holds no lock. */
static void step_nmi(struct shadow *shadow)
{
	shadow_in_nmi = true;
	step_flags(shadow);

	struct shadow_object *slot = shadow_live_slot(shadow);

	if (slot && slot->kind == SHADOW_OBJECT && slot->size_bytes >= sizeof(void *))
		shadow_free_one(shadow, slot);
	shadow_in_nmi = false;
	shadow->done[SHADOW_NMI]++;
}

/* ---- Records ---- */

static void finalizer(void *object, void *arg)
{
	if (arg != &finals || !object)
		FAIL("a finalizer got %p and %p", object, arg);
	finalized++;
}

static struct shadow_object *some_object(struct shadow *shadow)
{
	struct shadow_object *slot = shadow_live_slot(shadow);

	return slot && slot->kind == SHADOW_OBJECT && slot->size_bytes >= 8 ? slot : NULL;
}

/* Replaced, or removed now and then. */
static void step_final(struct shadow *shadow)
{
	struct shadow_object *slot = some_object(shadow);
	int status;

	if (!slot)
		return;
	status = slate_on_free(slot->start, NULL, NULL);
	if (status == SLATE_OK)
		finals--;
	else if (status != SLATE_ENOENT)
		FAIL("slate_on_free: %d", status);
	if (host_random_below(&shadow->random, 4) == 0)
		return;
	status = slate_on_free(slot->start, finalizer, &finals);
	if (status == SLATE_OK)
		finals++;
	else if (status != SLATE_ENOMEM)
		FAIL("slate_on_free: %d", status);
	shadow->done[SHADOW_FINAL] += status == SLATE_OK;
}

static void step_tag(struct shadow *shadow)
{
	struct shadow_object *slot = some_object(shadow);
	uintptr_t tag = (uintptr_t)host_random(&shadow->random) | 1;
	int status;

	if (!slot)
		return;
	status = slate_tag_set(slot->start, tag);
	if (status == SLATE_ENOMEM)
		return;
	if (status != SLATE_OK || slate_tag(slot->start) != tag)
		FAIL("slate_tag_set: %d", status);
	if (host_random_below(&shadow->random, 2) && slate_tag_set(slot->start, 0) != SLATE_OK)
		FAIL("a tag does not go");
	shadow->done[SHADOW_TAG]++;
}

/* ---- Marks, traces ---- */

/* All that lives the model points at. */
static void step_mark(struct shadow *shadow)
{
	struct slate_leaks leaks = {.capacity = 0};
	struct slate_collected collected;
	int status;

	if (shadow->live_bytes > SHADOW_MARK_BYTES_MAX)
		return;
	if (slate_root_add(shadow->objects, sizeof(shadow->objects)) != SLATE_OK)
		FAIL("no root");
	status = slate_leak_scan(&leaks);
	if (status == SLATE_OK && leaks.objects > 0)
		FAIL("%zu objects that are known are called leaks", leaks.objects);
	if (status == SLATE_OK)
		status = slate_collect(&collected);
	if (status == SLATE_OK && collected.objects > 0)
		FAIL("%zu objects that are known were collected", collected.objects);
	if (status != SLATE_OK && status != SLATE_ENOMEM)
		FAIL("a mark: %d", status);
	slate_root_remove(shadow->objects);
	shadow->done[SHADOW_MARK] += status == SLATE_OK;
}

/* Short: while one is on all goes the slow way. */
static void step_trace(struct shadow *shadow)
{
	int status = slate_trace_start(64);

	if (status != SLATE_OK && status != SLATE_ENOMEM)
		FAIL("slate_trace_start: %d", status);
	for (unsigned i = 0; i < TRACED; i++) {
		struct shadow_object *slot = shadow_live_slot(shadow);

		if (slot)
			shadow_free_one(shadow, slot);
		step_flags(shadow);
	}
	if (status != SLATE_OK)
		return;
	slate_trace_stop();
	slate_trace_discard();
	shadow->done[SHADOW_TRACE]++;
}

/* ---- Questions ---- */

static void step_ask(struct shadow *shadow)
{
	struct shadow_object *slot = shadow_live_slot(shadow);
	struct slate_span_info span;
	struct slate_whois who;

	if (!slot)
		return;
	char *inside = slot->start +
		       host_random_below(&shadow->random, slot->size_bytes + !slot->size_bytes);

	slate_whois(inside, &who);
	/* of a tiny one the block is told */
	if (slot->kind == SHADOW_OBJECT && slot->size_bytes >= 8 &&
	    (who.holder != SLATE_HELD_BY_CALLER || who.object != (uintptr_t)slot->start))
		FAIL("%p of object %p: nobody's, or another's", (void *)inside,
		     (void *)slot->start);
	if (slot->kind == SHADOW_OBJECT &&
	    (!slate_in_heap(inside) || !slate_span_of(inside, &span)))
		FAIL("object %p is not in the heap", (void *)slot->start);
	if (slot->kind == SHADOW_RUN && slate_in_heap(inside))
		FAIL("frame %p is in the heap", (void *)inside);
	slate_idle_zero(4, 64);
	shadow->done[SHADOW_ASK]++;
}

void shadow_calls_step(struct shadow *shadow)
{
	static void (*const steps[])(struct shadow * shadow) = {
		step_flags, step_flags, step_pages, step_nmi, step_final,
		step_final, step_tag,   step_ask,   step_ask, step_nmi};
	uint64_t kind = host_random_below(&shadow->random, 400);

	if (kind < 2)
		step_mark(shadow);
	else if (kind < 4)
		step_trace(shadow);
	else
		steps[kind % 10](shadow);
}

void shadow_calls_drain(void)
{
	slate_flush();
	if (finalized != finals)
		FAIL("%zu finalizers have run, of %zu", finalized, finals);
	finals = finalized = 0;
}
