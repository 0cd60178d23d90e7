/* SPDX-License-Identifier: MIT */
/*
 * test_fdt.c - the device tree reader on sound, spoilt and cut trees. ASan is the judge of every
 * read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/fdt.h"
#include "test-host/fdt_build.h"

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

static struct fdt_build build;
static uint8_t *blob;
static size_t blob_bytes;

static int set_up(void **state)
{
	(void)state;
	fdt_build_start(&build);
	blob = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(blob);
	return 0;
}

static struct fdt open_built(void)
{
	struct fdt fdt;

	blob = fdt_build_finish(&build, &blob_bytes);
	assert_true(fdt_open(&fdt, blob, blob_bytes));
	return fdt;
}

static bool opens(void)
{
	struct fdt fdt;

	blob = fdt_build_finish(&build, &blob_bytes);
	return fdt_open(&fdt, blob, blob_bytes);
}

/* A root with one property and a child. */
static void build_small(void)
{
	fdt_build_begin(&build, "");
	FDT_CELLS(&build, "x", 7);
	fdt_build_begin(&build, "child@1");
	fdt_build_string(&build, "y", "text");
	fdt_build_end(&build);
	fdt_build_end(&build);
}

static void opens_smallest_tree(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_end(&build);

	struct fdt fdt = open_built();

	assert_int_equal(fdt.root, 0);
	assert_string_equal(fdt_name(&fdt, fdt.root), "");
	assert_int_equal(fdt_first_child(&fdt, fdt.root), FDT_NONE);
	assert_int_equal(fdt_next_sibling(&fdt, fdt.root), FDT_NONE);
}

static void opens_version_16(void **state)
{
	(void)state;
	build.version = 16;
	build_small();

	struct fdt fdt = open_built();

	assert_int_equal(fdt_property_u32(&fdt, fdt.root, "x", 0), 7);
}

static void opens_at_any_alignment(void **state)
{
	struct fdt fdt;

	(void)state;
	build_small();
	blob = fdt_build_finish(&build, &blob_bytes);
	for (unsigned shift = 1; shift < 8; shift++) {
		uint8_t *moved = malloc(blob_bytes + shift);

		memcpy(moved + shift, blob, blob_bytes);
		assert_true(fdt_open(&fdt, moved + shift, blob_bytes));
		assert_int_equal(fdt_property_u32(&fdt, fdt.root, "x", 0), 7);
		free(moved);
	}
}

static void header_gives_length(void **state)
{
	(void)state;
	build_small();
	blob = fdt_build_finish(&build, &blob_bytes);
	assert_int_equal(fdt_total_bytes(blob), blob_bytes);
	fdt_put32(blob + TOTAL, FDT_HEADER_SIZE - 1);
	assert_int_equal(fdt_total_bytes(blob), 0);
	fdt_put32(blob + TOTAL, UINT32_MAX);
	assert_int_equal(fdt_total_bytes(blob), 0);
	fdt_put32(blob + TOTAL, (uint32_t)blob_bytes);
	blob[0] ^= 1;
	assert_int_equal(fdt_total_bytes(blob), 0);
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
	build_small();
	blob = fdt_build_finish(&build, &blob_bytes);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t sound = fdt_get32(blob + rows[i].field);

		fdt_put32(blob + rows[i].field, rows[i].value);
		assert_false(fdt_open(&fdt, blob, blob_bytes));
		fdt_put32(blob + rows[i].field, sound);
	}
	assert_true(fdt_open(&fdt, blob, blob_bytes));
}

static void refuses_blob_shorter_than_it_says(void **state)
{
	struct fdt fdt;

	(void)state;
	build_small();
	blob = fdt_build_finish(&build, &blob_bytes);
	assert_false(fdt_open(&fdt, blob, blob_bytes - 1));
	assert_false(fdt_open(&fdt, blob, FDT_HEADER_SIZE - 1));
	assert_false(fdt_open(&fdt, blob, 0));
}

static void refuses_node_left_open(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_begin(&build, "a");
	fdt_build_end(&build);
	assert_false(opens());
}

static void refuses_end_without_begin(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_end(&build);
	fdt_build_end(&build);
	assert_false(opens());
}

static void refuses_second_root(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_end(&build);
	fdt_build_begin(&build, "");
	fdt_build_end(&build);
	assert_false(opens());
}

static void refuses_tree_without_root(void **state)
{
	(void)state;
	fdt_build_nop(&build);
	assert_false(opens());
}

