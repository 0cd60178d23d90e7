/* SPDX-License-Identifier: MIT */
/* ops.c - the operations that programs of simulated CPUs are made of: on what they allocate. */
#include "test-host/schedule/ops.h"

#include <slate/port.h>
#include <slate/slate.h>
#include <slate/stats.h>

#include "mm/directmap.h"
#include "mm/largecache.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/object.h"
#include "test-host/schedule/ops_own.h"
#include "test-host/schedule/sched.h"
#include "test-host/schedule/shadow.h"

#define RUN_PAGES    4u
#define TINY_BYTES   4u
#define FINAL_SLOT   36u  /* and up, one a CPU: while a finalizer runs */
#define MEMORY_FRAME 256u /* number of the first frame */

static size_t size_bytes_of[OP_SIZES];
static bool large_paused; /* what booting afresh does not undo */
static pfn_t probe_first; /* where the first span of op_span() will lie */

/* Of the classes with so few objects a span the one with the shortest span. */
static size_t class_bytes(unsigned elems)
{
	unsigned best = SIZECLASS_COUNT - 1;

	for (unsigned class = 1; class < SIZECLASS_COUNT; class ++)
		if (sizeclass_elems[class] == elems &&
		    (sizeclass_elems[best] != elems ||
		     sizeclass_pages[class] < sizeclass_pages[best]))
			best = class;
	return sizeclass_bytes[best];
}

unsigned ops_class(enum op_size size)
{
	return sizeclass_of(size_bytes_of[size]) << 1;
}

static bool is_used(unsigned class)
{
	/* where tiny objects come from when there is no memory for blocks */
	if (class == (sizeclass_of(TINY_BYTES) << 1 | 1))
		return true;
	return class == PAGECLASS_FRAME || class == MCACHE_STACK || class == MCACHE_RUN + 1 ||
	       class == SPANCLASS_TINY || class == ops_class(OP_PAIR) ||
	       class == ops_class(OP_SINGLE) || class == ops_class(OP_SMALL);
}

/* Magazines for the classes that are used only: a drain looks at all that have any. */
void ops_init(void)
{
	if (large_paused)
		largecache_resume();
	large_paused = false;
	size_bytes_of[OP_PAIR] = class_bytes(2);
	size_bytes_of[OP_SINGLE] = SIZECLASS_MAX_BYTES;
	size_bytes_of[OP_SMALL] = 64;
	size_bytes_of[OP_LARGE] = SIZECLASS_MAX_BYTES + SLATE_PAGE_SIZE;
	probe_first = mheap_alloc_pages(3, NULL, SLATE_ANY_NODE);
	mheap_free_pages(probe_first, 3);
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++)
		if (mcache_capacity(class) > 0 && !is_used(class))
			mcache_disable(class);
}

/* ---- Objects ---- */

/* Some cache was used after the request: nobody can say what it has to hold. */
static void note_use(void)
{
	ops_own.asked = false;
}

static void put_object(unsigned slot, void *object, size_t size_bytes, unsigned class)
{
	if (object)
		shadow_put(slot, (struct shadow_thing){(uintptr_t)object, size_bytes, SHADOW_OBJECT,
						       class});
}

void op_alloc(unsigned argument)
{
	size_t size_bytes = size_bytes_of[ops_size(argument)];

	note_use();
	put_object(ops_slot(argument), slate_alloc(size_bytes), size_bytes, 0);
	note_use();
}

void op_anyctx(unsigned argument)
{
	size_t size_bytes = size_bytes_of[ops_size(argument)];

	note_use();
	put_object(ops_slot(argument), slate_alloc_flags(size_bytes, SLATE_ANYCTX), size_bytes, 0);
	note_use();
}

void op_tiny(unsigned argument)
{
	put_object(ops_slot(argument), slate_alloc_flags(TINY_BYTES, SLATE_NOSCAN), TINY_BYTES, 0);
}

