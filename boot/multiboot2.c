/* SPDX-License-Identifier: MIT */
/*
 * multiboot2.c - one block of tags, each 8-byte aligned: type, size, contents. The block lies in
 * usable memory and is reserved; the copy of the ACPI root pointer inside it is used where it lies.
 *
 * Under UEFI the plain memory map is used, which GRUB makes from the EFI map after it has left boot
 * services, so it is right about what those no longer hold. The EFI map is read only when there is
 * no plain one.
 */
#include "boot/multiboot2.h"
#include "lib/string.h"

#define HEADER_BYTES     8
#define TAG_HEADER_BYTES 8
#define INFORMATION_MAX  (1u << 28) /* longer is garbage */
#define MODULE_HEADER    16
#define MMAP_HEADER      16
#define MMAP_ENTRY       24
#define EFI_HEADER       16
#define EFI_ENTRY        40
#define EFI_PAGE_SHIFT   12

enum tag_type {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MMAP = 6,
	TAG_RSDP_OLD = 14,
	TAG_RSDP_NEW = 15,
	TAG_EFI_MMAP = 17,
};

struct tag {
	uint32_t type;
	uint32_t size_bytes;   /* header included */
	const uint8_t *header; /* size_bytes are readable */
};

/*
 * The tag at *offset of the block; moves on to the next. False at the end: an end tag, or what is
 * no tag any more.
 */
static bool tag_next(const uint8_t *block, uint32_t total, uint32_t *offset, struct tag *tag)
{
	uint32_t at = *offset;

	if (at > total || total - at < TAG_HEADER_BYTES)
		return false;
	tag->header = block + at;
	tag->type = le32(tag->header);
	tag->size_bytes = le32(tag->header + 4);
	if (tag->type == TAG_END || tag->size_bytes < TAG_HEADER_BYTES ||
	    tag->size_bytes > total - at)
		return false;
	*offset = at + ((tag->size_bytes + 7) & ~7u);
	return true;
}

/* Entries of a list inside a tag: how many whole ones there are from the header's end on. 0 for a
 * stride that is too short. */
static uint32_t entry_count(const struct tag *tag, uint32_t header, uint32_t stride,
			    uint32_t entry_min)
{
	if (tag->size_bytes < header || stride < entry_min)
		return 0;
	return (tag->size_bytes - header) / stride;
}

static bool add_mmap(struct boot_info *info, const struct tag *tag)
{
	uint32_t stride = tag->size_bytes >= MMAP_HEADER ? le32(tag->header + 8) : 0;
	uint32_t count = entry_count(tag, MMAP_HEADER, stride, MMAP_ENTRY);

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *entry = tag->header + MMAP_HEADER + i * stride;

		boot_add_e820(info, le64(entry), le64(entry + 8), le32(entry + 16), "e820");
	}
	return count > 0;
}

static enum slate_range_type efi_range_type(uint32_t type)
{
	switch (type) {
	case 7: /* conventional memory */
		return SLATE_RANGE_USABLE;
	case 1: /* loader and boot services, code and data: GRUB's and the firmware's leavings */
	case 2:
	case 3:
	case 4:
		return SLATE_RANGE_BOOT_RECLAIM;
	case 5: /* runtime services, code and data */
	case 6:
		return SLATE_RANGE_FIRMWARE;
	case 8:
		return SLATE_RANGE_BAD;
	case 9:
		return SLATE_RANGE_ACPI_RECLAIM;
	case 10:
		return SLATE_RANGE_ACPI_NVS;
	case 11: /* devices' registers and ports */
	case 12:
		return SLATE_RANGE_MMIO;
	case 14:
		return SLATE_RANGE_PERSISTENT;
	default:
		return SLATE_RANGE_RESERVED;
	}
}

static bool add_efi_mmap(struct boot_info *info, const struct tag *tag)
{
	uint32_t stride = tag->size_bytes >= EFI_HEADER ? le32(tag->header + 8) : 0;
	uint32_t count = entry_count(tag, EFI_HEADER, stride, EFI_ENTRY);
	struct slate_memmap *map = &info->map;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *entry = tag->header + EFI_HEADER + i * stride;
		uint32_t type = le32(entry);
		uint64_t pages = le64(entry + 24);

		/* So many pages that their bytes do not fit 64 bits reach the end of the address
		 * space. */
		if (pages > UINT64_MAX >> EFI_PAGE_SHIFT)
			pages = UINT64_MAX >> EFI_PAGE_SHIFT;
		if (slate_memmap_add(map, le64(entry + 8), pages << EFI_PAGE_SHIFT,
				     efi_range_type(type), "EFI"))
			map->ranges[map->count - 1].firmware_type = type;
	}
	return count > 0;
}

static void add_module(struct boot_info *info, const struct tag *tag)
{
	uint32_t start, end;

	if (tag->size_bytes < MODULE_HEADER)
		return;
	start = le32(tag->header + 8);
	end = le32(tag->header + 12);
	if (end > start)
		boot_add_module(info, start, end - start, (const char *)tag->header + MODULE_HEADER,
				tag->size_bytes - MODULE_HEADER, "module");
}

/* The root pointer is a copy inside the tag. A new one (ACPI 2.0) wins over an old one. */
static void add_rsdp(struct boot_info *info, const struct tag *tag, uint64_t tag_pa)
{
	if (tag->type == TAG_RSDP_NEW || !info->rsdp)
		info->rsdp = tag_pa + TAG_HEADER_BYTES;
}

static void add_tag(struct boot_info *info, const struct tag *tag, uint64_t tag_pa)
{
	switch (tag->type) {
	case TAG_CMDLINE:
		boot_set_cmdline(info, (const char *)tag->header + TAG_HEADER_BYTES,
				 tag->size_bytes - TAG_HEADER_BYTES);
		break;
	case TAG_MODULE:
		add_module(info, tag);
		break;
	case TAG_RSDP_OLD:
	case TAG_RSDP_NEW:
		add_rsdp(info, tag, tag_pa);
		break;
	default:
		break;
	}
}

bool multiboot2_parse(struct boot_info *info, uint64_t information_pa, boot_phys_fn *phys)
{
	const uint8_t *block = phys(information_pa, HEADER_BYTES);
	uint32_t total = block ? le32(block) : 0;
	uint32_t offset = HEADER_BYTES;
	bool has_map = false;
	struct tag efi = {.header = NULL};
	struct tag tag;

	if (total < HEADER_BYTES || total > INFORMATION_MAX)
		return false;
	block = phys(information_pa, total);
	if (!block)
		return false;

	info->loader = "multiboot2";
	boot_add_used(info, information_pa, total, SLATE_RANGE_BOOT_INFO, "multiboot2 information");
	while (tag_next(block, total, &offset, &tag)) {
		add_tag(info, &tag, information_pa + (uint64_t)(tag.header - block));
		if (tag.type == TAG_MMAP && add_mmap(info, &tag))
			has_map = true;
		if (tag.type == TAG_EFI_MMAP)
			efi = tag;
	}
	if (!has_map && efi.header)
		has_map = add_efi_mmap(info, &efi);
	return has_map;
}
