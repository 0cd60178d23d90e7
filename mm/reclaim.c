/* SPDX-License-Identifier: MIT */
/* reclaim.c (level 8) - emptying the caches of all CPUs, before a request is refused or at the
 * kernel's wish. */
#include "mm/reclaim.h"

#include <slate/port.h>
#include <slate/slate.h>

#include "mm/deferred.h"
#include "mm/handover.h"
#include "mm/largecache.h"
#include "mm/lockrank.h"
#include "mm/mcache.h"
#include "mm/mheap.h"
#include "mm/onfree.h"
#include "mm/scavenger.h"
#include "mm/shrinker.h"
#include "mm/watch.h"

/* Rounds of shrinkers for one request; each asks for twice as much, for what came back may lie
 * scattered. */
#define SHRINK_ROUNDS 8u

/* Looks at a run that is on its way to the machine's owner. */
#define SCAVENGE_PATIENCE 100000u

/* All (a), relaxed: figures. */
static struct {
	_Atomic size_t drains;
	_Atomic size_t depot_drains;
	_Atomic size_t remote_drains;
	_Atomic size_t scavenge_waits;
	_Atomic size_t reserve_uses;
	_Atomic size_t low_nodes;
	_Atomic size_t failures;
} counts;

static void count(_Atomic size_t *counter, size_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Looks at what some CPU is sending home. */
#define SENDING_PATIENCE 1000000u

/*
 * CPUs that send home what is no CPU's any more: others' caches, or depots.
 * (a) release when one ends, acquire by who waits.
 */
static _Atomic unsigned senders;

static void sending_begin(void)
{
	/* relaxed: who finds a depot or a cache empty has seen what came before, by the depot's
	 * lock or the call on its CPU */
	atomic_fetch_add_explicit(&senders, 1, memory_order_relaxed);
}

static void sending_end(void)
{
	/* release: pairs with the acquire in wait_for_senders() */
	atomic_fetch_sub_explicit(&senders, 1, memory_order_release);
}

/* Interrupts are enabled, so that whoever is waited for gets its answers. */
static void wait_for_senders(void)
{
	for (unsigned i = 0; i < SENDING_PATIENCE; i++) {
		if (atomic_load_explicit(&senders, memory_order_acquire) == 0)
			return;
		port_relax();
	}
}

static void drain_depots(void)
{
	sending_begin();
	mcache_drain_depots();
	sending_end();
}

static void poll_depots(void)
{
	sending_begin();
	mcache_poll_depots();
	sending_end();
}

/* False: it could not be reached, or went away in the middle. */
static bool drain_other(unsigned cpu, const struct mcache *cache)
{
	struct handover handover;

	handover_begin(&handover, cache);
	while (!handover.done) {
		handover_look(&handover);
		if (!port_run_on_cpu(cpu, handover_part, &handover))
			return false;
		handover_finish(&handover);
	}
	return true;
}

static void drain_here(void)
{
	mcache_drain();
	drain_depots();
}

/*
 * Returns how many other CPUs were drained. Who has taken over frees that NMIs deferred finishes
 * them into its own caches: it is waited for before it is drained, and this one, having done the
 * same, drains itself.
 */
static unsigned drain_others(void)
{
	unsigned long irq = port_irq_save();
	unsigned self = mm_cpu();
	unsigned drained = 0;

	port_irq_restore(irq);
	wait_for_senders();
	sending_begin();
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire, both: pairs with the releases in mcache_online() and mcache_offline() */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		if (cpu == self || !cache ||
		    !atomic_load_explicit(&cache->online, memory_order_acquire))
			continue;
		if (drain_other(cpu, cache))
			drained++;
	}
	sending_end();
	if (drained > 0)
		drain_here();
	return drained;
}

/* ---- The steps: true, try again ---- */

static bool step_own(void)
{
	deferred_run();
	watch_drain();
	mcache_drain();
	count(&counts.drains, 1);
	return true;
}

static bool step_depots(void)
{
	drain_depots();
	count(&counts.depot_drains, 1);
	return true;
}

static bool step_others(bool patient)
{
	unsigned drained;

	/* Who cannot be waited for drains at its next slow path or slate_poll(). */
	mcache_ask_drain();
	if (!patient)
		return false;
	drained = drain_others();
	count(&counts.remote_drains, drained);
	return drained > 0;
}

static bool step_shrink(struct reclaim *reclaim, bool patient)
{
	size_t pages = reclaim->pages ? reclaim->pages : 1;

	if (!patient || reclaim->rounds == SHRINK_ROUNDS || pages > SIZE_MAX >> SHRINK_ROUNDS)
		return false;
	if (shrinker_run(pages << reclaim->rounds++) == 0)
		return false;
	/* what they freed lies in caches */
	mcache_drain();
	drain_depots();
	return true;
}

/*
 * Released frames are free ones, nothing has to be done for them; but a run on its way is nobody's.
 * The wait is bounded, for this may be a handler on top of who has it.
 */
