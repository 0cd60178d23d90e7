/* SPDX-License-Identifier: MIT */
/*
 * pure_pagefit.c - the page allocator under constraints, in batches, and what it refuses.
 */
#include "lib/bits.h"
#include "mm/page_region.h"
#include "test-host/pure_page_rows.h"

extern const struct pure_test pure_pagefit_tests[];

#define MIN(frame)   .min = {frame}
#define BELOW(frame) .end = {frame}
#define ALIGN(pages) .align_pages = (pages)
#define BOUND(pages) .boundary_pages = (pages)

/* ---- Limits ---- */

ROW(fit_min, .regions = {{C(0), 1024}},
    .steps = {FIT(1, C(0) + 100, MIN(C(0) + 100)), FIT(1, C(0) + 101, MIN(C(0) + 100)),
	      FIT(600, C(0) + 102, MIN(C(0) + 5)), ALLOC(1, C(0)), FIT(1, NONE, MIN(C(2)))},
    .free = {{C(0) + 1, 99}, {C(0) + 702, 322}})

ROW(fit_min_inside_a_run, .regions = {{C(0), 2048}}, .taken = {{C(0) + 700, 10}},
    .steps = {FIT(100, C(0) + 710, MIN(C(0) + 601)), FIT(100, C(0) + 600, MIN(C(0) + 600))},
    .free = {{C(0), 600}, {C(0) + 810, 1238}})

ROW(fit_end, .regions = {{C(0), 1024}},
    .steps = {FIT(11, NONE, BELOW(C(0) + 10)), FIT(10, C(0), BELOW(C(0) + 10)),
	      FIT(1, NONE, BELOW(C(0) + 10)), FIT(1, C(0) + 10, BELOW(C(0) + 11)),
	      FIT(1, NONE, BELOW(C(0))), FIT(1, NONE, BELOW(1))},
    .free = {{C(0) + 11, 1013}})

ROW(fit_end_far_down, .regions = {{C(0), 512 * 70}}, .taken = {{C(0), 512 * 64 + 100}},
    .steps = {FIT(500, NONE, BELOW(C(65) + 87)), FIT(500, C(64) + 100, BELOW(C(65) + 88))},
    .free = {{C(65) + 88, 2472}})

ROW(fit_window, .regions = {{C(0), 1024}},
    .steps = {FIT(21, NONE, MIN(C(0) + 500), BELOW(C(0) + 520)),
	      FIT(20, C(0) + 500, MIN(C(0) + 500), BELOW(C(0) + 520)),
	      FIT(1, NONE, MIN(C(0) + 500), BELOW(C(0) + 520)),
	      FIT(1, NONE, MIN(C(0) + 600), BELOW(C(0) + 600)),
	      FIT(1, NONE, MIN(C(0) + 600), BELOW(C(0) + 400))},
    .free = {{C(0), 500}, {C(0) + 520, 504}})

ROW(fit_window_choosing_region, .regions = {{C(0), 100}, {C(4), 100}, {C(8), 100}},
    .steps = {FIT(100, C(4), MIN(C(0) + 1)), FIT(1, NONE, MIN(C(4)), BELOW(C(8))),
	      FIT(100, C(8), MIN(C(1))), FIT(1, NONE, MIN(C(8) + 100)),
	      FIT(100, C(0), BELOW(C(4) + 1))},
    .free = {{0, 0}})

/* limits that leave the whole region are none */
ROW(fit_wide, .regions = {{C(0), 1024}}, .taken = {{C(0), 3}},
    .steps = {FIT(2, C(0) + 3, MIN(C(0)), BELOW(C(2))), FIT(2, C(0) + 5, MIN(1), BELOW(NONE)),
	      FIT(2, C(0) + 7, ALIGN(1))},
    .free = {{C(0) + 9, 1015}})

/* ---- Alignment ---- */

ROW(align_small, .regions = {{C(0) + 1, 1000}},
    .steps = {FIT(1, C(0) + 2, ALIGN(2)), FIT(1, C(0) + 8, ALIGN(8)), FIT(9, C(0) + 16, ALIGN(8)),
	      FIT(3, C(0) + 64, ALIGN(64)), ALLOC(1, C(0) + 1), FIT(1, C(0) + 4, ALIGN(4))},
    .free = {{C(0) + 3, 1}, {C(0) + 5, 3}, {C(0) + 9, 7}, {C(0) + 25, 39}, {C(0) + 67, 934}})

