/* SPDX-License-Identifier: MIT */
/*
 * test_pagealloc_isolate.c - a region on its way out: it serves nobody, takes frames back, tells
 * what is out, and comes back or goes for good.
 */
#include "test-host/unit.h"

#include "mm/pagealloc.h"

#define LOW  ((size_t)0x1000) /* 1000 frames that stay */
#define HIGH ((size_t)0x9000) /* 20000 frames that may go */

static struct pagealloc node;
static void *metadata[3];
static unsigned made;

static void *make_metadata(size_t pages)
{
	size_t bytes = pagealloc_region_bytes(pages);

	assert_int_equal(posix_memalign(&metadata[made], 64, bytes), 0);
	memset(metadata[made], 0xa5, bytes);
	return metadata[made++];
}

static int set_up(void **state)
{
	(void)state;
	host_reset();
	made = 0;
	pagealloc_init(&node, 0);
	assert_true(pagealloc_add(&node, (pfn_t){LOW}, 1000, make_metadata(1000)));
	assert_true(pagealloc_add_removable(&node, (pfn_t){HIGH}, 20000, make_metadata(20000)));
	return 0;
}

static int end(void **state)
{
	(void)state;
	while (made > 0)
		free(metadata[--made]);
	host_reset();
	return 0;
}

static pfn_t take(size_t n)
{
	return pagealloc_alloc(&node, n, NULL);
}

static void assert_valid(void)
{
	pfn_t where = SLATE_PFN_NONE;
	const char *wrong = pagealloc_validate(&node, &where);

	if (wrong)
		host_fail(__FILE__, __LINE__, "%s at frame 0x%zx", wrong, where.v);
}

static void isolating_what_is_not_there(void **state)
{
	(void)state;
	assert_false(pagealloc_isolate(&node, (pfn_t){LOW - 1}));
	assert_false(pagealloc_isolate(&node, (pfn_t){HIGH + 20000}));
	assert_false(pagealloc_isolate(&node, SLATE_PFN_NONE));
	assert_false(pagealloc_remove(&node));
	pagealloc_restore(&node);
	assert_int_equal(node.free_pages, 21000);
	assert_valid();
}

static void an_isolated_region_serves_nobody(void **state)
{
	struct page_fit above = {.min = {HIGH}};
	pfn_t out[4];

	(void)state;
	assert_true(pagealloc_isolate(&node, (pfn_t){HIGH + 77}));
	assert_true(pfn_is_none(take(1001)));
	assert_true(pfn_is_none(pagealloc_alloc(&node, 1, &above)));
	assert_false(pagealloc_alloc_at(&node, (pfn_t){HIGH + 5}, 1));
	assert_int_equal(take(1000).v, LOW);
	assert_int_equal(pagealloc_alloc_batch(&node, out, 4), 0);
	assert_valid();
}

static void bounds(void **state)
{
	pfn_t start = {0};
	size_t pages = 0;

	(void)state;
	assert_true(pagealloc_bounds(&node, (pfn_t){LOW + 999}, &start, &pages));
	assert_int_equal(start.v, LOW);
	assert_int_equal(pages, 1000);
	assert_false(pagealloc_bounds(&node, (pfn_t){LOW + 1000}, &start, &pages));
	assert_true(pagealloc_isolate(&node, (pfn_t){HIGH}));
	assert_true(pagealloc_bounds(&node, (pfn_t){HIGH + 5}, &start, &pages));
	assert_int_equal(start.v, HIGH);
	assert_int_equal(pages, 20000);
}

static void one_at_a_time(void **state)
{
	(void)state;
	assert_true(pagealloc_isolate(&node, (pfn_t){HIGH}));
	assert_false(pagealloc_isolate(&node, (pfn_t){LOW}));
	pagealloc_restore(&node);
	assert_true(pagealloc_isolate(&node, (pfn_t){LOW}));
	pagealloc_restore(&node);
	assert_valid();
}

static void frames_come_back_to_it(void **state)
{
	pfn_t run, batch[3], bad;

	(void)state;
	run = take(5000);
	assert_int_equal(run.v, HIGH);
	assert_true(pagealloc_isolate(&node, run));
	assert_true(pagealloc_contains(&node, run));
	assert_true(pagealloc_is_allocated(&node, run));
	/* and to nobody else */
	assert_false(pagealloc_contains(&node, (pfn_t){HIGH - 1}));
	assert_int_equal(pagealloc_free(&node, (pfn_t){HIGH - 1}, 1), 0);
	assert_int_equal(pagealloc_free(&node, (pfn_t){HIGH + 20000}, 1), 0);
	assert_int_equal(pagealloc_free(&node, run, 1000), 1000);
	assert_false(pagealloc_is_allocated(&node, run));
	assert_int_equal(pagealloc_free(&node, run, 1), 0);
	for (size_t i = 0; i < 3; i++)
		batch[i] = pfn_add(run, 1000 + 600 * i);
	assert_int_equal(pagealloc_free_batch(&node, batch, 3, &bad), 3);
	assert_true(pfn_is_none(bad));
	assert_int_equal(node.free_pages, 21000 - 5000 + 1003);
	assert_valid();
}

static void it_stays_while_frames_are_out(void **state)
{
	pfn_t run;

	(void)state;
	run = take(2000);
	assert_true(pagealloc_isolate(&node, run));
	assert_false(pagealloc_remove(&node));
	assert_int_equal(pagealloc_free(&node, run, 1999), 1999);
	assert_false(pagealloc_remove(&node));
	assert_int_equal(pagealloc_free(&node, pfn_add(run, 1999), 1), 1);
	assert_true(pagealloc_remove(&node));
	assert_valid();
}

