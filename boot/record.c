/* SPDX-License-Identifier: MIT */
/*
 * record.c - what all parsers write into boot_info: ranges, modules, CPUs, the command line; and
 * the search for a free place in a map that is still raw (unsorted, overlapping).
 */
#include "boot/record.h"
#include "lib/string.h"

/* Of the e820 numbering; the multiboot2 and PVH specifications use the same. */
enum e820_type {
	E820_USABLE = 1,
	E820_RESERVED = 2,
	E820_ACPI_RECLAIM = 3,
	E820_ACPI_NVS = 4,
	E820_BAD = 5,
	E820_PERSISTENT = 7,
	E820_PERSISTENT_OLD = 12,
};

/* A type that we do not know stays none: slate_memmap_build() reserves it and says so. */
static enum slate_range_type e820_range_type(uint32_t type)
{
	switch (type) {
	case E820_USABLE:
		return SLATE_RANGE_USABLE;
	case E820_ACPI_RECLAIM:
		return SLATE_RANGE_ACPI_RECLAIM;
	case E820_ACPI_NVS:
		return SLATE_RANGE_ACPI_NVS;
	case E820_BAD:
		return SLATE_RANGE_BAD;
	case E820_PERSISTENT:
	case E820_PERSISTENT_OLD:
		return SLATE_RANGE_PERSISTENT;
	case E820_RESERVED:
		return SLATE_RANGE_RESERVED;
	default:
		return SLATE_RANGE_NONE;
	}
}

void boot_add_e820(struct boot_info *info, uint64_t base, uint64_t size_bytes, uint32_t type,
		   const char *name)
{
	struct slate_memmap *map = &info->map;

	if (slate_memmap_add(map, base, size_bytes, e820_range_type(type), name))
		map->ranges[map->count - 1].firmware_type = type;
}

void boot_add_used(struct boot_info *info, uint64_t base, uint64_t size_bytes,
		   enum slate_range_type type, const char *name)
{
	if (size_bytes)
		slate_memmap_add(&info->map, base, size_bytes, type, name);
}

/* The last byte; a range that wraps ends at the end. size_bytes > 0. */
static uint64_t range_last(uint64_t base, uint64_t size_bytes)
{
	return size_bytes - 1 > UINT64_MAX - base ? UINT64_MAX : base + (size_bytes - 1);
}

static bool overlaps(const struct slate_range *range, uint64_t base, uint64_t size_bytes)
{
	return range->size_bytes && range->base <= range_last(base, size_bytes) &&
	       base <= range_last(range->base, range->size_bytes);
}

static bool covers(const struct slate_range *range, uint64_t base, uint64_t size_bytes)
{
	return range->size_bytes && range->base <= base &&
	       range_last(base, size_bytes) <= range_last(range->base, range->size_bytes);
}

void boot_add_used_maybe(struct boot_info *info, uint64_t base, uint64_t size_bytes,
			 enum slate_range_type type, const char *name)
{
	bool usable = false;

	if (!size_bytes)
		return;
	for (size_t i = 0; i < info->map.count; i++) {
		const struct slate_range *range = &info->map.ranges[i];

		if (range->type != SLATE_RANGE_USABLE && covers(range, base, size_bytes))
			return;
		if (range->type == SLATE_RANGE_USABLE && overlaps(range, base, size_bytes))
			usable = true;
	}
	if (usable)
		slate_memmap_add(&info->map, base, size_bytes, type, name);
}

/* Copy text of at most text_max bytes, cut and terminated. text may be NULL. */
static void copy_text(char *to, size_t to_bytes, const char *text, size_t text_max)
{
	size_t length = text ? strnlen(text, text_max) : 0;

	if (length > to_bytes - 1)
		length = to_bytes - 1;
	if (length)
		memcpy(to, text, length);
	to[length] = '\0';
}

void boot_add_module(struct boot_info *info, uint64_t base, uint64_t size_bytes, const char *text,
		     size_t text_max, const char *fallback)
{
	boot_add_used(info, base, size_bytes, SLATE_RANGE_MODULE, fallback);
	if (info->module_count == BOOT_MAX_MODULES)
		return;

	struct boot_module *module = &info->modules[info->module_count++];

	module->base = base;
	module->size_bytes = size_bytes;
	copy_text(module->name, sizeof(module->name), text, text_max);
	if (!module->name[0])
		copy_text(module->name, sizeof(module->name), fallback, sizeof(module->name));
}

