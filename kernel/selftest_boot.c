/* SPDX-License-Identifier: MIT */
/*
 * selftest_boot.c - what start-up left: the boot map, the direct map, the figures.
 */
#include <slate/slate.h>

#include "arch/arch.h"
#include "boot/bootinfo.h"
#include "kernel/main.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "lib/string.h"
#include "mm/magazine.h"
#include "mm/mcache.h"

static const struct slate_range *range_at(size_t i)
{
	return &boot_info.map.ranges[i];
}

static void test_map_sorted(void)
{
	CHECK(boot_info.map.count > 0);
	for (size_t i = 0; i + 1 < boot_info.map.count; i++)
		CHECK(range_at(i)->base + range_at(i)->size_bytes <= range_at(i + 1)->base);
}

static void test_map_aligned(void)
{
	size_t pages = 0;

	for (size_t i = 0; i < boot_info.map.count; i++) {
		CHECK(range_at(i)->size_bytes > 0);
		CHECK((range_at(i)->base & SLATE_PAGE_MASK) == 0);
		CHECK((range_at(i)->size_bytes & SLATE_PAGE_MASK) == 0);
		if (range_at(i)->type == SLATE_RANGE_USABLE)
			pages += (size_t)(range_at(i)->size_bytes >> SLATE_PAGE_SHIFT);
	}
	CHECK(pages == startup.usable_pages);
}

/* Does [base, base + size) touch a range of that type? */
static bool touches(uint64_t base, uint64_t size_bytes, enum slate_range_type type)
{
	for (size_t i = 0; i < boot_info.map.count; i++) {
		const struct slate_range *range = range_at(i);

		if (range->type == type && range->base < base + size_bytes &&
		    base < range->base + range->size_bytes)
			return true;
	}
	return false;
}

static void test_kernel_reserved(void)
{
	size_t kernels = 0;

	for (size_t i = 0; i < boot_info.map.count; i++) {
		if (range_at(i)->type != SLATE_RANGE_KERNEL)
			continue;
		kernels++;
		CHECK(!touches(range_at(i)->base, range_at(i)->size_bytes, SLATE_RANGE_USABLE));
	}
	CHECK(kernels > 0);
}

static void test_modules_reserved(void)
{
	for (size_t i = 0; i < boot_info.module_count; i++) {
		const struct boot_module *module = &boot_info.modules[i];

		CHECK(!touches(module->base, module->size_bytes, SLATE_RANGE_USABLE));
		CHECK(touches(module->base, module->size_bytes, SLATE_RANGE_MODULE));
	}
}

static void test_tables_reserved(void)
{
	if (boot_info.dtb)
		CHECK(touches(boot_info.dtb, 1, SLATE_RANGE_DTB));
	if (boot_info.rsdp)
		CHECK(!touches(boot_info.rsdp, 1, SLATE_RANGE_USABLE));
}

static void test_nothing_lost(void)
{
	CHECK(boot_info.map.dropped == 0);
	CHECK(boot_info.loader != NULL);
	CHECK(strlen(boot_info.cmdline) < BOOT_CMDLINE_SIZE);
	CHECK(boot_info.cpu_count >= 1);
}

static void test_direct_map(void)
{
	pfn_t pfn = slate_page_alloc(1, NULL);
	paddr_t pa = pfn_to_paddr(pfn);
	paddr_t back;

	CHECK(!pfn_is_none(pfn));
	back = slate_phys(slate_virt(pa));
	CHECK(back.v == pa.v);
	CHECK((uintptr_t)slate_virt(pa) == (uintptr_t)pa.v + boot_info.direct_map_offset);
	slate_page_free(pfn, 1);
}

static void test_stage(void)
{
	struct slate_init_params params = {.map = &boot_info.map};

	CHECK(slate_init(NULL) == SLATE_EINVAL || slate_init(NULL) == SLATE_ESTAGE);
	CHECK(slate_init(&params) == SLATE_ESTAGE);
}

static void test_online_twice(void)
{
	unsigned long state = arch_irq_save();
	int status = slate_cpu_online();

	arch_irq_restore(state);
	CHECK(status == SLATE_ESTAGE);
}

static void test_equation(void)
{
	struct slate_stats s;
	size_t sum;

	slate_flush();
	slate_stats(&s);
	sum = s.free_pages + s.cached_pages + s.object_pages + s.manual_pages + s.stack_pages +
	      s.metadata_pages + s.reserved_pages + s.released_pages;
	CHECK(s.total_pages == sum);
	CHECK(s.total_pages <= startup.usable_pages);
}

static void test_nodes_sum(void)
{
	struct slate_node_stats node;
	struct slate_stats s;
	size_t total = 0;
	size_t free = 0;

	slate_flush();
	for (unsigned i = 0; i < SLATE_MAX_NODES; i++) {
		if (!slate_node_stats(i, &node))
			continue;
		total += node.total_pages;
		free += node.free_pages;
		CHECK(node.largest_run_pages <= node.free_pages + node.released_pages);
	}
	slate_stats(&s);
	CHECK(total == s.total_pages);
	CHECK(free == s.free_pages);
}

#define MAGAZINES_PAGES bytes_to_pages((size_t)2 * MCACHE_ENTRIES * sizeof(struct magazine))

static void test_metadata_bound(void)
{
	struct slate_stats s;

	slate_stats(&s);
	CHECK(s.metadata_pages > 0);
	/* 0.4 % of RAM, a fixed part that only machines under 64 MiB notice, and what only those
	 * do that have little of it for many CPUs: two magazines a class and CPU */
	CHECK(s.metadata_pages <=
	      startup.usable_pages * 4 / 1000 + 64 + smp_count() * MAGAZINES_PAGES);
}

static void test_validate(void)
{
	CHECK(slate_validate() == 0);
}

const struct pure_test selftest_boot[] = {
	{"boot: the map is sorted and disjoint", test_map_sorted},
	{"boot: the map is aligned to frames and adds up", test_map_aligned},
	{"boot: the kernel image is in no usable range", test_kernel_reserved},
	{"boot: modules are reserved", test_modules_reserved},
	{"boot: device tree and ACPI root are reserved", test_tables_reserved},
	{"boot: nothing was lost on the way", test_nothing_lost},
	{"boot: physical and virtual addresses convert both ways", test_direct_map},
	{"boot: slate_init works once", test_stage},
	{"boot: a CPU comes online once", test_online_twice},
	{"stats: the frames add up", test_equation},
	{"stats: the nodes add up", test_nodes_sum},
	{"stats: metadata is within its bound", test_metadata_bound},
	{"stats: slate_validate finds nothing", test_validate},
	{0},
};
