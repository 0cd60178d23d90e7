/* SPDX-License-Identifier: MIT */
/*
 * cmd_fault.c - faults planted on purpose, for whoever wants to see the report before he needs one.
 * What only a debug build finds says so.
 */
#include <slate/slate.h>

#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/fault.h"
#include "lib/string.h"

#define DEFAULT_SIZE 64

struct planted {
	const char *name;
	bool debug_only;
	void (*plant)(volatile unsigned char *object, size_t size_bytes);
};

static void give(volatile unsigned char *object)
{
	slate_free((void *)object);
}

static void plant_double_free(volatile unsigned char *object, size_t size_bytes)
{
	(void)size_bytes;
	give(object);
	give(object);
}

static void plant_overflow(volatile unsigned char *object, size_t size_bytes)
{
	object[size_bytes] = 0x41;
	give(object);
}

static void plant_bit_flip(volatile unsigned char *object, size_t size_bytes)
{
	object[size_bytes] ^= 0x10;
	give(object);
}

static void plant_use_after_free(volatile unsigned char *object, size_t size_bytes)
{
	give(object);
	object[size_bytes / 2] = 0x41;
}

static void plant_interior(volatile unsigned char *object, size_t size_bytes)
{
	give(object + (size_bytes / 2 & ~(size_t)7));
	slate_flush();
	give(object);
}

static void plant_wrong_size(volatile unsigned char *object, size_t size_bytes)
{
	slate_free_sized((void *)object, 2 * size_bytes + 1);
	give(object);
}

static void plant_foreign(volatile unsigned char *object, size_t size_bytes)
{
	static unsigned char data[16];

	(void)size_bytes;
	slate_free(data);
	give(object);
}

static const struct planted faults[] = {
	{"double-free", false, plant_double_free},
	{"interior", false, plant_interior},
	{"wrong-size", false, plant_wrong_size},
	{"foreign", false, plant_foreign},
	{"overflow", true, plant_overflow},
	{"bit-flip", true, plant_bit_flip},
	{"use-after-free", true, plant_use_after_free},
};

#define FAULTS (sizeof(faults) / sizeof(faults[0]))

/* Its neighbour keeps the span, so that there is something to be said of it. */
static bool plant(const struct planted *fault, size_t size_bytes)
{
	void *neighbour = slate_alloc(size_bytes);
	void *object = slate_alloc(size_bytes);
	enum fault_mode former;
	size_t seen;

	if (!object || !neighbour) {
		kprintf("no memory for %zu bytes\n", size_bytes);
		return false;
	}
	former = fault_arm(FAULT_SHOW, SLATE_CRIME_NONE);
	fault->plant(object, size_bytes);
	slate_flush();
	seen = fault_other_count();
	fault_arm(former, SLATE_CRIME_NONE);
	slate_free(neighbour);
	if (seen == 0)
		kprintf("nobody noticed%s\n", fault->debug_only && !SLATE_DEBUG
						      ? ": only a build with DEBUG=1 does"
						      : "");
	return true;
}

bool cmd_fault(int argc, char **argv)
{
	uint64_t size_bytes = DEFAULT_SIZE;

	if (argc > 3 || (argc == 3 && !parse_size(argv[2], &size_bytes)) || size_bytes == 0 ||
	    size_bytes > SIZE_MAX / 4)
		return command_usage(argv[0]);
	for (size_t i = 0; argc > 1 && i < FAULTS; i++) {
		if (strcmp(argv[1], faults[i].name) == 0)
			return plant(&faults[i], (size_t)size_bytes);
	}
	kprintf("KIND is one of:");
	for (size_t i = 0; i < FAULTS; i++)
		kprintf(" %s", faults[i].name);
	kprintf("\n");
	return argc == 1;
}
