/* SPDX-License-Identifier: MIT */
/*
 * selftest_trace.c - traces on the real machine: every call recorded, by every CPU, in order, what
 * is lost counted, and nothing recorded while it is off.
 */
#include <slate/slate.h>
#include <slate/trace.h>

#include "arch/arch.h"
#include "kernel/selftest.h"
#include "kernel/tap.h"
#include "kernel/smp.h"
#include "kernel/trace_load.h"

#define RING    64u
#define PER_CPU 500u
#define LOAD    3000u

/* What a walk has seen. */
struct seen {
	size_t kinds[SLATE_TRACE_KINDS];
	size_t cpus[SLATE_MAX_CPUS];
	size_t disorder;  /* numbers that do not ascend by one */
	size_t no_caller; /* callers outside the kernel's code */
	uint32_t first;
	uint32_t next;
	struct slate_trace_event last[SLATE_TRACE_KINDS];
};

static bool see(const struct slate_trace_event *event, void *arg)
{
	struct seen *seen = arg;

	if (seen->next == 0)
		seen->first = event->number;
	else if (event->number != seen->next)
		seen->disorder++;
	seen->next = event->number + 1;
	seen->kinds[event->kind]++;
	seen->cpus[event->cpu]++;
	if (event->caller < (uintptr_t)text_start || event->caller >= (uintptr_t)rodata_end)
		seen->no_caller++;
	seen->last[event->kind] = *event;
	return true;
}

/* Ends the trace and forgets it. */
static size_t stop(struct seen *seen)
{
	struct slate_trace_info info;

	*seen = (struct seen){.first = 0};
	slate_trace_stop();
	CHECK(slate_trace_walk(see, seen) > 0);
	slate_trace_info(&info);
	slate_trace_discard();
	CHECK(seen->disorder == 0);
	CHECK(seen->no_caller == 0);
	return info.lost;
}

void selftest_trace_clean_up(void)
{
	slate_trace_stop();
	slate_trace_discard();
}

static struct seen seen;

static void test_kinds(void)
{
	CHECK(slate_trace_start(RING) == SLATE_OK);
	void *object = (slate_alloc)(100);
	void *moved = slate_realloc(object, 3000);

	slate_free(moved);
	pfn_t run = slate_page_alloc(3, NULL);
	pfn_t frame = slate_frame_alloc();

	slate_page_free(run, 3);
	slate_frame_free(frame);
	void *stack = slate_stack_alloc(1);

	slate_stack_free(stack);
	CHECK(stop(&seen) == 0);
	for (unsigned kind = 0; kind < SLATE_TRACE_KINDS; kind++)
		CHECK(seen.kinds[kind] ==
		      (kind == SLATE_TRACE_PAGE_ALLOC || kind == SLATE_TRACE_PAGE_FREE ? 2 : 1));
	CHECK(seen.last[SLATE_TRACE_ALLOC].address == (uintptr_t)object);
	CHECK(seen.last[SLATE_TRACE_ALLOC].size_bytes == 100);
	CHECK(seen.last[SLATE_TRACE_REALLOC_FROM].address == (uintptr_t)object);
	CHECK(seen.last[SLATE_TRACE_REALLOC_TO].address == (uintptr_t)moved);
	CHECK(seen.last[SLATE_TRACE_REALLOC_TO].link == seen.last[SLATE_TRACE_REALLOC_FROM].number);
	CHECK(seen.last[SLATE_TRACE_FREE].address == (uintptr_t)moved);
	CHECK(seen.last[SLATE_TRACE_PAGE_ALLOC].address == pfn_to_paddr(frame).v);
	CHECK(seen.last[SLATE_TRACE_STACK_ALLOC].address == (uintptr_t)stack);
	CHECK(seen.last[SLATE_TRACE_STACK_ALLOC].size_bytes == 2 * SLATE_PAGE_SIZE);
}

/* What the compiler folds, and calls that end in others: one event each. */
static void test_front_ends(void)
{
	void *many[10];

	CHECK(slate_trace_start(RING) == SLATE_OK);
	void *folded = slate_alloc(64);
	void *zeroed = slate_zalloc(64);
	void *cleared = (slate_zalloc)(640);
	void *flagged = slate_alloc_flags(5, SLATE_NOSCAN);
	void *aligned = slate_alloc_aligned(100, 1024, 0);
	void *large = (slate_zalloc)(100000);
	size_t n = slate_alloc_bulk(200, 10, many, 0);
	pfn_t folded_run = slate_page_alloc(2, NULL);

	slate_page_free(folded_run, 2);
	slate_free_sized(folded, 64);
	slate_free(zeroed);
	slate_free(cleared);
	slate_free(flagged);
	slate_free(aligned);
	slate_free(large);
	slate_free_bulk(many, n);
	CHECK(stop(&seen) == 0);
	CHECK(n == 10);
	CHECK(seen.kinds[SLATE_TRACE_ALLOC] == 6 + n);
	CHECK(seen.kinds[SLATE_TRACE_FREE] == 6 + n);
	CHECK(seen.kinds[SLATE_TRACE_PAGE_ALLOC] == 1);
	CHECK(seen.kinds[SLATE_TRACE_PAGE_FREE] == 1);
	CHECK(seen.last[SLATE_TRACE_PAGE_FREE].address == pfn_to_paddr(folded_run).v);
}

