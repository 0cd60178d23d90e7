/* SPDX-License-Identifier: MIT */
/*
 * test_scavenger.c - what goes back to the machine's owner, and in which order; what happens when
 * the owner refuses, or when somebody allocates meanwhile.
 */
#include "test-host/discard.h"

#include "mm/arena.h"
#include "mm/mheap.h"
#include "mm/pagealloc.h"
#include "mm/scavenger.h"

/* ---- All at once ---- */

static void all_free_frames_go(void **state)
{
	struct slate_stats before = figures();
	struct slate_stats after;

	(void)state;
	assert_int_equal(slate_scavenge(SIZE_MAX), before.free_pages);
	after = figures();
	assert_int_equal(after.free_pages, 0);
	assert_int_equal(after.released_pages, before.free_pages);
	assert_int_equal(after.manual_pages, before.manual_pages);
	assert_int_equal(after.discards, device.calls);
	assert_int_equal(device.pages, before.free_pages);
	assert_int_equal(slate_validate(), 0);
	/* there is nothing left to give */
	assert_int_equal(slate_scavenge(SIZE_MAX), 0);
	assert_int_equal(device.pages, before.free_pages);
}

static void no_frame_goes_twice_nor_one_in_use(void **state)
{
	static unsigned char seen[1 << 13];
	struct slate_page_constraints odd = {.align_bytes = 3 << 20, .node = SLATE_ANY_NODE};
	pfn_t held[40];

	(void)state;
	odd.align_bytes = 1 << 18;
	for (size_t i = 0; i < 40; i++)
		held[i] = slate_page_alloc(1 + i, &odd);
	slate_scavenge(SIZE_MAX);
	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < device.calls; i++) {
		for (size_t k = 0; k < device.n[i]; k++) {
			assert_true(device.pfn[i].v + k < sizeof(seen));
			assert_int_equal(seen[device.pfn[i].v + k]++, 0);
		}
	}
	for (size_t i = 0; i < 40; i++) {
		if (pfn_is_none(held[i]))
			continue;
		for (size_t k = 0; k <= i; k++)
			assert_int_equal(seen[held[i].v + k], 0);
		slate_page_free(held[i], i + 1);
	}
	assert_int_equal(slate_validate(), 0);
}

static void huge_pages_go_first_from_the_top(void **state)
{
	size_t whole = 0;

	(void)state;
	slate_scavenge(SIZE_MAX);
	while (whole < device.calls && device.n[whole] == CHUNK) {
		assert_int_equal(device.pfn[whole].v % CHUNK, 0);
		if (whole > 0)
			assert_int_equal(device.pfn[whole].v, device.pfn[whole - 1].v - CHUNK);
		whole++;
	}
	/* 16 MiB at 1 MiB, and metadata at the end */
	assert_int_equal(whole, 7);
	for (size_t i = whole; i < device.calls; i++) {
		assert_true(device.n[i] < CHUNK);
		assert_int_equal(device.pfn[i].v / CHUNK,
				 (device.pfn[i].v + device.n[i] - 1) / CHUNK);
	}
}

static void short_runs_go_last(void **state)
{
	pfn_t run = slate_page_alloc(CHUNK, NULL);
	size_t shorter = 0;

	(void)state;
	/* single frames in the middle of a run that is held */
	for (size_t i = 1; i < 64; i += 2)
		slate_page_free(pfn_add(run, i), 1);
	slate_page_free(pfn_add(run, 100), 20);
	/* the highest run of its chunk is not the longest */
	slate_page_free(pfn_add(run, 130), 3);
	slate_flush();
	slate_scavenge(SIZE_MAX);
	for (size_t i = 0; i < device.calls; i++) {
		if (device.n[i] < 16)
			shorter++;
		else
			assert_int_equal(shorter, 0);
	}
	/* 32 and 1, less the reserve of 15 frames */
	assert_true(shorter >= 16);
	assert_int_equal(slate_validate(), 0);
}

/* The tree lags behind the bitmap; what it does not know yet counts, too. */
static void what_was_freed_last_goes(void **state)
{
	size_t free_pages = figures().free_pages;
	struct slate_page_constraints huge = {.align_bytes = 1 << 21, .node = SLATE_ANY_NODE};
	pfn_t chunk = slate_page_alloc(CHUNK, &huge);
	size_t held = 0;
	pfn_t held_pfn[64];

	(void)state;
	for (size_t n = 4096; n > 0; n /= 2) {
		pfn_t run;

		while (held < 64 && !pfn_is_none(run = slate_page_alloc(n, NULL)))
			held_pfn[held++] = run;
	}
	assert_false(pfn_is_none(chunk));
	assert_int_equal(slate_validate(), 0);
	slate_page_free(chunk, CHUNK);
	slate_flush();
	assert_int_equal(slate_scavenge(SIZE_MAX) / CHUNK, 1);
	assert_int_equal(device.pfn[0].v, chunk.v);
	assert_true(held > 0 && held_pfn[0].v != 0 && free_pages > CHUNK);
}

