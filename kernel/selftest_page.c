/* SPDX-License-Identifier: MIT */
/*
 * selftest_page.c - frames and runs of frames on one CPU: lengths, constraints, parts.
 */
#include <slate/slate.h>

#include "boot/bootinfo.h"
#include "kernel/selftest.h"

#define RUNS 64

static pfn_t runs[RUNS];

static bool run_is_usable(pfn_t pfn, size_t n)
{
	uint64_t base = pfn_to_paddr(pfn).v;
	uint64_t end = base + (uint64_t)n * SLATE_PAGE_SIZE;

	for (size_t i = 0; i < boot_info.map.count; i++) {
		const struct slate_range *range = &boot_info.map.ranges[i];

		if (range->type == SLATE_RANGE_USABLE && base >= range->base &&
		    end <= range->base + range->size_bytes)
			return true;
	}
	return false;
}

static pfn_t alloc_fit(size_t n, const struct slate_page_constraints *fit)
{
	pfn_t pfn = slate_page_alloc(n, fit);

	CHECK(!pfn_is_none(pfn));
	return pfn;
}

static void test_orders(void)
{
	for (size_t n = 1; n <= 2048; n *= 2) {
		pfn_t a = alloc_fit(n, NULL);
		pfn_t b = alloc_fit(n, NULL);

		CHECK(a.v + n <= b.v || b.v + n <= a.v);
		CHECK(run_is_usable(a, n));
		CHECK(run_is_usable(b, n));
		slate_page_free(a, n);
		slate_page_free(b, n);
	}
}

static void test_any_count(void)
{
	for (size_t n = 1; n <= 700; n += 13) {
		pfn_t pfn = alloc_fit(n, NULL);

		CHECK(run_is_usable(pfn, n));
		slate_page_free(pfn, n);
	}
}

static void test_disjoint(void)
{
	for (size_t i = 0; i < RUNS; i++)
		runs[i] = alloc_fit(i + 1, NULL);
	for (size_t i = 0; i < RUNS; i++) {
		for (size_t j = i + 1; j < RUNS; j++)
			CHECK(runs[i].v + i + 1 <= runs[j].v || runs[j].v + j + 1 <= runs[i].v);
	}
	for (size_t i = 0; i < RUNS; i++)
		slate_page_free(runs[i], i + 1);
}

static void test_contents(void)
{
	struct slate_page_constraints fit = {.max = mapped_end(), .node = SLATE_ANY_NODE};

	for (size_t i = 0; i < RUNS; i++) {
		runs[i] = alloc_fit(3, &fit);
		pattern_fill(slate_virt(pfn_to_paddr(runs[i])), 3 * SLATE_PAGE_SIZE, (uint32_t)i);
	}
	for (size_t i = 0; i < RUNS; i++) {
		CHECK(pattern_check(slate_virt(pfn_to_paddr(runs[i])), 3 * SLATE_PAGE_SIZE,
				    (uint32_t)i) == 3 * SLATE_PAGE_SIZE);
		slate_page_free(runs[i], 3);
	}
}

static void test_align(void)
{
	for (uint64_t align = SLATE_PAGE_SIZE; align <= 4u << 20; align *= 2) {
		struct slate_page_constraints fit = {.align_bytes = align, .node = SLATE_ANY_NODE};

		for (size_t i = 0; i < 4; i++) {
			runs[i] = alloc_fit(3, &fit);
			CHECK((pfn_to_paddr(runs[i]).v & (align - 1)) == 0);
		}
		for (size_t i = 0; i < 4; i++)
			slate_page_free(runs[i], 3);
	}
}

/* Limits around a run that surely can be had. */
static void test_limits(void)
{
	pfn_t probe = alloc_fit(64, NULL);
	uint64_t base = pfn_to_paddr(probe).v;
	struct slate_page_constraints fit = {
		.min = base,
		.max = base + 64 * SLATE_PAGE_SIZE,
		.node = SLATE_ANY_NODE,
	};

	slate_page_free(probe, 64);
	slate_flush();
	for (size_t i = 0; i < 8; i++) {
		runs[i] = alloc_fit(8, &fit);
		CHECK(runs[i].v >= probe.v);
		CHECK(runs[i].v + 8 <= probe.v + 64);
	}
	CHECK(pfn_is_none(slate_page_alloc(1, &fit)));
	for (size_t i = 0; i < 8; i++)
		slate_page_free(runs[i], 8);
}

