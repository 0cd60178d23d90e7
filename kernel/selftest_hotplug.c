/* SPDX-License-Identifier: MIT */
/*
 * selftest_hotplug.c - memory that comes and goes, exact frames, and wrong calls about frames.
 */
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/hotplug.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"

#define HOT_PAGES (HOTPLUG_BYTES >> SLATE_PAGE_SHIFT)

static struct slate_holder list[16];
static struct slate_holders holders;

/* False: this machine is too small, there is nothing to test. */
static bool have_range(void)
{
	holders = (struct slate_holders){.list = list, .capacity = 16};
	return hotplug_range().size_bytes > 0;
}

static size_t total_pages(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	return stats.total_pages;
}

/* n frames inside the range. */
static pfn_t hot_run(size_t n)
{
	struct slate_range range = hotplug_range();
	struct slate_page_constraints fit = {
		.min = range.base,
		.max = range.base + range.size_bytes,
		.node = SLATE_ANY_NODE,
	};

	return slate_page_alloc(n, &fit);
}

static void test_in_and_out(void)
{
	size_t before = total_pages();

	for (unsigned i = 0; have_range() && i < 5; i++) {
		pfn_t pfn;

		CHECK(hotplug_add() == SLATE_OK);
		CHECK(total_pages() == before + HOT_PAGES);
		CHECK(hotplug_add() == SLATE_EEXIST);
		pfn = hot_run(300);
		CHECK(!pfn_is_none(pfn));
		pattern_fill(slate_virt(pfn_to_paddr(pfn)), 300 * SLATE_PAGE_SIZE, i);
		slate_page_free(pfn, 300);
		CHECK(hotplug_remove(&holders) == SLATE_OK);
		CHECK(holders.count == 0);
		CHECK(pfn_is_none(hot_run(1)));
		CHECK(total_pages() == before);
		CHECK(hotplug_remove(&holders) == SLATE_ENOENT);
	}
	CHECK(hotplug_spoilt() == 0);
	CHECK(slate_validate() == 0);
}

static void test_held(void)
{
	pfn_t a;
	pfn_t b;

	if (!have_range())
		return;
	CHECK(hotplug_add() == SLATE_OK);
	a = hot_run(10);
	b = hot_run(1);
	CHECK(!pfn_is_none(a) && !pfn_is_none(b));
	slate_page_free(pfn_add(a, 5), 1);
	CHECK(hotplug_remove(&holders) == SLATE_EBUSY);
	CHECK(holders.count == 2);
	CHECK(holders.pages == 10);
	CHECK(list[0].kind == SLATE_HOLDER_FRAMES && list[0].pages == 5);
	CHECK(list[0].base.v == pfn_to_paddr(a).v);
	/* it goes on serving */
	CHECK(hot_run(1).v == a.v + 5);
	slate_page_free(a, 10);
	slate_page_free(b, 1);
	CHECK(hotplug_remove(NULL) == SLATE_OK);
	CHECK(slate_validate() == 0);
}

/* CPUs that take frames of the range while it comes and goes. */
static void take_and_give(void *arg)
{
	uint64_t end = smp_millis() + 100;

	(void)arg;
	if (arch_cpu() == 0) {
		do {
			if (hotplug_is_in())
				hotplug_remove(NULL);
			else
				hotplug_add();
		} while (smp_millis() < end);
		return;
	}
	do {
		pfn_t run = hot_run(3);
		void *object = slate_alloc(100);

		if (!pfn_is_none(run)) {
			pattern_fill(slate_virt(pfn_to_paddr(run)), 64, 7);
			slate_page_free(run, 3);
		}
		slate_free(object);
	} while (smp_millis() < end);
}

static void test_all_cpus(void)
{
	size_t before = total_pages();

	if (!have_range())
		return;
	smp_run_all(take_and_give, NULL);
	if (hotplug_is_in())
		CHECK(hotplug_remove(NULL) == SLATE_OK);
	CHECK(total_pages() == before);
	CHECK(hotplug_spoilt() == 0);
	CHECK(slate_validate() == 0);
}