static bool step_scavenge(bool patient)
{
	if (!patient || !scavenger_busy())
		return false;
	for (unsigned i = 0; i < SCAVENGE_PATIENCE && scavenger_busy(); i++)
		port_relax();
	count(&counts.scavenge_waits, 1);
	return true;
}

static bool step_reserve(struct reclaim *reclaim, unsigned flags)
{
	if (!(flags & SLATE_RESERVE))
		return false;
	reclaim->reserve = true;
	count(&counts.reserve_uses, 1);
	return true;
}

bool reclaim_next(struct reclaim *reclaim, unsigned flags)
{
	bool patient = !(flags & (SLATE_NOWAIT | SLATE_ANYCTX)) && port_irq_enabled();

	/* Every step takes locks, and what an NMI interrupted may hold any. But to ask is one
	 * atomic, and the next such request may find what others have brought home. */
	if ((flags & SLATE_ANYCTX) || port_in_nmi()) {
		if (reclaim->step > 0)
			return false;
		reclaim->step = 6;
		mcache_ask_drain();
		return step_reserve(reclaim, flags);
	}
	mm_lock_assert_none();
	if (reclaim->step == 0) {
		reclaim->step = 1;
		return step_own();
	}
	if (reclaim->step == 1) {
		reclaim->step = 2;
		return step_depots();
	}
	if (reclaim->step == 2) {
		reclaim->step = 3;
		if (step_others(patient))
			return true;
	}
	if (reclaim->step == 3) {
		if (step_shrink(reclaim, patient))
			return true;
		reclaim->step = 4;
	}
	if (reclaim->step == 4) {
		reclaim->step = 5;
		if (step_scavenge(patient))
			return true;
	}
	if (reclaim->step == 5) {
		reclaim->step = 6;
		return step_reserve(reclaim, flags);
	}
	return false;
}

void *reclaim_failed(void)
{
	count(&counts.failures, 1);
	return NULL;
}

static size_t read(const _Atomic size_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

struct reclaim_counts reclaim_counts(void)
{
	return (struct reclaim_counts){
		.drains = read(&counts.drains),
		.depot_drains = read(&counts.depot_drains),
		.remote_drains = read(&counts.remote_drains),
		.scavenge_waits = read(&counts.scavenge_waits),
		.reserve_uses = read(&counts.reserve_uses),
		.low_nodes = read(&counts.low_nodes),
		.failures = read(&counts.failures),
	};
}

/* ---- In the background ---- */

/* (a) relaxed: who moves it on does what the move means */
enum lowness {
	LOW_NOT,
	LOW_ASKED,  /* all CPUs were asked to drain */
	LOW_SHRUNK, /* depots and shrinkers have given back */
};
static _Atomic unsigned char lowness[SLATE_MAX_NODES];

static bool move(unsigned node, unsigned char from, unsigned char to)
{
	return atomic_compare_exchange_strong_explicit(&lowness[node], &from, to,
						       memory_order_relaxed, memory_order_relaxed);
}

static void poll_node(unsigned node)
{
	struct mheap_marks marks = mheap_marks(&mheaps[node]);
	size_t free = read(&mheaps[node].pages.free_pages);
	unsigned char state = atomic_load_explicit(&lowness[node], memory_order_relaxed);

	if (state == LOW_NOT && free < marks.low_pages && move(node, LOW_NOT, LOW_ASKED)) {
		mcache_ask_drain();
		count(&counts.low_nodes, 1);
	} else if (state == LOW_ASKED && free < marks.high_pages && port_irq_enabled() &&
		   move(node, LOW_ASKED, LOW_SHRUNK)) {
		drain_depots();
		shrinker_run(marks.high_pages - free);
	} else if (state != LOW_NOT && free >= marks.high_pages) {
		move(node, state, LOW_NOT);
	}
}

void reclaim_poll(void)
{
	for (unsigned node = 0; node < mheap_node_count(); node++)
		poll_node(node);
}

void reclaim_reset(void)
{
	_Atomic size_t *counters[] = {&counts.drains,        &counts.depot_drains,
				      &counts.remote_drains, &counts.scavenge_waits,
				      &counts.reserve_uses,  &counts.low_nodes,
				      &counts.failures};

	for (unsigned i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		atomic_store_explicit(counters[i], 0, memory_order_relaxed);
	atomic_store_explicit(&senders, 0, memory_order_relaxed);
	for (unsigned node = 0; node < SLATE_MAX_NODES; node++)
		atomic_store_explicit(&lowness[node], LOW_NOT, memory_order_relaxed);
}

/* Finalizers that a poll runs at most: each is the kernel's code, and takes as long as it likes. */
#define FINALIZERS_A_POLL 8

void slate_poll(void)
{
	mcache_poll();
	mcache_drain_if_wanted();
	deferred_run();
	largecache_poll();
	if (port_irq_enabled())
		poll_depots();
	scavenger_poll();
	reclaim_poll();
	onfree_poll(FINALIZERS_A_POLL);
}

/* What this CPU has freed is home afterwards, whoever had it. */
void slate_flush(void)
{
	deferred_run();
	onfree_poll(SIZE_MAX);
	watch_drain();
	drain_here();
	if (port_irq_enabled())
		drain_others();
}
