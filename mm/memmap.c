/* SPDX-License-Identifier: MIT */
/*
 * memmap.c (level 1) - from what a boot loader said to sorted, disjoint, frame-aligned ranges, in
 * place.
 *
 * Building takes four steps, O(n log n) together:
 *   1. normalise each entry by itself: lengths, types, the end of the address space;
 *   2. sort, and tell what overlaps: on the bytes as they were given, so that two small structures
 * that share a frame are no finding;
 *   3. round reservations outward to frames and sort again, because rounding may move one before a
 * usable range;
 *   4. sweep from low to high addresses and write the winner of each stretch.
 *
 * The sweep needs no list of open entries: of one type only the entry that is being written and the
 * one that reaches furthest beyond it matter, and there are few types. It reads the entries from
 * the top of the array and writes ranges at its bottom. Where the two meet there is no room: then
 * usable ranges are given up, the smallest first, and if there are none, a reservation is merged
 * into the one below it, gap included. So each byte that was reserved stays reserved.
 *
 * Every end is at most 2^SLATE_PADDR_BITS after step 1, so sums do not overflow from there on.
 */
#include <slate/memmap.h>

#include "lib/string.h"
#include "mm/memmap.h"

static const char *const type_names[SLATE_RANGE_TYPES] = {
	[SLATE_RANGE_NONE] = "none",
	[SLATE_RANGE_USABLE] = "usable",
	[SLATE_RANGE_BOOT_RECLAIM] = "boot reclaim",
	[SLATE_RANGE_ACPI_RECLAIM] = "ACPI reclaim",
	[SLATE_RANGE_ACPI_NVS] = "ACPI NVS",
	[SLATE_RANGE_PERSISTENT] = "persistent",
	[SLATE_RANGE_MODULE] = "module",
	[SLATE_RANGE_BOOT_INFO] = "boot info",
	[SLATE_RANGE_DTB] = "DTB",
	[SLATE_RANGE_KERNEL] = "kernel",
	[SLATE_RANGE_TRAMPOLINE] = "trampoline",
	[SLATE_RANGE_FIRMWARE] = "firmware",
	[SLATE_RANGE_MMIO] = "MMIO",
	[SLATE_RANGE_RESERVED] = "reserved",
	[SLATE_RANGE_BAD] = "bad",
};

static const char *const lint_names[SLATE_LINT_KINDS] = {
	[SLATE_LINT_OVERLAP] = "overlap",
	[SLATE_LINT_DUPLICATE] = "duplicate",
	[SLATE_LINT_WRAP] = "wrap",
	[SLATE_LINT_ZERO] = "zero length",
	[SLATE_LINT_UNALIGNED] = "unaligned",
	[SLATE_LINT_ABOVE_LIMIT] = "above limit",
	[SLATE_LINT_INSIDE_USABLE] = "inside usable",
	[SLATE_LINT_OUTSIDE_MEMORY] = "outside memory",
	[SLATE_LINT_UNKNOWN_TYPE] = "unknown type",
	[SLATE_LINT_UNSORTED] = "unsorted",
	[SLATE_LINT_NO_ROOM] = "no room",
};

const char *slate_range_type_name(enum slate_range_type type)
{
	return (unsigned)type < SLATE_RANGE_TYPES ? type_names[type] : "unknown";
}

const char *slate_lint_name(enum slate_lint_kind kind)
{
	return (unsigned)kind < SLATE_LINT_KINDS ? lint_names[kind] : "unknown";
}

/* One behind the last byte that a frame number can reach; with 64 bits the last frame has no end
 * and is lost. */
static uint64_t address_limit(void)
{
	uint64_t limit = ((uint64_t)1 << (SLATE_PADDR_BITS - 1)) * 2;

	return limit ? limit : memmap_page_down(UINT64_MAX);
}

bool memmap_same_name(const struct slate_range *a, const struct slate_range *b)
{
	if (a->name == b->name)
		return true;
	return a->name && b->name && strcmp(a->name, b->name) == 0;
}

void memmap_tell(struct memmap_build *build, enum slate_lint_kind kind,
		 const struct slate_range *range, const struct slate_range *other, uint64_t base,
		 uint64_t size_bytes)
{
	struct slate_lint lint = {.kind = kind, .base = base, .size_bytes = size_bytes};

	if (!build->lint)
		return;
	lint.range = *range;
	if (other)
		lint.other = *other;
	build->lint(&lint, build->lint_arg);
}

