/* SPDX-License-Identifier: MIT */
/* test_pages.c - frames for callers: runs of any length, every constraint, and misuse. */
#include "test-host/unit.h"

#include "mm/mmdebug.h"

/* The functions, which look at once; what their front ends do with constant lengths is in
 * test_runs.c. */
#undef slate_page_alloc
#undef slate_page_free

#define FIRST (MIB >> SLATE_PAGE_SHIFT)

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now;
}

static uint64_t paddr(pfn_t pfn)
{
	return pfn_to_paddr(pfn).v;
}

static pfn_t fit(size_t n, struct slate_page_constraints constraints)
{
	constraints.node = SLATE_ANY_NODE;
	return slate_page_alloc(n, &constraints);
}

/* ---- Runs ---- */

static void runs_of_every_length(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	for (size_t n = 1; n < 1500; n += 1 + n / 8) {
		pfn_t a = slate_page_alloc(n, NULL);
		pfn_t b = slate_page_alloc(n, NULL);

		assert_false(pfn_is_none(a));
		assert_false(pfn_is_none(b));
		assert_true(a.v + n <= b.v || b.v + n <= a.v);
		memset(slate_virt(pfn_to_paddr(a)), 1, n << SLATE_PAGE_SHIFT);
		memset(slate_virt(pfn_to_paddr(b)), 2, n << SLATE_PAGE_SHIFT);
		assert_int_equal(stats().manual_pages, 2 * n);
		slate_page_free(a, n);
		slate_page_free(b, n);
	}
	slate_flush();
	assert_int_equal(stats().free_pages + stats().metadata_pages,
			 before.free_pages + before.metadata_pages);
	assert_int_equal(slate_validate(), 0);
}

static void runs_go_back_in_any_parts(void **state)
{
	size_t before = stats().free_pages;
	pfn_t run = slate_page_alloc(100, NULL);

	(void)state;
	slate_page_free(pfn_add(run, 50), 25);
	slate_page_free(pfn_add(run, 99), 1);
	slate_page_free(run, 1);
	slate_page_free(pfn_add(run, 1), 49);
	slate_page_free(pfn_add(run, 75), 24);
	slate_flush();
	assert_int_equal(stats().free_pages + stats().reserved_pages + stats().metadata_pages,
			 stats().total_pages);
	assert_true(stats().free_pages + 16 >= before);
	assert_int_equal(slate_validate(), 0);
}

static void the_lowest_address_that_fits(void **state)
{
	pfn_t a = slate_page_alloc(4, NULL);
	pfn_t b = slate_page_alloc(4, NULL);
	pfn_t c = slate_page_alloc(4, NULL);

	(void)state;
	assert_true(a.v < b.v && b.v < c.v);
	slate_page_free(a, 4);
	assert_int_equal(slate_page_alloc(3, NULL).v, a.v);
	slate_page_free(b, 4);
	assert_int_equal(slate_page_alloc(5, NULL).v, a.v + 3);
}

static void no_frames_at_all(void **state)
{
	(void)state;
	assert_true(pfn_is_none(slate_page_alloc(0, NULL)));
	assert_true(pfn_is_none(slate_page_alloc(SIZE_MAX, NULL)));
	assert_true(pfn_is_none(slate_page_alloc(100000, NULL)));
	assert_true(pfn_is_none(slate_page_alloc((size_t)1 << 52, NULL)));
	assert_int_equal(mm_report_count(), 0);
	assert_int_equal(slate_validate(), 0);
}

static void both_ways_through_the_direct_map(void **state)
{
	pfn_t pfn = slate_page_alloc(2, NULL);
	char *p = slate_virt(pfn_to_paddr(pfn));

	(void)state;
	assert_int_equal(slate_phys(p).v, paddr(pfn));
	assert_int_equal(slate_phys(p + 4097).v, paddr(pfn) + 4097);
	assert_int_equal(paddr_to_pfn(slate_phys(p + 4097)).v, pfn.v + 1);
}

/* ---- Constraints, one by one ---- */

static void aligned_runs(void **state)
{
	(void)state;
	slate_page_alloc(1, NULL);
	for (uint64_t align = 4096; align <= 4 * MIB; align *= 2) {
		pfn_t pfn = fit(3, (struct slate_page_constraints){.align_bytes = align});

		assert_false(pfn_is_none(pfn));
		assert_int_equal(paddr(pfn) % align, 0);
		slate_page_free(pfn, 3);
	}
	/* less than a frame is a frame */
	assert_false(pfn_is_none(fit(1, (struct slate_page_constraints){.align_bytes = 16})));
}

