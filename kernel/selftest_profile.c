/* SPDX-License-Identifier: MIT */
/*
 * selftest_profile.c - the heap profile in the machine: who is named, what is counted, on all CPUs,
 * in interrupt handlers' context, and what it leaves behind.
 */
#include <slate/profile.h>
#include <slate/slate.h>
#include <slate/stats.h>

#include "arch/arch.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/tap.h"
#include "lib/string.h"

#define COUNT 300u

static void *objects[COUNT];
static size_t former_rate;
static bool running;

size_t profile_rate_set(size_t bytes)
{
	struct slate_profile_info info;

	slate_profile_info(&info);
	slate_profile_rate(bytes);
	return info.rate_bytes;
}

/* Sampling by that rate until profile_end(). */
static struct slate_profile_info profile_begin(size_t rate_bytes)
{
	struct slate_profile_info info;

	slate_profile_info(&info);
	former_rate = profile_rate_set(rate_bytes);
	running = true;
	return info;
}

static struct slate_profile_info profile_end(void)
{
	struct slate_profile_info info;

	slate_profile_info(&info);
	slate_profile_rate(former_rate);
	running = false;
	return info;
}

void selftest_profile_clean_up(void)
{
	if (running)
		profile_end();
	for (size_t i = 0; i < COUNT; i++) {
		slate_free(objects[i]);
		objects[i] = NULL;
	}
}

static void free_all(void)
{
	for (size_t i = 0; i < COUNT; i++) {
		slate_free(objects[i]);
		objects[i] = NULL;
	}
}

/* ---- Buckets ---- */

/* All buckets in whose innermost two frames the function is found. */
struct wanted {
	uintptr_t start;
	size_t allocs;
	size_t frees;
	uintptr_t caller; /* of the function, in the last one */
};

static bool look(const struct slate_profile_bucket *bucket, void *arg)
{
	struct wanted *wanted = arg;

	for (size_t i = 0; i < 2 && i < bucket->depth; i++) {
		if (bucket->pcs[i] - wanted->start >= 96)
			continue;
		wanted->allocs += bucket->allocs;
		wanted->frees += bucket->frees;
		wanted->caller = i + 1 < bucket->depth ? bucket->pcs[i + 1] : 0;
		return true;
	}
	return true;
}

static struct wanted counts_of(void *(*fn)(size_t size_bytes))
{
	struct wanted wanted = {.start = (uintptr_t)fn};

	/* by any size: debug builds add a red zone */
	slate_profile_walk(look, &wanted);
	return wanted;
}

static __attribute__((noinline)) void *take_here(size_t size_bytes)
{
	void *object = slate_alloc(size_bytes);

	__asm__ volatile("" : "+r"(object));
	return object;
}

static __attribute__((noinline)) void *take_folded(size_t size_bytes)
{
	void *object = slate_alloc(160);

	(void)size_bytes;
	__asm__ volatile("" : "+r"(object));
	return object;
}

/* ---- Tests ---- */

static void test_rate_1(void)
{
	struct wanted before = counts_of(take_here);
	struct wanted after;

	profile_begin(1);
	for (size_t i = 0; i < COUNT; i++)
		objects[i] = take_here(64);
	for (size_t i = 0; i < COUNT / 3; i++) {
		slate_free(objects[i]);
		objects[i] = NULL;
	}
	after = counts_of(take_here);
	CHECK(after.allocs - before.allocs == COUNT);
	CHECK(after.frees - before.frees == COUNT / 3);
	free_all();
	profile_end();
	CHECK(counts_of(take_here).frees - before.frees == COUNT);
}

static void test_off(void)
{
	struct slate_profile_info before = profile_begin(0);

	for (size_t turn = 0; turn < 200; turn++) {
		for (size_t i = 0; i < COUNT; i++)
			objects[i] = slate_alloc(turn * 37 % 9000 + 8);
		free_all();
	}
	CHECK(profile_end().samples == before.samples);
}

/* Called from outer() alone. */
static __attribute__((noinline)) void *inner(size_t size_bytes)
{
	void *object = slate_alloc(size_bytes);

	__asm__ volatile("" : "+r"(object));
	return object;
}

