/* SPDX-License-Identifier: MIT */
/*
 * stress.c - the random load, and the account at its end.
 *
 * Each CPU has slots that hold an object, a run of frames or nothing. It takes one at random and
 * fills it, checks and empties it, resizes it, or sends what it holds to another CPU, which frees
 * it. Every holding begins and ends with bytes that depend on its seed, so that an object given
 * twice, or written by the allocator while it is out, is noticed.
 *
 * Meanwhile the boot CPU adds and removes the range that was kept aside.
 *
 *   after everybody has freed everything, and a flush: free + metadata frames = the same before
 */
#include "kernel/stress.h"

#include <stdatomic.h>

#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/hotplug.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "lib/spinlock.h"

#define STRESS_SLOTS 192
#define STRESS_TICKS 16
#define STRESS_INBOX 64
/* So many bytes at either end are stamped. */
#define STAMP_BYTES 48

enum holding_kind { HOLDING_NONE, HOLDING_OBJECT, HOLDING_FRAMES };

struct holding {
	unsigned char *start;
	size_t size_bytes;
	uint32_t seed;
	enum holding_kind kind;
	bool own_class; /* the size alone tells its class: it may go back by a sized free */
};

/* What one CPU did, or all. */
struct totals {
	uint64_t ops;
	uint64_t tick_ops;
	uint64_t sent;
	uint64_t refused; /* NULL came: memory was short */
	uint64_t wrong;
};

/* One CPU's state. The inbox alone is touched by others. */
struct player {
	struct holding slots[STRESS_SLOTS];
	struct holding ticks[STRESS_TICKS]; /* timer handler only */
	uint32_t random;
	uint32_t tick_random;
	struct totals did; /* main line */
	uint64_t tick_ops; /* timer handler */
	uint64_t tick_wrong;
	struct spinlock lock;
	struct holding inbox[STRESS_INBOX]; /* (lock) */
	_Atomic size_t inbox_count;         /* (lock) written; (a) read relaxed by its owner */
};

/* What became of the range kept aside; the boot CPU's. */
struct plugging {
	uint64_t added;
	uint64_t removed;
	uint64_t held;
	uint64_t wrong; /* an answer that cannot be */
	bool on;        /* there is such a range, and nobody else's use of it */
};

static struct plugging plugging;
static struct player *players[SLATE_MAX_CPUS];
static uint64_t deadline_ms;
static size_t largest_run; /* frames that a CPU may try to take at once */

/* ---- One holding ---- */

static void stamp(struct holding *h)
{
	size_t len = h->size_bytes < STAMP_BYTES ? h->size_bytes : STAMP_BYTES;

	pattern_fill(h->start, len, h->seed);
	pattern_fill(h->start + h->size_bytes - len, len, h->seed + (h->size_bytes > len));
	/* an overlap of the two stamps reads as the second */
	if (h->size_bytes < 2 * len)
		pattern_fill(h->start, h->size_bytes, h->seed);
}

static bool stamp_holds(const struct holding *h)
{
	size_t len = h->size_bytes < STAMP_BYTES ? h->size_bytes : STAMP_BYTES;

	if (h->size_bytes < 2 * len)
		return pattern_check(h->start, h->size_bytes, h->seed) == h->size_bytes;
	return pattern_check(h->start, len, h->seed) == len &&
	       pattern_check(h->start + h->size_bytes - len, len, h->seed + 1) == len;
}

/* Mostly small, sometimes to 128 KiB; each power of two as likely as the next below 4 KiB. */
static size_t random_size(uint32_t *random)
{
	uint32_t r = random_next(random);
	unsigned log2 = r % 16 ? 3 + (r >> 8) % 9 : 12 + (r >> 8) % 5;

	return ((size_t)1 << log2) + (random_next(random) & (((uint32_t)1 << log2) - 1));
}

static void take_frames(struct player *p, struct holding *h)
{
	struct slate_page_constraints fit = {.max = mapped_end(), .node = SLATE_ANY_NODE};
	uint32_t r = random_next(&p->random);
	size_t pages = 1;
	pfn_t pfn;

	/* Seldom half of memory and more: then others run short, and caches are drained. */
	if (r % 512 == 0)
		pages = largest_run * 4 + (r >> 9) % largest_run;
	else if (r % 64 == 0)
		pages = 1 + (r >> 6) % largest_run;
	else if (r % 8 == 0)
		pages = 1 + (r >> 3) % 32;
	else if (r % 8 == 1 && hotplug_is_in())
		fit.min = hotplug_range().base;
	pfn = slate_page_alloc(pages, pages == 1 && !fit.min ? NULL : &fit);
	if (pfn_is_none(pfn))
		return;
	h->start = slate_virt(pfn_to_paddr(pfn));
	h->size_bytes = pages * SLATE_PAGE_SIZE;
	h->kind = HOLDING_FRAMES;
}

