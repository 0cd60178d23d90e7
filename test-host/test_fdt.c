/* SPDX-License-Identifier: MIT */
/*
 * test_fdt.c - what the device tree reader finds in a tree: nodes, properties, addresses,
 * reservations. ASan is the judge of every read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test-host/fdt_fixture.h"

static struct fdt open_built(void)
{
	struct fdt fdt;

	assert_true(fdt_open_tree(&fdt));
	return fdt;
}

static void opens_smallest_tree(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_end(&fdt_tree);

	struct fdt fdt = open_built();

	assert_int_equal(fdt.root, 0);
	assert_string_equal(fdt_name(&fdt, fdt.root), "");
	assert_int_equal(fdt_first_child(&fdt, fdt.root), FDT_NONE);
	assert_int_equal(fdt_next_sibling(&fdt, fdt.root), FDT_NONE);
}

static void opens_version_16(void **state)
{
	(void)state;
	fdt_tree.version = 16;
	fdt_tree_small();

	struct fdt fdt = open_built();

	assert_int_equal(fdt_property_u32(&fdt, fdt.root, "x", 0), 7);
}

static void walks_children_in_order(void **state)
{
	static const char *const names[] = {"a", "b@1", "c"};

	(void)state;
	fdt_build_begin(&fdt_tree, "");
	for (unsigned i = 0; i < 3; i++) {
		fdt_build_begin(&fdt_tree, names[i]);
		fdt_build_begin(&fdt_tree, "inner");
		fdt_build_end(&fdt_tree);
		fdt_build_nop(&fdt_tree);
		fdt_build_end(&fdt_tree);
		fdt_build_nop(&fdt_tree);
	}
	fdt_build_end(&fdt_tree);

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
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "memory-controller@1");
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "memory@40000000");
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "cpus");
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);

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
	fdt_tree_small();

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
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "a");
	fdt_build_nop(&fdt_tree);
	FDT_CELLS(&fdt_tree, "first", 1);
	fdt_build_nop(&fdt_tree);
	FDT_CELLS(&fdt_tree, "second", 2);
	fdt_build_begin(&fdt_tree, "inner");
	FDT_CELLS(&fdt_tree, "third", 3);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);

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
	fdt_build_begin(&fdt_tree, "");
	fdt_build_bytes(&fdt_tree, "empty", "", 0);
	fdt_build_bytes(&fdt_tree, "three", "abc", 3);
	FDT_CELLS(&fdt_tree, "two", 1, 2);
	fdt_build_end(&fdt_tree);

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
	fdt_build_begin(&fdt_tree, "");
	FDT_CELLS(&fdt_tree, "v", 0x11223344, 0x55667788, 0x99aabbcc);
	fdt_build_end(&fdt_tree);

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
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "defaults"); /* two cells and one */
	fdt_build_begin(&fdt_tree, "d");
	FDT_CELLS(&fdt_tree, "reg", 1, 2, 3, 4, 5, 6);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "narrow");
	FDT_CELLS(&fdt_tree, "#address-cells", 1);
	FDT_CELLS(&fdt_tree, "#size-cells", 0);
	fdt_build_begin(&fdt_tree, "d");
	FDT_CELLS(&fdt_tree, "reg", 1, 2);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "wide");
	FDT_CELLS(&fdt_tree, "#address-cells", 3);
	FDT_CELLS(&fdt_tree, "#size-cells", 2);
	fdt_build_begin(&fdt_tree, "d");
	FDT_CELLS(&fdt_tree, "reg", 1, 2, 3, 4, 5);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);

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
	fdt_build_begin(&fdt_tree, "");
	fdt_build_bytes(&fdt_tree, "list", "one\0two\0\0four", 14);
	fdt_build_bytes(&fdt_tree, "cut", "one\0tw", 6);
	fdt_build_end(&fdt_tree);

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
	fdt_build_begin(&fdt_tree, "");
	for (size_t i = 0; i < 5; i++) {
		fdt_build_begin(&fdt_tree, "n");
		fdt_build_string(&fdt_tree, "status", rows[i].status);
		fdt_build_end(&fdt_tree);
	}
	fdt_build_end(&fdt_tree);

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
	fdt_build_reserve(&fdt_tree, 0x1122334455667788, 0x99aabbccddeeff00);
	fdt_build_reserve(&fdt_tree, 0, 0x1000);
	fdt_tree_small();

	struct fdt fdt = open_built();

	assert_true(fdt_reserve(&fdt, 0, &base, &size));
	assert_true(base == 0x1122334455667788 && size == 0x99aabbccddeeff00);
	assert_true(fdt_reserve(&fdt, 1, &base, &size));
	assert_true(base == 0 && size == 0x1000);
	assert_false(fdt_reserve(&fdt, 2, &base, &size));
	assert_false(fdt_reserve(&fdt, UINT32_MAX, &base, &size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, fdt_set_up, fdt_tear_down)
		TEST(opens_smallest_tree),
		TEST(opens_version_16),
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
	};

	return cmocka_run_group_tests_name("fdt", tests, NULL, NULL);
}
