/* SPDX-License-Identifier: MIT */
/* ops.c - the operations that programs of simulated CPUs are made of. */
#include "test-host/schedule/ops.h"

#include <string.h>

#include <slate/port.h>
#include <slate/slate.h>
#include <slate/stats.h>

#include "mm/deferred.h"
#include "mm/depot.h"
#include "mm/directmap.h"
#include "mm/fixalloc.h"
#include "mm/largecache.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/object.h"
#include "mm/onfree.h"
#include "test-host/schedule/checkpoint.h"
#include "test-host/schedule/machine.h"
#include "test-host/schedule/sched.h"
#include "test-host/schedule/shadow.h"
#include "test-host/schedule/state.h"

#define RUN_PAGES      4u
#define FIXED_BYTES    64u
#define FIXED_OBJECTS  4u
#define EATEN_MAX      32u
#define TINY_BYTES     4u
#define POLLS_MAX      8u
#define FINAL_SLOT     36u  /* and up, one a CPU: while a finalizer runs */
#define FIRST_MAGAZINE 40u  /* the slot */
#define MEMORY_FRAME   256u /* number of the first frame */

static size_t size_bytes_of[OP_SIZES];
static bool large_paused; /* what booting afresh does not undo */
static pfn_t probe_first; /* where the first span of op_span() will lie */

/* What the snapshot holds of the test itself. */
static struct own {
	struct depot depot;
	struct magazine magazines[4];
	struct fixalloc fixed;
	struct shadow_thing named; /* misused: freed by several */
	struct slate_cache *cache; /* typed */
	bool asked;                /* all caches shall be drained, and none was used since */
	unsigned finals;           /* finalizers that were set, ... */
	unsigned finalized;        /* ... and that have run */
	unsigned eaten_count;
	struct eaten {
		pfn_t pfn;
		size_t pages;
	} eaten[EATEN_MAX];
	_Alignas(FIXED_BYTES) char memory[FIXED_OBJECTS * FIXED_BYTES];
} own;
static struct own own_saved;

static unsigned slot_of(unsigned argument)
{
	return argument % OP_SIZE;
}

static unsigned size_of(unsigned argument)
{
	return argument / OP_SIZE % OP_SIZES;
}

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
	own.asked = false;
}

static void put_object(unsigned slot, void *object, size_t size_bytes, unsigned class)
{
	if (object)
		shadow_put(slot, (struct shadow_thing){(uintptr_t)object, size_bytes, SHADOW_OBJECT,
						       class});
}

void op_alloc(unsigned argument)
{
	size_t size_bytes = size_bytes_of[size_of(argument)];

	note_use();
	put_object(slot_of(argument), slate_alloc(size_bytes), size_bytes, 0);
	note_use();
}

void op_anyctx(unsigned argument)
{
	size_t size_bytes = size_bytes_of[size_of(argument)];

	note_use();
	put_object(slot_of(argument), slate_alloc_flags(size_bytes, SLATE_ANYCTX), size_bytes, 0);
	note_use();
}

void op_tiny(unsigned argument)
{
	put_object(slot_of(argument), slate_alloc_flags(TINY_BYTES, SLATE_NOSCAN), TINY_BYTES, 0);
}

/* Nobody else may have the object while its finalizer runs. */
static void finalizer(void *object, void *arg)
{
	unsigned slot = FINAL_SLOT + sched_cpu();

	if (arg != &own)
		sched_fail("a finalizer got another argument");
	put_object(slot, object, size_bytes_of[OP_SMALL], 0);
	shadow_take(slot);
	own.finalized++;
}

void op_final(unsigned argument)
{
	void *object = slate_alloc(size_bytes_of[OP_SMALL]);

	if (!object)
		return;
	if (slate_on_free(object, finalizer, &own) == SLATE_OK)
		own.finals++;
	put_object(slot_of(argument), object, size_bytes_of[OP_SMALL], 0);
}

void op_bulk(unsigned argument)
{
	size_t size_bytes = size_bytes_of[size_of(argument)];
	void *objects[2];
	size_t n = slate_alloc_bulk(size_bytes, 2, objects, 0);

	for (size_t i = 0; i < n; i++)
		put_object(slot_of(argument) + (unsigned)i, objects[i], size_bytes, 0);
}

/* It is of another kind than the operation is for. */
static void put_back(unsigned slot, struct shadow_thing thing)
{
	if (thing.kind != SHADOW_NONE)
		shadow_put(slot, thing);
}

static void free_thing(struct shadow_thing thing)
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
		fixalloc_free(&own.fixed, start);
		break;
	default:
		break;
	}
}

void op_free(unsigned argument)
{
	note_use();
	free_thing(shadow_take(slot_of(argument)));
	note_use();
}