static void test_overrun(void)
{
	CHECK(slate_trace_start(RING) == SLATE_OK);
	for (unsigned i = 0; i < 100; i++)
		slate_free((slate_alloc)(8 + i));
	CHECK(stop(&seen) == 200 - RING);
	/* the newest stay */
	CHECK(seen.first == 200 - RING);
	CHECK(seen.kinds[SLATE_TRACE_ALLOC] + seen.kinds[SLATE_TRACE_FREE] == RING);
	CHECK(seen.last[SLATE_TRACE_ALLOC].size_bytes == 107);
}

static void pairs(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PER_CPU; i++)
		slate_free((slate_alloc)(16 + i));
}

static void test_all_cpus(void)
{
	CHECK(slate_trace_start(2 * PER_CPU) == SLATE_OK);
	smp_run_all(pairs, NULL);
	CHECK(stop(&seen) == 0);
	CHECK(seen.kinds[SLATE_TRACE_ALLOC] == (size_t)PER_CPU * smp_count());
	for (unsigned cpu = 0; cpu < smp_count(); cpu++)
		CHECK(seen.cpus[cpu] == 2 * PER_CPU);
}

static void test_load_told(void)
{
	struct trace_load load;

	CHECK(slate_trace_start(4 * LOAD) == SLATE_OK);
	CHECK(trace_load_run(LOAD, &load));
	CHECK(stop(&seen) == 0);
	CHECK(load.allocs > 100);
	CHECK(seen.kinds[SLATE_TRACE_ALLOC] == load.allocs);
	CHECK(seen.kinds[SLATE_TRACE_FREE] == load.frees);
	CHECK(seen.kinds[SLATE_TRACE_REALLOC_FROM] == load.reallocs);
	CHECK(seen.kinds[SLATE_TRACE_REALLOC_TO] == load.reallocs);
	CHECK(seen.kinds[SLATE_TRACE_PAGE_ALLOC] == load.page_allocs);
	CHECK(seen.kinds[SLATE_TRACE_PAGE_FREE] == load.page_frees);
}

static void test_off(void)
{
	struct slate_trace_info info;
	struct slate_class_stats class;

	CHECK(slate_trace_start(RING) == SLATE_OK);
	CHECK(slate_trace_start(RING) == SLATE_EBUSY);
	CHECK(slate_trace_walk(see, &seen) == 0);
	slate_trace_stop();
	pairs(NULL);
	slate_trace_info(&info);
	CHECK(!info.on);
	CHECK(info.recorded == 0);
	/* magazines are attached again */
	slate_class_stats(slate_fold_index[2] - SLATE_FOLD_TAKE, &class);
	CHECK(class.cached_objects > 0);
	slate_trace_discard();
	slate_trace_info(&info);
	CHECK(info.bytes == 0);
}

static void test_refused(void)
{
	CHECK(slate_trace_start(0) == SLATE_EINVAL);
	CHECK(slate_trace_start(SIZE_MAX) == SLATE_EINVAL);
	CHECK(slate_trace_walk(see, &seen) == 0);
}

/* ---- Built in or not ---- */

static bool built_in(void)
{
	if (!SLATE_TRACE)
		tap_skip("built without TRACE=1");
	return SLATE_TRACE;
}

static void test_kinds_if_built(void)
{
	if (built_in())
		test_kinds();
}

static void test_front_ends_if_built(void)
{
	if (built_in())
		test_front_ends();
}

static void test_overrun_if_built(void)
{
	if (built_in())
		test_overrun();
}

static void test_all_cpus_if_built(void)
{
	if (built_in())
		test_all_cpus();
}

static void test_load_told_if_built(void)
{
	if (built_in())
		test_load_told();
}

static void test_off_if_built(void)
{
	if (built_in())
		test_off();
}

static void test_refused_if_built(void)
{
	if (built_in())
		test_refused();
}

const struct pure_test selftest_trace[] = {
	{"trace_kinds", test_kinds_if_built},
	{"trace_front_ends", test_front_ends_if_built},
	{"trace_overrun", test_overrun_if_built},
	{"trace_all_cpus", test_all_cpus_if_built},
	{"trace_load_told", test_load_told_if_built},
	{"trace_off", test_off_if_built},
	{"trace_refused", test_refused_if_built},
	{NULL, NULL},
};
