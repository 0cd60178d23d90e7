/* SPDX-License-Identifier: MIT */
/*
 * selftest_marksweep.c - the leak scan and the collector on the real machine: roots in this
 * kernel's data, stacks and registers of all CPUs.
 *
 * What is lost here is allocated in functions of its own, whose stack is overwritten afterwards;
 * still, a word that somebody left in a gap of a frame may keep an object now and then, as with any
 * conservative scan. So many are lost at a time, a few may be missed, and each test has a size of
 * its own, for what the one before left to come to light later. None may be found that is held.
 */
#include <stdatomic.h>

#include <slate/marksweep.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/tap.h"
#include "lib/string.h"

#define GROUPS 96

static void *keep[64]; /* a root like all of this kernel's data */

static __attribute__((noinline)) void wipe_stack(void)
{
	volatile uintptr_t words[1024];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = 0;
}

/* Unreachable objects that slate_alloc(size_bytes) gave. */
static __attribute__((noinline)) size_t lost(size_t size_bytes)
{
	static struct slate_leak groups[GROUPS];
	struct slate_leaks leaks = {.list = groups, .capacity = GROUPS};
	size_t count = 0;

	wipe_stack();
	CHECK(slate_leak_scan(&leaks) == SLATE_OK);
	for (size_t i = 0; i < leaks.count; i++) {
		if (groups[i].object_bytes == slate_good_size(size_bytes))
			count = groups[i].count;
	}
	memset(groups, 0, sizeof(groups));
	return count;
}

static __attribute__((noinline)) size_t collect(void)
{
	struct slate_collected collected = {.objects = 0};

	wipe_stack();
	CHECK(slate_collect(&collected) == SLATE_OK);
	return collected.objects;
}

/* Lost objects of that size before the test's own. */
static size_t base;

/* Of n lost objects at most so many may be kept by a stray word. */
#define STRAY 4

static bool about(size_t found, size_t n)
{
	found -= found < base ? found : base;
	return found <= n && found + STRAY >= n;
}

static void begin(size_t size_bytes)
{
	memset(keep, 0, sizeof(keep));
	collect();
	base = lost(size_bytes);
}

/* None that the test holds is among them. */
static bool none(size_t found)
{
	return found <= base;
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

	begin(8);
	before = free_and_metadata();
	for (size_t i = 0; i < count; i++) {
		base = lost(sizes[i]);
		lose(8, sizes[i], 0);
		lose(8, sizes[i], SLATE_NOSCAN);
		CHECK(about(lost(sizes[i]), 16));
	}
	CHECK(collect() + STRAY * count >= 16 * count);
	CHECK(free_and_metadata() + STRAY * ((1 << 20) / SLATE_PAGE_SIZE) >= before);
	CHECK(slate_validate() == 0);
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
	begin(80);
	make_cycles(20);
	CHECK(none(lost(80)));
	memset(keep, 0, sizeof(keep));
	CHECK(about(lost(80), 20));
	CHECK(lost(5000) + STRAY >= 20);
	collect();
	CHECK(lost(80) <= base + STRAY);
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
	begin(200);
	hide_in_noscan();
	CHECK(about(lost(200), 30));
	slate_free(keep[0]);
	keep[0] = NULL;
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
	begin(48);
	make_list(500);
	CHECK(none(lost(48)));
	keep[1] = NULL;
	/* a stray word keeps the part of the list behind it */
	collect();
	make_list(500);
	CHECK(lost(48) <= base + 500);
	keep[1] = NULL;
}

static void test_local(void)
{
	begin(320);

	void *volatile object = slate_alloc(320);

	CHECK(none(lost(320)));
	slate_free(object);
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
	begin(384);
	atomic_store(&ready, 0);
	atomic_store(&leave, false);
	smp_run_all(hold_or_scan, NULL);
	CHECK(none(found_meanwhile));
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

	begin(448);
	CHECK(stack);
	if (!stack)
		return;
	hide_in_stack(stack);
	CHECK(none(lost(448)));
	slate_stack_free(stack);
	CHECK(about(lost(448), 20));
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
	begin(576);
	finalizers = 0;
	lose_with_finalizers(20, NULL);
	CHECK(about(lost(576), 20));
	CHECK(finalizers == 0);
	collect();
	CHECK(finalizers + STRAY >= 20);
	CHECK(lost(576) <= base + STRAY);
	collect();
	CHECK(finalizers <= 20);
}

static void test_resurrection(void)
{
	begin(576);
	finalizers = 0;
	lose_with_finalizers(20, keep);
	collect();
	CHECK(finalizers + STRAY >= 20);
	CHECK(lost(576) <= base + STRAY);
	memset(keep, 0, sizeof(keep));
	CHECK(about(lost(576), 20));
	collect();
	CHECK(finalizers <= 20);
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
	begin(704);
	keep_hidden();
	CHECK(none(lost(704)));
	CHECK(slate_reachable((void *)~hidden) == 1);
	slate_free((void *)~hidden);
}

static void test_reclaim(void)
{
	begin(128 * 1024);
	lose(32, 128 * 1024, 0);
	wipe_stack();
	size_t got = slate_reclaim(64);

	CHECK(got >= 64);
	got += slate_reclaim(32 * 32);
	CHECK(got + STRAY * 32 >= 32 * 32);
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
