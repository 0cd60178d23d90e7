/* SPDX-License-Identifier: MIT */
/*
 * stress.c - the random load.
 *
 * Each CPU has slots that hold an object, frames, a stack or nothing. It takes one at random and
 * fills it, checks and empties it, resizes it, or sends what it holds to another CPU, which frees
 * it. Every few steps comes upkeep (stress_upkeep.c).
 */
#include "kernel/stress.h"

#include <stdatomic.h>

#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/hotplug.h"
#include "kernel/nmi.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/stress_account.h"
#include "kernel/stress_mix.h"
#include "lib/spinlock.h"

#define STRESS_SLOTS 192
#define STRESS_TICKS 16
#define STRESS_INBOX 64
#define STRESS_NMIS  8

/* Steps between two looks at the clock and the inbox: a slow machine with many CPUs ends in time,
 * too. */
#define TURN_STEPS 8

/* A full run is as long as every kind of upkeep needs to have its turn, however slow the machine.
 */
#define FULL_TURNS 100

/* Operations of all handlers in a tick's time: with many CPUs on few cores they must not eat it up.
 */
#define TICK_OPS     6
#define TICK_OPS_ALL 48

/* One CPU's state. The inbox alone is touched by others. */
struct player {
	struct holding slots[STRESS_SLOTS];
	struct holding ticks[STRESS_TICKS]; /* timer handler only */
	struct hand hand;                   /* main line */
	struct hand tick_hand;              /* timer handler */
	struct holding nmis[STRESS_NMIS];   /* NMI only */
	struct hand nmi_hand;               /* NMI */
	uint64_t turn;
	struct spinlock lock;
	struct holding inbox[STRESS_INBOX]; /* (lock) */
	_Atomic size_t inbox_count;         /* (lock) written; (a) read relaxed by its owner */
};

static struct player *players[SLATE_MAX_CPUS];
static uint64_t deadline_ms;
static size_t largest_run; /* frames that a CPU may try to take at once */
static uint64_t turns_at_least;

/* Maps of the heap that the first CPU prints, evenly spread over the run. */
static struct {
	uint64_t left;
	uint64_t every_ms;
	uint64_t next_ms;
} maps;
static unsigned tick_ops;

static void fill_slot(struct player *p, struct holding *h)
{
	uint32_t r = random_next(&p->hand.random) % 32;

	if (r < 5)
		stress_page_take(&p->hand, h, largest_run);
	else if (r < 7)
		stress_bulk_take(&p->hand, p->slots, STRESS_SLOTS);
	else
		stress_object_take(&p->hand, h);
}

/* ---- Between CPUs ---- */

/* Full, or somebody is there just now: keep it. */
static void send(struct player *p, struct holding *h, unsigned cpu)
{
	struct player *to = players[cpu];
	unsigned long state = arch_irq_save();

	if (spinlock_try(&to->lock)) {
		if (to->inbox_count < STRESS_INBOX) {
			to->inbox[to->inbox_count++] = *h;
			h->kind = HOLDING_NONE;
			p->hand.did[STRESS_SENT]++;
		}
		spinlock_release(&to->lock);
	}
	arch_irq_restore(state);
}

static void empty_inbox(struct player *p)
{
	/* relaxed: what is missed now is found at the next look */
	while (atomic_load_explicit(&p->inbox_count, memory_order_relaxed) > 0) {
		struct holding h = {.kind = HOLDING_NONE};
		unsigned long state = arch_irq_save();

		spinlock_acquire(&p->lock);
		if (p->inbox_count > 0)
			h = p->inbox[--p->inbox_count];
		spinlock_release(&p->lock);
		arch_irq_restore(state);
		holding_drop(&p->hand, &h);
		p->hand.ops++;
	}
}

static void step(struct player *p, unsigned cpu)
{
	uint32_t r = random_next(&p->hand.random);
	struct holding *h = &p->slots[(r >> 8) % STRESS_SLOTS];

	p->hand.ops++;
	if (h->kind == HOLDING_NONE)
		fill_slot(p, h);
	else if (r % 16 < 7)
		holding_drop(&p->hand, h);
	else if (r % 16 < 8)
		stress_bulk_drop(&p->hand, p->slots, STRESS_SLOTS);
	else if (r % 16 < 10)
		stress_object_resize(&p->hand, h);
	else
		send(p, h, smp_next(cpu + (r >> 16) % smp_count()));
}

/* ---- All CPUs ---- */

static void leave_range(struct player *p)
{
	struct slate_range range = hotplug_range();

	for (size_t i = 0; i < STRESS_SLOTS; i++) {
		struct holding *h = &p->slots[i];

		if (h->kind != HOLDING_NONE &&
		    slate_phys(h->start).v - range.base < range.size_bytes)
			holding_drop(&p->hand, h);
	}
}

static void print_maps(void)
{
	if (maps.left == 0 || smp_millis() < maps.next_ms)
		return;
	maps.left--;
	maps.next_ms += maps.every_ms;
	heapmap_print();
}

static void play(void *arg)
{
	unsigned cpu = arch_cpu();
	struct player *p = players[cpu];

	(void)arg;
	/* a late CPU plays a turn, too */
	do {
		for (size_t i = 0; i < TURN_STEPS; i++)
			step(p, cpu);
		empty_inbox(p);
		if (cpu == 0)
			print_maps();
		if (stress_must_leave())
			leave_range(p);
		stress_upkeep(&p->hand, cpu, ++p->turn);
	} while (smp_millis() < deadline_ms || p->turn < turns_at_least);
	/* a slow machine missed some */
	for (; cpu == 0 && maps.left > 0; maps.left--)
		heapmap_print();
}

