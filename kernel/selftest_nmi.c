/* SPDX-License-Identifier: MIT */
/*
 * selftest_nmi.c - real non-maskable interrupts, on every CPU, while it allocates, frees, refills
 * and drains: the handler allocates and frees the same classes.
 */
#include <stdatomic.h>

#include <slate/cache.h>
#include <slate/port.h>
#include <slate/slate.h>
#include <slate/stats.h>

#include "arch/arch.h"
#include "kernel/nmi.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/tap.h"

#define HELD        4   /* of each kind, by a handler */
#define SHOTS       100 /* on each CPU, while it works */
#define WAIT_MS     20000
#define PER_ROUND   200 /* objects that a CPU takes and gives back: more than its magazines hold */
#define OBJECT_SIZE 64
#define LARGE_SIZE  50000

/* What a CPU's handler keeps between two NMIs; (p) of the handler, or of the test when none runs.
 */
static struct keeper {
	_Alignas(64) uint64_t *objects[HELD];
	uint64_t *typed[HELD];
	uint64_t *frames[HELD];
	uint64_t *large[HELD];
	size_t turn;
	size_t took;   /* requests that were served */
	size_t missed; /* NULL: the magazines were empty and a lock was busy */
	size_t wrong;
	bool stop; /* only give back */
} keepers[SLATE_MAX_CPUS];

static struct slate_cache *cache;
static _Atomic size_t wrong;
static _Atomic bool enough; /* release by the CPU that sends, acquire by those that work */

/* Another one for each run: free memory keeps what earlier owners wrote. */
static uint64_t salt;

static uint64_t token_of(const void *object)
{
	return salt ^ (uintptr_t)object;
}

/* True: the object is still as its owner left it. */
static bool token_holds(uint64_t *object)
{
	bool holds = *object == token_of(object);

	*object = 0;
	return holds;
}

static void keep(struct keeper *keeper, uint64_t **place, uint64_t *object)
{
	*place = object;
	if (!object) {
		keeper->missed++;
		return;
	}
	/* somebody else's, who has not given it back */
	if (*object == token_of(object))
		keeper->wrong++;
	*object = token_of(object);
	keeper->took++;
}

static uint64_t *frame_take(void)
{
	pfn_t pfn = slate_page_alloc(1, NULL);

	return pfn_is_none(pfn) ? NULL : slate_virt(pfn_to_paddr(pfn));
}

static void frame_give(uint64_t *frame)
{
	slate_page_free(paddr_to_pfn(slate_phys(frame)), 1);
}

/* In the NMI: what it took four turns ago goes back, another one is taken. */
static void turn(unsigned cpu)
{
	struct keeper *keeper = &keepers[cpu];
	size_t i = keeper->turn++ % HELD;

	if (!port_in_nmi())
		keeper->wrong++;
	if (keeper->objects[i]) {
		keeper->wrong += !token_holds(keeper->objects[i]);
		slate_free(keeper->objects[i]);
	}
	if (keeper->typed[i]) {
		keeper->wrong += !token_holds(keeper->typed[i]);
		slate_cache_free(cache, keeper->typed[i]);
	}
	if (keeper->frames[i]) {
		keeper->wrong += !token_holds(keeper->frames[i]);
		frame_give(keeper->frames[i]);
	}
	if (keeper->large[i]) {
		keeper->wrong += !token_holds(keeper->large[i]);
		slate_free(keeper->large[i]);
	}
	if (keeper->stop) {
		keeper->objects[i] = keeper->typed[i] = keeper->frames[i] = NULL;
		keeper->large[i] = NULL;
		return;
	}
	keep(keeper, &keeper->objects[i], slate_alloc_flags(OBJECT_SIZE, SLATE_ANYCTX));
	keep(keeper, &keeper->typed[i], slate_cache_alloc(cache));
	keep(keeper, &keeper->frames[i], frame_take());
	/* no CPU keeps any for an NMI: a new span each time */
	keep(keeper, &keeper->large[i], slate_alloc_flags(LARGE_SIZE, SLATE_ANYCTX));
}

/* ---- What is interrupted ---- */

static void take_and_give(uint64_t *(*take)(void), void (*give)(uint64_t *object))
{
	uint64_t *held[PER_ROUND];
	size_t count = 0;

	while (count < PER_ROUND && (held[count] = take()) != NULL) {
		if (*held[count] == token_of(held[count]))
			atomic_fetch_add(&wrong, 1);
		*held[count] = token_of(held[count]);
		count++;
	}
	while (count > 0) {
		if (!token_holds(held[--count]))
			atomic_fetch_add(&wrong, 1);
		give(held[count]);
	}
}

static uint64_t *object_take(void)
{
	return slate_alloc(OBJECT_SIZE);
}

static void object_give(uint64_t *object)
{
	slate_free(object);
}