static void as_many_as_wanted(void **state)
{
	struct slate_stats before = figures();

	(void)state;
	assert_int_equal(slate_scavenge(0), 0);
	assert_int_equal(device.calls, 0);
	/* rounded up to a huge page */
	assert_int_equal(slate_scavenge(1), CHUNK);
	assert_int_equal(slate_scavenge(CHUNK + 1), 2 * CHUNK);
	assert_int_equal(figures().released_pages, 3 * CHUNK);
	assert_int_equal(figures().free_pages, before.free_pages - 3 * CHUNK);
}

/* ---- Back again ---- */

static void released_frames_are_allocatable(void **state)
{
	struct slate_stats before = figures();
	struct slate_stats after;
	pfn_t run;

	(void)state;
	slate_scavenge(SIZE_MAX);
	run = slate_page_alloc(700, NULL);
	assert_false(pfn_is_none(run));
	after = figures();
	assert_int_equal(after.released_pages, before.free_pages - 700);
	assert_int_equal(after.manual_pages, before.manual_pages + 700);
	assert_int_equal(slate_validate(), 0);
	/* given back they are ordinary, until they are scavenged again */
	slate_page_free(run, 700);
	after = figures();
	size_t again = 700 - before.reserved_pages;

	assert_int_equal(after.free_pages, again);
	assert_int_equal(after.released_pages, before.free_pages - again);
	assert_int_equal(slate_scavenge(SIZE_MAX), again);
}

static void every_way_takes_back(void **state)
{
	struct slate_stats before = figures();
	struct slate_page_constraints high = {.align_bytes = 1 << 21, .node = SLATE_ANY_NODE};
	pfn_t exact;
	pfn_t frame;
	pfn_t aligned;
	void *object;
	void *large;

	(void)state;
	slate_scavenge(SIZE_MAX);
	exact = (pfn_t){device.pfn[0].v + 3};
	assert_true(pagealloc_alloc_at(&mheaps[0].pages, exact, 100));
	assert_int_equal(pagealloc_released(&mheaps[0].pages), before.free_pages - 100);
	assert_int_equal(pagealloc_free(&mheaps[0].pages, exact, 100), 100);
	frame = slate_page_alloc(1, NULL);
	aligned = slate_page_alloc(3, &high);
	object = slate_alloc(64);
	large = slate_zalloc(100000);
	assert_false(pfn_is_none(frame) || pfn_is_none(aligned));
	assert_non_null(object);
	assert_non_null(large);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(((char *)large)[i], 0);
	assert_int_equal(slate_validate(), 0);
	slate_free(large);
	slate_free(object);
	slate_page_free(aligned, 3);
	slate_page_free(frame, 1);
	assert_int_equal(slate_validate(), 0);
	assert_int_equal(figures().free_pages + figures().released_pages + figures().metadata_pages,
			 before.free_pages + before.metadata_pages);
}

static void contents_are_zero_where_asked(void **state)
{
	struct slate_page_constraints zero = {.node = SLATE_ANY_NODE, .flags = SLATE_ZERO};

	(void)state;
	for (int device_zeroes = 0; device_zeroes < 2; device_zeroes++) {
		device.zero = device_zeroes;
		slate_scavenge(SIZE_MAX);
		pfn_t run = slate_page_alloc(30, &zero);
		const char *bytes = host_virt(pfn_to_paddr(run).v);

		for (size_t i = 0; i < 30 * SLATE_PAGE_SIZE; i++)
			assert_int_equal(bytes[i], 0);
		slate_page_free(run, 30);
	}
}

static void live_objects_keep_their_contents(void **state)
{
	unsigned char *objects[300];

	(void)state;
	for (size_t i = 0; i < 300; i++) {
		objects[i] = slate_alloc(i * 37 + 1);
		memset(objects[i], (int)i, i * 37 + 1);
	}
	for (size_t i = 0; i < 300; i += 2)
		slate_free(objects[i]);
	slate_flush();
	slate_scavenge(SIZE_MAX);
	for (size_t i = 1; i < 300; i += 2) {
		for (size_t k = 0; k < i * 37 + 1; k++)
			assert_int_equal(objects[i][k], (unsigned char)i);
		slate_free(objects[i]);
	}
}

/* ---- The device refuses ---- */

