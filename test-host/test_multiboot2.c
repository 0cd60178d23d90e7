/* SPDX-License-Identifier: MIT */
/*
 * test_multiboot2.c - the multiboot2 information: tags as GRUB writes them, and broken ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "boot/multiboot2.h"
#include "test-host/bootphys.h"

#define BLOCK       0x101128u
#define BLOCK_BYTES 2048u

static struct boot_info *info;
static uint8_t *block;
static uint32_t used; /* bytes of the block so far, header included */

/* A tag with size_bytes of contents, zeroed; returns them. Tags are 8-byte aligned. */
static uint8_t *tag_add(uint32_t type, uint32_t size_bytes)
{
	uint8_t *tag = block + used;

	put32(tag, type);
	put32(tag + 4, 8 + size_bytes);
	used += (8 + size_bytes + 7) & ~7u;
	assert_true(used <= BLOCK_BYTES);
	return tag + 8;
}

static void tag_text(uint32_t type, const char *text)
{
	memcpy(tag_add(type, (uint32_t)strlen(text) + 1), text, strlen(text) + 1);
}

/* A memory map of count entries whose list is still to be filled in. */
static uint8_t *tag_mmap(uint32_t count, uint32_t stride)
{
	uint8_t *tag = tag_add(6, 8 + count * stride);

	put32(tag, stride);
	return tag + 8;
}

static void mmap_entry(uint8_t *entry, uint64_t base, uint64_t size_bytes, uint32_t type)
{
	put64(entry, base);
	put64(entry + 8, size_bytes);
	put32(entry + 16, type);
}

static void efi_entry(uint8_t *entry, uint32_t type, uint64_t base, uint64_t pages)
{
	put32(entry, type);
	put64(entry + 8, base);
	put64(entry + 24, pages);
}

static uint8_t *tag_efi(uint32_t count, uint32_t stride)
{
	uint8_t *tag = tag_add(17, 8 + count * stride);

	put32(tag, stride);
	put32(tag + 4, 1);
	return tag + 8;
}

static uint8_t *tag_module(uint32_t start, uint32_t end, const char *text)
{
	uint8_t *tag = tag_add(3, 8 + (uint32_t)strlen(text) + 1);

	put32(tag, start);
	put32(tag + 4, end);
	memcpy(tag + 8, text, strlen(text) + 1);
	return tag;
}

static void tag_plain_map(void)
{
	uint8_t *entry = tag_mmap(2, 24);

	mmap_entry(entry, 0, 0x9fc00, 1);
	mmap_entry(entry + 24, 0x100000, 0xfedf000, 1);
}

/* An empty block. */
static int set_up(void **state)
{
	(void)state;
	info = bootphys_reset();
	block = bootphys_add(BLOCK, BLOCK_BYTES);
	used = 8;
	return 0;
}

/* End the tags, cut memory right behind, parse. */
static bool parse(void)
{
	tag_add(0, 0);
	put32(block, used);
	bootphys_cut(BLOCK, used);
	return multiboot2_parse(info, BLOCK, bootphys_at);
}

static void plain_map(void **state)
{
	(void)state;
	tag_plain_map();
	assert_true(parse());
	assert_string_equal(info->loader, "multiboot2");
	assert_int_equal(bootphys_count(info, 0, 0x9fc00, SLATE_RANGE_USABLE), 1);
	assert_int_equal(bootphys_count(info, 0x100000, 0xfedf000, SLATE_RANGE_USABLE), 1);
}

static void block_is_reserved(void **state)
{
	(void)state;
	tag_plain_map();
	assert_true(parse());
	assert_int_equal(bootphys_count(info, BLOCK, used, SLATE_RANGE_BOOT_INFO), 1);
}

/* GRUB under UEFI: types 3, 4 and 20. */
static void uefi_types_are_kept(void **state)
{
	uint8_t *entry = tag_mmap(3, 24);

	(void)state;
	mmap_entry(entry, 0xf76d000, 0x12000, 3);
	mmap_entry(entry + 24, 0xf77f000, 0x80000, 4);
	mmap_entry(entry + 48, 0xf5ed000, 0x100000, 20);
	assert_true(parse());
	assert_int_equal(bootphys_count(info, 0xf76d000, 0x12000, SLATE_RANGE_ACPI_RECLAIM), 1);
	assert_int_equal(bootphys_count(info, 0xf77f000, 0x80000, SLATE_RANGE_ACPI_NVS), 1);
	assert_int_equal(bootphys_count(info, 0xf5ed000, 0x100000, SLATE_RANGE_NONE), 1);
	assert_int_equal(info->map.ranges[info->map.count - 1].firmware_type, 20);
}

