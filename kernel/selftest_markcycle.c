/* SPDX-License-Identifier: MIT */
/*
 * selftest_markcycle.c - a mark in pieces on the real machine: what this kernel does to its objects
 * between two stops, and what its MMU says of it.
 *
 * Pointers that only the dirty bits can lead to are kept where no scan sees them, inverted, and are
 * made and moved in functions of their own, as in selftest_marksweep.c.
 */
#include <stdatomic.h>

#include <slate/marksweep.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/stack.h"
#include "kernel/stop.h"
#include "kernel/tap.h"
#include "kernel/written.h"
#include "lib/string.h"
#include "mm/markcycle.h"

#define CHUNK_WORDS 2048u
#define LENGTH      2400u
#define NODE_BYTES  72u
#define PRIZE_BYTES 832u
#define GROUPS      96

static void *keep[SLATE_MAX_CPUS]; /* a root while a test runs: a chain for each CPU */
static uintptr_t last_node;        /* of the first chain, inverted */
static size_t stops;

static __attribute__((noinline)) void make_chain(unsigned number, size_t length)
{
	void **node = slate_zalloc(NODE_BYTES);

	keep[number] = node;
	for (size_t i = 1; node && i < length; i++) {
		node[0] = slate_zalloc(NODE_BYTES);
		CHECK(node[0]);
		node = node[0];
	}
	last_node = ~(uintptr_t)node;
}

static __attribute__((noinline)) void free_chains(void)
{
	for (unsigned i = 0; i < SLATE_MAX_CPUS; i++) {
		while (keep[i]) {
			void **node = keep[i];

			keep[i] = node[0];
			slate_free(node[1]);
			slate_free(node);
		}
	}
}

/* Something that the last node of the chain alone points at. */
static __attribute__((noinline)) void put_prize(void)
{
	void **prize = slate_zalloc(PRIZE_BYTES);

	CHECK(prize);
	((void **)~last_node)[1] = prize;
}

/* Unreachable prizes. */
static __attribute__((noinline)) size_t lost(void)
{
	static struct slate_leak groups[GROUPS];
	struct slate_leaks leaks = {.list = groups, .capacity = GROUPS};
	size_t count = 0;

	stack_wipe();
	stops = 0;
	CHECK(slate_leak_scan(&leaks) == SLATE_OK);
	for (size_t i = 0; i < leaks.count; i++) {
		if (groups[i].object_bytes == slate_good_size(PRIZE_BYTES))
			count += groups[i].count;
	}
	memset(groups, 0, sizeof(groups));
	return count;
}

static void end(void)
{
	stop_then = NULL;
	written_mode = WRITTEN_TOLD;
	markcycle_chunk_words = SLATE_MARK_CHUNK_WORDS;
	free_chains();
	slate_root_remove(keep);
	stack_wipe();
	CHECK(slate_collect(NULL) == SLATE_OK);
}

/* False: nothing is told on this machine, and a mark is one stop. */
static bool begin(void)
{
	memset(keep, 0, sizeof(keep));
	CHECK(slate_root_add(keep, sizeof(keep)) == SLATE_OK);
	stack_wipe();
	CHECK(slate_collect(NULL) == SLATE_OK);
	if (!written_works)
		tap_skip("what is written cannot be told here");
	markcycle_chunk_words = CHUNK_WORDS;
	return written_works;
}

/* ---- This CPU ---- */

/* From the last node, not scanned yet, to the first, which is. */
static void move_prize(void)
{
	void **first = keep[0];
	void **last = (void **)~last_node;

	if (++stops != 3)
		return;
	first[1] = last[1];
	last[1] = NULL;
}

static void test_moved(void)
{
	if (begin()) {
		make_chain(0, LENGTH);
		put_prize();
		stack_wipe();
		stop_then = move_prize;
		CHECK(lost() == 0);
		CHECK(stops > LENGTH * NODE_BYTES / sizeof(void *) / CHUNK_WORDS);
		CHECK(markcycle_figures.chunk_most >= CHUNK_WORDS);
	}
	end();
}

/* The planted bug: what was written is not told. */
static void test_hidden(void)
{
	if (begin()) {
		make_chain(0, LENGTH);
		put_prize();
		stack_wipe();
		stop_then = move_prize;
		written_mode = WRITTEN_HIDDEN;
		CHECK(lost() == 1);
		written_mode = WRITTEN_TOLD;
		stop_then = NULL;
		CHECK(lost() == 0);
	}
	end();
}