static void runs_above_a_minimum(void **state)
{
	(void)state;
	for (uint64_t min = MIB; min < 12 * MIB; min += MIB + 100) {
		pfn_t pfn = fit(2, (struct slate_page_constraints){.min = min});

		assert_true(paddr(pfn) >= min);
		assert_true(paddr(pfn) < min + MIB);
		slate_page_free(pfn, 2);
	}
	assert_true(pfn_is_none(fit(1, (struct slate_page_constraints){.min = 17 * MIB})));
}

static void runs_below_a_maximum(void **state)
{
	uint64_t max = 3 * MIB + 100;
	uint64_t end = 0;

	(void)state;
	for (;;) {
		pfn_t pfn = fit(7, (struct slate_page_constraints){.max = max});

		if (pfn_is_none(pfn))
			break;
		assert_true(paddr(pfn) + 7 * 4096 <= max);
		if (paddr(pfn) + 7 * 4096 > end)
			end = paddr(pfn) + 7 * 4096;
	}
	assert_true(end > max - 8 * 4096);
	assert_true(pfn_is_none(fit(1, (struct slate_page_constraints){.max = MIB})));
	assert_false(pfn_is_none(fit(1, (struct slate_page_constraints){.max = UINT64_MAX})));
}

static void runs_that_cross_no_boundary(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		pfn_t pfn = fit(5, (struct slate_page_constraints){.boundary_bytes = 32768});

		assert_int_equal(paddr(pfn) / 32768, (paddr(pfn) + 5 * 4096 - 1) / 32768);
	}
	assert_false(pfn_is_none(fit(8, (struct slate_page_constraints){.boundary_bytes = 32768})));
	assert_true(pfn_is_none(fit(9, (struct slate_page_constraints){.boundary_bytes = 32768})));
}

static void all_constraints_at_once(void **state)
{
	struct slate_page_constraints all = {
		.min = 5 * MIB, .max = 6 * MIB, .align_bytes = 16384, .boundary_bytes = 65536};
	unsigned count = 0;

	(void)state;
	for (;;) {
		pfn_t pfn = fit(6, all);

		if (pfn_is_none(pfn))
			break;
		assert_true(paddr(pfn) >= 5 * MIB && paddr(pfn) + 6 * 4096 <= 6 * MIB);
		assert_int_equal(paddr(pfn) % 16384, 0);
		assert_int_equal(paddr(pfn) / 65536, (paddr(pfn) + 6 * 4096 - 1) / 65536);
		count++;
	}
	/* of the 16 frames between two boundaries, runs of 6 start at 0 and at 8 */
	assert_int_equal(count, 2 * 16);
	assert_int_equal(slate_validate(), 0);
}

static void zeroed_runs(void **state)
{
	(void)state;
	for (size_t n = 1; n < 40; n += 6) {
		pfn_t pfn = slate_page_alloc(n, NULL);
		const char *bytes;

		memset(slate_virt(pfn_to_paddr(pfn)), 0xff, n << SLATE_PAGE_SHIFT);
		slate_page_free(pfn, n);
		pfn = fit(n, (struct slate_page_constraints){.flags = SLATE_ZERO});
		bytes = slate_virt(pfn_to_paddr(pfn));
		for (size_t i = 0; i < n << SLATE_PAGE_SHIFT; i++)
			assert_int_equal(bytes[i], 0);
	}
}

struct contradiction {
	const char *what;
	size_t n;
	struct slate_page_constraints constraints;
};

