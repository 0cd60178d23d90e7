/* SPDX-License-Identifier: MIT */
/* test_pure.c - the pure tests on the host, a cmocka test each; the kernel runs the same tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "test-host/pure.h"

#define MAX_TESTS 512

static void run_pure(void **state)
{
	const struct pure_test *test = *state;

	test->run();
}

int main(void)
{
	static struct CMUnitTest tests[MAX_TESTS];
	size_t count = 0;

	for (size_t table = 0; pure_tables[table]; table++) {
		for (const struct pure_test *test = pure_tables[table]; test->name; test++) {
			if (count == MAX_TESTS) {
				fprintf(stderr, "too many pure tests\n");
				return 1;
			}
			tests[count++] = (struct CMUnitTest){.name = test->name,
							     .test_func = run_pure,
							     .initial_state = (void *)test};
		}
	}
	/* The macro wants an array whose size it can see. */
	return _cmocka_run_group_tests("pure", tests, count, NULL, NULL);
}