/* the lowest free run is long enough, but not where it is aligned */
ROW(align_misplaced_run, .regions = {{C(0), 1024}},
    .taken = {{C(0), 17}, {C(0) + 31, 200}, {C(0) + 239, 100}},
    .steps = {FIT(8, NONE, ALIGN(8), BELOW(C(0) + 240)),
	      FIT(8, C(0) + 344, ALIGN(8), MIN(C(0) + 26)), FIT(7, C(0) + 24, ALIGN(8))},
    .free = {{C(0) + 17, 7}, {C(0) + 231, 8}, {C(0) + 339, 5}, {C(0) + 352, 672}})

ROW(align_across_words, .regions = {{C(0), 512}}, .taken = {{C(0), 57}, {C(0) + 140, 300}},
    .steps = {FIT(70, C(0) + 64, ALIGN(16)), FIT(1, C(0) + 60, ALIGN(4)),
	      FIT(64, C(0) + 448, ALIGN(64))},
    .free = {{C(0) + 57, 3}, {C(0) + 61, 3}, {C(0) + 134, 6}, {C(0) + 440, 8}})

ROW(align_above_a_word, .regions = {{C(0) + 100, 1000}},
    .steps = {FIT(5, C(0) + 128, ALIGN(128)), FIT(200, C(0) + 256, ALIGN(256)),
	      FIT(1, C(1), ALIGN(256)), FIT(1, C(0) + 640, ALIGN(128))},
    .free = {{C(0) + 100, 28},
	     {C(0) + 133, 123},
	     {C(0) + 456, 56},
	     {C(0) + 513, 127},
	     {C(0) + 641, 459}})

ROW(align_chunk, .regions = {{C(0) + 1, 4000}},
    .steps = {FIT(512, C(1), ALIGN(512)), FIT(512, C(2), ALIGN(512)), FIT(1, C(3), ALIGN(512)),
	      FIT(600, C(4), ALIGN(512))},
    .free = {{C(0) + 1, 511}, {C(3) + 1, 511}, {C(5) + 88, 1353}})

ROW(align_above_a_chunk, .regions = {{C(1), 512 * 30}},
    .steps = {FIT(3, C(4), ALIGN(2048)), FIT(1024, C(2), ALIGN(1024)), FIT(5000, C(8), ALIGN(4096)),
	      FIT(1, C(24), ALIGN(4096), MIN(C(8))), FIT(1, NONE, ALIGN(16384), MIN(C(8)))},
    .free = {{C(1), 512}, {C(4) + 3, 2045}, {C(17) + 392, 3192}, {C(24) + 1, 3583}})

/* the only place of a chunk is taken, the rest of it free */
ROW(align_first_frames_taken, .regions = {{C(0), 512 * 24}},
    .taken = {{C(0), 1}, {C(1), 1}, {C(2), 1}, {C(3), 1}, {C(4), 1}, {C(5), 1}, {C(6), 512 * 17}},
    .steps = {FIT(2, C(23), ALIGN(512)), FIT(511, NONE, ALIGN(512)), FIT(510, C(0) + 2, ALIGN(2)),
	      FIT(2, NONE, ALIGN(1024))},
    .free = {{C(0) + 1, 1},
	     {C(1) + 1, 511},
	     {C(2) + 1, 511},
	     {C(3) + 1, 511},
	     {C(4) + 1, 511},
	     {C(5) + 1, 511},
	     {C(23) + 2, 510}})

ROW(align_too_large, .regions = {{C(0) + 1, 1000}},
    .steps = {FIT(1, NONE, ALIGN((size_t)1 << (sizeof(size_t) * 8 - 1))),
	      FIT(1, NONE, ALIGN(ROW_BASE * 2)), FIT(1000, NONE, ALIGN(2))},
    .free = {{C(0) + 1, 1000}})

ROW(align_not_a_power_of_two, .regions = {{C(0), 1000}},
    .steps = {FIT(1, NONE, ALIGN(3)), FIT(1, NONE, ALIGN(SIZE_MAX)), FIT(1, NONE, BOUND(6))},
    .free = {{C(0), 1000}})

/* ---- Boundaries ---- */

