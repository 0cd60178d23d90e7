/* SPDX-License-Identifier: MIT */
/*
 * record.h - how the parsers write into boot_info, and how they read physical memory.
 */
#ifndef BOOT_RECORD_H
#define BOOT_RECORD_H

#include "boot/bootinfo.h"

/*
 * Where to read size_bytes of physical memory at pa, or NULL when they cannot be read. Parsers read
 * through it alone, so that garbage in a table is an answer and not a fault. Nothing is aligned.
 */
typedef const void *boot_phys_fn(uint64_t pa, uint64_t size_bytes);

/* Little-endian numbers of any alignment. */
static inline uint16_t le16(const void *at)
{
	const uint8_t *byte = at;

	return (uint16_t)(byte[0] | byte[1] << 8);
}

static inline uint32_t le32(const void *at)
{
	const uint8_t *byte = at;

	return le16(byte) | (uint32_t)le16(byte + 2) << 16;
}

static inline uint64_t le64(const void *at)
{
	const uint8_t *byte = at;

	return le32(byte) | (uint64_t)le32(byte + 4) << 32;
}

/* A raw entry of the firmware's map in the numbering that e820, multiboot2 and PVH share. */
void boot_add_e820(struct boot_info *info, uint64_t base, uint64_t size_bytes, uint32_t type,
		   const char *name);

/* Something of the loader's that lies in memory; nothing is recorded for zero bytes. */
void boot_add_used(struct boot_info *info, uint64_t base, uint64_t size_bytes,
		   enum slate_range_type type, const char *name);

/*
 * The same, but only where it lies in usable memory and in nothing else that is recorded already:
 * firmware's tables mostly have ranges of their own.
 */
void boot_add_used_maybe(struct boot_info *info, uint64_t base, uint64_t size_bytes,
			 enum slate_range_type type, const char *name);

/* A module or initrd, reserved and listed. text need not be terminated; NULL or empty: the fallback
 * name. */
void boot_add_module(struct boot_info *info, uint64_t base, uint64_t size_bytes, const char *text,
		     size_t text_max, const char *fallback);

/* Copy the command line, cut to its room; at most text_max bytes are read. */
void boot_set_cmdline(struct boot_info *info, const char *text, size_t text_max);

/* A CPU that may be started; counted as dropped when there is no room. A second record of an id is
 * ignored. */
void boot_add_cpu(struct boot_info *info, uint64_t hw_id);

/* Registers of a virtio-mmio transport; ignored when there is no room, or they are there already.
 */
void boot_add_virtio(struct boot_info *info, uint64_t base);

/* The entry of this id comes first; without one, it is made. */
void boot_cpu_first(struct boot_info *info, uint64_t hw_id);

/*
 * Take the lowest free place of the raw map inside [min, max): in a usable range, overlapped by
 * nothing else. It is entered with type and name. Returns its address, 0 when there is none.
 * size_bytes > 0, align_bytes is a power of two.
 */
uint64_t boot_take_free(struct boot_info *info, uint64_t size_bytes, uint64_t align_bytes,
			uint64_t min, uint64_t max, enum slate_range_type type, const char *name);

#endif
