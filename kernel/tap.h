/* SPDX-License-Identifier: MIT */
/*
 * tap.h - runs tests one by one and prints TAP: "1..N", then "ok N - name" or "not ok N - name" in
 * column 1, with details on lines that begin with '#'.
 */
#ifndef KERNEL_TAP_H
#define KERNEL_TAP_H

#include <stdbool.h>
#include <stddef.h>

#include "test-host/pure.h"

struct tap {
	const char *filter;     /* part of a name; NULL: all */
	void (*clean_up)(void); /* after a test that failed */
	size_t planned;
	size_t done;
	size_t failed;
};

/* Does the filter choose a test of that name? */
bool tap_chosen(const struct tap *tap, const char *name);

void tap_plan(struct tap *tap);

/*
 * Run one test and print its line. It fails by CHECK, by a report that it did not expect, and, when
 * it must be balanced, by frames that it did not give back.
 */
void tap_run(struct tap *tap, const struct pure_test *test, bool balanced);

/* From within a test that cannot be made here, and then returns: its line says so. */
void tap_skip(const char *why);

/* A detail of the running test: printed as "# ...". */
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
