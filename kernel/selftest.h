/* SPDX-License-Identifier: MIT */
/*
 * selftest.h - the in-kernel tests: tables that end with a NULL name, and what their files share.
 */
#ifndef KERNEL_SELFTEST_H
#define KERNEL_SELFTEST_H

#include <slate/report.h>
#include <slate/types.h>

#include "test-host/pure.h"

/* Run all tests whose name contains filter (NULL: all). False: one failed, or none was chosen. */
bool selftest_run(const char *filter);

/* After a failure objects may be missing for ever: each test starts from what is there. */
extern const struct pure_test selftest_boot[];
extern const struct pure_test selftest_shell[];
extern const struct pure_test selftest_object[];
extern const struct pure_test selftest_span[];
extern const struct pure_test selftest_special[];
extern const struct pure_test selftest_page[];
extern const struct pure_test selftest_numa[];
extern const struct pure_test selftest_hotplug[];
extern const struct pure_test selftest_cpu[];
extern const struct pure_test selftest_marksweep[];
extern const struct pure_test selftest_markcycle[];
extern const struct pure_test selftest_nmi[];
extern const struct pure_test selftest_sweep[];
extern const struct pure_test selftest_migrate[];
extern const struct pure_test selftest_misuse[];
extern const struct pure_test selftest_memory[];
extern const struct pure_test selftest_pressure[];
extern const struct pure_test selftest_stack[];
extern const struct pure_test selftest_scavenge[];
extern const struct pure_test selftest_trace[];
extern const struct pure_test selftest_report[];
extern const struct pure_test selftest_owners[];
extern const struct pure_test selftest_profile[];

/* Give back what a failed test of that table held. */
void selftest_pressure_clean_up(void);
void selftest_memory_clean_up(void);
void selftest_scavenge_clean_up(void);
void selftest_trace_clean_up(void);
void selftest_profile_clean_up(void);
void selftest_sweep_clean_up(void);

/* ---- Shared by the tests ---- */

/* Fill with, and check for, bytes that depend on seed and position. The check returns the first
 * wrong offset, or size_bytes. */
void pattern_fill(void *start, size_t size_bytes, uint32_t seed);
size_t pattern_check(const void *start, size_t size_bytes, uint32_t seed);

/* All bytes are that value. */
bool bytes_are(const void *start, uint8_t value, size_t size_bytes);

/* xorshift: the next number; state must not be 0. */
uint32_t random_next(uint32_t *state);

/* From here to report_end() reports of that crime are taken; report_end() returns how many came,
 * and fails the test on others. */
void report_begin(enum slate_crime crime);
size_t report_end(void);

/* Sample the heap profile by another rate; returns the former one. 0: what happens is the same each
 * time. */
size_t profile_rate_set(size_t bytes);

/* Lowest physical address above everything that is mapped, as a frame count; for constraints. */
uint64_t mapped_end(void);

#endif
