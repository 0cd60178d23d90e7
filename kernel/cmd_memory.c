/* SPDX-License-Identifier: MIT */
/*
 * cmd_memory.c - the commands that show and use memory by hand: mem, stats, alloc, free.
 */
#include <slate/slate.h>
#include <slate/whois.h>

#include "boot/bootinfo.h"
#include "kernel/balloon.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/fault.h"
#include "kernel/main.h"

static unsigned long long kib(size_t pages)
{
	return (unsigned long long)pages << (SLATE_PAGE_SHIFT - 10);
}

static void print_map_range(const struct slate_range *range)
{
	kprintf("  %016llx-%016llx %10llu KiB  %s", (unsigned long long)range->base,
		(unsigned long long)(range->base + range->size_bytes),
		(unsigned long long)(range->size_bytes >> 10), slate_range_type_name(range->type));
	if (range->node)
		kprintf(", node %u", range->node);
	if (range->name)
		kprintf(" (%s)", range->name);
	kprintf("\n");
}

static void print_holder(const char *name, size_t pages, size_t total)
{
	size_t share = percent_hundredths(pages, total);

	kprintf("  %-9s %10zu frames %10llu KiB %3zu.%02zu %%\n", name, pages, kib(pages),
		share / 100, share % 100);
}

static void print_holders(const struct slate_stats *stats)
{
	size_t total = stats->total_pages;

	print_holder("total", total, total);
	print_holder("free", stats->free_pages, total);
	print_holder("cached", stats->cached_pages, total);
	print_holder("objects", stats->object_pages, total);
	print_holder("manual", stats->manual_pages, total);
	print_holder("stacks", stats->stack_pages, total);
	print_holder("metadata", stats->metadata_pages, total);
	print_holder("reserved", stats->reserved_pages, total);
	print_holder("released", stats->released_pages, total);
}

bool cmd_mem(int argc, char **argv)
{
	struct slate_stats stats;

	(void)argc;
	(void)argv;
	kprintf("Memory map (%s, %zu entries; %zu things repaired at start):\n", boot_info.loader,
		startup.raw_ranges, startup.lint_count);
	for (size_t i = 0; i < boot_info.map.count; i++)
		print_map_range(&boot_info.map.ranges[i]);
	slate_stats(&stats);
	kprintf("Who holds the usable frames:\n");
	print_holders(&stats);
	return true;
}

static void print_classes(void)
{
	struct slate_class_stats class;

	kprintf("class   size frames elems noscan      spans    objects     cached  waste B\n");
	for (unsigned i = 1; i < slate_class_count(); i++) {
		if (!slate_class_stats(i, &class) || (class.spans == 0 && class.objects == 0))
			continue;
		kprintf("%5u %6zu %6zu %5zu %6s %10zu %10zu %10zu %8zu\n", i, class.elem_bytes,
			class.span_pages, class.elems_per_span, class.noscan ? "yes" : "no",
			class.spans, class.objects, class.cached_objects, class.waste_bytes);
	}
}

static void print_cpus(void)
{
	struct slate_cpu_stats cpu;

	for (unsigned i = 0; i < SLATE_MAX_CPUS; i++) {
		if (!slate_cpu_stats(i, &cpu))
			continue;
		kprintf("cpu %u %s: %zu objects cached, %zu bytes; %zu refills, %zu flushes\n", i,
			cpu.online ? "online" : "offline", cpu.cached_objects, cpu.cached_bytes,
			cpu.refills, cpu.flushes);
	}
}

static void print_nodes(void)
{
	struct slate_node_stats node;

	for (unsigned i = 0; i < SLATE_MAX_NODES; i++) {
		if (!slate_node_stats(i, &node))
			continue;
		kprintf("node %u total %zu free %zu released %zu reserved %zu low %zu high %zu "
			"largest %zu frames; served: local %zu remote %zu\n",
			i, node.total_pages, node.free_pages, node.released_pages,
			node.reserved_pages, node.low_pages, node.high_pages,
			node.largest_run_pages, node.local_pages, node.remote_pages);
	}
}

bool cmd_stats(int argc, char **argv)
{
	struct slate_stats stats;
	size_t meta;

	(void)argc;
	(void)argv;
	print_classes();
	print_cpus();
	slate_stats(&stats);
	kprintf("frames:\n");
	print_holders(&stats);
	print_nodes();
	kprintf("objects %zu (%zu of them cached, %zu large), %zu bytes\n", stats.objects,
		stats.cached_objects, stats.large_objects, stats.object_bytes);
	kprintf("before refusal: %zu own caches drained, %zu times depots, %zu other CPUs; %zu "
		"shrinks gave %zu frames; %zu waits for the scavenger; %zu requests came to the "
		"reserve\n",
		stats.drains, stats.depot_drains, stats.remote_drains, stats.shrinks,
		stats.shrunk_pages, stats.scavenge_waits, stats.reserve_uses);
	kprintf("drains %zu, failures %zu, reports %zu, leaked objects %zu\n", stats.drains,
		stats.failures, stats.reports, stats.leaked_objects);
	kprintf("known zero %zu pages, zeroing spared %zu pages\n", stats.zeroed_pages,
		stats.zero_saved_pages);
	kprintf("runs discarded %zu, refused %zu\n", stats.discards, stats.discard_refused);
	meta = percent_hundredths(stats.metadata_pages, stats.total_pages);
	kprintf("metadata %zu.%02zu %% of RAM\n", meta / 100, meta % 100);
	return true;
}

bool cmd_scavenge(int argc, char **argv)
{
	uint64_t pages = SIZE_MAX;
	struct slate_stats stats;
	size_t released;

	if (argc > 2 || (argc == 2 && !parse_number(argv[1], &pages)) || pages > SIZE_MAX)
		return command_usage(argv[0]);
	slate_flush();
	released = slate_scavenge((size_t)pages);
	slate_stats(&stats);
	kprintf("%zu frames given back, %zu in all; %zu free%s\n", released, stats.released_pages,
		stats.free_pages, balloon_present() ? "" : " (there is no balloon)");
	return true;
}

bool cmd_alloc(int argc, char **argv)
{
	uint64_t size_bytes;
	void *object;

	if (argc != 2 || !parse_size(argv[1], &size_bytes) || size_bytes > SIZE_MAX)
		return command_usage(argv[0]);
	object = slate_alloc((size_t)size_bytes);
	if (!object) {
		kprintf("no memory for %s bytes\n", argv[1]);
		return false;
	}
	kprintf("0x%llx, room for %zu bytes\n", (unsigned long long)(uintptr_t)object,
		slate_usable_size(object));
	return true;
}

/* An object that somebody has. What else is freed waits in a magazine until a flush finds it out;
 * but after a flush the whole span may be gone, and with it the knowledge of what lay there. */
static bool is_freed_well(const void *address)
{
	struct slate_whois who;

	slate_whois(address, &who);
	return who.holder == SLATE_HELD_BY_CALLER && who.object == (uintptr_t)address;
}

bool cmd_free(int argc, char **argv)
{
	enum fault_mode former;
	uint64_t address;
	bool well, ok;

	if (argc != 2 || !parse_number(argv[1], &address) || address > UINTPTR_MAX)
		return command_usage(argv[0]);
	/* A wrong address typed by hand is no reason to stop the machine. */
	former = fault_arm(FAULT_SHOW, SLATE_CRIME_NONE);
	well = is_freed_well((void *)(uintptr_t)address);
	slate_free((void *)(uintptr_t)address);
	if (!well)
		slate_flush();
	ok = fault_other_count() == 0;
	fault_arm(former, SLATE_CRIME_NONE);
	return ok;
}