static uint64_t *typed_take(void)
{
	return slate_cache_alloc(cache);
}

static void typed_give(uint64_t *object)
{
	slate_cache_free(cache, object);
}

static void shoot_all(void)
{
	for (unsigned target = 0; target < SLATE_MAX_CPUS; target++) {
		if (smp_is_online(target))
			arch_nmi_send(target);
	}
}

/* In the timer interrupt, which falls where no line of the test stands. */
static void shoot(unsigned cpu)
{
	if (cpu == 0)
		shoot_all();
}

/* Relative to what they had at first. */
static bool all_have_had(const unsigned long *first, unsigned long n)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (smp_is_online(cpu) && nmi_count(cpu) - first[cpu] < n)
			return false;
	}
	return true;
}

/* On every CPU, until the boot CPU has seen that all had enough of it. */
static void work(void *first)
{
	bool is_boot = arch_cpu() == 0;
	uint64_t deadline = smp_millis() + WAIT_MS;

	do {
		take_and_give(object_take, object_give);
		take_and_give(typed_take, typed_give);
		take_and_give(frame_take, frame_give);
		slate_poll();
		if (!is_boot)
			continue;
		shoot_all();
		if (all_have_had(first, SHOTS) || smp_millis() > deadline)
			atomic_store_explicit(&enough, true, memory_order_release);
	} while (!atomic_load_explicit(&enough, memory_order_acquire));
}

/* Wait for it. False: it took too long. */
static bool all_had(const unsigned long *first, unsigned long n)
{
	uint64_t deadline = smp_millis() + WAIT_MS;

	while (!all_have_had(first, n)) {
		if (smp_millis() > deadline)
			return false;
		arch_relax();
	}
	return true;
}

static void note_counts(unsigned long *counts)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		counts[cpu] = nmi_count(cpu);
}

static bool can_send(void)
{
#if SLATE_PROTECT == SLATE_PROTECT_RSEQ
	if (arch_nmi_send(arch_cpu()))
		return true;
	tap_skip("this machine has no interrupt that cannot be masked");
#else
	tap_skip("the allocator masks interrupts: no NMI may allocate");
#endif
	return false;
}

/* ---- Tests ---- */

/* With interrupts off, too, and on each CPU. */
static void test_arrives(void)
{
	unsigned long first[SLATE_MAX_CPUS];
	unsigned long state;
	uint64_t deadline = smp_millis() + WAIT_MS;

	if (!can_send())
		return;
	note_counts(first);
	state = arch_irq_save();
	arch_nmi_send(arch_cpu());
	while (nmi_count(arch_cpu()) == first[arch_cpu()] && smp_millis() < deadline)
		arch_relax();
	arch_irq_restore(state);
	CHECK(nmi_count(arch_cpu()) > first[arch_cpu()]);
	CHECK(!port_in_nmi());
	shoot_all();
	CHECK(all_had(first, 1));
}

static size_t took, missed;

static void sum_up(void)
{
	took = missed = 0;
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		struct keeper *keeper = &keepers[cpu];

		took += keeper->took;
		missed += keeper->missed;
		CHECK(keeper->wrong == 0);
	}
}

/* Each handler gives back what it holds. */
static void empty_keepers(void)
{
	unsigned long first[SLATE_MAX_CPUS];

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		keepers[cpu].stop = true;
	for (size_t i = 0; i < HELD; i++) {
		note_counts(first);
		shoot_all();
		CHECK(all_had(first, 1));
	}
}

static void test_all_paths(void)
{
	unsigned long first[SLATE_MAX_CPUS];

	if (!can_send())
		return;
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		keepers[cpu] = (struct keeper){.stop = false};
	cache = slate_cache_create(&(struct slate_cache_params){.name = "nmi", .size_bytes = 64});
	CHECK(cache);
	salt = arch_counter() << 16 ^ arch_counter();
	atomic_store(&wrong, 0);
	atomic_store(&enough, false);
	note_counts(first);
	nmi_hook(turn);
	smp_tick_hook(shoot);
	smp_run_all(work, first);
	smp_tick_hook(NULL);
	CHECK(all_have_had(first, SHOTS));
	empty_keepers();
	nmi_hook(NULL);
	sum_up();
	tap_note("the handlers took %zu objects and frames, and found nothing %zu times", took,
		 missed);
	CHECK(took > 0);
	CHECK(atomic_load(&wrong) == 0);
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (smp_is_online(cpu))
			smp_run(cpu, (void (*)(void *))slate_poll, NULL);
	}
	CHECK(slate_cache_destroy(cache) == SLATE_OK);
	CHECK(slate_validate() == 0);
}

const struct pure_test selftest_nmi[] = {
	{"nmi: arrives on each CPU, with interrupts off, too", test_arrives},
	{"nmi: handlers allocate and free while all paths run", test_all_paths},
	{0},
};