static void take_object(struct player *p, struct holding *h)
{
	size_t size_bytes = random_size(&p->random);
	uint32_t r = random_next(&p->random) % 16;

	h->kind = HOLDING_OBJECT;
	h->size_bytes = size_bytes;
	h->own_class = r < 12 || r >= 14;
	if (r < 10) {
		h->start = slate_alloc(size_bytes);
	} else if (r < 12) {
		h->start = slate_zalloc(size_bytes);
		if (h->start && !bytes_are(h->start, 0, size_bytes))
			p->did.wrong++;
	} else if (r < 14) {
		h->start = slate_alloc_aligned(size_bytes, (size_t)64 << (r & 3), 0);
		if ((uintptr_t)h->start & (((size_t)64 << (r & 3)) - 1))
			p->did.wrong++;
	} else {
		h->start = slate_alloc_flags(size_bytes, SLATE_NOSCAN);
	}
	if (!h->start)
		h->kind = HOLDING_NONE;
}

static void fill_slot(struct player *p, struct holding *h)
{
	if (random_next(&p->random) % 8 == 0)
		take_frames(p, h);
	else
		take_object(p, h);
	if (h->kind == HOLDING_NONE) {
		p->did.refused++;
		return;
	}
	h->seed = random_next(&p->random);
	stamp(h);
}

/* wrong: the counter of whoever calls, main line or handler. */
static void drop(struct holding *h, uint64_t *wrong)
{
	if (h->kind == HOLDING_NONE)
		return;
	if (!stamp_holds(h))
		(*wrong)++;
	if (h->kind == HOLDING_FRAMES)
		slate_page_free(paddr_to_pfn(slate_phys(h->start)),
				h->size_bytes >> SLATE_PAGE_SHIFT);
	else if (h->own_class && h->seed & 1)
		slate_free_sized(h->start, h->size_bytes);
	else
		slate_free(h->start);
	h->kind = HOLDING_NONE;
}

static void resize(struct player *p, struct holding *h)
{
	size_t size_bytes = random_size(&p->random);
	size_t keep = size_bytes < h->size_bytes ? size_bytes : h->size_bytes;
	unsigned char *start;

	if (h->kind != HOLDING_OBJECT)
		return;
	if (!stamp_holds(h))
		p->did.wrong++;
	keep = keep < STAMP_BYTES ? keep : STAMP_BYTES;
	start = slate_realloc(h->start, size_bytes);
	if (!start) {
		p->did.refused++;
		return;
	}
	if (pattern_check(start, keep, h->seed) != keep)
		p->did.wrong++;
	h->start = start;
	h->size_bytes = size_bytes;
	h->own_class = false; /* it may have stayed where it was */
	stamp(h);
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
			p->did.sent++;
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
		drop(&h, &p->did.wrong);
		p->did.ops++;
	}
}

static void step(struct player *p, unsigned cpu)
{
	uint32_t r = random_next(&p->random);
	struct holding *h = &p->slots[(r >> 8) % STRESS_SLOTS];

	p->did.ops++;
	if (h->kind == HOLDING_NONE)
		fill_slot(p, h);
	else if (r % 8 < 4)
		drop(h, &p->did.wrong);
	else if (r % 8 < 5)
		resize(p, h);
	else
		send(p, h, smp_next(cpu + (r >> 16) % smp_count()));
}

/* ---- Memory that comes and goes ---- */

/* In if it is out, else out if it can. */
static void plug(void)
{
	bool was_in = hotplug_is_in();
	int status = was_in ? hotplug_remove(NULL) : hotplug_add();

	if (status == SLATE_EBUSY && was_in)
		plugging.held++;
	else if (status != SLATE_OK)
		plugging.wrong++;
	else if (was_in)
		plugging.removed++;
	else
		plugging.added++;
}

/* Before the account: its arenas are made the first time. After: everybody has left it. */
static void plug_prepare(void)
{
	plugging = (struct plugging){.on = hotplug_range().size_bytes > 0};
	if (plugging.on && !hotplug_is_in())
		plug();
	if (plugging.on)
		plug();
	plugging.on &= !hotplug_is_in();
}

static void plug_out(void)
{
	if (plugging.on && hotplug_is_in())
		plug();
}

static bool plug_account(void)
{
	kprintf("stress: memory came %llu times and went %llu times, was held %llu times; frames "
		"spoilt %zu, wrong answers %llu\n",
		(unsigned long long)plugging.added, (unsigned long long)plugging.removed,
		(unsigned long long)plugging.held, hotplug_spoilt(),
		(unsigned long long)plugging.wrong);
	return plugging.wrong == 0 && hotplug_spoilt() == 0 && !(plugging.on && hotplug_is_in());
}

/* ---- All CPUs ---- */