ROW(bound_small, .regions = {{C(0), 512}}, .taken = {{C(0), 3}},
    .steps = {FIT(6, C(0) + 8, BOUND(8)), FIT(5, C(0) + 3, BOUND(8)), FIT(10, C(0) + 16, BOUND(16)),
	      FIT(7, C(0) + 32, BOUND(16)), FIT(6, C(0) + 26, BOUND(16))},
    .free = {{C(0) + 14, 2}, {C(0) + 39, 473}})

ROW(bound_equal, .regions = {{C(0) + 1, 511}},
    .steps = {FIT(64, C(0) + 64, BOUND(64)), FIT(1, C(0) + 1, BOUND(1)),
	      FIT(128, C(0) + 128, BOUND(128))},
    .free = {{C(0) + 2, 62}, {C(0) + 256, 256}})

ROW(bound_shorter_than_run, .regions = {{C(0), 512}},
    .steps = {FIT(9, NONE, BOUND(8)), FIT(2, NONE, BOUND(1))}, .free = {{C(0), 512}})

ROW(bound_chunk, .regions = {{C(0), 2048}}, .taken = {{C(0), 300}, {C(1) + 212, 2}},
    .steps = {FIT(299, C(2), BOUND(512)), FIT(298, C(1) + 214, BOUND(512)),
	      FIT(212, C(0) + 300, BOUND(512)), FIT(212, C(1), BOUND(512))},
    .free = {{C(2) + 299, 725}})

ROW(bound_above_a_chunk, .regions = {{C(0), 512 * 9}}, .taken = {{C(0), 512 * 3 + 1}},
    .steps = {FIT(600, C(4), BOUND(2048)), FIT(1448, C(5) + 88, BOUND(2048))},
    .free = {{C(3) + 1, 511}, {C(8), 512}})

ROW(bound_with_alignment, .regions = {{C(0), 1024}}, .taken = {{C(0), 41}},
    .steps = {FIT(21, C(0) + 64, ALIGN(4), BOUND(64)), FIT(20, C(0) + 44, ALIGN(4), BOUND(64)),
	      FIT(40, C(0) + 128, ALIGN(32), BOUND(64)), FIT(17, C(0) + 86, ALIGN(2), BOUND(64)),
	      FIT(33, C(0) + 192, ALIGN(32), BOUND(64), MIN(C(0) + 104))},
    .free = {{C(0) + 41, 3}, {C(0) + 85, 1}, {C(0) + 103, 25}, {C(0) + 168, 24}, {C(0) + 225, 799}})

/* constraints do not disturb the hints of others */
ROW(fit_then_plain, .regions = {{C(0), 2048}}, .taken = {{C(0) + 4, 60}},
    .steps = {ALLOC(8, C(0) + 64), FIT(8, C(2), ALIGN(1024), MIN(C(1))), ALLOC(8, C(0) + 72),
	      FREE(C(0) + 64, 8, 8), FIT(4, C(0), ALIGN(4)), ALLOC(8, C(0) + 64)},
    .free = {{C(0) + 80, 944}, {C(2) + 8, 1016}})

/* ---- Adding ---- */

static void add_refused(void)
{
	page_row_start();
	CHECK(page_row_add(0, C(1), 512));
	CHECK(!page_row_add(1, C(1), 512));
	CHECK(!page_row_add(1, C(0), 513));
	CHECK(!page_row_add(1, C(1) + 511, 5));
	CHECK(!page_row_add(1, C(1) + 100, 5));
	CHECK(!page_row_add(1, C(0), 3000));
	CHECK(!page_row_add(1, C(3), 0));
	CHECK(!page_row_add(1, SIZE_MAX - 3, 5));
	CHECK(!page_row_add(1, 0, PAGEALLOC_REGION_MAX + 1));
	CHECK(page_row_node.region_count == 1);
	CHECK(page_row_node.total_pages == 512);
	CHECK(page_row_add(1, C(0), 512));
	CHECK(page_row_add(2, C(2), 512));
	CHECK(page_row_node.total_pages == 3 * 512);
	page_row_check((const struct page_run[ROW_RUNS]){{C(0), 512}, {C(1), 512}, {C(2), 512}});
}

static size_t regions_seen;