static void test_boundary(void)
{
	struct slate_page_constraints fit = {
		.boundary_bytes = 64 * 1024,
		.node = SLATE_ANY_NODE,
	};

	for (size_t i = 0; i < RUNS; i++) {
		size_t n = i % 16 + 1;
		uint64_t base;

		runs[i] = alloc_fit(n, &fit);
		base = pfn_to_paddr(runs[i]).v;
		CHECK(base >> 16 == (base + n * SLATE_PAGE_SIZE - 1) >> 16);
	}
	for (size_t i = 0; i < RUNS; i++)
		slate_page_free(runs[i], i % 16 + 1);
	CHECK(pfn_is_none(slate_page_alloc(17, &fit)));
}

static void test_zero(void)
{
	struct slate_page_constraints dirty = {.max = mapped_end(), .node = SLATE_ANY_NODE};
	struct slate_page_constraints clean = {.node = SLATE_ANY_NODE, .flags = SLATE_ZERO};

	for (size_t n = 1; n <= 16; n *= 2) {
		pfn_t pfn = alloc_fit(n, &dirty);

		pattern_fill(slate_virt(pfn_to_paddr(pfn)), n * SLATE_PAGE_SIZE, 3);
		slate_page_free(pfn, n);
		pfn = alloc_fit(n, &clean);
		CHECK(bytes_are(slate_virt(pfn_to_paddr(pfn)), 0, n * SLATE_PAGE_SIZE));
		slate_page_free(pfn, n);
	}
}

static void test_parts(void)
{
	/* six parts of 16 frames, in no order */
	static const unsigned char at[] = {4, 0, 9, 14, 7, 1};
	static const unsigned char len[] = {3, 1, 5, 2, 2, 3};
	pfn_t pfn = alloc_fit(16, NULL);
	size_t sum = 0;

	for (size_t i = 0; i < sizeof(at); i++) {
		slate_page_free(pfn_add(pfn, at[i]), len[i]);
		sum += len[i];
	}
	CHECK(sum == 16);
}

static void test_parts_reused(void)
{
	pfn_t pfn = alloc_fit(256, NULL);
	struct slate_page_constraints inside = {
		.min = pfn_to_paddr(pfn).v,
		.max = pfn_to_paddr(pfn_add(pfn, 256)).v,
		.node = SLATE_ANY_NODE,
	};
	pfn_t hole;

	slate_page_free(pfn_add(pfn, 100), 50);
	CHECK(pfn_is_none(slate_page_alloc(51, &inside)));
	hole = alloc_fit(50, &inside);
	CHECK(hole.v == pfn.v + 100);
	slate_page_free(pfn, 256);
}

/* Two frames out of a run, and in again. */
static void touch_frames(pfn_t at)
{
	struct slate_page_constraints fit = {
		.min = pfn_to_paddr(at).v,
		.max = pfn_to_paddr(pfn_add(at, 2)).v,
		.node = SLATE_ANY_NODE,
	};
	pfn_t pfn;

	slate_page_free(at, 2);
	pfn = alloc_fit(2, &fit);
	CHECK(pfn.v == at.v);
}

/* 8 MiB go back at once when their first and last 2 MiB changed last: the middle must be accounted,
 * too. */
static void test_long_run_ends_touched(void)
{
	struct slate_page_constraints fit = {.align_bytes = 2u << 20, .node = SLATE_ANY_NODE};
	pfn_t run = alloc_fit(2048, &fit);

	touch_frames(pfn_add(run, 2046));
	touch_frames(run);
	slate_page_free(run, 2048);
	CHECK(slate_validate() == 0);
	run = alloc_fit(2048, &fit);
	CHECK(slate_validate() == 0);
	slate_page_free(run, 2048);
}

