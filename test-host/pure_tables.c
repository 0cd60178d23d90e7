/* SPDX-License-Identifier: MIT */
/* pure_tables.c - all tables of pure tests, in the order of the levels that they test. */
#include "test-host/pure.h"

extern const struct pure_test pure_bits_tests[];
extern const struct pure_test pure_list_tests[];
extern const struct pure_test pure_string_tests[];
extern const struct pure_test pure_printf_tests[];
extern const struct pure_test pure_sizeclass_tests[];
extern const struct pure_test pure_memmap_tests[];
extern const struct pure_test pure_fixalloc_tests[];
extern const struct pure_test pure_pagealloc_tests[];
extern const struct pure_test pure_pagefit_tests[];
extern const struct pure_test pure_arena_tests[];

const struct pure_test *const pure_tables[] = {
	pure_bits_tests,
	pure_list_tests,
	pure_string_tests,
	pure_printf_tests,
	pure_sizeclass_tests,
	pure_memmap_tests,
	pure_fixalloc_tests,
	pure_pagealloc_tests,
	pure_pagefit_tests,
	pure_arena_tests,
	0,
};
