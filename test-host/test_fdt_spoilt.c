/* SPDX-License-Identifier: MIT */
/*
 * test_fdt_spoilt.c - the boot code on trees of whole machines that are cut or changed: wrong
 * contents may come out, but no wrong read, and nothing beyond its bounds. ASan is the judge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/fdt_boot.h"
#include "boot/fdt_machine.h"
#include "test-host/bootphys.h"
#include "test-host/fdt_fixture.h"
#include "test-host/host.h"

/* Everything that the boot code does with a tree. Returns what it made of it. */
static const struct boot_info *use(const uint8_t *tree, size_t size)
{
	struct boot_info *info = bootphys_reset();
	struct fdt_machine machine = {0};
	struct fdt fdt;

	if (!fdt_open(&fdt, tree, size))
		return info;
	fdt_boot_fill(&fdt, info);
	fdt_boot_place(&fdt, info);
	fdt_machine_fill(&fdt, &machine);
	assert_true(info->cpu_count <= BOOT_MAX_CPUS && info->module_count <= BOOT_MAX_MODULES);
	assert_true(machine.gicr_count <= FDT_MAX_GICR && machine.virtio_count <= FDT_MAX_VIRTIO);
	assert_true(memchr(info->cmdline, '\0', sizeof(info->cmdline)) != NULL);
	return info;
}

static void cut_at_every_byte(void **state)
{
	(void)state;
	fdt_blob = fdt_build_machine(3, &fdt_blob_bytes);
	for (size_t size = 0; size < fdt_blob_bytes; size++) {
		uint8_t *cut = malloc(size ? size : 1);
		struct fdt fdt;

		memcpy(cut, fdt_blob, size);
		assert_false(fdt_open(&fdt, cut, size));
		/* and a tree that says so itself */
		if (size >= FDT_HEADER_SIZE)
			fdt_put32(cut + 4, (uint32_t)size);
		use(cut, size);
		free(cut);
	}
}

static void every_byte_changed(void **state)
{
	static const uint8_t changes[] = {0x01, 0x02, 0x04, 0x80, 0xff};

	(void)state;
	fdt_blob = fdt_build_machine(3, &fdt_blob_bytes);
	for (size_t at = 0; at < fdt_blob_bytes; at++) {
		for (size_t i = 0; i < sizeof(changes); i++) {
			fdt_blob[at] ^= changes[i];
			use(fdt_blob, fdt_blob_bytes);
			fdt_blob[at] ^= changes[i];
		}
	}
}

static void every_cell_replaced(void **state)
{
	static const uint32_t values[] = {0, 1,          2,          3,          4,
					  9, 0x7fffffff, 0x80000000, 0xfffffff0, UINT32_MAX};

	(void)state;
	fdt_blob = fdt_build_machine(2, &fdt_blob_bytes);
	for (size_t at = 0; at + 4 <= fdt_blob_bytes; at += 4) {
		uint32_t sound = fdt_get32(fdt_blob + at);

		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			fdt_put32(fdt_blob + at, values[i]);
			use(fdt_blob, fdt_blob_bytes);
		}
		fdt_put32(fdt_blob + at, sound);
	}
}

static void many_bytes_changed_at_random(void **state)
{
	struct host_random random = host_random_seed("fdt_spoilt", 1);
	uint8_t *spoilt;

	(void)state;
	fdt_blob = fdt_build_machine(3, &fdt_blob_bytes);
	spoilt = malloc(fdt_blob_bytes);
	for (unsigned round = 0; round < 20000; round++) {
		memcpy(spoilt, fdt_blob, fdt_blob_bytes);
		for (unsigned i = 0; i < 1 + round % 4; i++)
			spoilt[host_random_below(&random, fdt_blob_bytes)] =
				(uint8_t)host_random(&random);
		use(spoilt, fdt_blob_bytes);
	}
	free(spoilt);
}

/* The negative control of the four above: a sound tree gets through all of it. */
static void unchanged_tree_is_used(void **state)
{
	(void)state;
	fdt_blob = fdt_build_machine(3, &fdt_blob_bytes);

	const struct boot_info *info = use(fdt_blob, fdt_blob_bytes);

	assert_int_equal(info->cpu_count, 4);
	assert_int_equal(bootphys_count(info, 0x100000000, 0x200000000, SLATE_RANGE_USABLE), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, fdt_set_up, fdt_tear_down)
		TEST(cut_at_every_byte),      TEST(every_byte_changed),
		TEST(every_cell_replaced),    TEST(many_bytes_changed_at_random),
		TEST(unchanged_tree_is_used),
	};

	return cmocka_run_group_tests_name("fdt_spoilt", tests, NULL, NULL);
}