/* Nobody else may have the object while its finalizer runs. */
static void finalizer(void *object, void *arg)
{
	unsigned slot = FINAL_SLOT + sched_cpu();

	if (arg != &ops_own)
		sched_fail("a finalizer got another argument");
	put_object(slot, object, size_bytes_of[OP_SMALL], 0);
	shadow_take(slot);
	ops_own.finalized++;
}

void op_final(unsigned argument)
{
	void *object = slate_alloc(size_bytes_of[OP_SMALL]);

	if (!object)
		return;
	if (slate_on_free(object, finalizer, &ops_own) == SLATE_OK)
		ops_own.finals++;
	put_object(ops_slot(argument), object, size_bytes_of[OP_SMALL], 0);
}

void op_bulk(unsigned argument)
{
	size_t size_bytes = size_bytes_of[ops_size(argument)];
	void *objects[2];
	size_t n = slate_alloc_bulk(size_bytes, 2, objects, 0);

	for (size_t i = 0; i < n; i++)
		put_object(ops_slot(argument) + (unsigned)i, objects[i], size_bytes, 0);
}

void ops_free_thing(struct shadow_thing thing)
{
	void *start = (void *)thing.start;

	switch (thing.kind) {
	case SHADOW_OBJECT:
		slate_free(start);
		break;
	case SHADOW_FRAMES:
		slate_page_free(virt_to_pfn(start), thing.size_bytes >> SLATE_PAGE_SHIFT);
		break;
	case SHADOW_PAGES:
		mheap_free_pages(virt_to_pfn(start), thing.size_bytes >> SLATE_PAGE_SHIFT);
		break;
	case SHADOW_STACK:
		slate_stack_free(start);
		break;
	case SHADOW_DEPOT:
		shadow_put(FIRST_MAGAZINE, thing);
		break;
	case SHADOW_FIXED:
		fixalloc_free(&ops_own.fixed, start);
		break;
	default:
		break;
	}
}

void op_free(unsigned argument)
{
	note_use();
	ops_free_thing(shadow_take(ops_slot(argument)));
	note_use();
}

void op_free_anyctx(unsigned argument)
{
	struct shadow_thing thing = shadow_take(ops_slot(argument));
	bool single = thing.kind == SHADOW_FRAMES && thing.size_bytes == SLATE_PAGE_SIZE;

	note_use();
	if (thing.kind == SHADOW_OBJECT || single)
		ops_free_thing(thing);
	else
		ops_put_back(ops_slot(argument), thing);
	note_use();
}

void op_free_masked(unsigned argument)
{
	struct shadow_thing thing = shadow_take(ops_slot(argument));
	unsigned long irq = port_irq_save();

	note_use();
	if (thing.kind == SHADOW_OBJECT)
		ops_free_thing(thing);
	else
		ops_put_back(ops_slot(argument), thing);
	port_irq_restore(irq);
	note_use();
}

void op_name(unsigned argument)
{
	ops_own.named = shadow_take(ops_slot(argument));
}

void op_free_named(unsigned argument)
{
	(void)argument;
	ops_free_thing(ops_own.named);
}

void op_take(unsigned argument)
{
	unsigned class = ops_class(ops_size(argument));
	void *object = NULL;

	if (mcentral_take(class, &object, 1) > 0)
		put_object(ops_slot(argument), object, sizeclass_bytes[class >> 1], class);
}

/*
 * It may fail, but not with an object at home: one that came home before the call took its last
 * lock.
 */
void op_look_again(unsigned argument)
{
	unsigned class = ops_class(ops_size(argument));
	void *object = NULL;

	if (mcentral_take(class, &object, 1) == 0 && sched_marked_before_lock())
		sched_fail("mcentral_take() missed an object that had come home");
	put_object(ops_slot(argument), object, sizeclass_bytes[class >> 1], class);
}