static void longer_entries_are_stepped_by_their_size(void **state)
{
	uint8_t *entry = tag_mmap(2, 40);

	(void)state;
	mmap_entry(entry, 0x1000, 0x2000, 1);
	mmap_entry(entry + 40, 0x8000, 0x1000, 2);
	assert_true(parse());
	assert_int_equal(bootphys_count(info, 0x8000, 0x1000, SLATE_RANGE_RESERVED), 1);
}

static void command_line(void **state)
{
	(void)state;
	tag_plain_map();
	tag_text(1, "run=\"selftest; mem\"");
	tag_text(2, "GRUB 2.06");
	assert_true(parse());
	assert_string_equal(info->cmdline, "run=\"selftest; mem\"");
}

static void unterminated_command_line(void **state)
{
	(void)state;
	tag_plain_map();
	memset(tag_add(1, 8), 'z', 8);
	assert_true(parse());
	assert_string_equal(info->cmdline, "zzzzzzzz");
}

static void modules_are_listed_and_reserved(void **state)
{
	(void)state;
	tag_module(0x1f0000, 0x4cc6c0, "rdisk one");
	tag_module(0x4cd000, 0x4cd093, "");
	tag_plain_map();
	assert_true(parse());
	assert_int_equal(info->module_count, 2);
	assert_string_equal(info->modules[0].name, "rdisk one");
	assert_string_equal(info->modules[1].name, "module");
	assert_int_equal(bootphys_count(info, 0x1f0000, 0x2dc6c0, SLATE_RANGE_MODULE), 1);
	assert_int_equal(bootphys_count(info, 0x4cd000, 0x93, SLATE_RANGE_MODULE), 1);
}

static void module_that_ends_before_it_starts(void **state)
{
	(void)state;
	tag_plain_map();
	tag_module(0x500000, 0x400000, "backwards");
	tag_module(0x500000, 0x500000, "empty");
	assert_true(parse());
	assert_int_equal(info->module_count, 0);
}

static void short_module_tag(void **state)
{
	uint8_t *tag;

	(void)state;
	tag_plain_map();
	tag = tag_add(3, 4);
	put32(tag, 0x500000);
	put32(tag + 4, 0x600000); /* no part of the tag */
	assert_true(parse());
	assert_int_equal(info->module_count, 0);
}

static void root_pointer_lies_in_the_block(void **state)
{
	uint8_t *rsdp;

	(void)state;
	tag_plain_map();
	rsdp = tag_add(14, 20);
	assert_true(parse());
	assert_int_equal(info->rsdp, BLOCK + (uint64_t)(rsdp - block));
}

static void new_root_pointer_wins(void **state)
{
	uint8_t *rsdp;

	for (unsigned order = 0; order < 2; order++) {
		set_up(state);
		tag_plain_map();
		if (order == 0)
			tag_add(14, 20);
		rsdp = tag_add(15, 36);
		if (order == 1)
			tag_add(14, 20);
		assert_true(parse());
		assert_int_equal(info->rsdp, BLOCK + (uint64_t)(rsdp - block));
	}
}

static void plain_map_wins_over_efi(void **state)
{
	uint8_t *entry = tag_efi(1, 48);

	(void)state;
	efi_entry(entry, 7, 0x40000000, 16);
	tag_plain_map();
	assert_true(parse());
	assert_int_equal(bootphys_count(info, 0x40000000, 0x10000, SLATE_RANGE_USABLE), 0);
}

static void efi_map_where_there_is_no_other(void **state)
{
	static const unsigned types[] = {
		SLATE_RANGE_RESERVED,     SLATE_RANGE_BOOT_RECLAIM, SLATE_RANGE_BOOT_RECLAIM,
		SLATE_RANGE_BOOT_RECLAIM, SLATE_RANGE_BOOT_RECLAIM, SLATE_RANGE_FIRMWARE,
		SLATE_RANGE_FIRMWARE,     SLATE_RANGE_USABLE,       SLATE_RANGE_BAD,
		SLATE_RANGE_ACPI_RECLAIM, SLATE_RANGE_ACPI_NVS,     SLATE_RANGE_MMIO,
		SLATE_RANGE_MMIO,         SLATE_RANGE_RESERVED,     SLATE_RANGE_PERSISTENT,
		SLATE_RANGE_RESERVED,
	};
	uint8_t *entry = tag_efi(16, 48);

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		efi_entry(entry + 48 * i, i, 0x100000 * (i + 1), 2);
	assert_true(parse());
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(bootphys_count(info, 0x100000 * (i + 1), 0x2000, types[i]), 1);
}

