/* SPDX-License-Identifier: MIT */
/*
 * selftest_cpu.c - all CPUs and interrupt handlers: ticks, calls between CPUs, objects that change
 * CPU, drains.
 *
 * What runs on other CPUs or in interrupts counts its failures in `wrong`; the test's own CPU
 * checks the sum.
 */
#include <stdatomic.h>

#include <slate/port.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "boot/bootinfo.h"
#include "kernel/bench.h"
#include "kernel/ipi.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/tap.h"
#include "lib/spinlock.h"

/* Long enough for many ticks of every CPU, also where CPUs outnumber the host's cores. */
#define TICK_WAIT_MS 5000

#define PER_CPU 200

static _Atomic size_t wrong;
static void *objects[SLATE_MAX_CPUS][PER_CPU];
static _Atomic size_t tick_work[SLATE_MAX_CPUS];

static void test_all_online(void)
{
	CHECK(smp_count() == boot_info.cpu_count);
	CHECK(boot_info.cpus_dropped == 0);
	for (unsigned cpu = 0; cpu < smp_count(); cpu++)
		CHECK(smp_is_online(cpu));
}

/* Wait until every CPU's count(cpu) has grown by at least n. False: it took too long. */
static bool wait_all(uint64_t (*count)(unsigned cpu), uint64_t n)
{
	uint64_t deadline = smp_millis() + TICK_WAIT_MS;
	uint64_t first[SLATE_MAX_CPUS];

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		first[cpu] = count(cpu);
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		while (smp_is_online(cpu) && count(cpu) - first[cpu] < n) {
			if (smp_millis() > deadline)
				return false;
			arch_relax();
		}
	}
	return true;
}

static void test_ticks(void)
{
	CHECK(wait_all(smp_ticks, 5));
}

static uint64_t tick_work_done(unsigned cpu)
{
	return atomic_load_explicit(&tick_work[cpu], memory_order_relaxed);
}

/* In the timer interrupt: four sizes up and down, contents checked. */
static void tick_alloc(unsigned cpu)
{
	static const size_t sizes[] = {16, 96, 700, 5000};
	void *held[4];

	for (size_t i = 0; i < 4; i++) {
		held[i] = slate_alloc(sizes[i]);
		if (!held[i])
			atomic_fetch_add(&wrong, 1);
		else
			pattern_fill(held[i], sizes[i], (uint32_t)(cpu + i));
	}
	for (size_t i = 0; i < 4; i++) {
		if (held[i] && pattern_check(held[i], sizes[i], (uint32_t)(cpu + i)) != sizes[i])
			atomic_fetch_add(&wrong, 1);
		slate_free(held[i]);
	}
	atomic_fetch_add_explicit(&tick_work[cpu], 1, memory_order_relaxed);
}

static void test_tick_alloc(void)
{
	bool worked;

	atomic_store(&wrong, 0);
	smp_tick_hook(tick_alloc);
	worked = wait_all(tick_work_done, 10);
	smp_tick_hook(NULL);
	CHECK(worked);
	CHECK(atomic_load(&wrong) == 0);
}

static void churn(void *arg)
{
	uint32_t seed = 77 + arch_cpu();

	(void)arg;
	for (size_t i = 0; i < 3000; i++) {
		size_t size_bytes = 8 + random_next(&seed) % 2000;
		unsigned char *object = slate_alloc(size_bytes);

		if (!object) {
			atomic_fetch_add(&wrong, 1);
			continue;
		}
		pattern_fill(object, size_bytes, seed);
		if (pattern_check(object, size_bytes, seed) != size_bytes)
			atomic_fetch_add(&wrong, 1);
		slate_free(object);
	}
}

/* Interrupt handlers allocate while the code that they interrupt does. */
static void test_tick_in_alloc(void)
{
	uint64_t first = tick_work_done(arch_cpu());
	uint64_t deadline = smp_millis() + TICK_WAIT_MS;

	atomic_store(&wrong, 0);
	smp_tick_hook(tick_alloc);
	while (tick_work_done(arch_cpu()) - first < 10 && smp_millis() < deadline)
		smp_run_all(churn, NULL);
	smp_tick_hook(NULL);
	CHECK(tick_work_done(arch_cpu()) - first >= 10);
	CHECK(atomic_load(&wrong) == 0);
}

static void note_cpu(void *arg)
{
	_Atomic unsigned *seen = arg;

	if (arch_irq_enabled())
		atomic_fetch_add(&wrong, 1);
	atomic_store(seen, arch_cpu() + 1);
}

static void test_call(void)
{
	atomic_store(&wrong, 0);
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		_Atomic unsigned seen = 0;

		if (!smp_is_online(cpu)) {
			CHECK(!port_run_on_cpu(cpu, note_cpu, (void *)&seen));
			continue;
		}
		CHECK(port_run_on_cpu(cpu, note_cpu, (void *)&seen));
		CHECK(atomic_load(&seen) == cpu + 1);
	}
	CHECK(atomic_load(&wrong) == 0);
}

static _Atomic size_t calls_taken;