/* ---- Adding ---- */

bool slate_memmap_add(struct slate_memmap *map, uint64_t base, uint64_t size_bytes,
		      enum slate_range_type type, const char *name)
{
	struct slate_range range = {
		.base = base,
		.size_bytes = size_bytes,
		.type = (unsigned)type < SLATE_RANGE_TYPES ? (uint8_t)type : SLATE_RANGE_NONE,
		.firmware_type = (unsigned)type < SLATE_RANGE_TYPES ? 0 : (uint32_t)type,
		.name = name,
	};
	size_t victim;

	if (map->count < map->capacity) {
		map->ranges[map->count++] = range;
		return true;
	}
	map->dropped++;
	if (type == SLATE_RANGE_USABLE || size_bytes == 0)
		return false;
	/* A lost reservation would be handed out; a lost usable range only is not used. */
	victim = memmap_smallest_usable(map->ranges, map->count);
	if (victim < map->count)
		map->ranges[victim] = range;
	return false;
}

bool slate_memmap_add_node(struct slate_memmap *map, uint64_t base, uint64_t size_bytes,
			   uint32_t node)
{
	if (map->node_count >= map->node_capacity)
		return false;
	map->nodes[map->node_count++] =
		(struct slate_node_range){.base = base, .size_bytes = size_bytes, .node = node};
	return true;
}

size_t memmap_smallest_usable(const struct slate_range *ranges, size_t count)
{
	size_t best = count;

	for (size_t i = 0; i < count; i++) {
		if (ranges[i].type != SLATE_RANGE_USABLE)
			continue;
		if (best == count || ranges[i].size_bytes < ranges[best].size_bytes)
			best = i;
	}
	return best;
}

/* ---- Step 1 ---- */

/* Cut at 2^64, then at the limit; false when nothing is left. */
static bool clip(struct memmap_build *build, struct slate_range *range)
{
	struct slate_range found = *range;
	uint64_t limit = address_limit();
	uint64_t room = UINT64_MAX - range->base; /* bytes behind the first one */

	if (range->size_bytes - 1 > room) {
		/* base 0 cannot come here: with it every length fits */
		range->size_bytes = room + 1;
		memmap_tell(build, SLATE_LINT_WRAP, &found, NULL, 0,
			    found.size_bytes - range->size_bytes);
	}
	if (range->base >= limit) {
		memmap_tell(build, SLATE_LINT_ABOVE_LIMIT, &found, NULL, range->base,
			    range->size_bytes);
		return false;
	}
	if (range->size_bytes > limit - range->base) {
		uint64_t kept = limit - range->base;

		memmap_tell(build, SLATE_LINT_ABOVE_LIMIT, &found, NULL, limit,
			    range->size_bytes - kept);
		range->size_bytes = kept;
	}
	return true;
}

static bool normalise(struct memmap_build *build, struct slate_range *range)
{
	range->reserved = 0;
	range->node = 0;
	if (range->size_bytes == 0) {
		memmap_tell(build, SLATE_LINT_ZERO, range, NULL, range->base, 0);
		return false;
	}
	if (range->type == SLATE_RANGE_NONE || range->type >= SLATE_RANGE_TYPES) {
		memmap_tell(build, SLATE_LINT_UNKNOWN_TYPE, range, NULL, range->base,
			    range->size_bytes);
		range->type = SLATE_RANGE_RESERVED;
	}
	return clip(build, range);
}

/*
 * Order is expected within one source only, which the name tells: structures come behind the
 * loader's map. The array is still as it was given up to where this entry is read.
 */
static bool is_out_of_order(const struct slate_range *before, const struct slate_range *range)
{
	return range->base < before->base && memmap_same_name(before, range);
}

static void normalise_all(struct memmap_build *build)
{
	struct slate_memmap *map = build->map;
	bool told = false;
	size_t kept = 0;

	for (size_t i = 0; i < map->count; i++) {
		struct slate_range range = map->ranges[i];

		if (!normalise(build, &range))
			continue;
		if (!told && kept && is_out_of_order(&map->ranges[kept - 1], &range)) {
			memmap_tell(build, SLATE_LINT_UNSORTED, &range, &map->ranges[kept - 1],
				    range.base, range.size_bytes);
			told = true;
		}
		map->ranges[kept++] = range;
	}
	map->count = kept;
}

