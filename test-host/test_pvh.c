/* SPDX-License-Identifier: MIT */
/*
 * test_pvh.c - the PVH start information: as QEMU gives it, and as nobody should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "boot/pvh.h"
#include "test-host/bootphys.h"

#define START   0x21e0u
#define MEMMAP  0x5a8u
#define MODULES 0x21c0u
#define CMDLINE 0x11c0u
#define RSDP    0xf59e0u

static struct boot_info *info;
static uint8_t *start, *memmap, *modules, *cmdline;

/* A machine with three ranges, one module and a command line. */
static int set_up(void **state)
{
	static const struct {
		uint64_t base, size_bytes;
		uint32_t type;
	} map[] = {
		{0, 0x9fc00, 1},
		{0xf0000, 0x10000, 2},
		{0x100000, 0xfee0000, 1},
	};

	(void)state;
	info = bootphys_reset();
	start = bootphys_add(START, 56);
	memmap = bootphys_add(MEMMAP, 24 * 3);
	modules = bootphys_add(MODULES, 32);
	cmdline = bootphys_add(CMDLINE, 16);
	put32(start, 0x336ec578);
	put32(start + 4, 1);
	put32(start + 12, 1);
	put64(start + 16, MODULES);
	put64(start + 24, CMDLINE);
	put64(start + 32, RSDP);
	put64(start + 40, MEMMAP);
	put32(start + 48, 3);
	for (size_t i = 0; i < 3; i++) {
		put64(memmap + 24 * i, map[i].base);
		put64(memmap + 24 * i + 8, map[i].size_bytes);
		put32(memmap + 24 * i + 16, map[i].type);
	}
	put64(modules, 0x7cfb000);
	put64(modules + 8, 3000000);
	memcpy(cmdline, "run=\"mem\"", 10);
	return 0;
}

static void whole(void **state)
{
	(void)state;
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_string_equal(info->loader, "PVH");
	assert_string_equal(info->cmdline, "run=\"mem\"");
	assert_int_equal(info->rsdp, RSDP);
	assert_int_equal(info->map.ranges[0].base, 0);
	assert_int_equal(info->map.ranges[2].size_bytes, 0xfee0000);
	assert_int_equal(bootphys_count(info, 0xf0000, 0x10000, SLATE_RANGE_RESERVED), 1);
	assert_int_equal(bootphys_count(info, 0x100000, 0xfee0000, SLATE_RANGE_USABLE), 1);
}

static void own_structures_are_reserved(void **state)
{
	(void)state;
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_int_equal(bootphys_count(info, START, 56, SLATE_RANGE_BOOT_INFO), 1);
	assert_int_equal(bootphys_count(info, MEMMAP, 72, SLATE_RANGE_BOOT_INFO), 1);
	assert_int_equal(bootphys_count(info, MODULES, 32, SLATE_RANGE_BOOT_INFO), 1);
	assert_int_equal(bootphys_count(info, CMDLINE, 10, SLATE_RANGE_BOOT_INFO), 1);
}

static void structures_in_reserved_memory_need_no_entry(void **state)
{
	(void)state;
	put32(memmap + 16, 2);
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_int_equal(bootphys_count(info, START, 56, SLATE_RANGE_BOOT_INFO), 0);
}

static void types_are_kept(void **state)
{
	static const struct {
		uint32_t firmware;
		unsigned type;
	} types[] = {
		{1, SLATE_RANGE_USABLE},       {2, SLATE_RANGE_RESERVED},
		{3, SLATE_RANGE_ACPI_RECLAIM}, {4, SLATE_RANGE_ACPI_NVS},
		{5, SLATE_RANGE_BAD},          {7, SLATE_RANGE_PERSISTENT},
		{12, SLATE_RANGE_PERSISTENT},  {0, SLATE_RANGE_NONE},
		{6, SLATE_RANGE_NONE},         {0xffffffff, SLATE_RANGE_NONE},
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		set_up(state);
		put32(memmap + 16, types[i].firmware);
		assert_true(pvh_parse(info, START, bootphys_at));
		assert_int_equal(info->map.ranges[0].type, types[i].type);
		assert_int_equal(info->map.ranges[0].firmware_type, types[i].firmware);
	}
}

