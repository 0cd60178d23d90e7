/* SPDX-License-Identifier: MIT */
/*
 * fuzz_boot.c - the loaders' parsers on whatever libFuzzer makes up. The first byte chooses the
 * parser, the rest is all of the memory that can be read. Tables get their checksums put right,
 * else nothing would come past them.
 */
#include <string.h>

#include "boot/acpi.h"
#include "boot/multiboot2.h"
#include "boot/pvh.h"
#include "test-host/bootphys.h"

#define MEMORY 0x1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void put_sum(uint8_t *bytes, uint32_t size_bytes, uint32_t sum_at)
{
	uint8_t total = 0;

	for (uint32_t i = 0; i < size_bytes; i++)
		total = (uint8_t)(total + bytes[i]);
	bytes[sum_at] = (uint8_t)(bytes[sum_at] - total);
}

/* A root pointer at the start, and sums for whatever calls itself a table at a multiple of 64. */
static void make_acpi(uint8_t *memory, size_t size_bytes)
{
	static const char names[][5] = {"XSDT", "RSDT", "APIC", "SRAT", "SLIT", "FACP", "DSDT"};

	if (size_bytes < 36)
		return;
	memcpy(memory, "RSD PTR ", 8);
	for (size_t at = 64; at + 36 <= size_bytes; at += 64) {
		uint32_t length = le32(memory + at + 4);

		memcpy(memory + at, names[memory[at] % 7], 4);
		if (length > 36 && length <= size_bytes - at)
			put_sum(memory + at, length, 9);
	}
	put_sum(memory, 20, 8);
	put_sum(memory, 36, 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct boot_info *info = bootphys_reset();
	uint8_t *memory;

	if (size_bytes < 2)
		return 0;
	memory = bootphys_add(MEMORY, size_bytes - 1);
	memcpy(memory, data + 1, size_bytes - 1);
	switch (data[0] % 3) {
	case 0:
		pvh_parse(info, MEMORY, bootphys_at);
		break;
	case 1:
		multiboot2_parse(info, MEMORY, bootphys_at);
		break;
	default:
		make_acpi(memory, size_bytes - 1);
		acpi_parse(info, MEMORY, bootphys_at);
	}
	/* Whatever came: the place found for page tables lies where the map says it is free. */
	boot_take_free(info, 0x4000, 0x1000, 0x1000, 1ull << 32, SLATE_RANGE_KERNEL, "fuzz");
	return 0;
}
