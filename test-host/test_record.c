/* SPDX-License-Identifier: MIT */
/*
 * test_record.c - what the parsers write by: CPUs, and above all the search for a free place in a
 * raw map.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "boot/record.h"
#include "test-host/bootphys.h"

#define MIB 0x100000ull
#define GIB 0x40000000ull

static struct boot_info *info;

static int set_up(void **state)
{
	(void)state;
	info = bootphys_reset();
	return 0;
}

static void add(uint64_t base, uint64_t size_bytes, enum slate_range_type type)
{
	assert_true(slate_memmap_add(&info->map, base, size_bytes, type, "test"));
}

static uint64_t take(uint64_t size_bytes, uint64_t align_bytes, uint64_t min, uint64_t max)
{
	return boot_take_free(info, size_bytes, align_bytes, min, max, SLATE_RANGE_KERNEL, "taken");
}

static void place_at_the_start(void **state)
{
	(void)state;
	add(4 * MIB, MIB, SLATE_RANGE_USABLE);
	assert_int_equal(take(0x3000, 0x1000, 0, GIB), 4 * MIB);
	assert_int_equal(bootphys_count(info, 4 * MIB, 0x3000, SLATE_RANGE_KERNEL), 1);
}

static void places_follow_each_other(void **state)
{
	(void)state;
	add(4 * MIB, MIB, SLATE_RANGE_USABLE);
	assert_int_equal(take(0x3000, 0x1000, 0, GIB), 4 * MIB);
	assert_int_equal(take(0x2000, 0x1000, 0, GIB), 4 * MIB + 0x3000);
	assert_int_equal(take(0x1000, 0x1000, 0, GIB), 4 * MIB + 0x5000);
}

static void place_behind_a_reservation(void **state)
{
	(void)state;
	add(0, MIB, SLATE_RANGE_USABLE);
	add(0, 0x1000, SLATE_RANGE_FIRMWARE);
	add(0x1a5a, 0x100, SLATE_RANGE_BOOT_INFO);
	assert_int_equal(take(0x1000, 0x1000, 0x1000, MIB), 0x2000);
}

static void gap_between_reservations(void **state)
{
	(void)state;
	add(MIB, 16 * MIB, SLATE_RANGE_USABLE);
	add(MIB, 2 * MIB, SLATE_RANGE_KERNEL);
	add(3 * MIB + 0x1000, MIB, SLATE_RANGE_MODULE);
	assert_int_equal(take(0x1000, 0x1000, 0, GIB), 3 * MIB);
	assert_int_equal(take(0x1000, 0x1000, 0, GIB), 4 * MIB + 0x1000);
}

static void lowest_range_of_an_unsorted_map(void **state)
{
	(void)state;
	add(64 * MIB, MIB, SLATE_RANGE_USABLE);
	add(8 * MIB, MIB, SLATE_RANGE_USABLE);
	add(32 * MIB, MIB, SLATE_RANGE_USABLE);
	assert_int_equal(take(0x1000, 0x1000, 0, GIB), 8 * MIB);
}

static void limits(void **state)
{
	(void)state;
	add(0, GIB, SLATE_RANGE_USABLE);
	assert_int_equal(take(0x1000, 0x1000, MIB, GIB), MIB);
	assert_int_equal(take(0x1000, 0x1000, MIB + 1, MIB + 0x2000), MIB + 0x1000);
	assert_int_equal(take(0x1000, 0x1000, MIB, MIB + 0x2fff), 0);
	assert_int_equal(take(0x1000, 0x1000, MIB, MIB + 0x3000), MIB + 0x2000);
}

static void alignment(void **state)
{
	(void)state;
	add(MIB + 0x123, 8 * MIB, SLATE_RANGE_USABLE);
	assert_int_equal(take(0x1000, 2 * MIB, 0, GIB), 2 * MIB);
	assert_int_equal(take(0x1000, 0x1000, 0, GIB), MIB + 0x1000);
}

static void too_big(void **state)
{
	(void)state;
	add(MIB, MIB, SLATE_RANGE_USABLE);
	add(2 * MIB + 1, MIB, SLATE_RANGE_USABLE);
	assert_int_equal(take(MIB + 1, 0x1000, 0, GIB), 0);
	assert_int_equal(info->map.count, 2);
}

static void address_zero_is_no_place(void **state)
{
	(void)state;
	add(0, 0x1000, SLATE_RANGE_USABLE);
	assert_int_equal(take(0x1000, 0x1000, 0, GIB), 0);
}

static void unknown_types_are_not_free(void **state)
{
	(void)state;
	add(MIB, 2 * MIB, SLATE_RANGE_USABLE);
	add(MIB, MIB, SLATE_RANGE_NONE);
	assert_int_equal(take(0x1000, 0x1000, 0, GIB), 2 * MIB);
}

static void ranges_of_no_size_are_nothing(void **state)
{
	(void)state;
	add(MIB, 0, SLATE_RANGE_USABLE);
	add(2 * MIB, MIB, SLATE_RANGE_USABLE);
	add(2 * MIB, 0, SLATE_RANGE_RESERVED);
	assert_int_equal(take(0x1000, 0x1000, 0, GIB), 2 * MIB);
}

static void ranges_that_wrap(void **state)
{
	(void)state;
	add(UINT64_MAX - 0xfff, 0x2000, SLATE_RANGE_RESERVED);
	add(UINT64_MAX - 0x1fff, UINT64_MAX, SLATE_RANGE_USABLE);
	assert_int_equal(take(0x1000, 0x1000, 0, UINT64_MAX), UINT64_MAX - 0x1fff);
	assert_int_equal(take(0x1000, 0x1000, 0, UINT64_MAX), 0);
}

static void full_map(void **state)
{
	(void)state;
	add(MIB, MIB, SLATE_RANGE_USABLE);
	info->map.capacity = 1;
	assert_int_equal(take(0x1000, 0x1000, 0, GIB), 0);
}

static void boot_cpu_comes_first(void **state)
{
	static const uint64_t after[] = {6, 2, 4, 8};

	(void)state;
	for (uint64_t id = 2; id <= 8; id += 2)
		boot_add_cpu(info, id);
	info->cpus[2].node = 3;
	boot_cpu_first(info, 6);
	assert_int_equal(info->cpu_count, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(info->cpus[i].hw_id, after[i]);
	assert_int_equal(info->cpus[0].node, 3);
}

static void unlisted_boot_cpu_is_added(void **state)
{
	(void)state;
	boot_cpu_first(info, 5);
	assert_int_equal(info->cpu_count, 1);
	boot_cpu_first(info, 9);
	assert_int_equal(info->cpu_count, 2);
	assert_int_equal(info->cpus[0].hw_id, 9);
	assert_int_equal(info->cpus[1].hw_id, 5);
}

static void boot_cpu_takes_the_last_place(void **state)
{
	(void)state;
	for (uint64_t id = 0; id < BOOT_MAX_CPUS; id++)
		boot_add_cpu(info, id);
	boot_cpu_first(info, 1000);
	assert_int_equal(info->cpu_count, BOOT_MAX_CPUS);
	assert_int_equal(info->cpus_dropped, 1);
	assert_int_equal(info->cpus[0].hw_id, 1000);
	assert_int_equal(info->cpus[BOOT_MAX_CPUS - 1].hw_id, BOOT_MAX_CPUS - 2);
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(place_at_the_start),
		CASE(places_follow_each_other),
		CASE(place_behind_a_reservation),
		CASE(gap_between_reservations),
		CASE(lowest_range_of_an_unsorted_map),
		CASE(limits),
		CASE(alignment),
		CASE(too_big),
		CASE(address_zero_is_no_place),
		CASE(unknown_types_are_not_free),
		CASE(ranges_of_no_size_are_nothing),
		CASE(ranges_that_wrap),
		CASE(full_map),
		CASE(boot_cpu_comes_first),
		CASE(unlisted_boot_cpu_is_added),
		CASE(boot_cpu_takes_the_last_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
