/* SPDX-License-Identifier: MIT */
/*
 * cmd_leaks.c - what nobody can reach: planted by leak and cycle, told by leaks, freed by collect;
 * and the roots in which this kernel keeps its pointers.
 */
#include <slate/marksweep.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/leaks.h"
#include "kernel/stack.h"
#include "lib/string.h"

#define GROUPS 256

void leaks_roots_add(void)
{
	uintptr_t low, high;

	for (unsigned i = 0; arch_data_range(i, &low, &high); i++) {
		if (slate_root_add((void *)low, high - low) != SLATE_OK)
			kprintf("leaks: no room for a root\n");
	}
}

/* ---- Losing on purpose ---- */

/* What is planted is allocated in functions of its own, which leave no pointer behind. */
static __attribute__((noinline)) bool lose_one(size_t size_bytes)
{
	return slate_alloc(size_bytes) != NULL;
}

/* Two objects that point at each other, and nobody at them. */
static __attribute__((noinline)) bool lose_cycle(size_t size_bytes)
{
	void **one = slate_zalloc(size_bytes);
	void **other = slate_zalloc(size_bytes);

	if (!one || !other) {
		slate_free(one);
		slate_free(other);
		return false;
	}
	*one = other;
	*other = one;
	return true;
}

static uint64_t lose(uint64_t count, size_t size_bytes, bool (*lose_next)(size_t size_bytes))
{
	uint64_t lost = 0;

	while (lost < count && lose_next(size_bytes))
		lost++;
	stack_wipe();
	return lost;
}

static bool told(uint64_t lost, uint64_t count, size_t size_bytes, const char *what)
{
	if (lost < count)
		kprintf("no memory for %zu bytes after %llu\n", size_bytes,
			(unsigned long long)lost);
	else
		kprintf("lost %llu %s of %zu bytes\n", (unsigned long long)count, what, size_bytes);
	return lost == count;
}

bool cmd_leak(int argc, char **argv)
{
	uint64_t count, size_bytes;

	if (argc != 3 || !parse_size(argv[1], &count) || !parse_size(argv[2], &size_bytes) ||
	    size_bytes > SIZE_MAX)
		return command_usage(argv[0]);
	return told(lose(count, (size_t)size_bytes, lose_one), count, (size_t)size_bytes,
		    "objects");
}

bool cmd_cycle(int argc, char **argv)
{
	uint64_t count, size_bytes;

	if (argc != 3 || !parse_size(argv[1], &count) || !parse_size(argv[2], &size_bytes) ||
	    size_bytes < sizeof(void *) || size_bytes > SIZE_MAX)
		return command_usage(argv[0]);
	return told(lose(count, (size_t)size_bytes, lose_cycle), count, (size_t)size_bytes,
		    "cycles of two objects");
}

/* ---- Looking and freeing ---- */

static bool refused(const char *name, int status)
{
	if (status == SLATE_OK)
		return false;
	kprintf("%s: %s\n", name,
		status == SLATE_ENOMEM  ? "no memory for mark bits"
		: status == SLATE_EBUSY ? "not all CPUs stand still"
					: "another scan is under way");
	return true;
}

static void print_leak(const struct slate_leak *leak)
{
	static const char digits[] = "0123456789abcdef";
	char hex[2 * sizeof(leak->head) + 1];

	for (size_t i = 0; i < leak->head_bytes; i++) {
		hex[2 * i] = digits[leak->head[i] >> 4];
		hex[2 * i + 1] = digits[leak->head[i] & 15];
	}
	hex[2 * leak->head_bytes] = '\0';
	kprintf("leak size %zu count %zu bytes %zu\n%s\n", leak->object_bytes, leak->count,
		leak->count * leak->object_bytes, hex);
	if (!leak->stack)
		return;
	kprintf("leak stack");
	for (size_t i = 0; i < leak->stack_depth; i++)
		kprintf(" 0x%lx", (unsigned long)leak->stack[i]);
	kprintf("\n");
}

bool cmd_leaks(int argc, char **argv)
{
	static struct slate_leak groups[GROUPS];
	struct slate_leaks leaks = {.list = groups, .capacity = GROUPS};
	uint64_t most = UINT64_MAX;

	if (argc > 2 || (argc == 2 && !parse_number(argv[1], &most)))
		return command_usage(argv[0]);
	if (refused(argv[0], slate_leak_scan(&leaks)))
		return false;
	for (size_t i = 0; i < leaks.count; i++)
		print_leak(&leaks.list[i]);
	kprintf("leaks %zu\n", leaks.objects);
	/* this table is a root, too */
	memset(groups, 0, sizeof(groups));
	return leaks.objects <= most;
}

bool cmd_collect(int argc, char **argv)
{
	struct slate_collected collected;
	struct slate_stats stats;

	if (argc != 1)
		return command_usage(argv[0]);
	if (refused(argv[0], slate_collect(&collected)))
		return false;
	slate_stats(&stats);
	kprintf("collected %zu objects, %zu bytes; %zu finalizers ran; frames free %zu + metadata "
		"%zu\n",
		collected.objects, collected.bytes, collected.finalized, stats.free_pages,
		stats.metadata_pages);
	return true;
}
