/* SPDX-License-Identifier: MIT */
/*
 * cmd_profile.c - the heap profile: its rate and totals, and the dump for tools/slate-profile.
 *
 *   profile begin arch NAME
 *   heap profile: ...            as slate_profile_dump() writes it, a line a bucket
 *   MAPPED_LIBRARIES:
 *   START-END r-xp 0 00:00 0 slate.elf
 *   profile end buckets COUNT
 */
#include <slate/profile.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "lib/string.h"

static void print_line(const char *text, void *arg)
{
	size_t *lines = arg;

	++*lines;
	kprintf("%s\n", text);
}

static bool profile_print(void)
{
	struct slate_profile_info info;

	slate_profile_info(&info);
	kprintf("profile rate %zu samples %zu in_use %zu buckets %zu lost %zu\n", info.rate_bytes,
		info.samples, info.samples - info.samples_freed, info.buckets, info.lost);
	kprintf("profile estimate in_use %llu objects %llu bytes total %llu objects %llu bytes\n",
		(unsigned long long)info.objects, (unsigned long long)info.bytes,
		(unsigned long long)info.total_objects, (unsigned long long)info.total_bytes);
	return true;
}

static bool profile_dump(void)
{
	size_t lines = 0;

	kprintf("profile begin arch %s\n", arch_name);
	slate_profile_dump(print_line, &lines);
	kprintf("\nMAPPED_LIBRARIES:\n%llx-%llx r-xp 00000000 00:00 0 slate.elf\n",
		(unsigned long long)(uintptr_t)text_start,
		(unsigned long long)(uintptr_t)rodata_end);
	kprintf("profile end buckets %zu\n", lines - 1);
	return true;
}

bool cmd_profile(int argc, char **argv)
{
	uint64_t bytes;

	if (argc == 1)
		return profile_print();
	if (argc == 2 && strcmp(argv[1], "dump") == 0)
		return profile_dump();
	if (argc != 3 || strcmp(argv[1], "rate") != 0 || !parse_size(argv[2], &bytes) ||
	    bytes > SIZE_MAX)
		return command_usage(argv[0]);
	slate_profile_rate((size_t)bytes);
	return profile_print();
}
