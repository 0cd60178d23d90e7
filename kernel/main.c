/* SPDX-License-Identifier: MIT */
/*
 * main.c - start-up above arch/: the map, the allocator, the CPUs, the banner; then run="..." or
 * the shell.
 */
#include "kernel/leaks.h"
#include "kernel/main.h"

#include <slate/profile.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "boot/bootinfo.h"
#include "kernel/balloon.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/hotplug.h"
#include "kernel/shell.h"
#include "kernel/smp.h"
#include "kernel/stack.h"

/* The shell and the tests run on it: 32 KiB. */
#define BOOT_STACK_ORDER 3

struct startup startup;

size_t percent_hundredths(size_t part, size_t whole)
{
	/* part * 10000 fits 64 bits up to 2^50 frames */
	return whole ? (size_t)((uint64_t)part * 10000 / whole) : 0;
}

static void print_range(const struct slate_range *range)
{
	kprintf(" %s%s%s 0x%llx-0x%llx", slate_range_type_name(range->type), range->name ? " " : "",
		range->name ? range->name : "", (unsigned long long)range->base,
		(unsigned long long)(range->base + range->size_bytes));
}

static void print_lint(const struct slate_lint *lint, void *arg)
{
	size_t *count = arg;

	if ((*count)++ == 0)
		kprintf("The boot map, repaired:\n");
	kprintf("  %s:", slate_lint_name(lint->kind));
	print_range(&lint->range);
	if (lint->other.size_bytes) {
		kprintf(" and");
		print_range(&lint->other);
	}
	kprintf(", bytes 0x%llx+0x%llx\n", (unsigned long long)lint->base,
		(unsigned long long)lint->size_bytes);
}

/* profile=BYTES: before that the library's own rate holds. */
static void start_profile(void)
{
	char value[32];
	uint64_t bytes;

	if (!shell_find(boot_info.cmdline, "profile=", value, sizeof(value)))
		return;
	if (parse_size(value, &bytes) && bytes <= SIZE_MAX)
		slate_profile_rate((size_t)bytes);
	else
		kprintf("profile=%s: not a number of bytes\n", value);
}

static void start_memory(void)
{
	struct slate_init_params params = {
		.map = &boot_info.map,
		.direct_map_offset = boot_info.direct_map_offset,
		.mapped_limit = boot_info.mapped_limit,
	};
	int status;

	startup.raw_ranges = boot_info.map.count;
	startup.usable_pages = slate_memmap_build(&boot_info.map, print_lint, &startup.lint_count);
	startup.usable_pages -= hotplug_keep_aside(&boot_info.map, boot_info.mapped_limit);
	if (boot_info.map.dropped)
		kprintf("The boot map had %zu entries too many: they are lost.\n",
			boot_info.map.dropped);
	status = slate_init(&params);
	if (status != SLATE_OK) {
		kprintf("slate_init: %d, with %zu usable frames: giving up.\n", status,
			startup.usable_pages);
		arch_poweroff(1);
	}
}

static void print_banner(void)
{
	struct slate_stats stats;
	size_t meta;

	slate_stats(&stats);
	startup.free_pages = stats.free_pages;
	meta = percent_hundredths(stats.metadata_pages, startup.usable_pages);
	kprintf("\nSlate " KERNEL_VERSION ": a kernel memory allocator, in its demo kernel.\n");
	kprintf("%s, loaded by %s, %u of %zu CPUs online%s.\n", arch_name,
		boot_info.loader ? boot_info.loader : "?", smp_count(), boot_info.cpu_count,
		SLATE_DEBUG ? ", debug build" : "");
	kprintf("Memory: %zu MiB usable in %zu frames, %zu free; metadata %zu.%02zu %%.\n",
		startup.usable_pages >> (20 - SLATE_PAGE_SHIFT), startup.usable_pages,
		stats.free_pages, meta / 100, meta % 100);
	kprintf("Type help; or start with: mem, selftest, stress 5, bench. Ctrl-A x leaves "
		"QEMU.\n\n");
}

/* On the stack that the boot CPU keeps. */
static void run(void *arg)
{
	static char line[BOOT_CMDLINE_SIZE];
	bool ok;

	(void)arg;
	leaks_roots_add();
	arch_irq_enable();
	balloon_init();
	start_profile();
	smp_start();
	print_banner();
	if (!shell_find(boot_info.cmdline, "run=", line, sizeof(line)))
		shell_loop();
	ok = shell_run_line(line);
	kprintf("%s\n", ok ? "All commands passed." : "A command FAILED.");
	arch_poweroff(shell_status());
}

void kernel_main(void)
{
	void *stack;

	start_memory();
	smp_init_boot_cpu();
	stack = stack_alloc(BOOT_STACK_ORDER, "CPU", 0);
	if (stack)
		arch_on_stack(run, NULL, stack_top(stack, BOOT_STACK_ORDER));
	kprintf("No memory for the boot CPU's stack: giving up.\n");
	arch_poweroff(1);
}