static void refuses_property_outside_nodes(void **state)
{
	(void)state;
	FDT_CELLS(&build, "x", 1);
	fdt_build_begin(&build, "");
	fdt_build_end(&build);
	assert_false(opens());
}

static void refuses_unknown_token(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_token(&build, 5);
	fdt_build_end(&build);
	assert_false(opens());
}

static void refuses_unterminated_name(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	blob = fdt_build_finish(&build, &blob_bytes);

	struct fdt fdt;
	uint32_t structure = fdt_get32(blob + STRUCT);

	/* the name runs to the end of the block */
	fdt_put32(blob + STRUCT_SIZE, 8);
	memset(blob + structure + 4, 'x', 4);
	assert_false(fdt_open(&fdt, blob, blob_bytes));
}

static void refuses_value_beyond_block(void **state)
{
	/* the fourth would lead back to the property itself, for ever */
	static const uint32_t lengths[] = {UINT32_MAX, UINT32_MAX - 3, 0x80000000,
					   0u - 12,    4096,           17};

	(void)state;
	build_small();
	blob = fdt_build_finish(&build, &blob_bytes);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct fdt fdt;

		/* begin, name, prop token: then the length */
		fdt_put32(blob + fdt_get32(blob + STRUCT) + 12, lengths[i]);
		assert_false(fdt_open(&fdt, blob, blob_bytes));
	}
}

static void refuses_property_name_beyond_strings(void **state)
{
	static const uint32_t offsets[] = {UINT32_MAX, 4, 5, 0x1000};

	(void)state;
	build_small();
	blob = fdt_build_finish(&build, &blob_bytes);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct fdt fdt;

		fdt_put32(blob + fdt_get32(blob + STRUCT) + 16, offsets[i]);
		assert_false(fdt_open(&fdt, blob, blob_bytes));
	}
}

static void nest(unsigned levels)
{
	for (unsigned i = 0; i < levels; i++)
		fdt_build_begin(&build, i == 0 ? "" : "n");
	for (unsigned i = 0; i < levels; i++)
		fdt_build_end(&build);
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

static void walks_children_in_order(void **state)
{
	static const char *const names[] = {"a", "b@1", "c"};

	(void)state;
	fdt_build_begin(&build, "");
	for (unsigned i = 0; i < 3; i++) {
		fdt_build_begin(&build, names[i]);
		fdt_build_begin(&build, "inner");
		fdt_build_end(&build);
		fdt_build_nop(&build);
		fdt_build_end(&build);
		fdt_build_nop(&build);
	}
	fdt_build_end(&build);

	struct fdt fdt = open_built();
	uint32_t node = fdt_first_child(&fdt, fdt.root);

	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(fdt_name(&fdt, node), names[i]);
		assert_string_equal(fdt_name(&fdt, fdt_first_child(&fdt, node)), "inner");
		node = fdt_next_sibling(&fdt, node);
	}
	assert_int_equal(node, FDT_NONE);
}

static void finds_child_by_name_without_address(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_begin(&build, "memory-controller@1");
	fdt_build_end(&build);
	fdt_build_begin(&build, "memory@40000000");
	fdt_build_end(&build);
	fdt_build_begin(&build, "cpus");
	fdt_build_end(&build);
	fdt_build_end(&build);

	struct fdt fdt = open_built();

	assert_string_equal(fdt_name(&fdt, fdt_child(&fdt, fdt.root, "memory")), "memory@40000000");
	assert_string_equal(fdt_name(&fdt, fdt_child(&fdt, fdt.root, "cpus")), "cpus");
	assert_int_equal(fdt_child(&fdt, fdt.root, "cpu"), FDT_NONE);
	assert_int_equal(fdt_child(&fdt, fdt.root, "mem"), FDT_NONE);
}

static void garbage_nodes_are_nothing(void **state)
{
	static const uint32_t nodes[] = {FDT_NONE, 4, 2, 0x10000, UINT32_MAX - 3};

	(void)state;
	build_small();

	struct fdt fdt = open_built();

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		assert_int_equal(fdt_first_child(&fdt, nodes[i]), FDT_NONE);
		assert_string_equal(fdt_name(&fdt, nodes[i]), "");
		assert_null(fdt_property(&fdt, nodes[i], "x").data);
	}
	assert_int_equal(fdt_next_sibling(&fdt, FDT_NONE), FDT_NONE);
}