/* Under the lock, where no test may end. */
static void see_region(pfn_t pfn, size_t pages, void *arg)
{
	const struct page_run *expected = arg;

	if (regions_seen < 3 && pfn.v == expected[regions_seen].pfn &&
	    pages == expected[regions_seen].pages)
		regions_seen++;
}

static void each_region(void)
{
	struct page_run expected[] = {{C(0) + 7, 3}, {C(2), 512}, {C(9) + 1, 1000}};

	page_row_start();
	CHECK(page_row_add(0, C(9) + 1, 1000));
	CHECK(page_row_add(1, C(0) + 7, 3));
	CHECK(page_row_add(2, C(2), 512));
	regions_seen = 0;
	pagealloc_for_each_region(&page_row_node, see_region, expected);
	CHECK(regions_seen == 3);
}

static void metadata_size(void)
{
	size_t gib = (size_t)1 << 18;

	CHECK(pagealloc_region_bytes(1) < 1024);
	CHECK(pagealloc_region_bytes(PAGEALLOC_REGION_MAX) < SIZE_MAX / 2);
	CHECK(pagealloc_region_bytes(PAGEALLOC_REGION_MAX + 1) == SIZE_MAX);
	/* three bitmaps of 1/8 byte a frame, summaries a quarter of one: below 0.011 % of memory */
	CHECK(pagealloc_region_bytes(gib) < gib * 4096 / 9500);
	for (size_t pages = 1; pages < 5000; pages += 37)
		CHECK(pagealloc_region_bytes(pages) <= pagealloc_region_bytes(pages + 1));
}

static void empty_node(void)
{
	pfn_t out[4], bad, where;

	page_row_start();
	CHECK(pfn_is_none(pagealloc_alloc(&page_row_node, 1, NULL)));
	CHECK(!pagealloc_alloc_at(&page_row_node, (pfn_t){0}, 1));
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 4) == 0);
	CHECK(pagealloc_free(&page_row_node, (pfn_t){0}, 1) == 0);
	out[0] = (pfn_t){5};
	CHECK(pagealloc_free_batch(&page_row_node, out, 1, &bad) == 0);
	CHECK(bad.v == 5);
	CHECK(!pagealloc_contains(&page_row_node, (pfn_t){0}));
	CHECK(pagealloc_largest(&page_row_node) == 0);
	CHECK(!pagealloc_validate(&page_row_node, &where));
	pagealloc_init(&page_row_node, 3);
	CHECK(page_row_node.node == 3);
}

/* ---- Batches ---- */

/* got frames from first on, step apart */
static void check_frames(const pfn_t *out, size_t got, size_t first, size_t step)
{
	for (size_t i = 0; i < got; i++)
		CHECK(out[i].v == first + i * step);
}

static void batch_out_dense(void)
{
	pfn_t out[200];

	page_row_start();
	CHECK(page_row_add(0, C(0) + 500, 512));
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 0) == 0);
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 5) == 5);
	check_frames(out, 5, C(0) + 500, 1);
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 200) == 200);
	check_frames(out, 200, C(0) + 505, 1);
	page_row_check((const struct page_run[ROW_RUNS]){{C(1) + 193, 307}});
}

static void batch_out_holes(void)
{
	pfn_t out[128];

	page_row_start();
	CHECK(page_row_add(0, C(0), 512));
	for (size_t i = 0; i < 512; i += 3)
		CHECK(pagealloc_alloc_at(&page_row_node, (pfn_t){C(0) + i}, 2));
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 64) == 64);
	check_frames(out, 64, C(0) + 2, 3);
	/* all that one chunk has, over several words */
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 128) == 106);
	check_frames(out, 106, C(0) + 194, 3);
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 64) == 0);
	page_row_check((const struct page_run[ROW_RUNS]){{0, 0}});
}

/* few frames a chunk: each call may end early, but not at none */
static void batch_out_scattered(void)
{
	pfn_t out[64];
	size_t got = 0;

	page_row_start();
	CHECK(page_row_add(0, C(0), 512 * 40));
	CHECK(pfn_is_none(pagealloc_alloc(&page_row_node, 512 * 40, NULL)) == false);
	for (size_t i = 0; i < 40; i++)
		CHECK(pagealloc_free(&page_row_node, (pfn_t){C(i) + 77}, 1) == 1);
	while (got < 40) {
		size_t now = pagealloc_alloc_batch(&page_row_node, out, 64);

		CHECK(now > 0);
		/* and no call works for long */
		CHECK(now <= 4);
		check_frames(out, now, C(got) + 77, 512);
		got += now;
	}
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 64) == 0);
	page_row_check((const struct page_run[ROW_RUNS]){{0, 0}});
}