void op_free_anyctx(unsigned argument)
{
	struct shadow_thing thing = shadow_take(slot_of(argument));
	bool single = thing.kind == SHADOW_FRAMES && thing.size_bytes == SLATE_PAGE_SIZE;

	note_use();
	if (thing.kind == SHADOW_OBJECT || single)
		free_thing(thing);
	else
		put_back(slot_of(argument), thing);
	note_use();
}

void op_free_masked(unsigned argument)
{
	struct shadow_thing thing = shadow_take(slot_of(argument));
	unsigned long irq = port_irq_save();

	note_use();
	if (thing.kind == SHADOW_OBJECT)
		free_thing(thing);
	else
		put_back(slot_of(argument), thing);
	port_irq_restore(irq);
	note_use();
}

void op_name(unsigned argument)
{
	own.named = shadow_take(slot_of(argument));
}

void op_free_named(unsigned argument)
{
	(void)argument;
	free_thing(own.named);
}

void op_take(unsigned argument)
{
	unsigned class = ops_class(size_of(argument));
	void *object = NULL;

	if (mcentral_take(class, &object, 1) > 0)
		put_object(slot_of(argument), object, sizeclass_bytes[class >> 1], class);
}

/*
 * It may fail, but not with an object at home: one that came home before the call took its last
 * lock.
 */
void op_look_again(unsigned argument)
{
	unsigned class = ops_class(size_of(argument));
	void *object = NULL;

	if (mcentral_take(class, &object, 1) == 0 && sched_marked_before_lock())
		sched_fail("mcentral_take() missed an object that had come home");
	put_object(slot_of(argument), object, sizeclass_bytes[class >> 1], class);
}

void op_give(unsigned argument)
{
	struct shadow_thing thing = shadow_take(slot_of(argument));
	void *object = (void *)thing.start;
	/* once: a neighbour's finalizer may make the frame a slow one at any time */
	unsigned class =
		thing.kind == SHADOW_OBJECT ? arena_class(virt_to_pfn(object)) : PAGECLASS_NONE;

	if (!spanclass_is_size(class)) {
		put_back(slot_of(argument), thing);
		return;
	}
	mcentral_give(class, &object, 1, "op_give");
	sched_mark();
}

/* The chain goes through an element's first word, and a tiny object has none of its own: what an
 * NMI defers there is the whole block (tiny_finish()). */
void op_defer(unsigned argument)
{
	struct shadow_thing thing = shadow_take(slot_of(argument));

	if (thing.kind == SHADOW_OBJECT && thing.size_bytes >= sizeof(void *))
		mcache_defer((void *)thing.start);
	else
		put_back(slot_of(argument), thing);
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
	put_frames(slot_of(argument), slate_frame_alloc(), 1, SHADOW_FRAMES);
}

void op_run(unsigned argument)
{
	put_frames(slot_of(argument), slate_page_alloc(RUN_PAGES, NULL), RUN_PAGES, SHADOW_FRAMES);
}

void op_pages(unsigned argument)
{
	put_frames(slot_of(argument), mheap_alloc_pages(3, NULL, SLATE_ANY_NODE), 3, SHADOW_PAGES);
}

void op_anyctx_pages(unsigned argument)
{
	const struct slate_page_constraints any = {.node = SLATE_ANY_NODE, .flags = SLATE_ANYCTX};

	put_frames(slot_of(argument), (slate_page_alloc)(3, &any), 3, SHADOW_PAGES);
}

void op_stack(unsigned argument)
{
	void *stack = slate_stack_alloc(0);

	if (stack)
		shadow_put(
			slot_of(argument),
			(struct shadow_thing){(uintptr_t)stack, SLATE_PAGE_SIZE, SHADOW_STACK, 0});
}

void op_span(unsigned argument)
{
	struct mspan *span = mheap_alloc_large(3, 1);

	if (span)
		put_object(slot_of(argument), (void *)span->base, 3 * SLATE_PAGE_SIZE, 0);
}

/* ---- Caches, CPUs ---- */

void op_flush(unsigned argument)
{
	(void)argument;
	slate_flush();
}

void op_drain(unsigned argument)
{
	(void)argument;
	mcache_drain();
}

void op_depots(unsigned argument)
{
	(void)argument;
	mcache_drain_depots();
}

void op_ask(unsigned argument)
{
	(void)argument;
	own.asked = true;
	mcache_ask_drain();
}

void op_request(unsigned argument)
{
	(void)argument;
	mcache_ask_drain();
}

void op_honour(unsigned argument)
{
	(void)argument;
	mcache_drain_if_wanted();
}

void op_poll(unsigned argument)
{
	(void)argument;
	slate_poll();
}

