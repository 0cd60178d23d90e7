/* SPDX-License-Identifier: MIT */
/*
 * test_fdt_boot.c - device tree to boot_info, on whole machines and on odd ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/fdt_boot.h"
#include "test-host/bootphys.h"
#include "test-host/fdt_fixture.h"

static struct boot_info *info;

static int set_up(void **state)
{
	info = bootphys_reset();
	return fdt_set_up(state);
}

/* The tree that was built, in info. Returns how many reservations found no place. */
static size_t fill(void)
{
	struct fdt fdt;

	assert_true(fdt_open_tree(&fdt));
	fdt_boot_fill(&fdt, info);
	return fdt_boot_place(&fdt, info);
}

static void fill_machine(void)
{
	struct fdt fdt;

	fdt_blob = fdt_build_machine(2, &fdt_blob_bytes);
	assert_true(fdt_open(&fdt, fdt_blob, fdt_blob_bytes));
	fdt_boot_fill(&fdt, info);
	assert_int_equal(fdt_boot_place(&fdt, info), 0);
}

static unsigned count_type(enum slate_range_type type)
{
	unsigned n = 0;

	for (size_t i = 0; i < info->map.count; i++)
		n += info->map.ranges[i].type == type;
	return n;
}

static void machine_memory(void **state)
{
	(void)state;
	fill_machine();
	assert_int_equal(bootphys_count(info, 0x40000000, 0x40000000, SLATE_RANGE_USABLE), 1);
	assert_int_equal(bootphys_count(info, 0x80000000, 0x40000000, SLATE_RANGE_USABLE), 1);
	assert_int_equal(bootphys_count(info, 0x100000000, 0x200000000, SLATE_RANGE_USABLE), 1);
	assert_int_equal(count_type(SLATE_RANGE_USABLE), 3); /* not the secure world's */
	assert_string_equal(info->loader, "FDT");
}

static void machine_nodes(void **state)
{
	(void)state;
	fill_machine();
	assert_int_equal(info->map.node_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(info->map.nodes[i].node, info->map.nodes[i].base >= 0x80000000);
	assert_int_equal(info->node_distance[0][0], 10);
	assert_int_equal(info->node_distance[0][1], 20);
	assert_int_equal(info->node_distance[1][0], 20);
}

static void machine_cpus(void **state)
{
	static const uint64_t ids[] = {0, 1, 0x100, 0x101};

	(void)state;
	fill_machine();
	assert_int_equal(info->cpu_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(info->cpus[i].hw_id, ids[i]);
		assert_int_equal(info->cpus[i].node, i / 2);
	}
}

static void machine_reservations(void **state)
{
	(void)state;
	fill_machine();
	assert_int_equal(bootphys_count(info, 0x44000000, 0x10000, SLATE_RANGE_FIRMWARE), 1);
	assert_int_equal(bootphys_count(info, 0x45000000, 0x200000, SLATE_RANGE_FIRMWARE), 1);
	assert_int_equal(bootphys_count(info, 0x46000000, 0x3000, SLATE_RANGE_RESERVED), 1);
	/* the pool: highest place below 2 GiB */
	assert_int_equal(bootphys_count(info, 0x7fc00000, 0x400000, SLATE_RANGE_FIRMWARE), 1);
}

static void machine_initrd(void **state)
{
	(void)state;
	fill_machine();
	assert_int_equal(bootphys_count(info, 0x48000000, 0x1234, SLATE_RANGE_MODULE), 1);
	assert_int_equal(count_type(SLATE_RANGE_FIRMWARE), 3); /* it is not /memreserve/'s, too */
	assert_int_equal(info->module_count, 1);
	assert_string_equal(info->modules[0].name, "initrd");
}

static void machine_command_line(void **state)
{
	(void)state;
	fill_machine();
	assert_string_equal(info->cmdline, "run=\"mem; selftest\"");
}

static void tree_in_its_own_reservation(void **state)
{
	struct fdt fdt;

	(void)state;
	fdt_build_reserve(&fdt_tree, 0x47000000, 0x100);
	fdt_build_begin(&fdt_tree, "");
	fdt_build_end(&fdt_tree);
	assert_true(fdt_open_tree(&fdt));
	info->dtb = 0x47000000;
	fdt_boot_fill(&fdt, info);
	assert_int_equal(info->map.count, 0);
	info->dtb = 0x47001000;
	fdt_boot_fill(&fdt, info);
	assert_int_equal(info->map.count, 1);
}

static void empty_tree_is_an_empty_map(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_end(&fdt_tree);
	assert_int_equal(fill(), 0);
	assert_int_equal(info->map.count, 0);
	assert_int_equal(info->cpu_count, 0);
	assert_string_equal(info->cmdline, "");
}

static void memory_by_name_with_narrow_cells(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	FDT_CELLS(&fdt_tree, "#address-cells", 1);
	FDT_CELLS(&fdt_tree, "#size-cells", 1);
	fdt_build_begin(&fdt_tree, "memory");
	FDT_CELLS(&fdt_tree, "reg", 0x1000, 0x2000, 0xfffff000, 0xffffffff);
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "memory@0");
	fdt_build_string(&fdt_tree, "device_type", "flash");
	FDT_CELLS(&fdt_tree, "reg", 0, 0x2000);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(bootphys_count(info, 0x1000, 0x2000, SLATE_RANGE_USABLE), 1);
	assert_int_equal(bootphys_count(info, 0xfffff000, 0xffffffff, SLATE_RANGE_USABLE), 1);
	assert_int_equal(info->map.count, 2);
	assert_int_equal(info->map.node_count, 0);
}