/* ---- Sorting: heapsort, since there is no memory for another and no worst case to fear ---- */

/* Ascending base; at one base the winner first, then the longest. A total order, so that the
 * input's order does not matter. */
static bool range_less(const struct slate_range *a, const struct slate_range *b)
{
	if (a->base != b->base)
		return a->base < b->base;
	if (a->type != b->type)
		return a->type > b->type;
	if (a->size_bytes != b->size_bytes)
		return a->size_bytes > b->size_bytes;
	if (!memmap_same_name(a, b))
		return !a->name || (b->name && strcmp(a->name, b->name) < 0);
	return a->firmware_type < b->firmware_type;
}

static void range_sift(struct slate_range *ranges, size_t root, size_t count)
{
	struct slate_range moving = ranges[root];

	for (;;) {
		size_t child = 2 * root + 1;

		if (child >= count)
			break;
		if (child + 1 < count && range_less(&ranges[child], &ranges[child + 1]))
			child++;
		if (!range_less(&moving, &ranges[child]))
			break;
		ranges[root] = ranges[child];
		root = child;
	}
	ranges[root] = moving;
}

static void range_sort(struct slate_range *ranges, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		range_sift(ranges, i, count);
	while (count > 1) {
		struct slate_range last = ranges[--count];

		ranges[count] = ranges[0];
		ranges[0] = last;
		range_sift(ranges, 0, count);
	}
}

/* ---- Step 3 ---- */

static void round_reservations(struct slate_memmap *map)
{
	for (size_t i = 0; i < map->count; i++) {
		struct slate_range *range = &map->ranges[i];
		uint64_t end = memmap_end(range);

		if (range->type == SLATE_RANGE_USABLE)
			continue;
		range->base = memmap_page_down(range->base);
		range->size_bytes = memmap_page_up(end) - range->base;
	}
}

static void node_sort(struct slate_node_range *nodes, size_t count)
{
	/* Insertion: a record a memory bank, and nearly always in order. */
	for (size_t i = 1; i < count; i++) {
		struct slate_node_range moving = nodes[i];
		size_t j = i;

		for (; j > 0 && nodes[j - 1].base > moving.base; j--)
			nodes[j] = nodes[j - 1];
		nodes[j] = moving;
	}
}

/* Sorted, disjoint (the lower one keeps an overlap), clipped, both ends rounded down, so that
 * neighbours stay neighbours. */
static void prepare_nodes(struct slate_memmap *map)
{
	uint64_t limit = address_limit();
	uint64_t taken = 0;
	size_t kept = 0;

	node_sort(map->nodes, map->node_count);
	for (size_t i = 0; i < map->node_count; i++) {
		struct slate_node_range range = map->nodes[i];
		uint64_t end;

		if (range.base >= limit)
			break;
		end = memmap_page_down(range.base +
				       memmap_min(range.size_bytes, limit - range.base));
		range.base = memmap_page_down(range.base);
		if (range.base < taken)
			range.base = taken;
		if (range.base >= end)
			continue;
		range.size_bytes = end - range.base;
		if (range.node >= SLATE_MAX_NODES)
			range.node = 0;
		map->nodes[kept++] = range;
		taken = end;
	}
	map->node_count = kept;
}

size_t slate_memmap_build(struct slate_memmap *map, slate_lint_fn *lint, void *arg)
{
	struct memmap_build build = {.map = map, .lint = lint, .lint_arg = arg};
	uint64_t pages = 0;

	normalise_all(&build);
	range_sort(map->ranges, map->count);
	memmap_lint(&build);
	round_reservations(map);
	range_sort(map->ranges, map->count);
	prepare_nodes(map);
	memmap_sweep(&build);

	for (size_t i = 0; i < map->count; i++)
		if (map->ranges[i].type == SLATE_RANGE_USABLE)
			pages += map->ranges[i].size_bytes >> SLATE_PAGE_SHIFT;
	return (size_t)pages;
}
