/* SPDX-License-Identifier: MIT */
/*
 * pvh.c - the PVH start information: a struct of addresses of lists. All of it, the lists and the
 * strings lie in usable memory and are reserved.
 */
#include "boot/pvh.h"
#include "lib/string.h"

#define PVH_MAGIC        0x336ec578
#define PVH_BYTES        56
#define PVH_MODULE_BYTES 32
#define PVH_MEMMAP_BYTES 24

/* More entries than this are garbage: their list alone would be longer than any firmware's. */
#define PVH_ENTRIES_MAX 65536

/* Offsets in the start information, version 1. */
enum pvh_field {
	PVH_VERSION = 4,
	PVH_MODULE_COUNT = 12,
	PVH_MODULES = 16,
	PVH_CMDLINE = 24,
	PVH_RSDP = 32,
	PVH_MEMMAP = 40,
	PVH_MEMMAP_COUNT = 48,
};

/* A string at pa of at most max bytes, terminator included: its bytes in *length. NULL when it
 * cannot be read. */
static const char *string_at(boot_phys_fn *phys, uint64_t pa, size_t max, size_t *length)
{
	/* A page at a time, for the string may end right before unreadable memory. */
	const char *text = pa ? phys(pa, 1) : NULL;

	*length = 0;
	if (!text)
		return NULL;
	while (*length < max) {
		const char *byte = phys(pa + *length, 1);

		if (!byte)
			break;
		(*length)++;
		if (!*byte)
			break;
	}
	return text;
}

static void add_memmap(struct boot_info *info, uint64_t list, uint32_t count, boot_phys_fn *phys)
{
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *entry =
			phys(list + (uint64_t)i * PVH_MEMMAP_BYTES, PVH_MEMMAP_BYTES);

		if (entry)
			boot_add_e820(info, le64(entry), le64(entry + 8), le32(entry + 16), "e820");
	}
	boot_add_used_maybe(info, list, (uint64_t)count * PVH_MEMMAP_BYTES, SLATE_RANGE_BOOT_INFO,
			    "PVH memory map");
}

static void add_modules(struct boot_info *info, uint64_t list, uint32_t count, boot_phys_fn *phys)
{
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *entry =
			phys(list + (uint64_t)i * PVH_MODULE_BYTES, PVH_MODULE_BYTES);
		const char *text;
		size_t length;

		if (!entry)
			return;
		text = string_at(phys, le64(entry + 16), BOOT_CMDLINE_SIZE, &length);
		boot_add_module(info, le64(entry), le64(entry + 8), text, length,
				i == 0 ? "initrd" : "module");
		if (text)
			boot_add_used_maybe(info, le64(entry + 16), length, SLATE_RANGE_BOOT_INFO,
					    "module command line");
	}
	boot_add_used_maybe(info, list, (uint64_t)count * PVH_MODULE_BYTES, SLATE_RANGE_BOOT_INFO,
			    "PVH module list");
}

bool pvh_parse(struct boot_info *info, uint64_t start_info_pa, boot_phys_fn *phys)
{
	const uint8_t *start = phys(start_info_pa, PVH_BYTES);
	uint32_t memmap_count, module_count;
	const char *cmdline;
	size_t length;

	if (!start || le32(start) != PVH_MAGIC || le32(start + PVH_VERSION) < 1)
		return false;
	memmap_count = le32(start + PVH_MEMMAP_COUNT);
	module_count = le32(start + PVH_MODULE_COUNT);
	if (!memmap_count || memmap_count > PVH_ENTRIES_MAX ||
	    !phys(le64(start + PVH_MEMMAP), (uint64_t)memmap_count * PVH_MEMMAP_BYTES))
		return false;

	info->loader = "PVH";
	info->rsdp = le64(start + PVH_RSDP);
	add_memmap(info, le64(start + PVH_MEMMAP), memmap_count, phys);
	boot_add_used_maybe(info, start_info_pa, PVH_BYTES, SLATE_RANGE_BOOT_INFO,
			    "PVH start info");
	if (module_count <= PVH_ENTRIES_MAX && module_count)
		add_modules(info, le64(start + PVH_MODULES), module_count, phys);
	cmdline = string_at(phys, le64(start + PVH_CMDLINE), 64 * SLATE_PAGE_SIZE, &length);
	if (cmdline) {
		boot_set_cmdline(info, cmdline, length);
		boot_add_used_maybe(info, le64(start + PVH_CMDLINE), length, SLATE_RANGE_BOOT_INFO,
				    "command line");
	}
	return true;
}
