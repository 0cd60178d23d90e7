/* SPDX-License-Identifier: MIT */
/*
 * pure.h - tests that need nothing but the functions under test: the same source runs on the host
 * (cmocka) and inside the kernel (TAP). A file pure_X.c exports one table that ends with a NULL
 * name; runners list the tables in pure_tables.c.
 */
#ifndef TEST_PURE_H
#define TEST_PURE_H

struct pure_test {
	const char *name;
	void (*run)(void);
};

/* The runner's: record the failure and leave the test (longjmp or cmocka). */
void pure_fail(const char *file, int line, const char *expr) __attribute__((noreturn));

#define CHECK(expr)                                           \
	do {                                                  \
		if (!(expr))                                  \
			pure_fail(__FILE__, __LINE__, #expr); \
	} while (0)

/* All tables, ending with NULL (pure_tables.c). */
extern const struct pure_test *const pure_tables[];

#endif