static void command_line_is_cut(void **state)
{
	static char text[BOOT_CMDLINE_SIZE + 100];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "chosen");
	fdt_build_string(&fdt_tree, "bootargs", text);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(strlen(info->cmdline), BOOT_CMDLINE_SIZE - 1);
}

static void command_line_without_end(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "chosen");
	fdt_build_bytes(&fdt_tree, "bootargs", "abcd", 4);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
	assert_string_equal(info->cmdline, "abcd");
}

static void build_initrd(uint32_t start_high, uint32_t start, uint32_t end_high, uint32_t end)
{
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "chosen");
	FDT_CELLS(&fdt_tree, "linux,initrd-start", start_high, start);
	FDT_CELLS(&fdt_tree, "linux,initrd-end", end_high, end);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
}

static void initrd_of_64_bits(void **state)
{
	(void)state;
	build_initrd(1, 0x1000, 1, 0x3000);
	fill();
	assert_int_equal(bootphys_count(info, 0x100001000, 0x2000, SLATE_RANGE_MODULE), 1);
}

static void initrd_that_ends_before_it_starts(void **state)
{
	(void)state;
	build_initrd(1, 0x1000, 0, 0x3000);
	fill();
	assert_int_equal(info->map.count, 0);
	assert_int_equal(info->module_count, 0);
}

static void empty_initrd(void **state)
{
	(void)state;
	build_initrd(0, 0x1000, 0, 0x1000);
	fill();
	assert_int_equal(info->module_count, 0);
}

static void more_cpus_than_room(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "cpus");
	FDT_CELLS(&fdt_tree, "#address-cells", 2);
	FDT_CELLS(&fdt_tree, "#size-cells", 0);
	for (uint32_t i = 0; i < BOOT_MAX_CPUS + 3; i++) {
		fdt_build_begin(&fdt_tree, "cpu");
		fdt_build_string(&fdt_tree, "device_type", "cpu");
		FDT_CELLS(&fdt_tree, "reg", 1, i);
		if (i == 5)
			fdt_build_string(&fdt_tree, "status", "fail");
		if (i == 6)
			fdt_build_string(&fdt_tree, "status", "disabled");
		fdt_build_end(&fdt_tree);
	}
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(info->cpu_count, BOOT_MAX_CPUS);
	assert_int_equal(info->cpus_dropped, 2);
	assert_true(info->cpus[5].hw_id == 0x100000006);
}