void op_give(unsigned argument)
{
	struct shadow_thing thing = shadow_take(ops_slot(argument));
	void *object = (void *)thing.start;
	/* once: a neighbour's finalizer may make the frame a slow one at any time */
	unsigned class =
		thing.kind == SHADOW_OBJECT ? arena_class(virt_to_pfn(object)) : PAGECLASS_NONE;

	if (!spanclass_is_size(class)) {
		ops_put_back(ops_slot(argument), thing);
		return;
	}
	mcentral_give(class, &object, 1, "op_give");
	sched_mark();
}

/* The chain goes through an element's first word, and a tiny object has none of its own: what an
 * NMI defers there is the whole block (tiny_finish()). */
void op_defer(unsigned argument)
{
	struct shadow_thing thing = shadow_take(ops_slot(argument));

	if (thing.kind == SHADOW_OBJECT && thing.size_bytes >= sizeof(void *))
		mcache_defer((void *)thing.start);
	else
		ops_put_back(ops_slot(argument), thing);
}

/* ---- Frames, stacks, spans ---- */

static void put_frames(unsigned slot, pfn_t pfn, size_t pages, enum shadow_kind kind)
{
	if (!pfn_is_none(pfn))
		shadow_put(slot, (struct shadow_thing){(uintptr_t)pfn_to_virt(pfn),
						       pages << SLATE_PAGE_SHIFT, kind, 0});
}

void op_frame(unsigned argument)
{
	put_frames(ops_slot(argument), slate_frame_alloc(), 1, SHADOW_FRAMES);
}

void op_run(unsigned argument)
{
	put_frames(ops_slot(argument), slate_page_alloc(RUN_PAGES, NULL), RUN_PAGES, SHADOW_FRAMES);
}

void op_pages(unsigned argument)
{
	put_frames(ops_slot(argument), mheap_alloc_pages(3, NULL, SLATE_ANY_NODE), 3, SHADOW_PAGES);
}

void op_anyctx_pages(unsigned argument)
{
	const struct slate_page_constraints any = {.node = SLATE_ANY_NODE, .flags = SLATE_ANYCTX};

	put_frames(ops_slot(argument), (slate_page_alloc)(3, &any), 3, SHADOW_PAGES);
}

void op_stack(unsigned argument)
{
	void *stack = slate_stack_alloc(0);

	if (stack)
		shadow_put(
			ops_slot(argument),
			(struct shadow_thing){(uintptr_t)stack, SLATE_PAGE_SIZE, SHADOW_STACK, 0});
}

void op_span(unsigned argument)
{
	struct mspan *span = mheap_alloc_large(3, 1);

	if (span)
		put_object(ops_slot(argument), (void *)span->base, 3 * SLATE_PAGE_SIZE, 0);
}

void op_no_large(unsigned argument)
{
	(void)argument;
	largecache_pause();
	large_paused = true;
}

/* ---- Looking ---- */

/* Any address may be asked for: the answer is a struct of some span, or NULL. */
void op_probe(unsigned argument)
{
	pfn_t pfn = pfn_add(probe_first, argument);
	const struct mspan *span = arena_span(pfn);
	uintptr_t start = (uintptr_t)pfn_to_virt((pfn_t){MEMORY_FRAME});
	uintptr_t end = (uintptr_t)pfn_to_virt((pfn_t){2 * MEMORY_FRAME});

	if (span && ((uintptr_t)span < start || (uintptr_t)span >= end))
		sched_fail("arena_span() of frame %zu is %p", pfn.v, (const void *)span);
	/* the first word of a dead one is a link of its fixalloc, NULL at the end */
	if (span && span->base && (span->base < start || span->base >= end))
		sched_fail("arena_span() of frame %zu is no span", pfn.v);
}

void op_stats(unsigned argument)
{
	struct slate_class_stats stats;

	if (slate_class_stats(ops_class(ops_size(argument)), &stats) &&
	    stats.cached_objects > stats.objects + 2 * SCHED_CPUS * MAGAZINE_CAP_MAX)
		sched_fail("%zu objects are cached, of %zu", stats.cached_objects, stats.objects);
}

void op_validate(unsigned argument)
{
	(void)argument;
	if (slate_validate() != 0)
		sched_fail("slate_validate() found something");
}
