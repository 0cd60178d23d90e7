/* SPDX-License-Identifier: MIT */
/*
 * selftest_marksweep.c - the leak scan and the collector on the real machine: roots in this
 * kernel's data, stacks and registers of all CPUs.
 *
 * What is lost here is allocated in functions of its own, and stack_wipe() follows each of them:
 * then no word is left that could be taken for a pointer to it, and every count is exact.
 */
#include <stdatomic.h>

#include <slate/marksweep.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/stack.h"
#include "kernel/tap.h"
#include "lib/string.h"

#define GROUPS 96

static void *keep[64]; /* a root while a test runs */

/* Unreachable objects that slate_alloc(size_bytes) gave. */
static __attribute__((noinline)) size_t lost(size_t size_bytes)
{
	static struct slate_leak groups[GROUPS];
	struct slate_leaks leaks = {.list = groups, .capacity = GROUPS};
	size_t count = 0;

	stack_wipe();
	CHECK(slate_leak_scan(&leaks) == SLATE_OK);
	for (size_t i = 0; i < leaks.count; i++) {
		if (groups[i].object_bytes == slate_good_size(size_bytes))
			count += groups[i].count;
	}
	memset(groups, 0, sizeof(groups));
	return count;
}

static __attribute__((noinline)) size_t collect(void)
{
	struct slate_collected collected = {.objects = 0};

	stack_wipe();
	CHECK(slate_collect(&collected) == SLATE_OK);
	return collected.objects;
}

static void end(void)
{
	memset(keep, 0, sizeof(keep));
	slate_root_remove(keep);
	collect();
}

/* Nothing is lost, nothing is kept. */
static void begin(void)
{
	end();
	CHECK(slate_root_add(keep, sizeof(keep)) == SLATE_OK);
}

static size_t free_and_metadata(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats.free_pages + stats.metadata_pages;
}

static __attribute__((noinline)) void lose(size_t n, size_t size_bytes, unsigned flags)
{
	for (size_t i = 0; i < n; i++)
		CHECK(slate_alloc_flags(size_bytes, flags | SLATE_ZERO));
}

/* ---- Lost ---- */

static void test_every_class(void)
{
	static const size_t sizes[] = {8,    24,    40,    64,     100,    1000,
				       4096, 10000, 32768, 100000, 1 << 20};
	const size_t count = sizeof(sizes) / sizeof(sizes[0]);
	size_t before;

	begin();
	before = free_and_metadata();
	for (size_t i = 0; i < count; i++) {
		CHECK(lost(sizes[i]) == 0);
		lose(8, sizes[i], 0);
		lose(8, sizes[i], SLATE_NOSCAN);
		stack_wipe();
		CHECK(lost(sizes[i]) == 16);
	}
	CHECK(collect() == 16 * count);
	CHECK(free_and_metadata() == before);
	CHECK(slate_validate() == 0);
	end();
}

/* Rings of two. */
static __attribute__((noinline)) void make_cycles(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		void **a = slate_zalloc(80);
		void **b = slate_zalloc(5000);

		CHECK(a && b);
		if (!a || !b)
			return;
		a[7] = b;
		b[600] = a;
		keep[i] = &b[100];
	}
}

static void test_cycle(void)
{
	begin();
	make_cycles(20);
	stack_wipe();
	CHECK(lost(80) == 0);
	memset(keep, 0, sizeof(keep));
	CHECK(lost(80) == 20);
	CHECK(lost(5000) == 20);
	CHECK(collect() == 40);
	CHECK(lost(80) == 0);
	end();
}

static __attribute__((noinline)) void hide_in_noscan(void)
{
	void **holder = slate_alloc_flags(400, SLATE_NOSCAN | SLATE_ZERO);

	keep[0] = holder;
	for (size_t i = 0; holder && i < 30; i++)
		holder[i] = slate_alloc(200);
}

static void test_noscan(void)
{
	begin();
	hide_in_noscan();
	stack_wipe();
	CHECK(lost(200) == 30);
	slate_free(keep[0]);
	end();
}

/* ---- Held ---- */

static __attribute__((noinline)) void make_list(size_t length)
{
	for (size_t i = 0; i < length; i++) {
		void **node = slate_zalloc(48);

		CHECK(node);
		if (!node)
			return;
		node[i % 6] = keep[1];
		keep[1] = (char *)node + i % 48;
	}
}

static void test_interior(void)
{
	begin();
	make_list(500);
	stack_wipe();
	CHECK(lost(48) == 0);
	keep[1] = NULL;
	CHECK(lost(48) == 500);
	end();
}

static void test_local(void)
{
	begin();

	void *volatile object = slate_alloc(320);

	CHECK(lost(320) == 0);
	slate_free(object);
	end();
}

/* Each other CPU has an object: in a register, or in its stack. */
static _Atomic unsigned ready; /* release by each of them, acquire here */
static _Atomic bool leave;

