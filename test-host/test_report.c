/* SPDX-License-Identifier: MIT */
/* test_report.c - the table of planted faults (pure_faults.h), with witnesses where there are some.
 */
#include "test-host/unit.h"

#include "test-host/pure_faults.h"

const bool host_witnesses = true;

static void say(const char *line)
{
	printf("%s\n", line);
}

static void each_fault_is_told_as_what_it_is(void **state)
{
	const struct fault_runner runner = {.capture = host_capture, .say = say};
	struct fault_score score;

	(void)state;
	host_boot(MIB, 64 * MIB);
	score = faults_run(&runner);
	printf("faults: %zu of %zu; %zu more need a debug build\n", score.passed,
	       score.passed + score.failed, score.skipped);
	assert_int_equal(score.failed, 0);
	assert_true(score.passed >= (SLATE_DEBUG ? 100 : 60));
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {SMALL(each_fault_is_told_as_what_it_is)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
