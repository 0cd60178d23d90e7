/* SPDX-License-Identifier: MIT */
/*
 * test_oom_more.c - the calls of test_oom_calls.c go on: tiny objects, requests of any context,
 * records on objects, large objects that grow where they lie, traces, marks, and what must never
 * need memory at all.
 */
#include "test-host/oom.h"
#include "test-host/unit.h"

#include <slate/cache.h>
#include <slate/heapmap.h>
#include <slate/marksweep.h>
#include <slate/port.h>
#include <slate/shrinker.h>
#include <slate/trace.h>
#include <slate/whois.h>

#define HELD       400
#define PLUG_AT    (128 * MIB)
#define PLUG_BYTES (2 * MIB)

/* The only root of a mark. */
static void *held[HELD];
static pfn_t runs[HELD];
static size_t finals, finalized;

bool port_stop_cpus(void (*fn)(const struct slate_live *list, size_t count, void *arg), void *arg)
{
	host_irq_set(false);
	fn(NULL, 0, arg);
	host_irq_set(true);
	return true;
}

static void keep(size_t i, void *object, size_t size_bytes)
{
	held[i] = object;
	if (oom_noted(object != NULL))
		memset(object, (int)(i & 0xff), size_bytes);
}

static void free_held(void)
{
	for (size_t i = 0; i < HELD; i++) {
		if (held[i])
			assert_int_equal(*(unsigned char *)held[i], i & 0xff);
		slate_free(held[i]);
		held[i] = NULL;
	}
}

static bool done(int status, int no_memory)
{
	assert_true(status == SLATE_OK || status == no_memory);
	return oom_noted(status == SLATE_OK);
}

/* ---- Objects ---- */

static void run_tiny(void)
{
	for (size_t i = 0; i < HELD; i++)
		keep(i, slate_alloc_flags(1 + i % 7, SLATE_NOSCAN), 1 + i % 7);
}

/* Where a lock is free, so is memory. */
static void run_anyctx(void)
{
	for (size_t i = 0; i < 60; i++) {
		const unsigned flags =
			SLATE_ANYCTX | (i % 3 ? 0 : SLATE_RESERVE) | (i % 4 ? 0 : SLATE_ZERO);
		const struct slate_page_constraints fit = {.align_bytes = SLATE_PAGE_SIZE << i % 3,
							   .node = SLATE_ANY_NODE,
							   .flags = flags};
		size_t size_bytes = i % 10 == 9 ? 50000 : 1 + i * 97;

		keep(i, slate_alloc_flags(size_bytes, flags), size_bytes);
		runs[i] = i % 3 ? SLATE_PFN_NONE : (slate_page_alloc)(1 + i, &fit);
		oom_noted(i % 3 || !pfn_is_none(runs[i]));
	}
}

static void undo_anyctx(void)
{
	for (size_t i = 0; i < 60; i++) {
		if (!pfn_is_none(runs[i]))
			(slate_page_free)(runs[i], 1 + i);
	}
	free_held();
}

static void run_bulks(void)
{
	static const unsigned flags[] = {SLATE_NOSCAN, SLATE_NOSCAN | SLATE_ZERO, SLATE_ANYCTX,
					 SLATE_NOWAIT | SLATE_RESERVE};

	for (size_t i = 0; i < 4; i++) {
		void *out[50];
		size_t size_bytes = i == 0 ? 5 : 300 * i;
		size_t n = slate_alloc_bulk(size_bytes, 50, out, flags[i]);

		oom_noted(n == 50);
		for (size_t k = 0; k < n; k++)
			keep(50 * i + k, out[k], size_bytes);
	}
}

static void prepare_large(void)
{
	for (size_t i = 0; i < 5; i++)
		keep(i, slate_alloc(50000), 50000);
	/* so that some have room behind them */
	for (size_t i = 1; i < 5; i += 2) {
		slate_free(held[i]);
		held[i] = NULL;
	}
	slate_flush();
}

static void run_large_realloc(void)
{
	static const size_t sizes[] = {90000, 30000, 300000, 41000, 70000, 500000};

	for (size_t i = 0; i < 30; i++) {
		size_t at = i % 5 & ~(size_t)1;
		unsigned char *moved = slate_realloc(held[at], sizes[i % 6]);

		if (oom_noted(moved != NULL))
			held[at] = moved;
		for (size_t k = 0; k < 30000; k += 511)
			assert_int_equal(((unsigned char *)held[at])[k], at);
	}
}

/* ---- Records on objects ---- */

static void finalizer(void *object, void *arg)
{
	(void)object;
	assert_ptr_equal(arg, &finals);
	finalized++;
}

static void prepare_records(void)
{
	finals = finalized = 0;
	for (size_t i = 0; i < HELD; i++)
		keep(i, slate_alloc(i % 20 == 19 ? 40000 : 64 + 8 * i), 64);
}

static void run_records(void)
{
	for (size_t i = 0; i < HELD; i++) {
		finals += done(slate_on_free(held[i], finalizer, &finals), SLATE_ENOMEM);
		if (done(slate_tag_set(held[i], i + 1), SLATE_ENOMEM))
			assert_int_equal(slate_tag(held[i]), i + 1);
		done(slate_not_leak(held[i]), SLATE_ENOMEM);
		done(slate_probe(held[i]), SLATE_ENOMEM);
	}
}