static void a_refusal_ends_the_call(void **state)
{
	struct slate_stats before = figures();
	struct slate_stats after;

	(void)state;
	device.refuse_at = 3;
	assert_int_equal(slate_scavenge(SIZE_MAX), 2 * CHUNK);
	assert_int_equal(device.calls, 3);
	after = figures();
	assert_int_equal(after.released_pages, 2 * CHUNK);
	assert_int_equal(after.free_pages, before.free_pages - 2 * CHUNK);
	assert_int_equal(after.manual_pages, before.manual_pages);
	assert_int_equal(after.discard_refused, 1);
	assert_int_equal(after.discards, 2);
	assert_int_equal(slate_validate(), 0);
	/* and the next one begins anew, with the same run */
	slate_scavenge(1);
	assert_int_equal(device.pfn[3].v, device.pfn[2].v);
}

/* ---- While the device works ---- */

static size_t inside_calls;

/* The run is nobody else's, and no lock is held: everything works meanwhile. */
static void allocate_inside(pfn_t pfn, size_t n)
{
	struct slate_page_constraints same = {
		.min = pfn_to_paddr(pfn).v,
		.max = pfn_to_paddr(pfn_add(pfn, n)).v,
		.node = SLATE_ANY_NODE,
	};
	pfn_t frame = slate_page_alloc(1, NULL);
	void *object = slate_alloc(5000);

	inside_calls++;
	assert_true(pfn_is_none(slate_page_alloc(1, &same)));
	assert_non_null(object);
	assert_true(frame.v < pfn.v || frame.v >= pfn.v + n);
	assert_int_equal(slate_validate(), 0);
	slate_free(object);
	slate_page_free(frame, 1);
	slate_flush();
	assert_int_equal(slate_scavenge(SIZE_MAX), 0);
	scavenger_poll();
}

static void others_allocate_meanwhile(void **state)
{
	(void)state;
	inside_calls = 0;
	device.inside = allocate_inside;
	slate_scavenge_pace(0, 1000);
	assert_int_equal(slate_scavenge(3 * CHUNK), 3 * CHUNK);
	assert_int_equal(inside_calls, 3);
	assert_int_equal(device.calls, 3);
	assert_int_equal(slate_validate(), 0);
}

static void free_inside(pfn_t pfn, size_t n)
{
	(void)n;
	expect_report(SLATE_CRIME_PAGE_FREE);
	/* a length that no magazine holds */
	slate_page_free(pfn, 3);
	assert_int_equal(reported()->address, pfn_to_paddr(pfn).v);
}

static void nobody_frees_what_is_on_its_way(void **state)
{
	(void)state;
	device.inside = free_inside;
	assert_int_equal(slate_scavenge(1), CHUNK);
	assert_int_equal(slate_validate(), 0);
}

static void check_manual(pfn_t pfn, size_t n)
{
	struct slate_stats s;

	(void)pfn;
	slate_stats(&s);
	assert_true(s.manual_pages >= n);
	assert_int_equal(s.total_pages, s.free_pages + s.cached_pages + s.object_pages +
						s.manual_pages + s.metadata_pages +
						s.reserved_pages + s.released_pages +
						s.stack_pages);
}

