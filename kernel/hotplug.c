/* SPDX-License-Identifier: MIT */
/*
 * hotplug.c - the range that comes and goes, and the commands for it.
 */
#include "kernel/hotplug.h"

#include <stdatomic.h>

#include "kernel/command.h"
#include "kernel/console.h"

/* A machine must have so many times the range. */
#define SHARE 8

#define STAMP 0x9e3779b97f4a7c15u

static struct slate_range aside;
static bool stamped;
static _Atomic bool in; /* (a) relaxed: CPUs that want frames of the range may be told too late */
static size_t spoilt;

struct slate_range hotplug_range(void)
{
	return aside;
}

bool hotplug_is_in(void)
{
	return atomic_load_explicit(&in, memory_order_relaxed);
}

size_t hotplug_spoilt(void)
{
	return spoilt;
}

/* ---- The map ---- */

static bool is_fit(const struct slate_range *range, uint64_t mapped_limit)
{
	return range->type == SLATE_RANGE_USABLE && range->size_bytes >= SHARE * HOTPLUG_BYTES &&
	       (mapped_limit == 0 || range->base + range->size_bytes <= mapped_limit);
}

static struct slate_range *choose(struct slate_memmap *map, uint64_t mapped_limit)
{
	struct slate_range *best = NULL;

	for (size_t i = 0; i < map->count; i++) {
		struct slate_range *range = &map->ranges[i];

		if (is_fit(range, mapped_limit) && (!best || range->size_bytes > best->size_bytes))
			best = range;
	}
	return best;
}

size_t hotplug_keep_aside(struct slate_memmap *map, uint64_t mapped_limit)
{
	struct slate_range *range = choose(map, mapped_limit);

	if (!range || map->count == map->capacity)
		return 0;
	range->size_bytes -= HOTPLUG_BYTES;
	aside = *range;
	aside.base = range->base + range->size_bytes;
	aside.size_bytes = HOTPLUG_BYTES;
	aside.type = SLATE_RANGE_BOOT_RECLAIM;
	aside.name = "kept for hot add";
	/* the map stays sorted */
	for (struct slate_range *at = map->ranges + map->count++; at > range + 1; at--)
		*at = at[-1];
	range[1] = aside;
	return (size_t)(HOTPLUG_BYTES >> SLATE_PAGE_SHIFT);
}

/* ---- In and out ---- */

static uint64_t *frame_start(uint64_t at)
{
	return slate_virt((paddr_t){aside.base + at});
}

static void stamp_all(void)
{
	for (uint64_t at = 0; at < aside.size_bytes; at += SLATE_PAGE_SIZE)
		*frame_start(at) = at ^ STAMP;
	stamped = true;
}

static void check_all(void)
{
	for (uint64_t at = 0; stamped && at < aside.size_bytes; at += SLATE_PAGE_SIZE)
		spoilt += *frame_start(at) != (at ^ STAMP);
	stamped = false;
}

int hotplug_add(void)
{
	int status;

	if (aside.size_bytes == 0)
		return SLATE_ENOENT;
	if (!hotplug_is_in())
		check_all();
	status = slate_add_memory((paddr_t){aside.base}, aside.size_bytes, aside.node);
	if (status == SLATE_OK)
		atomic_store_explicit(&in, true, memory_order_relaxed);
	return status;
}

int hotplug_remove(struct slate_holders *holders)
{
	int status;

	if (aside.size_bytes == 0)
		return SLATE_ENOENT;
	status = slate_remove_memory((paddr_t){aside.base}, aside.size_bytes, holders);
	if (status == SLATE_OK) {
		atomic_store_explicit(&in, false, memory_order_relaxed);
		stamp_all();
	}
	return status;
}

/* ---- Commands ---- */

const char *hotplug_holder_name(enum slate_holder_kind kind)
{
	static const char *const names[] = {
		[SLATE_HOLDER_FRAMES] = "frames", [SLATE_HOLDER_OBJECTS] = "objects",
		[SLATE_HOLDER_LARGE] = "large",   [SLATE_HOLDER_METADATA] = "metadata",
		[SLATE_HOLDER_STACK] = "stack",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

static const char *outcome(int status)
{
	switch (status) {
	case SLATE_OK:
		return "done";
	case SLATE_EEXIST:
		return "it is there already";
	case SLATE_ENOENT:
		return "it is not there";
	case SLATE_EBUSY:
		return "somebody holds a part of it";
	default:
		return "refused";
	}
}

bool cmd_hotadd(int argc, char **argv)
{
	int status;

	(void)argc;
	(void)argv;
	status = hotplug_add();
	kprintf("hotadd: %s: %llu MiB at 0x%llx\n", outcome(status),
		(unsigned long long)(aside.size_bytes >> 20), (unsigned long long)aside.base);
	return status == SLATE_OK;
}

bool cmd_hotremove(int argc, char **argv)
{
	static struct slate_holder list[8];
	struct slate_holders holders = {.list = list, .capacity = 8};
	int status;

	(void)argc;
	(void)argv;
	status = hotplug_remove(&holders);
	kprintf("hotremove: %s: %zu frames held in %zu places\n", outcome(status), holders.pages,
		holders.count);
	for (size_t i = 0; i < holders.count && i < holders.capacity; i++)
		kprintf("  0x%llx %zu frames: %s of %zu bytes\n",
			(unsigned long long)list[i].base.v, list[i].pages,
			hotplug_holder_name(list[i].kind), list[i].object_bytes);
	return status == SLATE_OK;
}
