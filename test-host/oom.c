/* SPDX-License-Identifier: MIT */
/* oom.c - a call while memory ends at its N-th request. */
#include "test-host/oom.h"

#include "test-host/unit.h"

#include "mm/mmdebug.h"

#define MEMORY (6 * MIB)
/* Runs of a call with the same fault on one machine, and how many of its faults. */
#define REPEATS         400
#define REPEATED_FAULTS 6

size_t oom_staying_pages;
void (*oom_boot_more)(void);
static size_t refused;

bool oom_noted(bool got)
{
	refused += !got;
	return got;
}

static size_t home_pages(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	assert_int_equal(stats.objects, 0);
	assert_int_equal(stats.manual_pages + stats.object_pages, 0);
	assert_int_equal(stats.leaked_objects, 0);
	return stats.free_pages + stats.reserved_pages + stats.metadata_pages + stats.stack_pages -
	       oom_staying_pages;
}

static void boot(void)
{
	host_boot(MIB, MEMORY);
	host_cpu_online(1);
	host_cpu_set(0);
	if (oom_boot_more)
		oom_boot_more();
}

bool oom_fault_left(size_t nth)
{
	bool left = false;

	for (size_t i = 0; i < nth && !left; i++)
		left = mm_fault_now();
	mm_fault_arm(0, false);
	return left;
}

/* Returns whether the fault was met (once), or refused anything (for ever). */
static bool try_call(const struct oom_call *call, size_t nth, bool for_ever)
{
	size_t before;
	bool met;

	boot();
	before = home_pages();
	refused = 0;
	if (call->prepare)
		call->prepare();
	assert_int_equal(refused, 0);
	mm_fault_arm(nth, for_ever);
	call->run();
	met = for_ever ? refused > 0 : !oom_fault_left(nth);
	mm_fault_arm(0, false);
	assert_true(!call->never_refuses || refused == 0);
	assert_int_equal(slate_validate(), 0);
	call->undo();
	assert_int_equal(home_pages(), before);
	assert_int_equal(slate_validate(), 0);
	/* there is memory again */
	refused = 0;
	if (call->prepare)
		call->prepare();
	call->run();
	assert_int_equal(refused, 0);
	call->undo();
	assert_int_equal(home_pages(), before);
	return met;
}

/* A struct that is lost each time shows as metadata that grows: more than a frame of them. */
static void loses_nothing(const struct oom_call *call, size_t nth)
{
	struct slate_stats before = {0};
	struct slate_stats after;

	boot();
	for (unsigned i = 0; i < REPEATS; i++) {
		if (call->prepare)
			call->prepare();
		mm_fault_arm(nth, false);
		call->run();
		mm_fault_arm(0, false);
		call->undo();
		slate_flush();
		if (i == REPEATS / 4)
			slate_stats(&before);
	}
	slate_stats(&after);
	assert_int_equal(after.metadata_pages, before.metadata_pages);
}

void oom_run_call(void **state)
{
	const struct oom_call *call = *state;
	size_t once = 0;
	size_t for_ever = 0;

	while (try_call(call, once + 1, false))
		once++;
	for (size_t nth = 1; nth <= once; nth++)
		for_ever += try_call(call, nth, true);
	for (size_t nth = 1; nth <= once && nth <= REPEATED_FAULTS; nth++)
		loses_nothing(call, nth);
	printf("%s: %zu faults once, %zu refusals for ever\n", call->name, once, for_ever);
	/* else this proves nothing */
	assert_true(once >= 1 || call->never_refuses);
	assert_true(for_ever >= 1 || call->never_refuses);
	if (call->never_refuses)
		try_call(call, 1, true);
}