static void count_call(void *arg)
{
	(void)arg;
	atomic_fetch_add(&calls_taken, 1);
}

static void call_others(void *arg)
{
	unsigned self = arch_cpu();
	size_t turns = *(const size_t *)arg;

	for (size_t i = 0; i < turns; i++) {
		for (unsigned cpu = smp_next(self); cpu != self; cpu = smp_next(cpu)) {
			if (!port_run_on_cpu(cpu, count_call, NULL))
				atomic_fetch_add(&wrong, 1);
		}
	}
}

/* Every CPU calls every other at the same time: no deadlock, no call lost. */
static void test_call_crosswise(void)
{
	size_t n = smp_count();
	size_t turns = 1 + 40 / n;

	atomic_store(&wrong, 0);
	atomic_store(&calls_taken, 0);
	smp_run_all(call_others, &turns);
	CHECK(atomic_load(&wrong) == 0);
	CHECK(atomic_load(&calls_taken) == turns * n * (n - 1));
}

/* What each CPU makes for its neighbour. */
struct share {
	size_t size_bytes;
	size_t count;
};

static void fill_own(void *arg)
{
	unsigned cpu = arch_cpu();
	const struct share *share = arg;
	size_t size_bytes = share->size_bytes;

	for (size_t i = 0; i < share->count; i++) {
		objects[cpu][i] = slate_alloc(size_bytes);
		if (!objects[cpu][i])
			atomic_fetch_add(&wrong, 1);
		else
			pattern_fill(objects[cpu][i], size_bytes, (uint32_t)(cpu * PER_CPU + i));
	}
}

/* Check and free what the next CPU made. */
static void free_next(void *arg)
{
	unsigned cpu = smp_next(arch_cpu());
	const struct share *share = arg;
	size_t size_bytes = share->size_bytes;

	for (size_t i = 0; i < share->count; i++) {
		void *object = objects[cpu][i];

		if (!object)
			continue;
		if (pattern_check(object, size_bytes, (uint32_t)(cpu * PER_CPU + i)) != size_bytes)
			atomic_fetch_add(&wrong, 1);
		slate_free(object);
		objects[cpu][i] = NULL;
	}
}

static void cross_free(size_t size_bytes, size_t count)
{
	struct share share = {size_bytes, count};

	for (size_t round = 0; round < 3; round++) {
		atomic_store(&wrong, 0);
		smp_run_all(fill_own, &share);
		smp_run_all(free_next, &share);
		CHECK(atomic_load(&wrong) == 0);
	}
}

static void test_cross_free(void)
{
	cross_free(32, PER_CPU);
	cross_free(256, PER_CPU);
	cross_free(3000, PER_CPU);
}

static void test_cross_free_large(void)
{
	cross_free(40000, 20);
}

/* Runs of 1 to 16 frames, each stamped with its owner and length. */
static void frames_own(void *arg)
{
	struct slate_page_constraints fit = {.max = mapped_end(), .node = SLATE_ANY_NODE};
	uint64_t *stamps[16];

	(void)arg;
	for (size_t round = 0; round < 15; round++) {
		for (size_t i = 0; i < 16; i++) {
			pfn_t pfn = slate_page_alloc(i / 2 + 1, &fit);

			stamps[i] = pfn_is_none(pfn) ? NULL : slate_virt(pfn_to_paddr(pfn));
			if (stamps[i])
				*stamps[i] = (uint64_t)arch_cpu() << 32 | i;
			else
				atomic_fetch_add(&wrong, 1);
		}
		for (size_t i = 0; i < 16; i++) {
			if (!stamps[i])
				continue;
			if (*stamps[i] != ((uint64_t)arch_cpu() << 32 | i))
				atomic_fetch_add(&wrong, 1);
			slate_page_free(paddr_to_pfn(slate_phys(stamps[i])), i / 2 + 1);
		}
	}
}

static void test_frames(void)
{
	atomic_store(&wrong, 0);
	smp_run_all(frames_own, NULL);
	CHECK(atomic_load(&wrong) == 0);
}

static void test_drain(void)
{
	struct slate_stats stats;
	struct share share = {512, PER_CPU};

	/* Leave objects in every CPU's cache; a flush from here must reach them all. */
	atomic_store(&wrong, 0);
	smp_run_all(fill_own, &share);
	smp_run_all(free_next, &share);
	slate_flush();
	slate_stats(&stats);
	CHECK(stats.cached_objects == 0);
	CHECK(stats.cached_pages == 0);
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		struct slate_cpu_stats s;

		if (slate_cpu_stats(cpu, &s) && s.online)
			CHECK(s.cached_objects == 0);
	}
}

static void test_drain_by_ipi(void)
{
	unsigned long before[SLATE_MAX_CPUS];

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		before[cpu] = ipi_count(cpu);
	slate_flush();
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (smp_is_online(cpu) && cpu != arch_cpu())
			CHECK(ipi_count(cpu) > before[cpu]);
	}
}

/* Where there are more CPUs than the host has, each turn may cost a time slice of the host's. */
#define LOCK_TURNS 2000u
#define LOCK_MS    500u

