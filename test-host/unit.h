/* SPDX-License-Identifier: MIT */
/* unit.h - cmocka with what it wants included before it, and the host machine. */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test-host/host.h"

#define MIB ((uint64_t)1 << 20)

/* Only debug builds report assertions and the order of locks: elsewhere such a case is skipped. */
static inline void need_checks_for(enum slate_crime crime)
{
	if (!SLATE_DEBUG && (crime == SLATE_CRIME_LOCK || crime == SLATE_CRIME_ASSERT))
		skip();
}
#define expect_report(crime)  (need_checks_for(crime), expect_report(crime))
#define host_fatal_arm(crime) (need_checks_for(crime), host_fatal_arm(crime))

/* For cmocka_unit_test_setup: nothing runs, all state is fresh. */
static inline int set_up_bare(void **state)
{
	(void)state;
	host_reset();
	return 0;
}

/* Slate on 16 MiB at 1 MiB, CPU 0 online. */
static inline int set_up_small(void **state)
{
	(void)state;
	host_boot(MIB, 16 * MIB);
	return 0;
}

/* For the teardown: what a test left armed or missing is its failure. */
static inline int tear_down(void **state)
{
	(void)state;
	host_reset();
	return 0;
}

#define BARE(test)  cmocka_unit_test_setup_teardown(test, set_up_bare, tear_down)
#define SMALL(test) cmocka_unit_test_setup_teardown(test, set_up_small, tear_down)

/* The text of the last report starts like this. */
static inline void assert_report_starts(const char *expected)
{
	char text[512];

	slate_report_format(text, sizeof(text), reported());
	text[strlen(expected)] = '\0';
	assert_string_equal(text, expected);
}

#endif