static void test_refused(void)
{
	struct slate_page_constraints crossed = {
		.min = 1u << 30, .max = 1u << 20, .node = SLATE_ANY_NODE};
	struct slate_page_constraints narrow = {
		.min = 1u << 20, .max = (1u << 20) + SLATE_PAGE_SIZE, .node = SLATE_ANY_NODE};
	struct slate_page_constraints odd = {.align_bytes = 12288, .node = SLATE_ANY_NODE};
	struct slate_page_constraints odd_boundary = {.boundary_bytes = 12288,
						      .node = SLATE_ANY_NODE};

	CHECK(pfn_is_none(slate_page_alloc(0, NULL)));
	CHECK(pfn_is_none(slate_page_alloc(SIZE_MAX, NULL)));
	CHECK(pfn_is_none(slate_page_alloc(SIZE_MAX / 2, NULL)));
	CHECK(pfn_is_none(slate_page_alloc(SIZE_MAX >> SLATE_PAGE_SHIFT, NULL)));
	CHECK(pfn_is_none(slate_page_alloc(1, &crossed)));
	CHECK(pfn_is_none(slate_page_alloc(2, &narrow)));
	CHECK(pfn_is_none(slate_page_alloc(1, &odd)));
	CHECK(pfn_is_none(slate_page_alloc(1, &odd_boundary)));
}

static void test_node(void)
{
	struct slate_node_stats stats;

	for (unsigned node = 0; node < SLATE_MAX_NODES; node++) {
		struct slate_page_constraints fit = {.node = node};
		size_t free_pages;

		/* a run, not a frame: frames may come from this CPU's cache */
		if (!slate_node_stats(node, &stats) || stats.largest_run_pages < 16)
			continue;
		free_pages = stats.free_pages + stats.released_pages;
		runs[0] = alloc_fit(16, &fit);
		CHECK(slate_node_stats(node, &stats));
		CHECK(stats.free_pages + stats.released_pages == free_pages - 16);
		slate_page_free(runs[0], 16);
	}
}

static void test_lowest_first(void)
{
	pfn_t a;
	pfn_t b;
	pfn_t again;

	slate_flush();
	a = alloc_fit(32, NULL);
	b = alloc_fit(32, NULL);
	slate_page_free(a, 32);
	again = alloc_fit(32, NULL);
	CHECK(again.v == a.v);
	slate_page_free(again, 32);
	slate_page_free(b, 32);
}

static void test_add_refused(void)
{
	pfn_t pfn = alloc_fit(16, NULL);
	paddr_t pa = pfn_to_paddr(pfn);
	paddr_t far = {(uint64_t)1 << 52};

	CHECK(slate_add_memory(pa, 16 * SLATE_PAGE_SIZE, 0) == SLATE_EEXIST);
	CHECK(slate_add_memory(pa, 0, 0) == SLATE_EINVAL);
	CHECK(slate_add_memory((paddr_t){pa.v + 1}, SLATE_PAGE_SIZE, 0) == SLATE_EINVAL);
	CHECK(slate_add_memory(pa, 16 * SLATE_PAGE_SIZE, SLATE_MAX_NODES) == SLATE_EINVAL);
	CHECK(slate_add_memory(far, 1u << 20, 0) == SLATE_ERANGE);
	slate_page_free(pfn, 16);
}

const struct pure_test selftest_page[] = {
	{"page: runs of every power of two to 2048", test_orders},
	{"page: runs of any length", test_any_count},
	{"page: runs do not overlap", test_disjoint},
	{"page: runs keep their contents", test_contents},
	{"page: alignment to 4 MiB", test_align},
	{"page: lowest and highest address", test_limits},
	{"page: a boundary is not crossed", test_boundary},
	{"page: zeroed frames", test_zero},
	{"page: a run goes back in parts", test_parts},
	{"page: a hole is found exactly", test_parts_reused},
	{"page: a long run whose ends changed last", test_long_run_ends_touched},
	{"page: what cannot be is refused", test_refused},
	{"page: the asked-for node gives", test_node},
	{"page: the lowest address first", test_lowest_first},
	{"page: slate_add_memory refuses what it must", test_add_refused},
	{0},
};