static __attribute__((noinline)) void *outer(size_t size_bytes)
{
	void *object = inner(size_bytes);

	__asm__ volatile("" : "+r"(object));
	return object;
}

static void test_names_the_caller(void)
{
	struct wanted found;

	profile_begin(1);
	objects[0] = outer(112);
	objects[1] = take_folded(0);
	profile_end();
	found = counts_of(inner);
	CHECK(found.allocs > 0);
	CHECK(found.caller - (uintptr_t)outer < 96);
	CHECK(counts_of(take_folded).allocs > 0);
	free_all();
}

static bool is_near(uint64_t estimate, uint64_t truth, uint64_t percent)
{
	uint64_t off = estimate > truth ? estimate - truth : truth - estimate;

	return off * 100 <= truth * percent;
}

/* Some 4000 samples: their deviation is 1.6 %, and 7 % is more than four of that. */
static void test_estimate(void)
{
	uint64_t bytes = 0;
	uint32_t seed = 99;
	struct slate_profile_info before;
	struct slate_profile_info after;

	if (SLATE_DEBUG) {
		tap_skip("red zones add to the sizes");
		return;
	}
	before = profile_begin(16384);
	for (size_t turn = 0; bytes < (uint64_t)64 << 20; turn++) {
		size_t i = random_next(&seed) % COUNT;

		slate_free(objects[i]);
		objects[i] = slate_alloc(random_next(&seed) % (turn % 16 ? 300 : 3000) + 8);
		bytes += slate_usable_size(objects[i]);
	}
	after = profile_end();
	free_all();
	CHECK(is_near(after.total_bytes - before.total_bytes, bytes, 7));
}

static void test_large(void)
{
	struct slate_profile_info before = profile_begin(1);
	struct slate_profile_info after;

	objects[0] = take_here(1 << 20);
	objects[1] = slate_alloc_aligned(100000, 1 << 16, SLATE_NOSCAN);
	slate_profile_info(&after);
	CHECK(after.samples - before.samples == 2);
	CHECK(counts_of(take_here).allocs > counts_of(take_here).frees);
	free_all();
	after = profile_end();
	CHECK(after.samples_freed - before.samples_freed == 2);
	CHECK(counts_of(take_here).allocs == counts_of(take_here).frees);
}

static void test_bulk_and_realloc(void)
{
	struct slate_profile_info before = profile_begin(1);
	struct slate_profile_info after;

	CHECK(slate_alloc_bulk(48, COUNT, objects, SLATE_ZERO) == COUNT);
	for (size_t i = 0; i < COUNT; i++)
		objects[i] = slate_realloc(objects[i], 400);
	after = profile_end();
	CHECK(after.samples - before.samples == 2 * COUNT);
	CHECK(after.samples_freed - before.samples_freed == COUNT);
	free_all();
}

static void test_contents(void)
{
	size_t wrong = 0;

	profile_begin(1);
	for (size_t i = 0; i < COUNT; i++) {
		objects[i] = slate_zalloc(i + 8);
		wrong += !objects[i] || !bytes_are(objects[i], 0, i + 8);
		pattern_fill(objects[i], i + 8, (uint32_t)i);
	}
	for (size_t i = 0; i < COUNT; i++)
		wrong += pattern_check(objects[i], i + 8, (uint32_t)i) != i + 8;
	free_all();
	profile_end();
	CHECK(wrong == 0);
}

/* With interrupts off, as a handler has them. */
static void test_interrupts_off(void)
{
	struct slate_profile_info before = profile_begin(1);
	unsigned long irq = arch_irq_save();
	struct slate_profile_info after;

	for (size_t i = 0; i < COUNT; i++)
		objects[i] = slate_alloc_flags(80, SLATE_NOWAIT);
	free_all();
	arch_irq_restore(irq);
	after = profile_end();
	CHECK(after.samples - before.samples == COUNT);
	CHECK(after.samples_freed - before.samples_freed == COUNT);
}

