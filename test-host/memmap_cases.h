/* SPDX-License-Identifier: MIT */
/*
 * memmap_cases.h - boot maps as text: before, after, and what the linter tells, in order.
 *
 * A map is "BASE+SIZE:TYPE" in hexadecimal, blank separated, with "=NAME" and "@NODE" behind where
 * they matter. TYPE is a letter of MEMMAP_TYPE_LETTERS. Nodes are "BASE+SIZE@NODE". A finding is
 * "KIND:BASE+SIZE"; KIND is a word of memmap_lint_words.
 */
#ifndef TEST_MEMMAP_CASES_H
#define TEST_MEMMAP_CASES_H

#include <slate/memmap.h>

/* In the order of enum slate_range_type; '?' is a type that does not exist. */
#define MEMMAP_TYPE_LETTERS "0ULANPMIDKTFXRB?"

struct memmap_case {
	const char *name;
	const char *before;
	const char *after;
	const char *lint;
	const char *nodes;
	size_t capacity; /* of the array; 0: enough */
};

/* Ends with a NULL name. */
extern const struct memmap_case memmap_cases[];

/* pure_fail()s with the name of the case; memmap_case_seen holds what came out instead. */
void memmap_case_run(const struct memmap_case *test);
extern char memmap_case_seen[4096];

#endif
