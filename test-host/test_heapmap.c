/* SPDX-License-Identifier: MIT */
/* test_heapmap.c - the walk run by run: order, maximal runs, spans whole, and the figures' equal.
 */
#include "test-host/unit.h"

#include <slate/heapmap.h>
#include <slate/port.h>

#define MAX_RUNS 4096

static struct slate_heap_run runs[MAX_RUNS];
static size_t run_count, stop_after;
static size_t pages_of[SLATE_HEAP_KINDS];

static bool note(const struct slate_heap_run *run, void *arg)
{
	assert_ptr_equal(arg, runs);
	assert_true(run_count < MAX_RUNS);
	assert_in_range(run->kind, 0, SLATE_HEAP_KINDS - 1);
	runs[run_count++] = *run;
	pages_of[run->kind] += run->pages;
	return run_count != stop_after;
}

static bool is_plain(const struct slate_heap_run *run)
{
	return run->kind != SLATE_HEAP_OBJECTS && run->kind != SLATE_HEAP_LARGE &&
	       run->kind != SLATE_HEAP_STACK;
}

/* Ascending, disjoint, none that could be one with its neighbour; and together the figures. */
static void walk(void)
{
	struct slate_stats stats;

	memset(pages_of, 0, sizeof(pages_of));
	run_count = stop_after = 0;
	slate_heap_walk(note, runs);
	for (size_t i = 0; i < run_count; i++) {
		assert_true(runs[i].pages > 0);
		if (i == 0)
			continue;
		size_t end = runs[i - 1].start.v + runs[i - 1].pages;

		assert_true(runs[i].start.v >= end);
		if (runs[i].start.v == end && is_plain(&runs[i]))
			assert_int_not_equal(runs[i].kind, runs[i - 1].kind);
	}
	slate_stats(&stats);
	assert_int_equal(pages_of[SLATE_HEAP_FREE], stats.free_pages + stats.reserved_pages);
	assert_int_equal(pages_of[SLATE_HEAP_RELEASED], stats.released_pages);
	assert_int_equal(pages_of[SLATE_HEAP_FRAMES], stats.manual_pages + stats.cached_pages);
	assert_int_equal(pages_of[SLATE_HEAP_OBJECTS] + pages_of[SLATE_HEAP_LARGE],
			 stats.object_pages);
	assert_int_equal(pages_of[SLATE_HEAP_STACK], stats.stack_pages);
	assert_int_equal(pages_of[SLATE_HEAP_METADATA], stats.metadata_pages);
}

static const struct slate_heap_run *run_of(const void *address)
{
	size_t frame = slate_phys(address).v >> SLATE_PAGE_SHIFT;

	for (size_t i = 0; i < run_count; i++) {
		if (frame - runs[i].start.v < runs[i].pages)
			return &runs[i];
	}
	fail_msg("no run holds %p", address);
	return NULL;
}

enum slate_discard port_page_discard(pfn_t pfn, size_t n)
{
	(void)pfn;
	(void)n;
	return SLATE_DISCARD_ZEROED;
}

static void spans_are_told_with_what_they_hold(void **state)
{
	void *object = slate_alloc(2000);
	void *large = slate_alloc(3 * MIB);
	void *stack = slate_stack_alloc(2);
	const struct slate_heap_run *run;

	(void)state;
	walk();
	run = run_of(object);
	assert_int_equal(run->kind, SLATE_HEAP_OBJECTS);
	assert_int_equal(run->object_bytes, slate_good_size(2000));
	assert_in_range(run->taken, 1, run->objects);
	assert_int_equal(run->objects, run->pages * 4096 / run->object_bytes);
	run = run_of((char *)large + 2 * MIB);
	assert_int_equal(run->kind, SLATE_HEAP_LARGE);
	assert_int_equal(run->pages, 768);
	assert_int_equal(run->start.v, slate_phys(large).v >> SLATE_PAGE_SHIFT);
	run = run_of(stack);
	assert_int_equal(run->kind, SLATE_HEAP_STACK);
	assert_int_equal(run->object_bytes, 4 * 4096);
	assert_true(run->pages >= 4);
	slate_free(object);
	slate_free(large);
	slate_stack_free(stack);
	slate_flush();
	walk();
	assert_int_equal(pages_of[SLATE_HEAP_OBJECTS] + pages_of[SLATE_HEAP_LARGE], 0);
}

static void free_frames_between_callers_frames(void **state)
{
	pfn_t pfn = slate_page_alloc(700, NULL);
	const struct slate_heap_run *run;

	(void)state;
	walk();
	run = run_of(slate_virt(pfn_to_paddr(pfn)));
	assert_int_equal(run->kind, SLATE_HEAP_FRAMES);
	slate_page_free(pfn_add(pfn, 100), 3);
	walk();
	run = run_of(slate_virt(pfn_to_paddr(pfn_add(pfn, 101))));
	assert_int_equal(run->kind, SLATE_HEAP_FREE);
	assert_int_equal(run->pages, 3);
	assert_int_equal(run->start.v, pfn.v + 100);
	slate_page_free(pfn, 100);
	slate_page_free(pfn_add(pfn, 103), 597);
}

static void released_frames_are_told_from_free_ones(void **state)
{
	(void)state;
	assert_true(slate_scavenge(1024) >= 1024);
	walk();
	assert_true(pages_of[SLATE_HEAP_RELEASED] >= 1024);
	assert_true(pages_of[SLATE_HEAP_FREE] > 0);
}

static void far_ranges_and_holes(void **state)
{
	struct slate_range ranges[8];
	struct slate_node_range nodes[2];
	struct slate_memmap map = {
		.ranges = ranges, .capacity = 8, .nodes = nodes, .node_capacity = 2};
	const uint64_t far = host_memory_limit() / 2;

	(void)state;
	slate_memmap_add(&map, MIB, 7 * MIB, SLATE_RANGE_USABLE, "low");
	slate_memmap_add(&map, far, 8 * MIB, SLATE_RANGE_USABLE, "far");
	slate_memmap_add_node(&map, far, 8 * MIB, 1);
	host_boot_map(&map);
	walk();
	assert_true(runs[run_count - 1].start.v >= far >> 12);
	host_memory(far + 64 * MIB, 4 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){far + 64 * MIB}, 4 * MIB, 0), SLATE_OK);
	walk();
	assert_true(runs[run_count - 1].start.v >= (far + 64 * MIB) >> 12);
}

static void it_ends_where_the_caller_says(void **state)
{
	(void)state;
	walk();
	assert_true(run_count > 1);
	run_count = 0;
	stop_after = 1;
	slate_heap_walk(note, runs);
	assert_int_equal(run_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(spans_are_told_with_what_they_hold),
		SMALL(free_frames_between_callers_frames),
		SMALL(released_frames_are_told_from_free_ones),
		BARE(far_ranges_and_holes),
		SMALL(it_ends_where_the_caller_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
