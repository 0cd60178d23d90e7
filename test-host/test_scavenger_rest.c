/* SPDX-License-Identifier: MIT */
/*
 * test_scavenger_rest.c - the background scavenger rests when it finds nothing more, and comes back
 * before its time when much has become free; not so when the machine's owner has refused.
 */
#include "test-host/unit.h"

#include <slate/port.h>

/* Far fewer polls than a rest has, and enough to look through all of this memory. */
#define FEW  8
#define MANY 60

/* More than the news that end a rest, in frames. */
#define NEWS ((size_t)6000)

static size_t calls;
static bool refuses;

enum slate_discard port_page_discard(pfn_t pfn, size_t n)
{
	(void)pfn;
	(void)n;
	calls++;
	return refuses ? SLATE_DISCARD_REFUSED : SLATE_DISCARD_UNKNOWN;
}

static int set_up(void **state)
{
	(void)state;
	calls = 0;
	refuses = false;
	host_boot(MIB, 64 * MIB);
	return 0;
}

#define RESTS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static size_t calls_of(unsigned polls)
{
	size_t before = calls;

	while (polls-- > 0)
		slate_poll();
	return calls - before;
}

/* Everything is given back, the walk has come to its end, and the rest has begun. */
static void rest_begins(void)
{
	slate_scavenge_pace(0, 1u << 20);
	assert_true(calls_of(MANY) > 0);
	assert_int_equal(calls_of(FEW), 0);
}

static void much_that_is_freed_ends_a_rest(void **state)
{
	pfn_t run = slate_page_alloc(NEWS, NULL);

	(void)state;
	rest_begins();
	slate_page_free(run, NEWS);
	assert_true(calls_of(FEW) > 0);
	assert_int_equal(slate_validate(), 0);
}

static void a_little_does_not(void **state)
{
	pfn_t run = slate_page_alloc(NEWS / 2, NULL);

	(void)state;
	rest_begins();
	slate_page_free(run, NEWS / 2);
	assert_int_equal(calls_of(FEW), 0);
	/* it waits its time */
	assert_true(calls_of(300) > 0);
}

/* Counted is from the least that was free meanwhile. */
static void what_was_taken_in_the_rest_counts(void **state)
{
	pfn_t run;

	(void)state;
	rest_begins();
	run = slate_page_alloc(NEWS, NULL);
	assert_int_equal(calls_of(1), 0);
	slate_page_free(run, NEWS);
	assert_true(calls_of(FEW) > 0);
}

static void a_refusal_is_waited_out(void **state)
{
	pfn_t run = slate_page_alloc(NEWS, NULL);

	(void)state;
	refuses = true;
	slate_scavenge_pace(0, 1u << 20);
	assert_int_equal(calls_of(FEW), 1);
	refuses = false;
	slate_page_free(run, NEWS);
	assert_int_equal(calls_of(FEW), 0);
	assert_true(calls_of(300) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RESTS(much_that_is_freed_ends_a_rest),
		RESTS(a_little_does_not),
		RESTS(what_was_taken_in_the_rest_counts),
		RESTS(a_refusal_is_waited_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