static void efi_pages_beyond_64_bits(void **state)
{
	uint8_t *entry = tag_efi(1, 48);

	(void)state;
	efi_entry(entry, 0, 0x1000, UINT64_MAX);
	assert_true(parse());
	assert_int_equal(info->map.ranges[info->map.count - 1].size_bytes,
			 UINT64_MAX & ~(uint64_t)0xfff);
}

static void no_map_at_all(void **state)
{
	(void)state;
	tag_text(1, "hello");
	assert_false(parse());
}

static void entry_size_zero(void **state)
{
	(void)state;
	put32(tag_mmap(2, 24) - 8, 0);
	assert_false(parse());
}

static void entry_size_too_short(void **state)
{
	(void)state;
	put32(tag_mmap(2, 24) - 8, 20);
	assert_false(parse());
}

static void map_tag_without_entry_size(void **state)
{
	(void)state;
	tag_add(6, 0);
	tag_add(17, 4);
	assert_false(parse());
}

static void half_an_entry_is_not_read(void **state)
{
	uint8_t *tag = tag_add(6, 8 + 24 + 12);

	(void)state;
	put32(tag, 24);
	mmap_entry(tag + 8, 0x1000, 0x1000, 1);
	assert_true(parse());
	assert_int_equal(info->map.count, 2); /* the block, and the whole entry */
}

static void tag_of_no_size_ends_the_list(void **state)
{
	(void)state;
	tag_plain_map();
	put32(tag_add(9, 0) - 4, 0);
	tag_text(1, "behind");
	assert_true(parse());
	assert_string_equal(info->cmdline, "");
}

static void tag_longer_than_the_block(void **state)
{
	uint8_t *tag;

	(void)state;
	tag_plain_map();
	tag = tag_add(1, 8);
	put32(tag - 4, 0xfffffff8);
	assert_true(parse());
	assert_string_equal(info->cmdline, "");
}

static void block_without_end_tag(void **state)
{
	(void)state;
	tag_plain_map();
	put32(block, used);
	bootphys_cut(BLOCK, used);
	assert_true(multiboot2_parse(info, BLOCK, bootphys_at));
}

static void block_size_is_garbage(void **state)
{
	static const uint32_t sizes[] = {0, 7, 0x7fffffff, 0xffffffff};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		set_up(state);
		tag_plain_map();
		put32(block, sizes[i]);
		assert_false(multiboot2_parse(info, BLOCK, bootphys_at));
	}
	assert_false(multiboot2_parse(info, 0x999999, bootphys_at));
}

static void fill_everything(void)
{
	tag_text(1, "quiet");
	tag_module(0x200000, 0x300000, "initrd");
	tag_plain_map();
	tag_efi(2, 48);
	tag_add(14, 20);
	tag_add(15, 36);
	tag_add(0, 0);
	put32(block, used);
}

/* Every length that memory may end at, and every length that the header may claim. */
static void truncated(void **state)
{
	uint32_t whole;

	fill_everything();
	whole = used;
	for (uint32_t length = 8; length < whole; length++) {
		set_up(state);
		fill_everything();
		put32(block, length);
		bootphys_cut(BLOCK, length);
		multiboot2_parse(info, BLOCK, bootphys_at);
		set_up(state);
		fill_everything();
		bootphys_cut(BLOCK, length);
		assert_false(multiboot2_parse(info, BLOCK, bootphys_at));
	}
}

static void flipped_bits(void **state)
{
	uint32_t whole;

	fill_everything();
	whole = used;
	for (uint32_t bit = 0; bit < whole * 8; bit++) {
		set_up(state);
		fill_everything();
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		bootphys_cut(BLOCK, whole);
		multiboot2_parse(info, BLOCK, bootphys_at);
	}
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(plain_map),
		CASE(block_is_reserved),
		CASE(uefi_types_are_kept),
		CASE(longer_entries_are_stepped_by_their_size),
		CASE(command_line),
		CASE(unterminated_command_line),
		CASE(modules_are_listed_and_reserved),
		CASE(module_that_ends_before_it_starts),
		CASE(short_module_tag),
		CASE(root_pointer_lies_in_the_block),
		CASE(new_root_pointer_wins),
		CASE(plain_map_wins_over_efi),
		CASE(efi_map_where_there_is_no_other),
		CASE(efi_pages_beyond_64_bits),
		CASE(no_map_at_all),
		CASE(entry_size_zero),
		CASE(entry_size_too_short),
		CASE(map_tag_without_entry_size),
		CASE(half_an_entry_is_not_read),
		CASE(tag_of_no_size_ends_the_list),
		CASE(tag_longer_than_the_block),
		CASE(block_without_end_tag),
		CASE(block_size_is_garbage),
		CASE(truncated),
		CASE(flipped_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