static __attribute__((noinline)) void hold_in_register(void)
{
	void *object = slate_alloc(384);

	atomic_fetch_add_explicit(&ready, 1, memory_order_release);
	while (!atomic_load_explicit(&leave, memory_order_acquire))
		__asm__ volatile("" : "+r"(object));
	slate_free(object);
}

static __attribute__((noinline)) void hold_on_stack(void)
{
	void *volatile object = slate_alloc(384);

	atomic_fetch_add_explicit(&ready, 1, memory_order_release);
	while (!atomic_load_explicit(&leave, memory_order_acquire))
		arch_relax();
	slate_free(object);
}

static size_t found_meanwhile;

static void hold_or_scan(void *arg)
{
	(void)arg;
	if (arch_cpu() == 0) {
		while (atomic_load_explicit(&ready, memory_order_acquire) + 1 < smp_count())
			arch_relax();
		found_meanwhile = lost(384);
		atomic_store_explicit(&leave, true, memory_order_release);
	} else if (arch_cpu() % 2) {
		hold_in_register();
	} else {
		hold_on_stack();
	}
}

static void test_other_cpus(void)
{
	if (smp_count() == 1) {
		tap_skip("one CPU");
		return;
	}
	begin();
	atomic_store(&ready, 0);
	atomic_store(&leave, false);
	smp_run_all(hold_or_scan, NULL);
	CHECK(found_meanwhile == 0);
	end();
}

static __attribute__((noinline)) void hide_in_stack(void **stack)
{
	memset(stack, 0, 2 * SLATE_PAGE_SIZE);
	for (size_t i = 0; i < 20; i++)
		stack[50 + i] = slate_alloc(448);
}

/* What nobody runs on but somebody will: a whole stack is looked at. */
static void test_sleeping_stack(void)
{
	void **stack = slate_stack_alloc(1);

	begin();
	CHECK(stack);
	if (!stack)
		return;
	hide_in_stack(stack);
	stack_wipe();
	CHECK(lost(448) == 0);
	slate_stack_free(stack);
	CHECK(lost(448) == 20);
	end();
}

/* ---- Records ---- */

static unsigned finalizers;

static void on_free(void *object, void *arg)
{
	finalizers++;
	if (arg)
		keep[finalizers] = object;
}

static __attribute__((noinline)) void lose_with_finalizers(size_t n, void *arg)
{
	for (size_t i = 0; i < n; i++)
		CHECK(slate_on_free(slate_zalloc(576), on_free, arg) == SLATE_OK);
}

static void test_finalizers(void)
{
	begin();
	finalizers = 0;
	lose_with_finalizers(20, NULL);
	stack_wipe();
	CHECK(lost(576) == 20);
	CHECK(finalizers == 0);
	CHECK(collect() == 20);
	CHECK(finalizers == 20);
	CHECK(lost(576) == 0);
	collect();
	CHECK(finalizers == 20);
	end();
}

static void test_resurrection(void)
{
	begin();
	finalizers = 0;
	lose_with_finalizers(20, keep);
	stack_wipe();
	CHECK(collect() == 0);
	CHECK(finalizers == 20);
	CHECK(lost(576) == 0);
	memset(keep, 0, sizeof(keep));
	CHECK(lost(576) == 20);
	CHECK(collect() == 20);
	CHECK(finalizers == 20);
	end();
}

static uintptr_t hidden;

static __attribute__((noinline)) void keep_hidden(void)
{
	void *object = slate_zalloc(704);

	CHECK(slate_not_leak(object) == SLATE_OK);
	CHECK(slate_probe(object) == SLATE_OK);
	hidden = ~(uintptr_t)object;
}

static void test_kept(void)
{
	begin();
	keep_hidden();
	stack_wipe();
	CHECK(lost(704) == 0);
	CHECK(slate_reachable((void *)~hidden) == 1);
	slate_free((void *)~hidden);
	end();
}

static void test_reclaim(void)
{
	/* in debug builds a frame more, for the red zone */
	const size_t pages = 32 * (32 + SLATE_DEBUG);

	begin();
	lose(32, 128 * 1024, 0);
	stack_wipe();
	size_t got = slate_reclaim(64);

	CHECK(got >= 64 && got < pages);
	got += slate_reclaim(pages);
	CHECK(got == pages);
	end();
}

const struct pure_test selftest_marksweep[] = {
	{"marksweep: a leak of every class is found and freed", test_every_class},
	{"marksweep: a cycle", test_cycle},
	{"marksweep: NOSCAN objects keep nothing", test_noscan},
	{"marksweep: interior pointers in data, and chains", test_interior},
	{"marksweep: held by a variable of this function", test_local},
	{"marksweep: held by registers and stacks of other CPUs", test_other_cpus},
	{"marksweep: held by a stack that nobody runs on", test_sleeping_stack},
	{"marksweep: finalizers run before, once", test_finalizers},
	{"marksweep: a finalizer saves its object", test_resurrection},
	{"marksweep: kept objects and probes", test_kept},
	{"marksweep: reclaim stops when it has enough", test_reclaim},
	{0},
};
