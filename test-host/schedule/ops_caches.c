/* SPDX-License-Identifier: MIT */
/*
 * ops_caches.c - operations on caches as a whole: magazines, depots, CPUs that come and go, typed
 * caches; and what fills them before a program starts.
 */
#include <slate/port.h>
#include <slate/slate.h>
#include <slate/stats.h>

#include "mm/deferred.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/onfree.h"
#include "test-host/schedule/ops.h"
#include "test-host/schedule/ops_own.h"
#include "test-host/schedule/sched.h"

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
	ops_own.asked = true;
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
	ops_own.cache = slate_cache_create(&params);
	if (!ops_own.cache)
		sched_fail("no typed cache");
}

void op_cache_end(unsigned argument)
{
	(void)argument;
	if (slate_cache_destroy(ops_own.cache) != SLATE_OK)
		sched_fail("a typed cache without objects does not go");
	ops_own.cache = NULL;
}

void op_cache_stats(unsigned argument)
{
	struct slate_class_stats stats;

	(void)argument;
	if (slate_class_stats(SPANCLASS_TYPED + 1, &stats) && stats.objects > 0)
		sched_fail("%zu objects of a typed cache that has none", stats.objects);
}

/* ---- A depot of the test's own ---- */

void op_depot_push(unsigned argument)
{
	struct shadow_thing thing = shadow_take(ops_slot(argument));

	struct magazine *empty;

	if (thing.kind != SHADOW_DEPOT ||
	    !depot_push(&ops_own.depot, (struct magazine *)thing.start, &empty))
		ops_put_back(ops_slot(argument), thing);
}

void op_depot_pop(unsigned argument)
{
	struct magazine *magazine = depot_pop(&ops_own.depot, NULL);

	if (magazine)
		shadow_put(ops_slot(argument),
			   (struct shadow_thing){(uintptr_t)magazine, sizeof(*magazine),
						 SHADOW_DEPOT, 0});
}

/* ---- Preparing ---- */

void op_fill(unsigned argument)
{
	unsigned class = ops_class(ops_size(argument));
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

	fill_give(ops_class(ops_size(argument)), objects, 0);
}

void op_fill_exchange(unsigned argument)
{
	unsigned class = ops_class(ops_size(argument));
	void *objects[MAGAZINE_CAP_MAX];
	unsigned n = 0;

	do
		objects[n++] = slate_alloc(sizeclass_bytes[class >> 1]);
	while (mcache_cached(mcaches[sched_cpu()], class) > 0);
	fill_give(class, objects, n);
}

void op_warm(unsigned argument)
{
	unsigned class = ops_class(ops_size(argument));
	void *object = slate_alloc(sizeclass_bytes[class >> 1]);

	slate_free(object);
	slate_free(slate_alloc(sizeclass_bytes[class >> 1]));
}
