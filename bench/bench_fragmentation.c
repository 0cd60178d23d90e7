/* SPDX-License-Identifier: MIT */
/*
 * bench_fragmentation.c - what a long life leaves: 2 million objects of 16 .. 2048 bytes, evenly
 * distributed; a random 90 % of them freed; 2 million of another distribution (each power of two as
 * often as the next, evenly between). After each step: the bytes of all frames taken, metadata and
 * caches included, over the bytes that were asked for; and how many aligned runs of 2 MiB can be
 * had at once, after the caches are flushed. OBJECTS= in the environment changes the 2 million.
 *
 * No time is measured, so the host's load does not matter: the same sequence, the same figures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/buddy.h"
#include "bench/host.h"
#include "bench/slabs.h"

#define MEMORY_BYTES ((uint64_t)4 << 30)
#define OBJECTS      2000000u
#define MIN_BYTES    16u
#define MAX_BYTES    2048u
#define RUN_PAGES    512u
#define RUN_ORDER    9u
#define RUNS_MAX     (MEMORY_BYTES / (RUN_PAGES * SLATE_PAGE_SIZE))

/* An allocator under test. An object is a number, 0: none. */
struct subject {
	const char *name;
	uintptr_t (*alloc)(size_t size_bytes);
	void (*free)(uintptr_t object);
	size_t (*taken_bytes)(void);
	void (*flush)(void);
	pfn_t (*run_alloc)(void);
	void (*run_free)(pfn_t pfn);
};

/* ---- Slate ---- */

static uintptr_t slate_object(size_t size_bytes)
{
	return (uintptr_t)slate_alloc(size_bytes);
}

static void slate_object_free(uintptr_t object)
{
	slate_free((void *)object);
}

static size_t slate_taken(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	return (stats.total_pages - stats.free_pages) << SLATE_PAGE_SHIFT;
}

static pfn_t slate_run(void)
{
	static const struct slate_page_constraints aligned = {
		.align_bytes = RUN_PAGES * SLATE_PAGE_SIZE,
		.node = SLATE_ANY_NODE,
	};

	return slate_page_alloc(RUN_PAGES, &aligned);
}

static void slate_run_free(pfn_t pfn)
{
	slate_page_free(pfn, RUN_PAGES);
}

/* ---- The buddy with size classes ---- */

static size_t slabs_taken(void)
{
	size_t pages = (MEMORY_BYTES >> SLATE_PAGE_SHIFT) - buddy_free_count();

	return (pages << SLATE_PAGE_SHIFT) + buddy_metadata_bytes() + slabs_metadata_bytes();
}

static void slabs_flush(void)
{
}

static pfn_t buddy_run(void)
{
	return buddy_alloc(RUN_ORDER);
}

static void buddy_run_free(pfn_t pfn)
{
	buddy_free(pfn, RUN_ORDER);
}

/* ---- The trace ---- */

struct object {
	uintptr_t address;
	uint32_t size_bytes;
};

static struct object *objects;
static size_t object_count;
static size_t live_bytes;

static size_t size_even(struct bench_random *random)
{
	return MIN_BYTES + bench_random_below(random, MAX_BYTES - MIN_BYTES + 1);
}

static size_t size_by_powers(struct bench_random *random)
{
	size_t power = (size_t)MIN_BYTES << bench_random_below(random, 7);

	return power + bench_random_below(random, power + 1);
}

static void add(const struct subject *subject, size_t n, struct bench_random *random,
		size_t (*size)(struct bench_random *random))
{
	for (size_t i = 0; i < n; i++) {
		size_t size_bytes = size(random);
		uintptr_t address = subject->alloc(size_bytes);

		BENCH_CHECK(address);
		objects[object_count++] = (struct object){address, (uint32_t)size_bytes};
		live_bytes += size_bytes;
	}
}

static void free_last(const struct subject *subject)
{
	live_bytes -= objects[--object_count].size_bytes;
	subject->free(objects[object_count].address);
}

/* Free a random n: each is drawn to the end first. */
static void free_random(const struct subject *subject, size_t n, struct bench_random *random)
{
	for (size_t i = 0; i < n; i++) {
		size_t j = bench_random_below(random, object_count);
		struct object drawn = objects[j];

		objects[j] = objects[object_count - 1];
		objects[object_count - 1] = drawn;
		free_last(subject);
	}
}

static unsigned count_runs(const struct subject *subject)
{
	static pfn_t runs[RUNS_MAX];
	unsigned n = 0;

	subject->flush();
	while (n < RUNS_MAX && !pfn_is_none(runs[n] = subject->run_alloc()))
		n++;
	for (unsigned i = 0; i < n; i++)
		subject->run_free(runs[i]);
	return n;
}

static void print_state(const struct subject *subject, const char *when)
{
	subject->flush();
	size_t taken = subject->taken_bytes();
	size_t live = live_bytes ? live_bytes : 1;
	size_t possible = (MEMORY_BYTES - taken) / (RUN_PAGES * SLATE_PAGE_SIZE);

	printf("%-8s %-26s %9zu %9zu %9.3f %7u %7zu\n", subject->name, when, live_bytes >> 20,
	       taken >> 20, live_bytes ? (double)taken / (double)live : 0, count_runs(subject),
	       possible);
}

static void run_trace(const struct subject *subject, size_t n)
{
	struct bench_random random = {1};

	object_count = 0;
	live_bytes = 0;
	add(subject, n, &random, size_even);
	print_state(subject, "filled");
	free_random(subject, n / 10 * 9, &random);
	print_state(subject, "a random 90 % freed");
	add(subject, n, &random, size_by_powers);
	print_state(subject, "filled with another mix");
	while (object_count > 0)
		free_last(subject);
	print_state(subject, "all freed");
}

int main(void)
{
	static const struct subject subjects[] = {
		{"slate", slate_object, slate_object_free, slate_taken, slate_flush, slate_run,
		 slate_run_free},
		{"buddy", slabs_alloc, slabs_free, slabs_taken, slabs_flush, buddy_run,
		 buddy_run_free},
	};
	const char *text = getenv("OBJECTS");
	size_t n = text ? strtoull(text, NULL, 0) : OBJECTS;

	/* twice as many of the largest must fit, whatever the allocator */
	BENCH_CHECK(n >= 10 && n <= OBJECTS);
	objects = bench_map(2 * n * sizeof(*objects));
	bench_boot(MEMORY_BYTES);
	buddy_init(MEMORY_BYTES >> SLATE_PAGE_SHIFT);
	slabs_init(MEMORY_BYTES >> SLATE_PAGE_SHIFT);
	printf("fragmentation: %zu objects, then as many; MiB; runs of 2 MiB had / possible\n", n);
	printf("%-8s %-26s %9s %9s %9s %7s %7s\n", "", "", "live", "taken", "ratio", "runs",
	       "at most");
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		run_trace(&subjects[i], n);
	BENCH_CHECK(slate_validate() == 0);
	BENCH_CHECK(buddy_free_count() == MEMORY_BYTES >> SLATE_PAGE_SHIFT);
	return 0;
}