static void batch_out_regions(void)
{
	pfn_t out[8];

	page_row_start();
	CHECK(page_row_add(0, C(0), 3));
	CHECK(page_row_add(1, C(5), 3));
	CHECK(page_row_add(2, C(9), 3));
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 8) == 8);
	CHECK(out[2].v == C(0) + 2);
	CHECK(out[3].v == C(5));
	CHECK(out[7].v == C(9) + 1);
	page_row_check((const struct page_run[ROW_RUNS]){{C(9) + 2, 1}});
}

static void start_taken(void)
{
	page_row_start();
	CHECK(page_row_add(0, C(0) + 5, 1000));
	CHECK(page_row_add(1, C(4), 100));
	CHECK(pagealloc_alloc_at(&page_row_node, (pfn_t){C(0) + 5}, 1000));
	CHECK(pagealloc_alloc_at(&page_row_node, (pfn_t){C(4)}, 100));
}

static void batch_in_ascending(void)
{
	const pfn_t pfns[] = {{C(0) + 5},   {C(0) + 6},   {C(0) + 63}, {C(0) + 64},
			      {C(0) + 200}, {C(1) + 492}, {C(4)},      {C(4) + 99}};
	pfn_t bad = {0};

	start_taken();
	CHECK(pagealloc_free_batch(&page_row_node, pfns, 8, &bad) == 8);
	CHECK(pfn_is_none(bad));
	page_row_check((const struct page_run[ROW_RUNS]){{C(0) + 5, 2},
							 {C(0) + 63, 2},
							 {C(0) + 200, 1},
							 {C(1) + 492, 1},
							 {C(4), 1},
							 {C(4) + 99, 1}});
	CHECK(pagealloc_alloc(&page_row_node, 2, NULL).v == C(0) + 5);
	CHECK(pagealloc_alloc(&page_row_node, 2, NULL).v == C(0) + 63);
}

static void batch_in_unsorted(void)
{
	const pfn_t pfns[] = {{C(4) + 50}, {C(0) + 70}, {C(1)},
			      {C(0) + 69}, {C(0) + 71}, {C(4) + 49}};
	pfn_t bad = {0};

	start_taken();
	CHECK(pagealloc_free_batch(&page_row_node, pfns, 6, &bad) == 6);
	CHECK(pfn_is_none(bad));
	page_row_check(
		(const struct page_run[ROW_RUNS]){{C(0) + 69, 3}, {C(1), 1}, {C(4) + 49, 2}});
	CHECK(pagealloc_alloc(&page_row_node, 3, NULL).v == C(0) + 69);
}

/* the bad ones are told and left, whatever stands around them */
static void batch_in_bad(void)
{
	static const struct {
		pfn_t pfns[4];
		size_t freed;
		size_t bad;
	} rows[] = {
		{{{C(0) + 10}, {C(0) + 10}, {C(0) + 11}, {C(0) + 12}}, 3, C(0) + 10},
		{{{C(0) + 4}, {C(0) + 5}, {C(0) + 6}, {C(0) + 7}}, 3, C(0) + 4},
		{{{C(1) + 491}, {C(1) + 492}, {C(1) + 493}, {C(4)}}, 3, C(1) + 493},
		{{{C(0) + 5}, {C(2) + 1}, {C(3)}, {C(4) + 1}}, 2, C(2) + 1},
		{{{C(0) + 6}, {C(0) + 4}, {C(0) + 5}, {C(0) + 7}}, 3, C(0) + 4},
		{{{C(4) + 98}, {C(4) + 100}, {C(4) + 99}, {C(4) + 97}}, 3, C(4) + 100},
		{{{0}, {SIZE_MAX}, {C(4) + 100}, {C(4) + 99}}, 1, 0},
		{{{C(0) + 30}, {C(0) + 31}, {C(0) + 30}, {C(0) + 31}}, 2, C(0) + 30},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		pfn_t bad, where;

		start_taken();
		CHECK(pagealloc_free_batch(&page_row_node, rows[i].pfns, 4, &bad) == rows[i].freed);
		CHECK(bad.v == rows[i].bad);
		CHECK(page_row_node.free_pages == rows[i].freed);
		CHECK(!pagealloc_validate(&page_row_node, &where));
	}
}