static void numbers_of_nodes_beyond_ours(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "memory@0");
	FDT_CELLS(&fdt_tree, "reg", 0, 0, 0x1000);
	FDT_CELLS(&fdt_tree, "numa-node-id", SLATE_MAX_NODES);
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "distance-map");
	FDT_CELLS(&fdt_tree, "distance-matrix", 0, SLATE_MAX_NODES, 20, 1, 0, 300, 1, 2, 30, 5);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(info->map.node_count, 1);
	assert_int_equal(info->map.nodes[0].node, 0);
	assert_int_equal(info->node_distance[1][0], 0);
	assert_int_equal(info->node_distance[1][2], 30);
	assert_int_equal(info->node_distance[2][1], 30);
}

/* ---- Reservations without an address ---- */

/* Memory at [0x10000, 0x20000), and what the test puts into /reserved-memory. */
static void build_reserved_start(void)
{
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "memory@10000");
	FDT_CELLS(&fdt_tree, "reg", 0, 0x10000, 0x10000);
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "reserved-memory");
	FDT_CELLS(&fdt_tree, "#address-cells", 1);
	FDT_CELLS(&fdt_tree, "#size-cells", 1);
}

static void build_reserved_end(void)
{
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
}

static void build_fixed(uint32_t base, uint32_t size)
{
	fdt_build_begin(&fdt_tree, "fixed");
	FDT_CELLS(&fdt_tree, "reg", base, size);
	fdt_build_end(&fdt_tree);
}

static void build_sized(uint32_t size, uint32_t align)
{
	fdt_build_begin(&fdt_tree, "sized");
	FDT_CELLS(&fdt_tree, "size", size);
	FDT_CELLS(&fdt_tree, "alignment", align);
	fdt_build_end(&fdt_tree);
}

static void placed_below_what_is_in_the_way(void **state)
{
	(void)state;
	build_reserved_start();
	build_sized(0x2000, 0x1000);
	build_fixed(0x1f000, 0x1000);
	build_fixed(0x1d000, 0x800);
	build_reserved_end();
	assert_int_equal(fill(), 0);
	/* [0x1d800, 0x1f000) holds it, but not the half page before */
	assert_int_equal(bootphys_count(info, 0x1e000 - 0x3000, 0x2000, SLATE_RANGE_FIRMWARE), 1);
}

static void placed_aligned(void **state)
{
	(void)state;
	build_reserved_start();
	build_fixed(0x1f000, 0x1000);
	build_sized(0x1000, 0x8000);
	build_reserved_end();
	assert_int_equal(fill(), 0);
	assert_int_equal(bootphys_count(info, 0x18000, 0x1000, SLATE_RANGE_FIRMWARE), 1);
}

static void placed_in_whole_pages(void **state)
{
	(void)state;
	build_reserved_start();
	build_sized(1, 1);
	build_sized(0x1001, 0);
	build_reserved_end();
	assert_int_equal(fill(), 0);
	assert_int_equal(bootphys_count(info, 0x1f000, 0x1000, SLATE_RANGE_FIRMWARE), 1);
	assert_int_equal(bootphys_count(info, 0x1d000, 0x2000, SLATE_RANGE_FIRMWARE), 1);
}

static void placed_until_memory_is_full(void **state)
{
	(void)state;
	build_reserved_start();
	for (unsigned i = 0; i < 5; i++)
		build_sized(0x4000, 0x4000);
	build_reserved_end();
	assert_int_equal(fill(), 1);
	assert_int_equal(count_type(SLATE_RANGE_FIRMWARE), 4);
}