static void property_belongs_to_its_node(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_begin(&build, "a");
	fdt_build_nop(&build);
	FDT_CELLS(&build, "first", 1);
	fdt_build_nop(&build);
	FDT_CELLS(&build, "second", 2);
	fdt_build_begin(&build, "inner");
	FDT_CELLS(&build, "third", 3);
	fdt_build_end(&build);
	fdt_build_end(&build);
	fdt_build_end(&build);

	struct fdt fdt = open_built();
	uint32_t a = fdt_child(&fdt, fdt.root, "a");

	assert_int_equal(fdt_property_u32(&fdt, a, "first", 0), 1);
	assert_int_equal(fdt_property_u32(&fdt, a, "second", 0), 2);
	assert_int_equal(fdt_property_u32(&fdt, a, "third", 9), 9);
	assert_int_equal(fdt_property_u32(&fdt, fdt.root, "first", 9), 9);
	assert_int_equal(fdt_property_u32(&fdt, a, "firs", 9), 9);
}

static void u32_of_other_lengths_is_absent(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_bytes(&build, "empty", "", 0);
	fdt_build_bytes(&build, "three", "abc", 3);
	FDT_CELLS(&build, "two", 1, 2);
	fdt_build_end(&build);

	struct fdt fdt = open_built();

	assert_int_equal(fdt_property_u32(&fdt, fdt.root, "empty", 5), 5);
	assert_int_equal(fdt_property_u32(&fdt, fdt.root, "three", 5), 5);
	assert_int_equal(fdt_property_u32(&fdt, fdt.root, "two", 5), 5);
	assert_non_null(fdt_property(&fdt, fdt.root, "empty").data);
}

static void numbers_of_one_and_two_cells(void **state)
{
	uint64_t n;

	(void)state;
	fdt_build_begin(&build, "");
	FDT_CELLS(&build, "v", 0x11223344, 0x55667788, 0x99aabbcc);
	fdt_build_end(&build);

	struct fdt fdt = open_built();
	struct fdt_value v = fdt_property(&fdt, fdt.root, "v");

	assert_true(fdt_number(v, 0, 1, &n) && n == 0x11223344);
	assert_true(fdt_number(v, 0, 2, &n) && n == 0x1122334455667788);
	assert_true(fdt_number(v, 1, 2, &n) && n == 0x5566778899aabbcc);
	assert_true(fdt_number(v, 2, 1, &n) && n == 0x99aabbcc);
	assert_false(fdt_number(v, 2, 2, &n));
	assert_false(fdt_number(v, 3, 1, &n));
	assert_false(fdt_number(v, 0, 0, &n));
	assert_false(fdt_number(v, 0, 3, &n));
	assert_false(fdt_number(v, UINT32_MAX, 2, &n));
	assert_false(fdt_number(v, UINT32_MAX / 4, 2, &n));
	assert_false(fdt_number((struct fdt_value){NULL, 0}, 0, 1, &n));
}

static void reg_by_the_parents_cells(void **state)
{
	uint64_t base;
	uint64_t size;

	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_begin(&build, "defaults"); /* two cells and one */
	fdt_build_begin(&build, "d");
	FDT_CELLS(&build, "reg", 1, 2, 3, 4, 5, 6);
	fdt_build_end(&build);
	fdt_build_end(&build);
	fdt_build_begin(&build, "narrow");
	FDT_CELLS(&build, "#address-cells", 1);
	FDT_CELLS(&build, "#size-cells", 0);
	fdt_build_begin(&build, "d");
	FDT_CELLS(&build, "reg", 1, 2);
	fdt_build_end(&build);
	fdt_build_end(&build);
	fdt_build_begin(&build, "wide");
	FDT_CELLS(&build, "#address-cells", 3);
	FDT_CELLS(&build, "#size-cells", 2);
	fdt_build_begin(&build, "d");
	FDT_CELLS(&build, "reg", 1, 2, 3, 4, 5);
	fdt_build_end(&build);
	fdt_build_end(&build);
	fdt_build_end(&build);

	struct fdt fdt = open_built();
	uint32_t parent = fdt_child(&fdt, fdt.root, "defaults");
	uint32_t d = fdt_first_child(&fdt, parent);

	assert_true(fdt_reg(&fdt, parent, d, 1, &base, &size));
	assert_true(base == 0x400000005 && size == 6);
	assert_false(fdt_reg(&fdt, parent, d, 2, &base, &size));
	assert_false(fdt_reg(&fdt, parent, d, UINT32_MAX, &base, &size));

	parent = fdt_child(&fdt, fdt.root, "narrow");
	d = fdt_first_child(&fdt, parent);
	assert_true(fdt_reg(&fdt, parent, d, 1, &base, &size));
	assert_true(base == 2 && size == 0);

	parent = fdt_child(&fdt, fdt.root, "wide");
	assert_false(fdt_reg(&fdt, parent, fdt_first_child(&fdt, parent), 0, &base, &size));
}