/* ---- Hints ---- */

static struct page_region *first_region(void)
{
	return page_row_node.regions;
}

/* Results do not tell whether a hint is as good as it can be, only time does. */
static void hints_are_exact(void)
{
	struct page_region *region;
	pfn_t out[64], bad;

	page_row_start();
	CHECK(page_row_add(0, C(0), 500));
	region = first_region();
	CHECK(pagealloc_alloc_batch(&page_row_node, out, 64) == 64);
	CHECK(region->first_free == 64);
	CHECK(pagealloc_alloc(&page_row_node, 1, NULL).v == C(0) + 64);
	CHECK(region->first_free == 65);
	CHECK(pagealloc_alloc(&page_row_node, 8, NULL).v == C(0) + 65);
	CHECK(region->first_free == 73);
	CHECK(region->run_from == 73);
	/* the run comes back: as before */
	CHECK(pagealloc_free(&page_row_node, (pfn_t){C(0) + 65}, 8) == 8);
	CHECK(region->first_free == 65);
	CHECK(region->run_from == 65);
	/* a frame: seven before it may belong to a run of eight with it */
	CHECK(pagealloc_free(&page_row_node, (pfn_t){C(0) + 30}, 1) == 1);
	CHECK(region->first_free == 30);
	CHECK(region->run_from == 23);
	CHECK(pagealloc_free(&page_row_node, (pfn_t){C(0) + 2}, 1) == 1);
	CHECK(region->run_from == 0);
	/* no such run anywhere */
	CHECK(pfn_is_none(pagealloc_alloc(&page_row_node, 436, NULL)));
	CHECK(region->run_from == region->end_bit);
	CHECK(pagealloc_free_batch(&page_row_node, out + 10, 5, &bad) == 5);
	CHECK(region->run_from == 0);
	CHECK(region->first_free == 2);
}

/* Two neighbours in either order need no tree; a third chunk sends one of them there. */
static void pending_chunks(void)
{
	struct page_region *region;

	page_row_start();
	CHECK(page_row_add(0, C(0), 512 * 20));
	region = first_region();
	CHECK(pagealloc_alloc_at(&page_row_node, (pfn_t){C(3) + 500}, 20));
	CHECK(region->pending[0] == 3);
	CHECK(region->pending[1] == 4);
	CHECK(pagealloc_free(&page_row_node, (pfn_t){C(4) + 1}, 1) == 1);
	CHECK(pagealloc_free(&page_row_node, (pfn_t){C(3) + 501}, 1) == 1);
	CHECK(region->tree.level[0][3].max == 512);
	CHECK(region->tree.level[0][4].max == 512);
	CHECK(pagealloc_alloc_at(&page_row_node, (pfn_t){C(9)}, 1));
	CHECK(region->pending[0] == 9);
	CHECK(region->pending[1] == 3);
	CHECK(region->tree.level[0][3].max == 512);
	CHECK(region->tree.level[0][4].max == 504);
	page_region_settle(region);
	CHECK(region->tree.level[0][3].max == 500);
	CHECK(region->pending[0] == SIZE_MAX);
	CHECK(region->pending[1] == SIZE_MAX);
	CHECK(!page_region_settle_one(region));
}

/* ---- What validate finds ---- */

static pfn_t found_at;

static bool finds(const char *expected)
{
	const char *wrong = pagealloc_validate(&page_row_node, &found_at);

	for (; wrong && *wrong && *wrong == *expected; wrong++)
		expected++;
	return wrong && *wrong == '\0' && *expected == '\0';
}

static void start_settled(void)
{
	page_row_start();
	CHECK(page_row_add(0, C(0) + 5, 512 * 20));
	CHECK(pagealloc_alloc(&page_row_node, 100, NULL).v == C(0) + 5);
	page_region_settle(first_region());
	CHECK(!finds(""));
}