static void not_placed(void **state)
{
	(void)state;
	build_reserved_start();
	build_sized(0x11000, 0x1000);
	build_sized(0, 0x1000);
	build_sized(0x1000, 0x3000);
	build_sized(0x1000, 0x80000000);
	build_sized(UINT32_MAX, 0x1000);
	build_reserved_end();
	assert_int_equal(fill(), 5);
	assert_int_equal(info->map.count, 1);
}

static void placed_inside_alloc_ranges(void **state)
{
	(void)state;
	build_reserved_start();
	fdt_build_begin(&fdt_tree, "a");
	FDT_CELLS(&fdt_tree, "size", 0x1000);
	FDT_CELLS(&fdt_tree, "alloc-ranges", 0x11000, 0x1800, 0x13000, 0x1000);
	fdt_build_bytes(&fdt_tree, "no-map", "", 0);
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "b");
	FDT_CELLS(&fdt_tree, "size", 0x1000);
	FDT_CELLS(&fdt_tree, "alloc-ranges", 0x12800, 0x1000);
	fdt_build_end(&fdt_tree);
	build_reserved_end();
	assert_int_equal(fill(), 1);
	assert_int_equal(bootphys_count(info, 0x13000, 0x1000, SLATE_RANGE_RESERVED), 1);
}

static void disabled_ones_are_left_alone(void **state)
{
	(void)state;
	build_reserved_start();
	fdt_build_begin(&fdt_tree, "a");
	FDT_CELLS(&fdt_tree, "size", 0x1000);
	fdt_build_string(&fdt_tree, "status", "disabled");
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "b@11000");
	FDT_CELLS(&fdt_tree, "reg", 0x11000, 0x1000);
	fdt_build_string(&fdt_tree, "status", "disabled");
	fdt_build_end(&fdt_tree);
	build_reserved_end();
	assert_int_equal(fill(), 0);
	assert_int_equal(info->map.count, 1);
}

static void placed_at_the_end_of_addresses(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	FDT_CELLS(&fdt_tree, "#address-cells", 2);
	FDT_CELLS(&fdt_tree, "#size-cells", 2);
	fdt_build_begin(&fdt_tree, "memory");
	FDT_CELLS(&fdt_tree, "reg", UINT32_MAX, 0xffff0000, 0, 0x10000);
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "reserved-memory");
	FDT_CELLS(&fdt_tree, "#address-cells", 2);
	FDT_CELLS(&fdt_tree, "#size-cells", 2);
	fdt_build_begin(&fdt_tree, "sized");
	FDT_CELLS(&fdt_tree, "size", 0, 0x1000);
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "huge");
	FDT_CELLS(&fdt_tree, "size", UINT32_MAX, UINT32_MAX);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	assert_int_equal(fill(), 1);
	assert_int_equal(count_type(SLATE_RANGE_FIRMWARE), 1);
	assert_true(info->map.ranges[1].base >= 0xffffffffffff0000 &&
		    info->map.ranges[1].size_bytes == 0x1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, fdt_tear_down)
		TEST(machine_memory),
		TEST(machine_nodes),
		TEST(machine_cpus),
		TEST(machine_reservations),
		TEST(machine_initrd),
		TEST(machine_command_line),
		TEST(tree_in_its_own_reservation),
		TEST(empty_tree_is_an_empty_map),
		TEST(memory_by_name_with_narrow_cells),
		TEST(command_line_is_cut),
		TEST(command_line_without_end),
		TEST(initrd_of_64_bits),
		TEST(initrd_that_ends_before_it_starts),
		TEST(empty_initrd),
		TEST(more_cpus_than_room),
		TEST(numbers_of_nodes_beyond_ours),
		TEST(placed_below_what_is_in_the_way),
		TEST(placed_aligned),
		TEST(placed_in_whole_pages),
		TEST(placed_until_memory_is_full),
		TEST(not_placed),
		TEST(placed_inside_alloc_ranges),
		TEST(disabled_ones_are_left_alone),
		TEST(placed_at_the_end_of_addresses),
	};

	return cmocka_run_group_tests_name("fdt_boot", tests, NULL, NULL);
}