static void strings_in_a_list(void **state)
{
	(void)state;
	fdt_build_begin(&build, "");
	fdt_build_bytes(&build, "list", "one\0two\0\0four", 14);
	fdt_build_bytes(&build, "cut", "one\0tw", 6);
	fdt_build_end(&build);

	struct fdt fdt = open_built();
	struct fdt_value list = fdt_property(&fdt, fdt.root, "list");
	struct fdt_value cut = fdt_property(&fdt, fdt.root, "cut");

	assert_true(fdt_value_has_string(list, "one"));
	assert_true(fdt_value_has_string(list, "two"));
	assert_true(fdt_value_has_string(list, "four"));
	assert_true(fdt_value_has_string(list, ""));
	assert_false(fdt_value_has_string(list, "on"));
	assert_false(fdt_value_has_string(list, "three"));
	assert_true(fdt_value_has_string(cut, "one"));
	assert_false(fdt_value_has_string(cut, "tw"));
	assert_false(fdt_value_has_string((struct fdt_value){NULL, 0}, ""));
}

static void status_says_available(void **state)
{
	static const struct {
		const char *status;
		bool available;
	} rows[] = {
		{"okay", true}, {"ok", true}, {"disabled", false}, {"fail", false}, {"", false}};

	(void)state;
	fdt_build_begin(&build, "");
	for (size_t i = 0; i < 5; i++) {
		fdt_build_begin(&build, "n");
		fdt_build_string(&build, "status", rows[i].status);
		fdt_build_end(&build);
	}
	fdt_build_end(&build);

	struct fdt fdt = open_built();
	uint32_t node = fdt_first_child(&fdt, fdt.root);

	assert_true(fdt_available(&fdt, fdt.root));
	for (size_t i = 0; i < 5; i++, node = fdt_next_sibling(&fdt, node))
		assert_int_equal(fdt_available(&fdt, node), rows[i].available);
}

static void reservations_end_at_the_empty_one(void **state)
{
	uint64_t base;
	uint64_t size;

	(void)state;
	fdt_build_reserve(&build, 0x1122334455667788, 0x99aabbccddeeff00);
	fdt_build_reserve(&build, 0, 0x1000);
	build_small();

	struct fdt fdt = open_built();

	assert_true(fdt_reserve(&fdt, 0, &base, &size));
	assert_true(base == 0x1122334455667788 && size == 0x99aabbccddeeff00);
	assert_true(fdt_reserve(&fdt, 1, &base, &size));
	assert_true(base == 0 && size == 0x1000);
	assert_false(fdt_reserve(&fdt, 2, &base, &size));
	assert_false(fdt_reserve(&fdt, UINT32_MAX, &base, &size));
}

static void reservations_stop_at_the_end_of_the_blob(void **state)
{
	uint64_t base;
	uint64_t size;
	uint32_t n = 0;

	(void)state;
	build_small();
	blob = fdt_build_finish(&build, &blob_bytes);
	fdt_put32(blob + RESERVE, (uint32_t)blob_bytes - 20);

	struct fdt fdt;

	assert_true(fdt_open(&fdt, blob, blob_bytes));
	while (n < 10 && fdt_reserve(&fdt, n, &base, &size))
		n++;
	assert_true(n <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(opens_smallest_tree),
		TEST(opens_version_16),
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
		TEST(walks_children_in_order),
		TEST(finds_child_by_name_without_address),
		TEST(garbage_nodes_are_nothing),
		TEST(property_belongs_to_its_node),
		TEST(u32_of_other_lengths_is_absent),
		TEST(numbers_of_one_and_two_cells),
		TEST(reg_by_the_parents_cells),
		TEST(strings_in_a_list),
		TEST(status_says_available),
		TEST(reservations_end_at_the_empty_one),
		TEST(reservations_stop_at_the_end_of_the_blob),
	};

	return cmocka_run_group_tests_name("fdt", tests, NULL, NULL);
}