static void validate_finds_bitmap(void)
{
	start_settled();
	bitmap_set(first_region()->bitmap, 512 * 3 + 7);
	CHECK(finds("page region: free frames are not the zeros of its bitmap"));
	bitmap_clear(first_region()->bitmap, 512 * 5 + 1);
	bitmap_clear(first_region()->bitmap, 10);
	CHECK(finds("page region: summary of a chunk differs from its bitmap"));
	CHECK(found_at.v == C(3));
	start_settled();
	bitmap_clear(first_region()->bitmap, 4);
	CHECK(finds("page region: a bit outside its bounds is free"));
}

static void validate_finds_summaries(void)
{
	start_settled();
	first_region()->tree.level[0][9].max--;
	CHECK(finds("page region: summary of a chunk differs from its bitmap"));
	CHECK(found_at.v == C(9));
	start_settled();
	first_region()->tree.level[1][1].start++;
	CHECK(finds("page region: summary differs from those below it"));
	CHECK(found_at.v == C(8));
	start_settled();
	first_region()->tree.some[0][0] &= ~(bitword_t)2;
	CHECK(finds("page region: list of chunks with free frames is wrong"));
}

static void validate_finds_hints(void)
{
	start_settled();
	first_region()->first_free = 512;
	CHECK(finds("page region: a free frame below the hint"));
	start_settled();
	first_region()->run_from = 300;
	CHECK(finds("page region: a free run below the hint"));
	start_settled();
	first_region()->run_from = 512 * 30;
	CHECK(finds("page region: hint outside"));
}

static void validate_finds_counts(void)
{
	start_settled();
	first_region()->free_pages++;
	CHECK(finds("page region: free frames are not the zeros of its bitmap"));
	start_settled();
	page_row_node.free_pages++;
	CHECK(finds("page allocator: free frames are not the sum of its regions'"));
	start_settled();
	page_row_node.total_pages++;
	CHECK(finds("page allocator: frames are not the sum of its regions'"));
	start_settled();
	page_row_node.region_count++;
	CHECK(finds("page allocator: number of regions"));
}

const struct pure_test pure_pagefit_tests[] = {
	{"pagealloc: fit min", fit_min},
	{"pagealloc: fit min inside a run", fit_min_inside_a_run},
	{"pagealloc: fit end", fit_end},
	{"pagealloc: fit end far down", fit_end_far_down},
	{"pagealloc: fit window", fit_window},
	{"pagealloc: fit window choosing region", fit_window_choosing_region},
	{"pagealloc: fit wide", fit_wide},
	{"pagealloc: align small", align_small},
	{"pagealloc: align misplaced run", align_misplaced_run},
	{"pagealloc: align across words", align_across_words},
	{"pagealloc: align above a word", align_above_a_word},
	{"pagealloc: align chunk", align_chunk},
	{"pagealloc: align above a chunk", align_above_a_chunk},
	{"pagealloc: align first frames taken", align_first_frames_taken},
	{"pagealloc: align too large", align_too_large},
	{"pagealloc: align not a power of two", align_not_a_power_of_two},
	{"pagealloc: bound small", bound_small},
	{"pagealloc: bound equal", bound_equal},
	{"pagealloc: bound shorter than run", bound_shorter_than_run},
	{"pagealloc: bound chunk", bound_chunk},
	{"pagealloc: bound above a chunk", bound_above_a_chunk},
	{"pagealloc: bound with alignment", bound_with_alignment},
	{"pagealloc: fit then plain", fit_then_plain},
	{"pagealloc: add refused", add_refused},
	{"pagealloc: each region", each_region},
	{"pagealloc: metadata size", metadata_size},
	{"pagealloc: empty node", empty_node},
	{"pagealloc: batch out dense", batch_out_dense},
	{"pagealloc: batch out holes", batch_out_holes},
	{"pagealloc: batch out scattered", batch_out_scattered},
	{"pagealloc: batch out regions", batch_out_regions},
	{"pagealloc: batch in ascending", batch_in_ascending},
	{"pagealloc: batch in unsorted", batch_in_unsorted},
	{"pagealloc: batch in bad", batch_in_bad},
	{"pagealloc: hints are exact", hints_are_exact},
	{"pagealloc: pending chunks", pending_chunks},
	{"pagealloc: validate finds bitmap", validate_finds_bitmap},
	{"pagealloc: validate finds summaries", validate_finds_summaries},
	{"pagealloc: validate finds hints", validate_finds_hints},
	{"pagealloc: validate finds counts", validate_finds_counts},
	{NULL, NULL},
};