void op_finalize(unsigned argument)
{
	(void)argument;
	onfree_poll(1);
}

void op_deferred(unsigned argument)
{
	(void)argument;
	deferred_run();
}

/* Nothing else allocates or frees there any more, handlers included: so says the call. */
void op_offline(unsigned argument)
{
	(void)argument;
	sched_interruptible(false);
	slate_cpu_offline();
}

void op_online(unsigned argument)
{
	unsigned long irq = port_irq_save();

	(void)argument;
	slate_cpu_online();
	port_irq_restore(irq);
	sched_interruptible(true);
}

/* ---- Typed caches ---- */

void op_cache_make(unsigned argument)
{
	const struct slate_cache_params params = {"passing", FIXED_BYTES, 0, NULL};

	(void)argument;
	own.cache = slate_cache_create(&params);
	if (!own.cache)
		sched_fail("no typed cache");
}

void op_cache_end(unsigned argument)
{
	(void)argument;
	if (slate_cache_destroy(own.cache) != SLATE_OK)
		sched_fail("a typed cache without objects does not go");
	own.cache = NULL;
}

void op_cache_stats(unsigned argument)
{
	struct slate_class_stats stats;

	(void)argument;
	if (slate_class_stats(SPANCLASS_TYPED + 1, &stats) && stats.objects > 0)
		sched_fail("%zu objects of a typed cache that has none", stats.objects);
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

	if (slate_class_stats(ops_class(size_of(argument)), &stats) &&
	    stats.cached_objects > stats.objects + 2 * SCHED_CPUS * MAGAZINE_CAP_MAX)
		sched_fail("%zu objects are cached, of %zu", stats.cached_objects, stats.objects);
}

void op_validate(unsigned argument)
{
	(void)argument;
	if (slate_validate() != 0)
		sched_fail("slate_validate() found something");
}

/* ---- The test's own ---- */

void op_depot_push(unsigned argument)
{
	struct shadow_thing thing = shadow_take(slot_of(argument));

	struct magazine *empty;

	if (thing.kind != SHADOW_DEPOT ||
	    !depot_push(&own.depot, (struct magazine *)thing.start, &empty))
		put_back(slot_of(argument), thing);
}

void op_depot_pop(unsigned argument)
{
	struct magazine *magazine = depot_pop(&own.depot, NULL);

	if (magazine)
		shadow_put(slot_of(argument),
			   (struct shadow_thing){(uintptr_t)magazine, sizeof(*magazine),
						 SHADOW_DEPOT, 0});
}

void op_fix_alloc(unsigned argument)
{
	void *object = fixalloc_alloc(&own.fixed);

	if (object)
		shadow_put(slot_of(argument),
			   (struct shadow_thing){(uintptr_t)object, FIXED_BYTES, SHADOW_FIXED, 0});
}

/* ---- Preparing ---- */

void op_fill(unsigned argument)
{
	unsigned class = ops_class(size_of(argument));
	void *objects[2 * MAGAZINE_CAP_MAX];
	unsigned n = 2 * mcache_capacity(class);

	for (unsigned i = 0; i < n; i++)
		objects[i] = slate_alloc(sizeclass_bytes[class >> 1]);
	for (unsigned i = 0; i < n; i++)
		slate_free(objects[i]);
}

/* The first so many objects are taken already, the others past the magazines; all are freed. */
static void fill_give(unsigned class, void **objects, unsigned first)
{
	unsigned n = mcache_capacity(class) - 2;

	for (unsigned i = first; i < n; i++)
		if (mcentral_take(class, &objects[i], 1) == 0)
			sched_fail("no memory to prepare with");
	for (unsigned i = 0; i < n; i++)
		slate_free(objects[i]);
}

void op_fill_give(unsigned argument)
{
	void *objects[MAGAZINE_CAP_MAX];

	fill_give(ops_class(size_of(argument)), objects, 0);
}

void op_fill_exchange(unsigned argument)
{
	unsigned class = ops_class(size_of(argument));
	void *objects[MAGAZINE_CAP_MAX];
	unsigned n = 0;

	do
		objects[n++] = slate_alloc(sizeclass_bytes[class >> 1]);
	while (mcache_cached(mcaches[sched_cpu()], class) > 0);
	fill_give(class, objects, n);
}

void op_warm(unsigned argument)
{
	unsigned class = ops_class(size_of(argument));
	void *object = slate_alloc(sizeclass_bytes[class >> 1]);

	slate_free(object);
	slate_free(slate_alloc(sizeclass_bytes[class >> 1]));
}

void op_no_large(unsigned argument)
{
	(void)argument;
	largecache_pause();
	large_paused = true;
}

