/* SPDX-License-Identifier: MIT */
/* test_stats.c - figures after a flush are exact: by class, by CPU, by node, and the equation of
 * stats.h. */
#include "test-host/unit.h"

#include "mm/mmdebug.h"
#include "mm/sizeclass.h"
#include "mm/spanclass.h"

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	assert_int_equal(now.total_pages, now.free_pages + now.cached_pages + now.object_pages +
						  now.manual_pages + now.metadata_pages +
						  now.reserved_pages + now.released_pages);
	return now;
}

static struct slate_class_stats class_of(size_t size_bytes)
{
	struct slate_class_stats of;

	assert_true(slate_class_stats(sizeclass_of(size_bytes) << 1, &of));
	return of;
}

static void a_fresh_machine(void **state)
{
	struct slate_stats now = stats();

	(void)state;
	assert_int_equal(now.total_pages, 16 * 256);
	assert_int_equal(now.objects, 0);
	assert_int_equal(now.object_bytes, 0);
	assert_int_equal(now.cached_pages + now.object_pages + now.manual_pages, 0);
	assert_int_equal(now.drains + now.failures + now.reports + now.leaked_objects, 0);
	assert_true(now.metadata_pages > 0);
}

static void live_objects_by_class(void **state)
{
	void *objects[100];
	struct slate_stats now;

	(void)state;
	for (int i = 0; i < 100; i++)
		objects[i] = slate_alloc(200);
	slate_flush();
	now = stats();
	assert_int_equal(now.objects, 100);
	assert_int_equal(now.cached_objects, 0);
	assert_int_equal(now.object_bytes, 100 * slate_good_size(200));
	assert_int_equal(class_of(200).objects, 100);
	assert_int_equal(now.object_pages, class_of(200).spans * class_of(200).span_pages);
	for (int i = 0; i < 100; i++)
		slate_free(objects[i]);
	slate_flush();
	assert_int_equal(class_of(200).objects + class_of(200).spans, 0);
	assert_int_equal(stats().objects, 0);
}

static void classes_as_the_table_has_them(void **state)
{
	struct slate_class_stats of;
	unsigned seen = 0;

	(void)state;
	assert_false(slate_class_stats(0, &of));
	assert_false(slate_class_stats(1, &of));
	assert_false(slate_class_stats(slate_class_count(), &of));
	assert_false(slate_class_stats(1000000, &of));
	for (unsigned class = 2; class < slate_class_count(); class ++) {
		/* numbers of typed caches that do not exist are none; blocks of tiny objects are
		 * one of their own */
		if (!slate_class_stats(class, &of) || class == SPANCLASS_TINY)
			continue;
		assert_false(of.typed);
		assert_int_equal(of.elem_bytes, sizeclass_bytes[class >> 1]);
		assert_int_equal(of.span_pages, sizeclass_pages[class >> 1]);
		assert_int_equal(of.elems_per_span, sizeclass_elems[class >> 1]);
		assert_int_equal(of.noscan, class & 1);
		seen++;
	}
	assert_int_equal(seen, 2 * (SIZECLASS_COUNT - 1));
}

static void waste_is_the_tails(void **state)
{
	void *p = slate_alloc(56);
	struct slate_class_stats of = class_of(56);

	(void)state;
	assert_int_equal(of.spans, 1);
	assert_int_equal(of.waste_bytes, of.span_pages * SLATE_PAGE_SIZE - of.elems_per_span * 56);
	slate_free(p);
}

static void large_objects(void **state)
{
	void *a = slate_alloc(100000);
	void *b = slate_alloc(32769);
	struct slate_stats now = stats();

	(void)state;
	assert_int_equal(now.large_objects, 2);
	assert_int_equal(now.objects, 2);
	assert_int_equal(now.object_bytes, 25 * 4096 + 9 * 4096);
	assert_int_equal(now.object_pages, 25 + 9);
	slate_free(a);
	slate_free(b);
	assert_int_equal(stats().large_objects, 0);
}

static void frames(void **state)
{
	pfn_t a = slate_page_alloc(1, NULL);
	pfn_t b = slate_page_alloc(10, NULL);

	(void)state;
	assert_int_equal(stats().manual_pages, 11);
	slate_page_free(a, 1);
	assert_int_equal(stats().manual_pages, 10);
	assert_true(stats().cached_pages > 0);
	slate_page_free(b, 10);
	slate_flush();
	assert_int_equal(stats().manual_pages + stats().cached_pages, 0);
}

static void refusals_and_drains(void **state)
{
	struct slate_stats before = stats();
	struct slate_stats after;

	(void)state;
	assert_null(slate_alloc(100 * MIB));
	after = stats();
	assert_int_equal(after.failures, before.failures + 1);
	assert_int_equal(after.drains, before.drains + 1);
	assert_true(pfn_is_none(slate_page_alloc(100000, NULL)));
	assert_int_equal(stats().failures, before.failures + 2);
	host_boot(MIB, 4 * MIB);
	assert_int_equal(stats().failures + stats().drains, 0);
}

static void reports_and_leaks(void **state)
{
	void *p = slate_alloc(64);

	(void)state;
	slate_free(p);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free(p);
	slate_flush();
	reported();
	assert_int_equal(stats().reports, 1);
	assert_int_equal(stats().leaked_objects, 1);
}

static void nodes(void **state)
{
	struct slate_node_stats node;

	(void)state;
	assert_true(slate_node_stats(0, &node));
	assert_int_equal(node.total_pages, 16 * 256);
	assert_int_equal(node.free_pages, stats().free_pages);
	assert_true(node.largest_run_pages <= node.free_pages);
	assert_false(pfn_is_none(slate_page_alloc(node.largest_run_pages, NULL)));
	assert_false(slate_node_stats(1, &node));
	assert_false(slate_node_stats(1000, &node));
}

/* Goals for the memory of many objects: frames taken, metadata included, by bytes asked for, in
 * percent. */
static void memory_per_object(void **state)
{
	static const size_t goals[][2] = {{24, 103}, {40, 104}, {100, 113}, {200, 106}, {600, 110}};
	enum { N = 100000 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct slate_stats before;
		struct slate_stats after;
		size_t bytes;

		host_boot(MIB, 128 * MIB);
		slate_stats(&before);
		for (int n = 0; n < N; n++)
			assert_non_null(slate_alloc(goals[i][0]));
		slate_flush();
		slate_stats(&after);
		bytes = (before.free_pages - after.free_pages) * SLATE_PAGE_SIZE;
		assert_true(bytes * 100 <= goals[i][0] * N * goals[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(a_fresh_machine),
		SMALL(live_objects_by_class),
		SMALL(classes_as_the_table_has_them),
		SMALL(waste_is_the_tails),
		SMALL(large_objects),
		SMALL(frames),
		SMALL(refusals_and_drains),
		SMALL(reports_and_leaks),
		SMALL(nodes),
		SMALL(memory_per_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
