/* SPDX-License-Identifier: MIT */
/* selftest_report.c - every planted fault (test-host/pure_faults.h) is told in its own words. */
#include <slate/marksweep.h>
#include <slate/slate.h>
#include <slate/whois.h>

#include "kernel/console.h"
#include "kernel/fault.h"
#include "kernel/selftest.h"
#include "kernel/stack.h"
#include "kernel/tap.h"
#include "lib/string.h"
#include "mm/watch.h"
#include "test-host/pure_faults.h"

static void say(const char *line)
{
	kprintf("# %s\n", line);
}

static void test_faults(void)
{
	const struct fault_runner runner = {.capture = fault_capture, .say = say};
	/* an object that happens to be sampled is told with who allocated it */
	size_t rate = profile_rate_set(0);
	struct fault_score score = faults_run(&runner);

	profile_rate_set(rate);
	tap_note("faults: %zu of %zu; %zu more need a build with DEBUG=1", score.passed,
		 score.passed + score.failed, score.skipped);
	CHECK(score.failed == 0);
}

/* Not in line, and not the last call: so a return address in each is theirs. */
static __attribute__((noinline)) void *allocate_here(void)
{
	void *object = slate_alloc(64);

	CHECK(object);
	return object;
}

static __attribute__((noinline)) void free_here(void *object)
{
	slate_free(object);
	__asm__ volatile("" : : : "memory");
}

#define FUNCTION_BYTES 256

static bool lies_in(uintptr_t pc, const void *function)
{
	return pc - (uintptr_t)function < FUNCTION_BYTES;
}

static void test_callers(void)
{
	struct slate_whois who;
	void *object = allocate_here();

	slate_whois(object, &who);
	free_here(object);
	if (!witness_is_on()) {
		tap_skip("there are witnesses in debug builds only");
		return;
	}
	CHECK(who.allocated.known && !who.freed.known);
	CHECK(who.allocated.depth >= 3 && lies_in(who.allocated.pcs[0], (void *)allocate_here));
	CHECK(lies_in(who.allocated.pcs[1], (void *)test_callers));
	CHECK(who.asked_bytes == 64);
	slate_whois(object, &who);
	CHECK(who.holder == SLATE_HELD_BY_QUARANTINE);
	CHECK(who.freed.known && lies_in(who.freed.pcs[0], (void *)free_here));
	CHECK(who.freed.tick >= who.allocated.tick);
}

static __attribute__((noinline)) void overflow_one(void)
{
	static char text[1024];
	volatile unsigned char *object = slate_alloc(72);

	CHECK(object);
	fault_capture(text, sizeof(text));
	object[72] = 0;
	slate_free((void *)object);
	fault_capture(NULL, 0);
	CHECK(strstr(text, "overflow"));
}

static __attribute__((noinline)) size_t lost(void)
{
	struct slate_leaks leaks = {.capacity = 0};

	stack_wipe();
	CHECK(slate_leak_scan(&leaks) == SLATE_OK);
	return leaks.objects;
}

/* It was told and counted already. */
static void test_no_leak(void)
{
	struct slate_stats before, after;

	if (!witness_is_on()) {
		tap_skip("there are witnesses in debug builds only");
		return;
	}
	CHECK(lost() == 0);
	slate_stats(&before);
	overflow_one();
	CHECK(lost() == 0);
	slate_stats(&after);
	CHECK(after.leaked_objects == before.leaked_objects + 1);
	watch_forgive();
}

static void test_whole(void)
{
	CHECK(slate_validate() == 0);
}

const struct pure_test selftest_report[] = {
	{"report: each planted fault is told as what it is", test_faults},
	{"report: who allocated, and who freed", test_callers},
	{"report: what was given up is no leak", test_no_leak},
	{"report: the allocator is whole afterwards", test_whole},
	{0},
};
