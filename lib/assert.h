/* SPDX-License-Identifier: MIT */
/*
 * assert.h - an assertion for the program around the library (kernel, tests): always on, and the
 * program says by assert_failed() what dying means. The allocator has MM_ASSERT instead, which is a
 * report.
 */
#ifndef LIB_ASSERT_H
#define LIB_ASSERT_H

void assert_failed(const char *expr, const char *file, int line) __attribute__((noreturn));

#define ASSERT(expr)                                              \
	do {                                                      \
		if (!(expr))                                      \
			assert_failed(#expr, __FILE__, __LINE__); \
	} while (0)

#endif
