/* SPDX-License-Identifier: MIT */
/* test_memmap.c - each boot map of the table as a test of its own, with what came out printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "test-host/memmap_cases.h"

#define MAX_CASES 256

static void run_case(void **state)
{
	memmap_case_run(*state);
}

/* After each case, also after one that failed in the middle. */
static int print_seen(void **state)
{
	const struct memmap_case *test = *state;

	if (memmap_case_seen[0])
		fprintf(stderr, "before   %s\nafter    %s\nfindings %s\nseen     %s\n",
			test->before, test->after, test->lint ? test->lint : "", memmap_case_seen);
	memmap_case_seen[0] = '\0';
	return 0;
}

int main(void)
{
	static struct CMUnitTest tests[MAX_CASES];
	size_t count = 0;

	for (const struct memmap_case *test = memmap_cases; test->name; test++) {
		if (count == MAX_CASES) {
			fprintf(stderr, "too many cases\n");
			return 1;
		}
		tests[count++] = (struct CMUnitTest){.name = test->name,
						     .test_func = run_case,
						     .teardown_func = print_seen,
						     .initial_state = (void *)test};
	}
	return _cmocka_run_group_tests("memmap", tests, count, NULL, NULL);
}