/* What any context may call takes no sample, and finds memory all the same. */
static void test_anyctx(void)
{
	struct slate_profile_info before;
	struct slate_profile_info after;

	for (size_t i = 0; i < 40; i++)
		objects[i] = slate_alloc(80);
	free_all();
	profile_begin(1);
	slate_free(slate_alloc(80));
	slate_profile_info(&before);
	for (size_t i = 0; i < 10; i++)
		objects[i] = slate_alloc_flags(80, SLATE_ANYCTX);
	after = profile_end();
	CHECK(after.samples == before.samples);
	CHECK(objects[0] && objects[9]);
	free_all();
}

static void pairs(void *arg)
{
	void *mine[16] = {NULL};

	(void)arg;
	for (size_t i = 0; i < 3000; i++) {
		slate_free(mine[i % 16]);
		mine[i % 16] = slate_alloc(i % 700 + 8);
	}
	for (size_t i = 0; i < 16; i++)
		slate_free(mine[i]);
}

static void test_all_cpus(void)
{
	struct slate_profile_info before = profile_begin(1);
	struct slate_profile_info after;

	smp_run_all(pairs, NULL);
	slate_profile_info(&after);
	CHECK(after.samples - before.samples + after.lost - before.lost ==
	      (uint64_t)3000 * smp_count());
	CHECK(after.samples_freed - before.samples_freed == after.samples - before.samples);
	/* and with most objects out of magazines that have plants in them */
	slate_profile_rate(3000);
	smp_run_all(pairs, NULL);
	after = profile_end();
	CHECK(after.samples - after.samples_freed == before.samples - before.samples_freed);
	CHECK(slate_validate() == 0);
}

static void free_there(void *arg)
{
	(void)arg;
	free_all();
}

static void test_freed_elsewhere(void)
{
	struct slate_profile_info before = profile_begin(1);
	struct slate_profile_info after;

	for (size_t i = 0; i < COUNT; i++)
		objects[i] = slate_alloc(i + 8);
	smp_run(smp_count() - 1, free_there, NULL);
	after = profile_end();
	CHECK(after.samples - before.samples == COUNT);
	CHECK(after.samples_freed - before.samples_freed == COUNT);
}

static void note_finalized(void *object, void *arg)
{
	(void)object;
	++*(size_t *)arg;
}

static void test_finalizer(void)
{
	struct slate_profile_info before = profile_begin(1);
	size_t finalized = 0;

	objects[0] = slate_alloc(64);
	CHECK(slate_on_free(objects[0], note_finalized, &finalized) == SLATE_OK);
	free_all();
	CHECK(finalized == 1);
	CHECK(profile_end().samples_freed - before.samples_freed == 1);
}

struct text {
	size_t lines;
	size_t bad;
};

static void see_line(const char *line, void *arg)
{
	struct text *text = arg;
	static const char first[] = "heap profile: ";

	if (text->lines++ == 0)
		text->bad += strncmp(line, first, sizeof(first) - 1) != 0;
	else
		text->bad += line[0] < '0' || line[0] > '9';
}

static void test_dump(void)
{
	struct text text = {0};
	struct slate_profile_info info;

	profile_begin(1);
	objects[0] = take_here(64);
	slate_profile_dump(see_line, &text);
	info = profile_end();
	CHECK(text.bad == 0);
	CHECK(text.lines == info.buckets + 1);
	free_all();
}

const struct pure_test selftest_profile[] = {
	{"profile_rate_1", test_rate_1},
	{"profile_off", test_off},
	{"profile_names_the_caller", test_names_the_caller},
	{"profile_estimate", test_estimate},
	{"profile_large", test_large},
	{"profile_bulk_and_realloc", test_bulk_and_realloc},
	{"profile_contents", test_contents},
	{"profile_interrupts_off", test_interrupts_off},
	{"profile_anyctx", test_anyctx},
	{"profile_all_cpus", test_all_cpus},
	{"profile_freed_elsewhere", test_freed_elsewhere},
	{"profile_finalizer", test_finalizer},
	{"profile_dump", test_dump},
	{NULL, NULL},
};