static void the_account_holds_meanwhile(void **state)
{
	(void)state;
	device.inside = check_manual;
	slate_scavenge(SIZE_MAX);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Many operations ---- */

#define RUNS 40

static void any_order_keeps_the_account(void **state)
{
	struct host_random random = host_random_seed("scavenger", 20240807);
	size_t ops = host_ops(4000);
	struct slate_stats before = figures();
	pfn_t runs[RUNS];
	size_t lens[RUNS] = {0};

	(void)state;
	slate_scavenge_pace(500, 64);
	for (size_t op = 0; op < ops; op++) {
		size_t at = host_random_below(&random, RUNS);

		device.calls = 0;
		device.zero = host_random_below(&random, 2);
		device.refuse_at = host_random_below(&random, 8) ? 0 : 2;
		if (host_random_below(&random, 10) == 0)
			slate_scavenge(host_random_below(&random, 3000));
		slate_poll();
		if (lens[at]) {
			size_t cut = host_random_below(&random, lens[at] + 1);
			const unsigned char *bytes = host_virt(pfn_to_paddr(runs[at]).v);

			assert_int_equal(bytes[0], at);
			assert_int_equal(bytes[lens[at] * SLATE_PAGE_SIZE - 1], at);
			if (cut)
				slate_page_free(runs[at], cut);
			if (cut < lens[at])
				slate_page_free(pfn_add(runs[at], cut), lens[at] - cut);
			lens[at] = 0;
		} else {
			size_t n = 1 +
				   host_random_below(&random, 1u << host_random_below(&random, 10));

			runs[at] = slate_page_alloc(n, NULL);
			if (pfn_is_none(runs[at]))
				continue;
			lens[at] = n;
			memset(host_virt(pfn_to_paddr(runs[at]).v), (int)at, n * SLATE_PAGE_SIZE);
		}
		if (op % 64 == 0)
			assert_int_equal(slate_validate(), 0);
	}
	for (size_t at = 0; at < RUNS; at++)
		if (lens[at])
			slate_page_free(runs[at], lens[at]);
	struct slate_stats after = figures();

	assert_int_equal(after.free_pages + after.released_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
	assert_int_equal(slate_validate(), 0);
}

static void each_node_gives(void **state)
{
	struct slate_range ranges[16];
	struct slate_node_range nodes[4];
	struct slate_memmap map = {
		.ranges = ranges,
		.capacity = 16,
		.nodes = nodes,
		.node_capacity = 4,
	};
	struct slate_node_stats node;
	size_t free_pages;

	(void)state;
	slate_memmap_add(&map, MIB, 8 * MIB, SLATE_RANGE_USABLE, "low");
	slate_memmap_add(&map, 64 * MIB, 8 * MIB, SLATE_RANGE_USABLE, "high");
	slate_memmap_add(&map, 512 * MIB, 9 * MIB, SLATE_RANGE_USABLE, "far");
	slate_memmap_add_node(&map, 64 * MIB, 8 * MIB, 1);
	host_boot_map(&map);
	free_pages = figures().free_pages;
	assert_int_equal(slate_scavenge(SIZE_MAX), free_pages);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(slate_node_stats(i, &node));
		assert_int_equal(node.free_pages, 0);
		assert_true(node.released_pages > 0);
		assert_true(node.largest_run_pages > 0);
	}
	assert_int_equal(slate_validate(), 0);
}

/* Regions that begin and end inside one chunk of 2 MiB. */
static void ragged_regions_give_all(void **state)
{
	struct slate_range ranges[16];
	struct slate_memmap map = {.ranges = ranges, .capacity = 16};
	size_t free_pages;

	(void)state;
	slate_memmap_add(&map, MIB, 4 * MIB + MIB / 4, SLATE_RANGE_USABLE, "a");
	slate_memmap_add(&map, 5 * MIB + MIB / 2, MIB / 8, SLATE_RANGE_USABLE, "b");
	slate_memmap_add(&map, 5 * MIB + MIB / 4 * 3, 8 * MIB, SLATE_RANGE_USABLE, "c");
	free_pages = host_boot_map(&map);
	assert_int_equal(slate_scavenge(SIZE_MAX), free_pages);
	assert_int_equal(slate_validate(), 0);
}

/* A region on its way out counts as before, and is left alone. */
static void an_isolated_region_is_left_alone(void **state)
{
	struct pagealloc *pa = &mheaps[0].pages;
	size_t released, back, calls;
	pfn_t run;

	(void)state;
	slate_scavenge(SIZE_MAX);
	released = figures().released_pages;
	back = CHUNK - 1 - figures().reserved_pages;
	run = slate_page_alloc(CHUNK - 1, NULL);
	slate_page_free(run, CHUNK - 1);
	calls = device.calls;
	assert_true(pagealloc_isolate(pa, run));
	assert_int_equal(pagealloc_released(pa), released - back);
	assert_int_equal(slate_validate(), 0);
	assert_int_equal(slate_scavenge(SIZE_MAX), 0);
	assert_int_equal(device.calls, calls);
	pagealloc_restore(pa);
	assert_int_equal(slate_scavenge(SIZE_MAX), back);
	assert_int_equal(slate_validate(), 0);
}

/* Whatever is asked for: requests with SLATE_RESERVE must not wait for the machine's owner. */
static void the_reserve_stays(void **state)
{
	size_t reserve = figures().reserved_pages;
	struct pagealloc *pa = &mheaps[0].pages;

	(void)state;
	assert_true(reserve > 0);
	slate_scavenge_pace(0, 100000);
	polls(1000);
	assert_true(pa->free_pages - pagealloc_released(pa) >= reserve);
	slate_scavenge(SIZE_MAX);
	assert_int_equal(pa->free_pages - pagealloc_released(pa), reserve);
	assert_int_equal(figures().reserved_pages, reserve);
	assert_int_equal(figures().free_pages, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE(all_free_frames_go),
		DEVICE(no_frame_goes_twice_nor_one_in_use),
		DEVICE(huge_pages_go_first_from_the_top),
		DEVICE(short_runs_go_last),
		DEVICE(what_was_freed_last_goes),
		DEVICE(as_many_as_wanted),
		DEVICE(released_frames_are_allocatable),
		DEVICE(every_way_takes_back),
		DEVICE(contents_are_zero_where_asked),
		DEVICE(live_objects_keep_their_contents),
		DEVICE(a_refusal_ends_the_call),
		DEVICE(others_allocate_meanwhile),
		DEVICE(nobody_frees_what_is_on_its_way),
		DEVICE(the_account_holds_meanwhile),
		DEVICE(any_order_keeps_the_account),
		DEVICE(each_node_gives),
		DEVICE(ragged_regions_give_all),
		DEVICE(an_isolated_region_is_left_alone),
		DEVICE(the_reserve_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