void op_eat(unsigned argument)
{
	(void)argument;
	for (size_t n = 128; n > 0; n /= 2) {
		pfn_t pfn;

		while (own.eaten_count < EATEN_MAX &&
		       !pfn_is_none(pfn = mheap_alloc_pages(n, NULL, SLATE_ANY_NODE)))
			own.eaten[own.eaten_count++] = (struct eaten){pfn, n};
	}
}

static void uneat(void)
{
	while (own.eaten_count > 0) {
		const struct eaten *eaten = &own.eaten[--own.eaten_count];

		mheap_free_pages(eaten->pfn, eaten->pages);
	}
}

/* ---- Start and end ---- */

void ops_reset(void)
{
	memset(&own, 0, sizeof(own));
	depot_init(&own.depot, 4);
	fixalloc_init(&own.fixed, "test", FIXED_BYTES, FIXED_BYTES);
	fixalloc_feed(&own.fixed, own.memory, sizeof(own.memory));
	for (unsigned i = 0; i < SHADOW_SLOTS; i++)
		shadow_take(i);
	for (unsigned i = 0; i < 4; i++)
		shadow_put(FIRST_MAGAZINE + i,
			   (struct shadow_thing){(uintptr_t)&own.magazines[i],
						 sizeof(own.magazines[i]), SHADOW_DEPOT, 0});
}

void ops_save(void)
{
	own_saved = own;
	shadow_save();
}

void ops_restore(void)
{
	own = own_saved;
	shadow_restore();
}

void ops_keep(void)
{
	checkpoint_keep(&own, sizeof(own));
	shadow_keep();
}

uint64_t ops_hash(void)
{
	uint64_t hash = shadow_hash();

	for (size_t i = 0; i < sizeof(own) / 8; i++) {
		uint64_t word;

		memcpy(&word, (const char *)&own + 8 * i, sizeof(word));
		hash = state_mix(hash, word);
	}
	return hash;
}

/* Each of the depot's magazines is in a slot or in the depot, once. */
static void check_depot(unsigned in_slots)
{
	unsigned n = in_slots;

	for (struct magazine *magazine; (magazine = depot_pop(&own.depot, NULL)) != NULL; n++)
		shadow_put(FIRST_MAGAZINE,
			   (struct shadow_thing){(uintptr_t)magazine, sizeof(*magazine),
						 SHADOW_DEPOT, 0});
	if (n != 4)
		sched_fail("the depot and the slots hold %u magazines of 4", n);
}

static void check_fixed(void)
{
	unsigned n = 0;

	if (own.fixed.in_use != 0)
		sched_fail("%zu objects of the fixalloc are in use", own.fixed.in_use);
	while (fixalloc_alloc(&own.fixed))
		n++;
	if (n != FIXED_OBJECTS)
		sched_fail("the fixalloc holds %u objects of %u", n, FIXED_OBJECTS);
}

/* Who was asked to drain does so at its next slow path. */
static void check_asked(void)
{
	for (unsigned cpu = 0; own.asked && cpu < SCHED_CPUS; cpu++) {
		if (!machine_online(cpu))
			continue;
		sched_cpu_set(cpu);
		mcache_drain_if_wanted();
		for (unsigned class = 0; class < MCACHE_ENTRIES; class ++)
			if (mcache_cached(mcaches[cpu], class) > 0)
				sched_fail("CPU %u was asked to drain, and keeps class %u", cpu,
					   class);
	}
	sched_cpu_set(0);
}

/* What NMIs freed first; then what waits for slate_poll(). */
static void finalize_all(void)
{
	for (unsigned cpu = 0; cpu < SCHED_CPUS; cpu++) {
		if (!machine_online(cpu))
			continue;
		sched_cpu_set(cpu);
		deferred_run();
	}
	sched_cpu_set(0);
	for (unsigned i = 0; i < POLLS_MAX && own.finalized < own.finals; i++)
		slate_poll();
	if (own.finalized != own.finals)
		sched_fail("%u finalizers have run, of %u", own.finalized, own.finals);
}

void ops_finish(void)
{
	struct shadow_thing magazine[4];
	unsigned magazine_count = 0;

	check_asked();
	uneat();
	if (own.cache)
		op_cache_end(0);
	for (unsigned i = 0; i < SHADOW_SLOTS; i++) {
		struct shadow_thing thing = shadow_take(i);

		if (thing.kind == SHADOW_DEPOT && magazine_count < 4)
			magazine[magazine_count++] = thing;
		else
			free_thing(thing);
	}
	finalize_all();
	for (unsigned i = 0; i < magazine_count; i++)
		shadow_put(FIRST_MAGAZINE + i, magazine[i]);
	check_depot(magazine_count);
	check_fixed();
}