void boot_set_cmdline(struct boot_info *info, const char *text, size_t text_max)
{
	copy_text(info->cmdline, sizeof(info->cmdline), text, text_max);
}

void boot_add_cpu(struct boot_info *info, uint64_t hw_id)
{
	for (size_t i = 0; i < info->cpu_count; i++)
		if (info->cpus[i].hw_id == hw_id)
			return;
	if (info->cpu_count == BOOT_MAX_CPUS) {
		info->cpus_dropped++;
		return;
	}
	info->cpus[info->cpu_count++] = (struct boot_cpu){.hw_id = hw_id};
}

void boot_add_virtio(struct boot_info *info, uint64_t base)
{
	for (size_t i = 0; i < info->virtio_count; i++) {
		if (info->virtio[i] == base)
			return;
	}
	if (info->virtio_count < BOOT_MAX_VIRTIO)
		info->virtio[info->virtio_count++] = base;
}

void boot_cpu_first(struct boot_info *info, uint64_t hw_id)
{
	struct boot_cpu first = {.hw_id = hw_id};
	size_t i = 0;

	while (i < info->cpu_count && info->cpus[i].hw_id != hw_id)
		i++;
	if (i < info->cpu_count) {
		first = info->cpus[i];
	} else {
		/* Not listed: it takes a new place, or the last one's. */
		if (info->cpu_count < BOOT_MAX_CPUS)
			info->cpu_count++;
		else
			info->cpus_dropped++;
		i = info->cpu_count - 1;
	}
	for (; i > 0; i--)
		info->cpus[i] = info->cpus[i - 1];
	info->cpus[0] = first;
}

/* ---- A free place in the raw map ---- */

struct place {
	uint64_t size_bytes;
	uint64_t align_bytes;
	uint64_t min;
	uint64_t last; /* of the allowed bytes */
};

/* Free at base: inside the usable range, and every other range elsewhere. */
static bool place_free(const struct slate_memmap *map, const struct slate_range *usable,
		       const struct place *place, uint64_t base)
{
	uint64_t end = range_last(usable->base, usable->size_bytes);

	if (end > place->last)
		end = place->last;
	if (base < usable->base || base > end || end - base < place->size_bytes - 1)
		return false;
	for (size_t i = 0; i < map->count; i++)
		if (map->ranges[i].type != SLATE_RANGE_USABLE &&
		    overlaps(&map->ranges[i], base, place->size_bytes))
			return false;
	return true;
}

/* The first aligned address at or behind address and min; 0 when it would wrap. */
static uint64_t place_align(const struct place *place, uint64_t address)
{
	uint64_t mask = place->align_bytes - 1;

	if (address < place->min)
		address = place->min;
	return address > UINT64_MAX - mask ? 0 : (address + mask) & ~mask;
}

/* The lowest free place in one usable range: at its start, or right behind some other range. 0:
 * none. */
static uint64_t place_in(const struct slate_memmap *map, const struct slate_range *usable,
			 const struct place *place)
{
	uint64_t best = place_align(place, usable->base);

	if (best && place_free(map, usable, place, best))
		return best;
	best = 0;
	for (size_t i = 0; i < map->count; i++) {
		const struct slate_range *range = &map->ranges[i];
		uint64_t last = range->size_bytes ? range_last(range->base, range->size_bytes) : 0;
		uint64_t base = last < UINT64_MAX ? place_align(place, last + 1) : 0;

		if (base && (!best || base < best) && place_free(map, usable, place, base))
			best = base;
	}
	return best;
}

uint64_t boot_take_free(struct boot_info *info, uint64_t size_bytes, uint64_t align_bytes,
			uint64_t min, uint64_t max, enum slate_range_type type, const char *name)
{
	struct place place = {size_bytes, align_bytes, min, max - 1};
	uint64_t best = 0;

	for (size_t i = 0; i < info->map.count; i++) {
		const struct slate_range *range = &info->map.ranges[i];
		uint64_t base = 0;

		if (range->type == SLATE_RANGE_USABLE && range->size_bytes)
			base = place_in(&info->map, range, &place);
		if (base && (!best || base < best))
			best = base;
	}
	if (best && !slate_memmap_add(&info->map, best, size_bytes, type, name))
		return 0;
	return best;
}
