/* SPDX-License-Identifier: MIT */
/*
 * test_fdt_open.c - which blobs the device tree reader opens: sound ones; no spoilt header, no
 * broken structure, nothing that is cut. ASan is the judge of every read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test-host/fdt_fixture.h"

/* Offsets of the header that tests overwrite. */
enum {
	TOTAL = 4,
	STRUCT = 8,
	STRINGS = 12,
	RESERVE = 16,
	VERSION = 20,
	COMPATIBLE = 24,
	STRINGS_SIZE = 32,
	STRUCT_SIZE = 36,
};

static bool opens(void)
{
	struct fdt fdt;

	return fdt_open_tree(&fdt);
}

static void opens_at_any_alignment(void **state)
{
	struct fdt fdt;

	(void)state;
	fdt_tree_small();
	fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);
	for (unsigned shift = 1; shift < 8; shift++) {
		uint8_t *moved = malloc(fdt_blob_bytes + shift);

		memcpy(moved + shift, fdt_blob, fdt_blob_bytes);
		assert_true(fdt_open(&fdt, moved + shift, fdt_blob_bytes));
		assert_int_equal(fdt_property_u32(&fdt, fdt.root, "x", 0), 7);
		free(moved);
	}
}

static void header_gives_length(void **state)
{
	(void)state;
	fdt_tree_small();
	fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);
	assert_int_equal(fdt_total_bytes(fdt_blob), fdt_blob_bytes);
	fdt_put32(fdt_blob + TOTAL, FDT_HEADER_SIZE - 1);
	assert_int_equal(fdt_total_bytes(fdt_blob), 0);
	fdt_put32(fdt_blob + TOTAL, UINT32_MAX);
	assert_int_equal(fdt_total_bytes(fdt_blob), 0);
	fdt_put32(fdt_blob + TOTAL, (uint32_t)fdt_blob_bytes);
	fdt_blob[0] ^= 1;
	assert_int_equal(fdt_total_bytes(fdt_blob), 0);
}

/* Each row spoils one field of a sound header. */
static void refuses_spoilt_headers(void **state)
{
	static const struct {
		unsigned field;
		uint32_t value;
	} rows[] = {
		{0, 0xd00dfeee},
		{TOTAL, 0},
		{TOTAL, UINT32_MAX},
		{STRUCT, UINT32_MAX},
		{STRUCT, 0x7ffffff0},
		{STRINGS, UINT32_MAX},
		{STRINGS, 0x10000},
		{RESERVE, UINT32_MAX},
		{RESERVE, 0x10000},
		{VERSION, 15},
		{VERSION, 0},
		{COMPATIBLE, 18},
		{STRINGS_SIZE, UINT32_MAX},
		{STRINGS_SIZE, 0},
		{STRINGS_SIZE, 3}, /* the last name has no end */
		{STRUCT_SIZE, UINT32_MAX},
		{STRUCT_SIZE, 0},
		{STRUCT_SIZE, 3},
	};
	struct fdt fdt;

	(void)state;
	fdt_tree_small();
	fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t sound = fdt_get32(fdt_blob + rows[i].field);

		fdt_put32(fdt_blob + rows[i].field, rows[i].value);
		assert_false(fdt_open(&fdt, fdt_blob, fdt_blob_bytes));
		fdt_put32(fdt_blob + rows[i].field, sound);
	}
	assert_true(fdt_open(&fdt, fdt_blob, fdt_blob_bytes));
}

static void refuses_blob_shorter_than_it_says(void **state)
{
	struct fdt fdt;

	(void)state;
	fdt_tree_small();
	fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);
	assert_false(fdt_open(&fdt, fdt_blob, fdt_blob_bytes - 1));
	assert_false(fdt_open(&fdt, fdt_blob, FDT_HEADER_SIZE - 1));
	assert_false(fdt_open(&fdt, fdt_blob, 0));
}

static void refuses_node_left_open(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "a");
	fdt_build_end(&fdt_tree);
	assert_false(opens());
}

static void refuses_end_without_begin(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	assert_false(opens());
}

