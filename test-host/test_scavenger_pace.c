/* SPDX-License-Identifier: MIT */
/* test_scavenger_pace.c - by and by, in slate_poll(): how fast, how far, and when not. */
#include "test-host/discard.h"

static void no_pace_no_work(void **state)
{
	(void)state;
	polls(50);
	assert_int_equal(device.calls, 0);
}

static void down_to_the_goal_at_a_pace(void **state)
{
	size_t free_pages = figures().free_pages;
	size_t goal = free_pages / 2;

	(void)state;
	slate_scavenge_pace(goal, 100);
	slate_poll();
	assert_int_equal(device.pages, CHUNK);
	polls(100);
	assert_true(free_pages - device.pages <= goal);
	assert_true(free_pages - device.pages + CHUNK > goal);
	assert_int_equal(slate_validate(), 0);
}

static void it_waits_until_more_than_the_slack_is_free(void **state)
{
	size_t free_pages = figures().free_pages;

	(void)state;
	slate_scavenge_pace(free_pages - CHUNK, 10000);
	polls(20);
	assert_int_equal(device.calls, 0);
	/* an eighth and a chunk */
	slate_scavenge_pace((free_pages - CHUNK) / 9 * 8 - 8, 10000);
	polls(20);
	assert_true(device.calls > 0);
}

static void it_goes_on_below_the_slack(void **state)
{
	size_t free_pages = figures().free_pages;
	size_t goal = CHUNK;

	(void)state;
	slate_scavenge_pace(goal, 1);
	polls(20);
	assert_true(free_pages - device.pages <= goal);
	/* a little comes back: not worth beginning again */
	size_t calls = device.calls;
	pfn_t run = slate_page_alloc(CHUNK - 1, NULL);

	slate_page_free(run, CHUNK - 1);
	polls(300);
	assert_int_equal(device.calls, calls);
}

static void it_splits_no_small_runs(void **state)
{
	pfn_t run = slate_page_alloc(2000, NULL);

	(void)state;
	for (size_t i = 0; i < 2000; i += 2)
		slate_page_free(pfn_add(run, i), 1);
	slate_flush();
	slate_scavenge_pace(0, 100000);
	polls(1000);
	for (size_t i = 0; i < device.calls; i++)
		assert_true(device.n[i] >= 16);
	assert_true(figures().free_pages + figures().reserved_pages >= 1000);
	assert_int_equal(slate_validate(), 0);
}

static void it_rests_after_a_refusal(void **state)
{
	(void)state;
	device.refuse_at = 1;
	slate_scavenge_pace(0, 512);
	polls(100);
	assert_int_equal(device.calls, 1);
	polls(200);
	assert_true(device.calls > 1);
}

static void not_with_interrupts_off(void **state)
{
	(void)state;
	slate_scavenge_pace(0, 512);
	host_irq_set(false);
	polls(10);
	assert_int_equal(device.calls, 0);
	host_irq_set(true);
	polls(1);
	assert_int_equal(device.calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE(no_pace_no_work),
		DEVICE(down_to_the_goal_at_a_pace),
		DEVICE(it_waits_until_more_than_the_slack_is_free),
		DEVICE(it_goes_on_below_the_slack),
		DEVICE(it_splits_no_small_runs),
		DEVICE(it_rests_after_a_refusal),
		DEVICE(not_with_interrupts_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
