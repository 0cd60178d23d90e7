/* SPDX-License-Identifier: MIT */
/* ops_own.c - what operations keep: from the start of a run to what must hold at its end. */
#include "test-host/schedule/ops_own.h"

#include <string.h>

#include <slate/slate.h>

#include "mm/deferred.h"
#include "mm/directmap.h"
#include "mm/mcache.h"
#include "mm/mheap.h"
#include "test-host/schedule/checkpoint.h"
#include "test-host/schedule/machine.h"
#include "test-host/schedule/ops.h"
#include "test-host/schedule/sched.h"
#include "test-host/schedule/state.h"

#define POLLS_MAX 8u

struct ops_own ops_own;
static struct ops_own own_saved;

void ops_put_back(unsigned slot, struct shadow_thing thing)
{
	if (thing.kind != SHADOW_NONE)
		shadow_put(slot, thing);
}

/* ---- What lasts to the end ---- */

void op_fix_alloc(unsigned argument)
{
	void *object = fixalloc_alloc(&ops_own.fixed);

	if (object)
		shadow_put(ops_slot(argument),
			   (struct shadow_thing){(uintptr_t)object, FIXED_BYTES, SHADOW_FIXED, 0});
}

void op_eat(unsigned argument)
{
	(void)argument;
	for (size_t n = 128; n > 0; n /= 2) {
		pfn_t pfn;

		while (ops_own.eaten_count < EATEN_MAX &&
		       !pfn_is_none(pfn = mheap_alloc_pages(n, NULL, SLATE_ANY_NODE)))
			ops_own.eaten[ops_own.eaten_count++] = (struct eaten){pfn, n};
	}
}

static void uneat(void)
{
	while (ops_own.eaten_count > 0) {
		const struct eaten *eaten = &ops_own.eaten[--ops_own.eaten_count];

		mheap_free_pages(eaten->pfn, eaten->pages);
	}
}

/* ---- Start and end ---- */

/* ---- Start and end ---- */

void ops_reset(void)
{
	memset(&ops_own, 0, sizeof(ops_own));
	depot_init(&ops_own.depot, 4);
	fixalloc_init(&ops_own.fixed, "test", FIXED_BYTES, FIXED_BYTES);
	fixalloc_feed(&ops_own.fixed, ops_own.memory, sizeof(ops_own.memory));
	for (unsigned i = 0; i < SHADOW_SLOTS; i++)
		shadow_take(i);
	for (unsigned i = 0; i < 4; i++)
		shadow_put(FIRST_MAGAZINE + i,
			   (struct shadow_thing){(uintptr_t)&ops_own.magazines[i],
						 sizeof(ops_own.magazines[i]), SHADOW_DEPOT, 0});
}

void ops_save(void)
{
	own_saved = ops_own;
	shadow_save();
}

void ops_restore(void)
{
	ops_own = own_saved;
	shadow_restore();
}

void ops_keep(void)
{
	checkpoint_keep(&ops_own, sizeof(ops_own));
	shadow_keep();
}

uint64_t ops_hash(void)
{
	uint64_t hash = shadow_hash();

	for (size_t i = 0; i < sizeof(ops_own) / 8; i++) {
		uint64_t word;

		memcpy(&word, (const char *)&ops_own + 8 * i, sizeof(word));
		hash = state_mix(hash, word);
	}
	return hash;
}

/* Each of the depot's magazines is in a slot or in the depot, once. */
static void check_depot(unsigned in_slots)
{
	unsigned n = in_slots;

	for (struct magazine *magazine; (magazine = depot_pop(&ops_own.depot, NULL)) != NULL; n++)
		shadow_put(FIRST_MAGAZINE,
			   (struct shadow_thing){(uintptr_t)magazine, sizeof(*magazine),
						 SHADOW_DEPOT, 0});
	if (n != 4)
		sched_fail("the depot and the slots hold %u magazines of 4", n);
}

static void check_fixed(void)
{
	unsigned n = 0;

	if (ops_own.fixed.in_use != 0)
		sched_fail("%zu objects of the fixalloc are in use", ops_own.fixed.in_use);
	while (fixalloc_alloc(&ops_own.fixed))
		n++;
	if (n != FIXED_OBJECTS)
		sched_fail("the fixalloc holds %u objects of %u", n, FIXED_OBJECTS);
}

/* Who was asked to drain does so at its next slow path. */
static void check_asked(void)
{
	for (unsigned cpu = 0; ops_own.asked && cpu < SCHED_CPUS; cpu++) {
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
	for (unsigned i = 0; i < POLLS_MAX && ops_own.finalized < ops_own.finals; i++)
		slate_poll();
	if (ops_own.finalized != ops_own.finals)
		sched_fail("%u finalizers have run, of %u", ops_own.finalized, ops_own.finals);
}

void ops_finish(void)
{
	struct shadow_thing magazine[4];
	unsigned magazine_count = 0;

	check_asked();
	uneat();
	if (ops_own.cache)
		op_cache_end(0);
	for (unsigned i = 0; i < SHADOW_SLOTS; i++) {
		struct shadow_thing thing = shadow_take(i);

		if (thing.kind == SHADOW_DEPOT && magazine_count < 4)
			magazine[magazine_count++] = thing;
		else
			ops_free_thing(thing);
	}
	finalize_all();
	for (unsigned i = 0; i < magazine_count; i++)
		shadow_put(FIRST_MAGAZINE + i, magazine[i]);
	check_depot(magazine_count);
	check_fixed();
}