static void constraints_that_contradict(void **state)
{
	static const struct contradiction table[] = {
		{"max below min", 1, {.min = 5 * MIB, .max = 4 * MIB}},
		{"max equals min", 1, {.min = 5 * MIB, .max = 5 * MIB}},
		{"window shorter than the run", 3, {.min = 5 * MIB, .max = 5 * MIB + 8192}},
		{"window without a whole frame", 1, {.min = 5 * MIB + 1, .max = 5 * MIB + 8191}},
		{"alignment no power of two", 1, {.align_bytes = 12288}},
		{"boundary no power of two", 1, {.boundary_bytes = 12288}},
		{"boundary shorter than the run", 3, {.boundary_bytes = 8192}},
		{"boundary below a frame", 1, {.boundary_bytes = 2048}},
		{"alignment beyond the memory", 1, {.align_bytes = (uint64_t)1 << 62}},
		{"alignment of the whole address space", 1, {.align_bytes = (uint64_t)1 << 63}},
		{"min at the end of the address space", 1, {.min = UINT64_MAX}},
		{"run longer than any memory", SIZE_MAX, {.align_bytes = 4096}},
		{"run whose bytes overflow", (size_t)1 << 53, {.min = 1}},
		{"no frames", 0, {.min = 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		pfn_t pfn = fit(table[i].n, table[i].constraints);

		if (!pfn_is_none(pfn))
			fail_msg("%s: got frame %zu", table[i].what, pfn.v);
	}
	assert_int_equal(slate_validate(), 0);
}

/* ---- Misuse ---- */

static void freeing_what_is_no_run(void **state)
{
	pfn_t run = slate_page_alloc(4, NULL);
	void *object = slate_alloc(100000);
	pfn_t of_object = paddr_to_pfn(slate_phys(object));

	(void)state;
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_page_free(run, 5);
	assert_int_equal(reported()->address, paddr(pfn_add(run, 4)));
	assert_int_equal(reported()->size_bytes, 5 * 4096);
	assert_string_equal(reported()->call, "slate_page_free");
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_page_free(of_object, 2);
	assert_int_equal(reported()->address, paddr(of_object));
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_page_free((pfn_t){SIZE_MAX - 1}, 7);
	reported();
	slate_page_free(run, 4);
	slate_free(object);
	assert_int_equal(slate_validate(), 0);
}

/* A single frame goes into a magazine unseen: found when that is flushed, and the frame stays where
 * it is. */
static void freeing_a_frame_that_is_no_callers(void **state)
{
	void *object = slate_alloc(100000);
	pfn_t frames[] = {paddr_to_pfn(slate_phys(object)), {1}, {FIRST + 100000}, {SIZE_MAX - 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		expect_report(SLATE_CRIME_PAGE_FREE);
		slate_page_free(frames[i], 1);
		slate_flush();
		assert_int_equal(reported()->address, paddr(frames[i]));
		assert_int_equal(slate_validate(), 0);
	}
	slate_free(object);
	assert_int_equal(slate_validate(), 0);
}

static void freeing_no_frame_is_nothing(void **state)
{
	(void)state;
	slate_page_free(SLATE_PFN_NONE, 1);
	slate_flush();
	assert_int_equal(mm_report_count(), 0);
}

static void freeing_no_frames(void **state)
{
	pfn_t run = slate_page_alloc(2, NULL);

	(void)state;
	expect_report(SLATE_CRIME_BAD_ARGUMENT);
	slate_page_free(run, 0);
	assert_string_equal(reported()->call, "slate_page_free");
	slate_page_free(run, 2);
}

static void freeing_a_run_twice(void **state)
{
	pfn_t run = slate_page_alloc(8, NULL);

	(void)state;
	slate_page_free(pfn_add(run, 3), 2);
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_page_free(run, 8);
	assert_int_equal(reported()->address, paddr(pfn_add(run, 3)));
	slate_page_free(run, 3);
	slate_page_free(pfn_add(run, 5), 3);
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_page_free(run, 3);
	reported();
	assert_int_equal(slate_validate(), 0);
}

static void freeing_with_a_length_that_overflows(void **state)
{
	pfn_t run = slate_page_alloc(2, NULL);

	(void)state;
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_page_free(run, SIZE_MAX);
	reported();
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_page_free(run, SIZE_MAX - run.v + 1);
	reported();
	slate_page_free(run, 2);
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(runs_of_every_length),
		SMALL(runs_go_back_in_any_parts),
		SMALL(the_lowest_address_that_fits),
		SMALL(no_frames_at_all),
		SMALL(both_ways_through_the_direct_map),
		SMALL(aligned_runs),
		SMALL(runs_above_a_minimum),
		SMALL(runs_below_a_maximum),
		SMALL(runs_that_cross_no_boundary),
		SMALL(all_constraints_at_once),
		SMALL(zeroed_runs),
		SMALL(constraints_that_contradict),
		SMALL(freeing_what_is_no_run),
		SMALL(freeing_a_frame_that_is_no_callers),
		SMALL(freeing_no_frame_is_nothing),
		SMALL(freeing_no_frames),
		SMALL(freeing_a_run_twice),
		SMALL(freeing_with_a_length_that_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