static void clean_up(void *arg)
{
	struct player *p = players[arch_cpu()];

	(void)arg;
	empty_inbox(p);
	for (size_t i = 0; i < STRESS_SLOTS; i++)
		holding_drop(&p->hand, &p->slots[i]);
	for (size_t i = 0; i < STRESS_TICKS; i++)
		holding_drop(&p->tick_hand, &p->ticks[i]);
	for (size_t i = 0; i < STRESS_NMIS; i++)
		holding_drop(&p->nmi_hand, &p->nmis[i]);
}

/* Fill an empty holding of a handler, or drop a full one. */
static void handler_step(struct hand *hand, struct holding *slots, size_t count)
{
	uint32_t r = random_next(&hand->random);
	struct holding *h = &slots[(r >> 8) % count];

	hand->ops++;
	if (h->kind != HOLDING_NONE)
		holding_drop(hand, h);
	else if (r % 8 == 0)
		stress_page_take(hand, h, 1);
	else
		stress_object_take(hand, h);
}

/* In the timer interrupt of each CPU. */
static void play_tick(unsigned cpu)
{
	struct player *p = players[cpu];

	if (stress_is_away(cpu))
		return;
	for (unsigned i = 0; i < tick_ops; i++)
		handler_step(&p->tick_hand, p->ticks, STRESS_TICKS);
	slate_poll();
	p->tick_hand.did[STRESS_POLL]++;
}

static void play_nmi(unsigned cpu)
{
	struct player *p = players[cpu];

	if (stress_is_away(cpu))
		return;
	handler_step(&p->nmi_hand, p->nmis, STRESS_NMIS);
	p->nmi_hand.did[STRESS_NMI]++;
}

/* ---- A run ---- */

static bool players_make(uint32_t seed)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		struct player *p;

		if (!smp_is_online(cpu))
			continue;
		p = players[cpu] = slate_zalloc(sizeof(struct player));
		if (!p)
			return false;
		/* never 0: the generator would stay there */
		p->hand.random = (seed * 2654435761u ^ 0x9e3779b9u * (cpu + 1)) | 1;
		p->tick_hand.random = (seed * 2246822519u ^ 0x85ebca6bu * (cpu + 1)) | 1;
		p->tick_hand.flags = SLATE_NOWAIT;
		p->nmi_hand.random = (seed * 3266489917u ^ 0xc2b2ae35u * (cpu + 1)) | 1;
		p->nmi_hand.flags = SLATE_ANYCTX;
		spinlock_init(&p->lock);
	}
	return true;
}

static void players_free(void)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		slate_free(players[cpu]);
		players[cpu] = NULL;
	}
}

/* What all did; *handler_ops: in handlers. */
static struct hand players_sum(uint64_t *handler_ops)
{
	struct hand sum = {0};

	*handler_ops = 0;
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (!players[cpu])
			continue;
		account_add(&sum, &players[cpu]->hand);
		account_add(&sum, &players[cpu]->tick_hand);
		account_add(&sum, &players[cpu]->nmi_hand);
		*handler_ops += players[cpu]->tick_hand.ops + players[cpu]->nmi_hand.ops;
	}
	return sum;
}

static void play_all(unsigned seconds)
{
	tick_ops = TICK_OPS_ALL / smp_count() < TICK_OPS ? TICK_OPS_ALL / smp_count() : TICK_OPS;
	tick_ops += tick_ops == 0;
	turns_at_least = seconds >= STRESS_FULL_SECONDS ? FULL_TURNS : 0;
	smp_tick_hook(play_tick);
	nmi_hook(play_nmi);
	deadline_ms = smp_millis() + (uint64_t)seconds * 1000;
	maps.every_ms = (uint64_t)seconds * 1000 / (maps.left + 1);
	maps.next_ms = smp_millis() + maps.every_ms;
	smp_run_all(play, NULL);
	smp_tick_hook(NULL);
	nmi_hook(NULL);
	smp_run_all(clean_up, NULL);
}

static bool run(unsigned seconds, uint32_t seed)
{
	struct hand first = {0};
	struct account before;
	struct hand sum;
	uint64_t handler_ops;
	bool destroyed;
	bool ok;

	stress_plug_prepare(&first);
	before = account_take();
	largest_run = before.free_pages / 8 + 1;
	if (!stress_caches_make()) {
		kprintf("stress: no typed caches\n");
		stress_caches_destroy();
		return false;
	}
	play_all(seconds);
	stress_plug_out(&players[arch_cpu()]->hand);
	destroyed = stress_caches_destroy();
	if (!destroyed)
		kprintf("stress: a typed cache does not go\n");
	sum = players_sum(&handler_ops);
	sum.wrong += first.wrong;
	kprintf("stress: %u s on %u CPUs, seed %u: %llu operations, %llu in interrupts, %llu times "
		"NULL\n",
		seconds, smp_count(), seed, (unsigned long long)sum.ops,
		(unsigned long long)handler_ops, (unsigned long long)sum.refused);
	ok = account_kinds(&sum, seconds >= STRESS_FULL_SECONDS);
	return account_settle(&before, &sum) && ok && destroyed;
}

bool stress_run(unsigned seconds, uint32_t seed)
{
	bool ok = players_make(seed);

	if (ok)
		ok = run(seconds, seed);
	else
		kprintf("stress: no memory for its own state\n");
	players_free();
	return ok;
}

bool cmd_stress(int argc, char **argv)
{
	uint64_t seconds = 5;
	uint64_t seed = 1;

	maps.left = 0;
	if (argc > 4 || (argc >= 2 && !parse_number(argv[1], &seconds)) || seconds > 100000 ||
	    (argc >= 3 && !parse_number(argv[2], &seed)) ||
	    (argc == 4 && !parse_number(argv[3], &maps.left)))
		return command_usage(argv[0]);
	return stress_run((unsigned)seconds, (uint32_t)seed);
}