static void first_module_is_the_initrd(void **state)
{
	(void)state;
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_int_equal(info->module_count, 1);
	assert_int_equal(info->modules[0].base, 0x7cfb000);
	assert_int_equal(info->modules[0].size_bytes, 3000000);
	assert_string_equal(info->modules[0].name, "initrd");
	assert_int_equal(bootphys_count(info, 0x7cfb000, 3000000, SLATE_RANGE_MODULE), 1);
}

static void module_has_its_own_name(void **state)
{
	uint8_t *name = bootphys_add(0x3000, 64);

	(void)state;
	memset(name, 'n', 63);
	put64(modules + 16, 0x3000);
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_int_equal(strlen(info->modules[0].name), sizeof(info->modules[0].name) - 1);
	assert_int_equal(bootphys_count(info, 0x3000, 64, SLATE_RANGE_BOOT_INFO), 1);
}

static void more_modules_than_room_are_reserved(void **state)
{
	uint8_t *list = bootphys_add(0x4000, 32 * 20);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		put64(list + 32 * i, 0x1000000 + i * 0x10000);
		put64(list + 32 * i + 8, 0x1000);
	}
	put32(start + 12, 20);
	put64(start + 16, 0x4000);
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_int_equal(info->module_count, BOOT_MAX_MODULES);
	assert_int_equal(bootphys_count(info, 0x1130000, 0x1000, SLATE_RANGE_MODULE), 1);
}

static void unreadable_modules_are_left_out(void **state)
{
	(void)state;
	put64(start + 16, 0x77777777);
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_int_equal(info->module_count, 0);
}

static void no_command_line(void **state)
{
	(void)state;
	put64(start + 24, 0);
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_string_equal(info->cmdline, "");
}

static void long_command_line_is_cut_but_all_reserved(void **state)
{
	uint8_t *text = bootphys_add(0x8000, 5000);

	(void)state;
	memset(text, 'x', 4999);
	put64(start + 24, 0x8000);
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_int_equal(strlen(info->cmdline), BOOT_CMDLINE_SIZE - 1);
	assert_int_equal(bootphys_count(info, 0x8000, 5000, SLATE_RANGE_BOOT_INFO), 1);
}

static void unterminated_command_line_ends_with_memory(void **state)
{
	(void)state;
	memset(cmdline, 'y', 16);
	assert_true(pvh_parse(info, START, bootphys_at));
	assert_string_equal(info->cmdline, "yyyyyyyyyyyyyyyy");
}

static void rejected(void)
{
	assert_false(pvh_parse(info, START, bootphys_at));
	assert_int_equal(info->map.count, 0);
}

static void wrong_magic(void **state)
{
	(void)state;
	start[0] ^= 1;
	rejected();
}

static void version_without_map(void **state)
{
	(void)state;
	put32(start + 4, 0);
	rejected();
}

static void empty_map(void **state)
{
	(void)state;
	put32(start + 48, 0);
	rejected();
}

static void absurd_map_count(void **state)
{
	(void)state;
	put32(start + 48, 0xffffffff);
	rejected();
}

static void map_longer_than_memory(void **state)
{
	(void)state;
	put32(start + 48, 4);
	rejected();
}

static void unreadable_start(void **state)
{
	(void)state;
	assert_false(pvh_parse(info, 0x12345, bootphys_at));
	bootphys_cut(START, 55);
	rejected();
}

/* Every field with every bit wrong, one at a time: any answer, but no read outside. */
static void flipped_bits(void **state)
{
	for (unsigned bit = 0; bit < 56 * 8; bit++) {
		set_up(state);
		start[bit / 8] ^= (uint8_t)(1u << bit % 8);
		pvh_parse(info, START, bootphys_at);
	}
	for (unsigned bit = 0; bit < 32 * 8; bit++) {
		set_up(state);
		modules[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(pvh_parse(info, START, bootphys_at));
	}
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(whole),
		CASE(own_structures_are_reserved),
		CASE(structures_in_reserved_memory_need_no_entry),
		CASE(types_are_kept),
		CASE(first_module_is_the_initrd),
		CASE(module_has_its_own_name),
		CASE(more_modules_than_room_are_reserved),
		CASE(unreadable_modules_are_left_out),
		CASE(no_command_line),
		CASE(long_command_line_is_cut_but_all_reserved),
		CASE(unterminated_command_line_ends_with_memory),
		CASE(wrong_magic),
		CASE(version_without_map),
		CASE(empty_map),
		CASE(absurd_map_count),
		CASE(map_longer_than_memory),
		CASE(unreadable_start),
		CASE(flipped_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