/* Rounds between two attempts. */
#define PLUG_ROUNDS 2

static void play(void *arg)
{
	unsigned cpu = arch_cpu();
	struct player *p = players[cpu];
	size_t round = 0;

	(void)arg;
	/* a late CPU plays a round, too */
	do {
		for (size_t i = 0; i < 64; i++)
			step(p, cpu);
		empty_inbox(p);
		if (cpu == 0 && plugging.on && ++round % PLUG_ROUNDS == 0)
			plug();
	} while (smp_millis() < deadline_ms);
}

static void clean_up(void *arg)
{
	struct player *p = players[arch_cpu()];

	(void)arg;
	empty_inbox(p);
	for (size_t i = 0; i < STRESS_SLOTS; i++)
		drop(&p->slots[i], &p->did.wrong);
	for (size_t i = 0; i < STRESS_TICKS; i++)
		drop(&p->ticks[i], &p->did.wrong);
}

/* In the timer interrupt of each CPU. */
static void play_tick(unsigned cpu)
{
	struct player *p = players[cpu];

	for (size_t i = 0; i < 6; i++) {
		struct holding *h = &p->ticks[random_next(&p->tick_random) % STRESS_TICKS];

		p->tick_ops++;
		if (h->kind != HOLDING_NONE) {
			drop(h, &p->tick_wrong);
			continue;
		}
		h->size_bytes = 8 + random_next(&p->tick_random) % 6000;
		h->start = slate_alloc_flags(h->size_bytes, SLATE_NOWAIT);
		if (!h->start)
			continue;
		h->kind = HOLDING_OBJECT;
		h->own_class = true;
		h->seed = p->tick_random;
		stamp(h);
	}
}

/* ---- The account ---- */

struct account {
	size_t free_pages;
	size_t metadata_pages;
};

static struct account take_account(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return (struct account){stats.free_pages + stats.released_pages, stats.metadata_pages};
}

static bool players_make(void)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (!smp_is_online(cpu))
			continue;
		players[cpu] = slate_zalloc(sizeof(struct player));
		if (!players[cpu])
			return false;
		players[cpu]->random = 0x9e3779b9u * (cpu + 1);
		players[cpu]->tick_random = 0x85ebca6bu * (cpu + 1);
		spinlock_init(&players[cpu]->lock);
	}
	return true;
}

static struct totals players_sum(void)
{
	struct totals sum = {0};

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (!players[cpu])
			continue;
		sum.ops += players[cpu]->did.ops;
		sum.sent += players[cpu]->did.sent;
		sum.refused += players[cpu]->did.refused;
		sum.tick_ops += players[cpu]->tick_ops;
		sum.wrong += players[cpu]->did.wrong + players[cpu]->tick_wrong;
	}
	return sum;
}

static void players_free(void)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		slate_free(players[cpu]);
		players[cpu] = NULL;
	}
}

static bool stress_account(const struct account *before, unsigned seconds)
{
	struct account after = take_account();
	struct totals sum = players_sum();
	size_t contradictions = slate_validate();
	bool balanced = after.free_pages + after.metadata_pages ==
			before->free_pages + before->metadata_pages;

	kprintf("stress: %u s on %u CPUs: %llu operations, %llu in interrupts, %llu objects "
		"changed "
		"CPU, %llu times NULL\n",
		seconds, smp_count(), (unsigned long long)sum.ops, (unsigned long long)sum.tick_ops,
		(unsigned long long)sum.sent, (unsigned long long)sum.refused);
	kprintf("stress: contents wrong %llu, contradictions %zu\n", (unsigned long long)sum.wrong,
		contradictions);
	kprintf("stress: frames free %zu + metadata %zu before, %zu + %zu after: %s\n",
		before->free_pages, before->metadata_pages, after.free_pages, after.metadata_pages,
		balanced ? "equal" : "NOT EQUAL");
	return plug_account() && balanced && sum.wrong == 0 && contradictions == 0;
}

bool stress_run(unsigned seconds)
{
	struct account before;
	bool ok = players_make();

	if (!ok)
		kprintf("stress: no memory for its own state\n");
	if (ok) {
		plug_prepare();
		before = take_account();
		largest_run = before.free_pages / 8 + 1;
		smp_tick_hook(play_tick);
		deadline_ms = smp_millis() + (uint64_t)seconds * 1000;
		smp_run_all(play, NULL);
		smp_tick_hook(NULL);
		smp_run_all(clean_up, NULL);
		plug_out();
		ok = stress_account(&before, seconds);
	}
	players_free();
	return ok;
}

bool cmd_stress(int argc, char **argv)
{
	uint64_t seconds = 5;

	if (argc > 2 || (argc == 2 && !parse_number(argv[1], &seconds)) || seconds > 100000)
		return command_usage(argv[0]);
	return stress_run((unsigned)seconds);
}