static void test_exact(void)
{
	pfn_t run = slate_page_alloc(64, NULL);
	paddr_t at = pfn_to_paddr(run);

	CHECK(!pfn_is_none(run));
	CHECK(slate_page_alloc_at(at, 64) == SLATE_EBUSY);
	slate_page_free(run, 64);
	CHECK(slate_page_alloc_at(at, 64) == SLATE_OK);
	slate_page_free(pfn_add(run, 20), 8);
	CHECK(slate_page_alloc_at(at, 21) == SLATE_EBUSY);
	CHECK(slate_page_alloc_at(pfn_to_paddr(pfn_add(run, 20)), 8) == SLATE_OK);
	slate_page_free(run, 64);
}

/* A frame that lies in a magazine is free: it is fetched. */
static void test_exact_cached(void)
{
	pfn_t frame = slate_page_alloc(1, NULL);

	CHECK(!pfn_is_none(frame));
	slate_page_free(frame, 1);
	CHECK(slate_page_alloc_at(pfn_to_paddr(frame), 1) == SLATE_OK);
	slate_page_free(frame, 1);
}

/* ---- Wrong calls ---- */

static const uint64_t limit = (uint64_t)1 << SLATE_PADDR_BITS;

/* In all of them nothing may happen. */
static const struct bounds_row {
	uint64_t base;
	uint64_t size_bytes;
	unsigned node;
	int add_status;
	int remove_status;
} bounds_rows[] = {
	{0, 0, 0, SLATE_EINVAL, SLATE_EINVAL},
	{(uint64_t)1 << 47, 4095, 0, SLATE_EINVAL, SLATE_EINVAL},
	{((uint64_t)1 << 47) + 1, 8190, 0, SLATE_EINVAL, SLATE_EINVAL},
	{(uint64_t)1 << 47, 4096, 0, SLATE_ENOMEM, SLATE_ENOENT},
	{(uint64_t)1 << 47, 1u << 20, SLATE_MAX_NODES, SLATE_EINVAL, SLATE_ENOENT},
	{(uint64_t)1 << 47, 1u << 20, ~0u, SLATE_EINVAL, SLATE_ENOENT},
	{limit, 1u << 20, 0, SLATE_ERANGE, SLATE_ERANGE},
	{limit - 4096, 8192, 0, SLATE_ERANGE, SLATE_ERANGE},
	{UINT64_MAX - 4095, 8192, 0, SLATE_ERANGE, SLATE_ERANGE},
	{4096, UINT64_MAX, 0, SLATE_ERANGE, SLATE_ERANGE},
	{0, limit, 0, SLATE_ERANGE, SLATE_ENOENT},
};

static void test_bounds(void)
{
	size_t before = total_pages();

	for (size_t i = 0; i < sizeof(bounds_rows) / sizeof(bounds_rows[0]); i++) {
		const struct bounds_row *row = &bounds_rows[i];
		paddr_t base = {row->base};

		CHECK(slate_add_memory(base, row->size_bytes, row->node) == row->add_status);
		CHECK(slate_remove_memory(base, row->size_bytes, NULL) == row->remove_status);
	}
	CHECK(total_pages() == before);
}

static void test_boot_memory_stays(void)
{
	pfn_t run = slate_page_alloc(16, NULL);
	paddr_t at = pfn_to_paddr(run);
	size_t before = total_pages();

	CHECK(!pfn_is_none(run));
	CHECK(slate_add_memory(at, 16 * SLATE_PAGE_SIZE, 0) == SLATE_EEXIST);
	CHECK(slate_remove_memory(at, 16 * SLATE_PAGE_SIZE, NULL) == SLATE_ENOENT);
	CHECK(total_pages() == before);
	slate_page_free(run, 16);
}

static const struct at_row {
	uint64_t base;
	size_t n;
	int status;
} at_rows[] = {
	{4096, 0, SLATE_EINVAL},
	{4097, 1, SLATE_EINVAL},
	{limit, 1, SLATE_ENOENT},
	{limit - 4096, 1, SLATE_ENOENT},
	{limit - 4096, SIZE_MAX, SLATE_ENOENT},
	{UINT64_MAX - 4095, 1, SLATE_ENOENT},
};