static struct spinlock count_lock;
static size_t locked_count;         /* (count_lock) */
static _Atomic size_t locked_turns; /* (a) relaxed: read when all have come back */

static void count_locked(void *deadline)
{
	size_t turns = 0;

	do {
		spinlock_acquire(&count_lock);
		locked_count = locked_count + 1;
		spinlock_release(&count_lock);
	} while (++turns < LOCK_TURNS && smp_millis() < *(const uint64_t *)deadline);
	atomic_fetch_add_explicit(&locked_turns, turns, memory_order_relaxed);
}

static void test_spinlock(void)
{
	uint64_t deadline = smp_millis() + LOCK_MS;

	spinlock_init(&count_lock);
	locked_count = 0;
	atomic_store_explicit(&locked_turns, 0, memory_order_relaxed);
	smp_run_all(count_locked, &deadline);
	CHECK(locked_count == atomic_load_explicit(&locked_turns, memory_order_relaxed));
}

/* ---- An interrupt at each moment of alloc and free ---- */

static _Atomic size_t shots;
static uint64_t *shot_held; /* handler only, while the timer is armed */

/* On the sweeping CPU: an object of the interrupted code's class stays with the handler until its
 * next turn. */
static void tick_shot(unsigned cpu)
{
	uint64_t *object;
	pfn_t pfn;

	if (cpu != 0)
		return;
	object = slate_alloc(64);
	pfn = slate_page_alloc(1, NULL);
	if (!object || pfn_is_none(pfn))
		atomic_fetch_add(&wrong, 1);
	if (shot_held && *shot_held != ~(uint64_t)(uintptr_t)shot_held)
		atomic_fetch_add(&wrong, 1);
	slate_free(shot_held);
	shot_held = object;
	if (object)
		*object = ~(uint64_t)(uintptr_t)object;
	if (!pfn_is_none(pfn))
		slate_page_free(pfn, 1);
	atomic_fetch_add(&shots, 1);
}

/* What is interrupted: objects and frames of the handler's classes, two at a time. */
static void shot_target(void)
{
	uint64_t *a = slate_alloc(64);
	uint64_t *b = slate_alloc(64);
	pfn_t c = slate_page_alloc(1, NULL);
	pfn_t d = slate_page_alloc(1, NULL);

	if (!a || !b || a == b || pfn_is_none(c) || pfn_is_none(d) || c.v == d.v) {
		atomic_fetch_add(&wrong, 1);
		return;
	}
	*a = 1;
	*b = 2;
	slate_page_free(c, 1);
	slate_page_free(d, 1);
	if (*a != 1 || *b != 2)
		atomic_fetch_add(&wrong, 1);
	slate_free(a);
	slate_free(b);
}

static bool shoot_at(uint64_t delay)
{
	size_t before = atomic_load(&shots);
	uint64_t deadline;

	arch_timer_oneshot(delay);
	for (size_t i = 0; i < 3; i++)
		shot_target();
	deadline = smp_millis() + 1000;
	while (atomic_load(&shots) == before) {
		if (smp_millis() > deadline)
			return false;
		arch_relax();
	}
	return true;
}

/*
 * Where the counter counts instructions, a step of one puts an interrupt on each boundary of the
 * first turn; elsewhere the moments are a matter of chance, and some microseconds are as good as
 * any.
 */
static void test_oneshot_sweep(void)
{
	uint64_t step = bench_counts_instructions() ? 1 : arch_counter_hz() / 10000000 + 1;
	bool ok = true;

	atomic_store(&wrong, 0);
	atomic_store(&shots, 0);
	arch_timer_periodic(0);
	smp_tick_hook(tick_shot);
	for (uint64_t i = 1; ok && i <= 1500; i++)
		ok = shoot_at(i * step);
	smp_tick_hook(NULL);
	arch_timer_periodic(SMP_TICK_HZ);
	slate_free(shot_held);
	shot_held = NULL;
	CHECK(ok);
	CHECK(atomic_load(&shots) >= 1500);
	CHECK(atomic_load(&wrong) == 0);
}

const struct pure_test selftest_cpu[] = {
	{"cpu: all of the boot map are online", test_all_online},
	{"cpu: the timer ticks on each", test_ticks},
	{"cpu: the timer handler allocates and frees on each", test_tick_alloc},
	{"cpu: the handler allocates while the interrupted code does", test_tick_in_alloc},
	{"cpu: a one-shot interrupt at 1500 moments of alloc and free", test_oneshot_sweep},
	{"cpu: a call reaches each", test_call},
	{"cpu: calls crosswise, all at once", test_call_crosswise},
	{"cpu: objects freed on another one", test_cross_free},
	{"cpu: large objects freed on another one", test_cross_free_large},
	{"cpu: frames on all at once", test_frames},
	{"cpu: a flush empties every cache", test_drain},
	{"cpu: a flush reaches each by its interrupt", test_drain_by_ipi},
	{"cpu: the ticket lock counts right", test_spinlock},
	{0},
};