static void refuses_second_root(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "");
	fdt_build_end(&fdt_tree);
	assert_false(opens());
}

static void refuses_tree_without_root(void **state)
{
	(void)state;
	fdt_build_nop(&fdt_tree);
	assert_false(opens());
}

static void refuses_property_outside_nodes(void **state)
{
	(void)state;
	FDT_CELLS(&fdt_tree, "x", 1);
	fdt_build_begin(&fdt_tree, "");
	fdt_build_end(&fdt_tree);
	assert_false(opens());
}

static void refuses_unknown_token(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_token(&fdt_tree, 5);
	fdt_build_end(&fdt_tree);
	assert_false(opens());
}

static void refuses_unterminated_name(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);

	struct fdt fdt;
	uint32_t structure = fdt_get32(fdt_blob + STRUCT);

	/* the name runs to the end of the block */
	fdt_put32(fdt_blob + STRUCT_SIZE, 8);
	memset(fdt_blob + structure + 4, 'x', 4);
	assert_false(fdt_open(&fdt, fdt_blob, fdt_blob_bytes));
}

static void refuses_value_beyond_block(void **state)
{
	/* the fourth would lead back to the property itself, for ever */
	static const uint32_t lengths[] = {UINT32_MAX, UINT32_MAX - 3, 0x80000000,
					   0u - 12,    4096,           17};

	(void)state;
	fdt_tree_small();
	fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct fdt fdt;

		/* begin, name, prop token: then the length */
		fdt_put32(fdt_blob + fdt_get32(fdt_blob + STRUCT) + 12, lengths[i]);
		assert_false(fdt_open(&fdt, fdt_blob, fdt_blob_bytes));
	}
}

static void refuses_property_name_beyond_strings(void **state)
{
	static const uint32_t offsets[] = {UINT32_MAX, 4, 5, 0x1000};

	(void)state;
	fdt_tree_small();
	fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct fdt fdt;

		fdt_put32(fdt_blob + fdt_get32(fdt_blob + STRUCT) + 16, offsets[i]);
		assert_false(fdt_open(&fdt, fdt_blob, fdt_blob_bytes));
	}
}

static void nest(unsigned levels)
{
	for (unsigned i = 0; i < levels; i++)
		fdt_build_begin(&fdt_tree, i == 0 ? "" : "n");
	for (unsigned i = 0; i < levels; i++)
		fdt_build_end(&fdt_tree);
}

static void opens_deepest_tree(void **state)
{
	(void)state;
	nest(FDT_MAX_DEPTH);
	assert_true(opens());
}

static void refuses_deeper_tree(void **state)
{
	(void)state;
	nest(FDT_MAX_DEPTH + 1);
	assert_false(opens());
}

static void reservations_stop_at_the_end_of_the_blob(void **state)
{
	uint64_t base;
	uint64_t size;
	uint32_t n = 0;

	(void)state;
	fdt_tree_small();
	fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);
	fdt_put32(fdt_blob + RESERVE, (uint32_t)fdt_blob_bytes - 20);

	struct fdt fdt;

	assert_true(fdt_open(&fdt, fdt_blob, fdt_blob_bytes));
	while (n < 10 && fdt_reserve(&fdt, n, &base, &size))
		n++;
	assert_true(n <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, fdt_set_up, fdt_tear_down)
		TEST(opens_at_any_alignment),
		TEST(header_gives_length),
		TEST(refuses_spoilt_headers),
		TEST(refuses_blob_shorter_than_it_says),
		TEST(refuses_node_left_open),
		TEST(refuses_end_without_begin),
		TEST(refuses_second_root),
		TEST(refuses_tree_without_root),
		TEST(refuses_property_outside_nodes),
		TEST(refuses_unknown_token),
		TEST(refuses_unterminated_name),
		TEST(refuses_value_beyond_block),
		TEST(refuses_property_name_beyond_strings),
		TEST(opens_deepest_tree),
		TEST(refuses_deeper_tree),
		TEST(reservations_stop_at_the_end_of_the_blob),
	};

	return cmocka_run_group_tests_name("fdt_open", tests, NULL, NULL);
}