/* Spans of all kinds go and come, others take their frames; what is in use is held by keep[1]. */
static __attribute__((noinline)) void replace(void)
{
	static const size_t sizes[] = {NODE_BYTES, 40000, 24, 8192, PRIZE_BYTES, 200000};
	const size_t size = sizes[stops / 2 % (sizeof(sizes) / sizeof(sizes[0]))];

	if (++stops % 2)
		return;
	while (keep[1]) {
		void **object = keep[1];

		keep[1] = object[0];
		slate_free(object);
	}
	slate_flush();
	slate_stack_free(slate_stack_alloc(1));
	for (size_t i = 0; i < 40; i++) {
		void **object = slate_zalloc(size);

		CHECK(object);
		if (!object)
			return;
		object[0] = keep[1];
		keep[1] = object;
	}
}

static void test_replaced(void)
{
	if (begin()) {
		make_chain(0, LENGTH);
		stop_then = replace;
		CHECK(lost() == 0);
		CHECK(stops > 10);
		CHECK(slate_validate() == 0);
		stop_then = NULL;
		while (keep[1]) {
			void **object = keep[1];

			keep[1] = object[0];
			slate_free(object);
		}
	}
	end();
}

/* ---- All CPUs ---- */

#define SCANS 4
/* a stop waits for each of them, which takes its time where they share a core */
#define MOVERS 1
/* more than that take turns on one thread of the host, and the one that moves never yields */
#define CPUS_MAX 4

static _Atomic bool scanned;   /* release by who scans, acquire by who moves */
static _Atomic unsigned ready; /* release by who moves, acquire by who scans */
static unsigned movers;
static size_t lost_meanwhile;
static size_t stops_meanwhile;

/* Along the chain and back to its start, again and again: in the last node, in a register, in the
 * first node. */
static __attribute__((noinline)) void move_along(void **first)
{
	void **node = first;

	first[1] = slate_zalloc(PRIZE_BYTES);
	CHECK(first[1]);
	atomic_fetch_add_explicit(&ready, 1, memory_order_release);
	while (!atomic_load_explicit(&scanned, memory_order_acquire)) {
		void **next = node[0] ? node[0] : first;
		void *prize = node[1];

		node[1] = NULL;
		__asm__ volatile("" : "+r"(prize) : : "memory");
		next[1] = prize;
		node = next;
	}
	first[1] = node[1];
	if (node != first)
		node[1] = NULL;
}

static void move_or_scan(void *arg)
{
	(void)arg;
	if (arch_cpu() != 0) {
		if (keep[arch_cpu()])
			move_along(keep[arch_cpu()]);
		return;
	}
	while (atomic_load_explicit(&ready, memory_order_acquire) < movers)
		arch_relax();
	for (size_t i = 0; i < SCANS; i++) {
		lost_meanwhile += lost();
		stops_meanwhile += markcycle_figures.stops;
	}
	atomic_store_explicit(&scanned, true, memory_order_release);
}

static void test_other_cpus(void)
{
	if (smp_count() == 1 || smp_count() > CPUS_MAX) {
		tap_skip(smp_count() == 1 ? "one CPU" : "each stop waits for too many CPUs");
		return;
	}
	if (begin()) {
		atomic_store(&scanned, false);
		atomic_store(&ready, 0);
		lost_meanwhile = 0;
		stops_meanwhile = 0;
		markcycle_chunk_words = 4 * CHUNK_WORDS;
		for (movers = 0; movers < MOVERS && movers + 1 < smp_count(); movers++)
			make_chain(movers + 1, LENGTH / 4);
		smp_run_all(move_or_scan, NULL);
		CHECK(lost_meanwhile == 0);
		CHECK(stops_meanwhile > SCANS);
		CHECK(slate_validate() == 0);
	}
	end();
}

/* ---- Bounds ---- */

static void test_bounded(void)
{
	if (begin()) {
		make_chain(0, LENGTH);
		keep[1] = slate_zalloc(1 << 20);
		((void **)keep[1])[1] = NULL;
		CHECK(lost() == 0);
		CHECK(markcycle_figures.stops > (1 << 20) / sizeof(void *) / CHUNK_WORDS);
		written_mode = WRITTEN_REFUSED;
		CHECK(lost() == 0);
		CHECK(markcycle_figures.stops == 1);
		slate_free(keep[1]);
		keep[1] = NULL;
	}
	end();
}

const struct pure_test selftest_markcycle[] = {
	{"marksweep: a pointer moves behind the scan", test_moved},
	{"marksweep: without what was written it is lost", test_hidden},
	{"marksweep: spans go and come between two stops", test_replaced},
	{"marksweep: other CPUs move pointers meanwhile", test_other_cpus},
	{"marksweep: stops are many, or one", test_bounded},
	{0},
};