static void test_exact_refused(void)
{
	pfn_t run = slate_page_alloc(2, NULL);

	CHECK(!pfn_is_none(run));
	for (size_t i = 0; i < sizeof(at_rows) / sizeof(at_rows[0]); i++)
		CHECK(slate_page_alloc_at((paddr_t){at_rows[i].base}, at_rows[i].n) ==
		      at_rows[i].status);
	CHECK(slate_page_alloc_at(pfn_to_paddr(run), SIZE_MAX) == SLATE_ENOENT);
	CHECK(slate_page_alloc_at(pfn_to_paddr(run), SIZE_MAX - run.v) == SLATE_ENOENT);
	slate_page_free(run, 2);
}

/* Each field of the constraints out of range: there is no such run. */
static const struct fit_row {
	size_t n;
	struct slate_page_constraints fit;
} fit_rows[] = {
	{0, {.node = SLATE_ANY_NODE}},
	{SIZE_MAX, {.node = SLATE_ANY_NODE}},
	{1, {.min = 8192, .max = 8192, .node = SLATE_ANY_NODE}},
	{1, {.min = 8192, .max = 4096, .node = SLATE_ANY_NODE}},
	{1, {.min = 4097, .max = 12287, .node = SLATE_ANY_NODE}},
	{1, {.min = UINT64_MAX, .node = SLATE_ANY_NODE}},
	{1, {.min = (uint64_t)1 << 52, .node = SLATE_ANY_NODE}},
	{1, {.max = 4095, .node = SLATE_ANY_NODE}},
	{1, {.align_bytes = 3, .node = SLATE_ANY_NODE}},
	{1, {.align_bytes = 3 * 4096, .node = SLATE_ANY_NODE}},
	{1, {.align_bytes = UINT64_MAX, .node = SLATE_ANY_NODE}},
	{1, {.boundary_bytes = 3 * 4096, .node = SLATE_ANY_NODE}},
	{2, {.boundary_bytes = 4096, .node = SLATE_ANY_NODE}},
	{1, {.boundary_bytes = 2048, .node = SLATE_ANY_NODE}},
	{1, {.boundary_bytes = UINT64_MAX, .node = SLATE_ANY_NODE}},
};

static void test_constraints(void)
{
	struct slate_page_constraints fit = {.node = SLATE_MAX_NODES};
	pfn_t pfn;

	for (size_t i = 0; i < sizeof(fit_rows) / sizeof(fit_rows[0]); i++)
		CHECK(pfn_is_none(slate_page_alloc(fit_rows[i].n, &fit_rows[i].fit)));
	/* a node that is not there is no node to prefer */
	pfn = slate_page_alloc(1, &fit);
	CHECK(!pfn_is_none(pfn));
	slate_page_free(pfn, 1);
}

static void test_release_refused(void)
{
	static const unsigned char never[] = {
		SLATE_RANGE_NONE, SLATE_RANGE_USABLE,   SLATE_RANGE_ACPI_NVS, SLATE_RANGE_FIRMWARE,
		SLATE_RANGE_MMIO, SLATE_RANGE_RESERVED, SLATE_RANGE_BAD,      SLATE_RANGE_TYPES,
	};
	struct slate_range range = {.base = (uint64_t)1 << 47, .size_bytes = 1u << 20};

	CHECK(slate_reserve_release(NULL) == SLATE_EINVAL);
	for (size_t i = 0; i < sizeof(never); i++) {
		range.type = never[i];
		CHECK(slate_reserve_release(&range) == SLATE_EINVAL);
	}
	range.type = SLATE_RANGE_MODULE;
	range.size_bytes = 4095;
	CHECK(slate_reserve_release(&range) == SLATE_EINVAL);
	range.node = SLATE_MAX_NODES;
	CHECK(slate_reserve_release(&range) == SLATE_EINVAL);
}

const struct pure_test selftest_hotplug[] = {
	{"page: memory comes and goes", test_in_and_out},
	{"page: memory that is held stays, and says by whom", test_held},
	{"page: memory comes and goes while all CPUs allocate", test_all_cpus},
	{"page: exactly these frames", test_exact},
	{"page: exactly this frame, out of a cache", test_exact_cached},
	{"page: ranges that cannot be added or removed", test_bounds},
	{"page: boot memory cannot be removed", test_boot_memory_stays},
	{"page: exact frames that cannot be", test_exact_refused},
	{"page: each constraint out of range", test_constraints},
	{"page: boot memory that is never released", test_release_refused},
	{0},
};