static void undo_records(void)
{
	free_held();
	slate_flush();
	assert_int_equal(finalized, finals);
}

/* ---- Marks ---- */

static void prepare_marks(void)
{
	for (size_t i = 0; i < 100; i++) {
		keep(i, slate_alloc(40 + 16 * i), 8);
		if (i % 3 == 2)
			assert_int_equal(slate_probe(held[i]), SLATE_OK);
	}
	assert_int_equal(slate_root_add(held, sizeof(held)), SLATE_OK);
	/* nobody has these */
	for (size_t i = 0; i < 50; i++)
		memset(slate_alloc(100), 0, 100);
}

static void run_marks(void)
{
	struct slate_leak list[4];
	struct slate_leaks leaks = {.list = list, .capacity = 4};
	struct slate_collected collected;

	if (done(slate_leak_scan(&leaks), SLATE_ENOMEM))
		assert_int_equal(leaks.objects, 50);
	if (!done(slate_collect(&collected), SLATE_ENOMEM))
		return;
	assert_int_equal(collected.objects, 50);
	assert_int_equal(slate_reclaim(1), 0);
}

static void undo_marks(void)
{
	slate_collect(NULL);
	slate_root_remove(held);
	free_held();
}

/* ---- Traces ---- */

static void run_trace(void)
{
	bool on = done(slate_trace_start(500), SLATE_ENOMEM);

	for (size_t i = 0; i < 40; i++)
		keep(i, slate_alloc(200), 200);
	if (on)
		slate_trace_stop();
}

static void undo_trace(void)
{
	slate_trace_discard();
	free_held();
}

/* ---- What needs no memory ---- */

static size_t shrink_count(struct slate_shrinker *self)
{
	(void)self;
	return 0;
}

static size_t shrink_none(struct slate_shrinker *self, size_t pages)
{
	(void)self;
	(void)pages;
	return 0;
}

static bool next_piece(const struct slate_heap_run *run, void *arg)
{
	(void)run;
	++*(size_t *)arg;
	return true;
}

static void prepare_calls(void)
{
	for (size_t i = 0; i < 200; i++)
		keep(i, slate_alloc(16 + 40 * i), 16);
	assert_int_equal(slate_add_memory((paddr_t){PLUG_AT}, PLUG_BYTES, 0), SLATE_OK);
}

static void run_calls(void)
{
	static struct slate_shrinker shrinker = {.count = shrink_count, .shrink = shrink_none};
	struct slate_stats stats;
	struct slate_whois who;
	size_t pieces = 0;

	slate_stats(&stats);
	slate_class_stats(20, &(struct slate_class_stats){0});
	slate_node_stats(0, &(struct slate_node_stats){0});
	slate_cpu_stats(0, &(struct slate_cpu_stats){0});
	assert_int_equal(slate_validate(), 0);
	slate_whois(held[0], &who);
	slate_heap_walk(next_piece, &pieces);
	assert_true(pieces > 0);
	assert_int_equal(slate_shrinker_add(&shrinker), SLATE_OK);
	assert_int_equal(slate_shrinker_remove(&shrinker), SLATE_OK);
	slate_idle_zero(10, 100);
	slate_scavenge(100);
	assert_int_equal(slate_root_add(held, sizeof(held)), SLATE_OK);
	assert_int_equal(slate_root_remove(held), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){PLUG_AT}, PLUG_BYTES, NULL), SLATE_OK);
	host_cpu_set(1);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	host_cpu_online(1);
	host_cpu_set(0);
	/* one that would need a magazine does without */
	for (size_t i = 0; i < 200; i += 2) {
		slate_free(held[i]);
		held[i] = NULL;
	}
	slate_poll();
	slate_flush();
}

/* ---- The table ---- */

static const struct oom_call calls[] = {
	{"slate_alloc_flags, tiny", NULL, run_tiny, free_held, false},
	{"slate_alloc_flags, _page_alloc in any context", NULL, run_anyctx, undo_anyctx, false},
	{"slate_alloc_bulk, flags", NULL, run_bulks, free_held, false},
	{"slate_realloc, large", prepare_large, run_large_realloc, free_held, false},
	{"slate_on_free, _tag_set, _not_leak, _probe", prepare_records, run_records, undo_records,
	 false},
	{"slate_leak_scan, _collect, _reclaim", prepare_marks, run_marks, undo_marks, false},
	{"slate_trace_start", NULL, run_trace, undo_trace, false},
	{"what needs no memory", prepare_calls, run_calls, free_held, true},
};

static void boot_more(void)
{
	host_memory(PLUG_AT, PLUG_BYTES);
	memset(held, 0, sizeof(held));
}

static int reset(void **state)
{
	(void)state;
	host_reset();
	return 0;
}

int main(void)
{
	enum { CALLS = sizeof(calls) / sizeof(calls[0]) };
	struct CMUnitTest tests[CALLS];

	oom_boot_more = boot_more;
	for (size_t i = 0; i < CALLS; i++)
		tests[i] = (struct CMUnitTest){.name = calls[i].name,
					       .test_func = oom_run_call,
					       .teardown_func = reset,
					       .initial_state = (void *)&calls[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
