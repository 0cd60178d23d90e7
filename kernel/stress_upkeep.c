/* SPDX-License-Identifier: MIT */
/*
 * stress_upkeep.c - what happens now and then in a stress run: polls, flushes, give-back, typed
 * caches that come and go, CPUs that leave and return, memory that is added and removed.
 */
#include <stdatomic.h>

#include <slate/config.h>

#include "arch/arch.h"
#include "kernel/hotplug.h"
#include "kernel/smp.h"
#include "kernel/stress_mix.h"

/* Turns between two of a kind; the CPUs are not in step. */
#define POLL_TURNS     4
#define FLUSH_TURNS    96
#define SCAVENGE_TURNS 64
#define CACHE_TURNS    48
#define OFFLINE_TURNS  32
#define PLUG_TURNS     16
#define NMI_TURNS      3

#define AWAY_LOOKS 200

static atomic_bool away[SLATE_MAX_CPUS]; /* (p) written by its CPU, read by its handler */
static bool can_plug;                    /* boot CPU */
static atomic_bool has_nmi;              /* relaxed: all find the same */
static atomic_bool must_leave;           /* boot CPU writes; others may see it late */

/* ---- CPUs that leave and return ---- */

bool stress_is_away(unsigned cpu)
{
	/* relaxed: the same CPU */
	return atomic_load_explicit(&away[cpu], memory_order_relaxed);
}

static void set_away(unsigned cpu, bool is_away)
{
	atomic_store_explicit(&away[cpu], is_away, memory_order_relaxed);
	/* the handler must see it before whatever comes next */
	atomic_signal_fence(memory_order_seq_cst);
}

/* Interrupts stay enabled, for others may wait for this CPU to answer. */
static void leave_and_return(struct hand *hand, unsigned cpu)
{
	struct slate_cpu_stats stats;
	unsigned long state;

	set_away(cpu, true);
	if (slate_cpu_offline() != SLATE_OK)
		hand->wrong++;
	for (unsigned i = 0; i < AWAY_LOOKS; i++)
		arch_relax();
	if (!slate_cpu_stats(cpu, &stats) || stats.online || stats.cached_objects)
		hand->wrong++;
	state = arch_irq_save();
	if (slate_cpu_online() != SLATE_OK)
		hand->wrong++;
	arch_irq_restore(state);
	set_away(cpu, false);
	hand->did[STRESS_OFFLINE]++;
}

/* ---- A typed cache from its creation to its end ---- */

static void cache_life(struct hand *hand)
{
	static const struct slate_cache_params params = {"passing", 72, 0, stress_construct};
	struct slate_cache *cache = slate_cache_create(&params);
	void *objects[3];

	if (!cache) {
		hand->refused++;
		return;
	}
	if (!slate_cache_prefill(cache, 2))
		hand->refused++;
	for (unsigned i = 0; i < 3; i++)
		objects[i] = slate_cache_alloc(cache);
	if (objects[0] && objects[0] == objects[1])
		hand->wrong++;
	/* somebody holds them */
	if ((objects[0] || objects[1]) && slate_cache_destroy(cache) != SLATE_EBUSY)
		hand->wrong++;
	for (unsigned i = 0; i < 3; i++)
		slate_cache_free(cache, objects[i]);
	if (slate_cache_destroy(cache) != SLATE_OK)
		hand->wrong++;
	hand->did[STRESS_CACHE]++;
}

/* ---- Memory that comes and goes ---- */

/* Only after it was held once: all are to give back what they have there. */
bool stress_must_leave(void)
{
	return atomic_load_explicit(&must_leave, memory_order_relaxed);
}

/* In if it is out, else out if it can. */
static void plug(struct hand *hand)
{
	bool was_in = hotplug_is_in();
	int status = was_in ? hotplug_remove(NULL) : hotplug_add();

	atomic_store_explicit(&must_leave, status == SLATE_EBUSY, memory_order_relaxed);
	if (status == SLATE_EBUSY && was_in)
		hand->did[STRESS_HELD]++;
	else if (status != SLATE_OK)
		hand->wrong++;
	else if (was_in)
		hand->did[STRESS_REMOVE]++;
	else
		hand->did[STRESS_ADD]++;
}

void stress_plug_prepare(struct hand *hand)
{
	can_plug = hotplug_range().size_bytes > 0;
	if (can_plug && !hotplug_is_in())
		plug(hand);
	if (can_plug)
		plug(hand);
	/* nobody else's use of it */
	can_plug &= !hotplug_is_in();
}

void stress_plug_out(struct hand *hand)
{
	if (can_plug && hotplug_is_in())
		plug(hand);
}

bool stress_can_plug(void)
{
	return can_plug;
}

/* ---- NMIs ---- */

/* To one of the others in turn, also to those that are offline. */
static void send_nmi(unsigned cpu, uint64_t turn)
{
	if (arch_nmi_send(smp_next((unsigned)((cpu + turn) % SLATE_MAX_CPUS))))
		atomic_store_explicit(&has_nmi, true, memory_order_relaxed);
}

bool stress_has_nmi(void)
{
	return atomic_load_explicit(&has_nmi, memory_order_relaxed);
}

/* ---- Turns ---- */

void stress_upkeep(struct hand *hand, unsigned cpu, uint64_t turn)
{
	uint64_t at = turn + cpu * 7;

	if (at % POLL_TURNS == 0) {
		slate_poll();
		hand->did[STRESS_POLL]++;
	}
	/* with interrupts masked instead, an NMI must not touch a magazine (port_in_nmi()) */
	if (SLATE_PROTECT == SLATE_PROTECT_RSEQ && at % NMI_TURNS == 0)
		send_nmi(cpu, turn);
	if (at % FLUSH_TURNS == 1) {
		slate_flush();
		hand->did[STRESS_FLUSH]++;
	}
	if (at % SCAVENGE_TURNS == 2) {
		slate_scavenge(64);
		hand->did[STRESS_SCAVENGE]++;
	}
	if (at % CACHE_TURNS == 3)
		cache_life(hand);
	if (at % OFFLINE_TURNS == 5)
		leave_and_return(hand, cpu);
	if (cpu == 0 && can_plug && turn % PLUG_TURNS == 6)
		plug(hand);
}