static void restored_it_serves_again(void **state)
{
	pfn_t run;

	(void)state;
	run = take(2000);
	assert_true(pagealloc_isolate(&node, run));
	assert_int_equal(pagealloc_free(&node, run, 10), 10);
	pagealloc_restore(&node);
	assert_int_equal(take(1000).v, LOW);
	assert_int_equal(take(10).v, HIGH);
	assert_int_equal(take(10).v, HIGH + 2000);
	assert_valid();
}

static void gone_it_is_forgotten(void **state)
{
	pfn_t out[1] = {{HIGH}};
	pfn_t bad;

	(void)state;
	/* so that it is the one that is asked first */
	assert_int_equal(take(1001).v, HIGH);
	assert_int_equal(pagealloc_free(&node, (pfn_t){HIGH}, 1001), 1001);
	assert_true(pagealloc_isolate(&node, (pfn_t){HIGH}));
	assert_true(pagealloc_remove(&node));
	/* what lies in its metadata now matters to nobody */
	memset(metadata[1], 0x5a, pagealloc_region_bytes(20000));
	assert_int_equal(node.total_pages, 1000);
	assert_int_equal(node.free_pages, 1000);
	assert_int_equal(node.region_count, 1);
	assert_false(pagealloc_contains(&node, (pfn_t){HIGH}));
	assert_false(pagealloc_is_allocated(&node, (pfn_t){HIGH}));
	assert_int_equal(pagealloc_free(&node, (pfn_t){HIGH}, 1), 0);
	assert_int_equal(pagealloc_free_batch(&node, out, 1, &bad), 0);
	assert_int_equal(bad.v, HIGH);
	assert_int_equal(pagealloc_largest(&node), 1000);
	assert_false(pagealloc_remove(&node));
	assert_valid();
	/* the range may come back */
	assert_true(pagealloc_add_removable(&node, (pfn_t){HIGH}, 20000, metadata[1]));
	assert_int_equal(take(20000).v, HIGH);
	assert_valid();
}

/* A search that let others in, and was alone. */
static void a_search_leaves_no_trace(void **state)
{
	struct page_fit even = {.align_pages = 2, .min = {HIGH}};

	(void)state;
	assert_int_equal(take(20000).v, HIGH);
	for (size_t i = 1; i < 20000; i += 2)
		assert_int_equal(pagealloc_free(&node, (pfn_t){HIGH + i}, 1), 1);
	assert_true(pfn_is_none(pagealloc_alloc(&node, 1, &even)));
	for (size_t i = 0; i < 20000; i += 2)
		assert_int_equal(pagealloc_free(&node, (pfn_t){HIGH + i}, 1), 1);
	assert_true(pagealloc_isolate(&node, (pfn_t){HIGH}));
	assert_true(pagealloc_remove(&node));
	assert_valid();
}

/* Runs between from and end, cut there; where all is free, the place to go on. */
static void what_is_out(void **state)
{
	static const struct page_run {
		size_t at, pages;
	} runs[] = {{0, 3}, {500, 100}, {4090, 20}, {12000, 1}, {19999, 1}};
	size_t found = 0;
	size_t pages;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_true(pagealloc_alloc_at(&node, (pfn_t){HIGH + runs[i].at}, runs[i].pages));
	assert_int_equal(
		pagealloc_isolated_taken(&node, (pfn_t){HIGH}, (pfn_t){HIGH + 1}, &pages).v,
		HIGH + 1);
	assert_int_equal(pages, 0);
	assert_true(pagealloc_isolate(&node, (pfn_t){HIGH}));
	for (pfn_t from = {HIGH}, to = {HIGH + 20000}; from.v < to.v; from.v += pages) {
		from = pagealloc_isolated_taken(&node, from, to, &pages);
		for (size_t i = 0; i < pages; i++)
			assert_true(pagealloc_is_allocated(&node, pfn_add(from, i)));
		found += pages;
	}
	assert_int_equal(found, 3 + 100 + 20 + 1 + 1);
	/* a part: cut at both ends */
	assert_int_equal(
		pagealloc_isolated_taken(&node, (pfn_t){HIGH + 550}, (pfn_t){HIGH + 560}, &pages).v,
		HIGH + 550);
	assert_int_equal(pages, 10);
	assert_int_equal(
		pagealloc_isolated_taken(&node, (pfn_t){HIGH + 600}, (pfn_t){HIGH + 700}, &pages).v,
		HIGH + 700);
	assert_int_equal(pages, 0);
}

/* What stays for good lies where nothing is removed. */
static void what_stays_lies_elsewhere(void **state)
{
	struct page_fit fit = {.stays = true};
	struct page_fit aligned = {.stays = true, .align_pages = 512};

	(void)state;
	assert_true(pfn_is_none(pagealloc_alloc(&node, 1001, &fit)));
	assert_int_equal(pagealloc_alloc(&node, 1, &aligned).v, LOW);
	assert_int_equal(pagealloc_alloc(&node, 999, &fit).v, LOW + 1);
	assert_true(pfn_is_none(pagealloc_alloc(&node, 1, &fit)));
	assert_true(pfn_is_none(pagealloc_alloc(&node, 1, &aligned)));
	assert_int_equal(take(1).v, HIGH);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(isolating_what_is_not_there),
		CASE(an_isolated_region_serves_nobody),
		CASE(bounds),
		CASE(one_at_a_time),
		CASE(frames_come_back_to_it),
		CASE(it_stays_while_frames_are_out),
		CASE(restored_it_serves_again),
		CASE(gone_it_is_forgotten),
		CASE(a_search_leaves_no_trace),
		CASE(what_is_out),
		CASE(what_stays_lies_elsewhere),
	};

	return cmocka_run_group_tests_name("pagealloc_isolate", tests, NULL, NULL);
}
