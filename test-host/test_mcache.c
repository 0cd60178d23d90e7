/* SPDX-License-Identifier: MIT */
/* test_mcache.c - magazines: take and give, exchange with hysteresis, depots, drains, statistics,
 * interrupts in between. */
#include "test-host/unit.h"

#include "mm/depot.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/mmdebug.h"
#include "mm/sizeclass.h"

#define MANY 20000

static void *objects[MANY];
static unsigned class;
static unsigned cap;

static int set_up(void **state)
{
	(void)state;
	host_boot(MIB, 64 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	class = sizeclass_of(64) << 1;
	cap = mcache_capacity(class);
	return 0;
}

#define CACHE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static size_t cached(unsigned cpu)
{
	return mcache_cached(mcaches[cpu], class);
}

static size_t taken(void)
{
	size_t spans;
	size_t count;

	mcentral_counts(class, &spans, &count);
	return count;
}

static void alloc_many(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		objects[i] = slate_alloc(64);
		assert_non_null(objects[i]);
	}
}

static void free_many(size_t n)
{
	for (size_t i = 0; i < n; i++)
		slate_free(objects[i]);
}

/* ---- Magazines ---- */

static void a_magazine_by_its_top(void **state)
{
	static struct magazine mag;

	(void)state;
	for (unsigned n = 1; n <= MAGAZINE_CAP_MAX; n++) {
		magtop_t top = magazine_empty(&mag, n);

		assert_null(*top);
		assert_ptr_equal(magazine_of(top), &mag);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(magazine_count(top, n), i);
			assert_false(magazine_is_full(top));
			*++top = &mag;
		}
		assert_int_equal(magazine_count(top, n), n);
		assert_true(magazine_is_full(top));
	}
}

static void the_dummy_is_empty_and_full(void **state)
{
	(void)state;
	assert_null(*MAGAZINE_DUMMY);
	assert_true(magazine_is_full(MAGAZINE_DUMMY));
	assert_int_equal(magazine_count(MAGAZINE_DUMMY, 7), 0);
}

static void capacities_are_bounded_in_bytes(void **state)
{
	(void)state;
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		unsigned n = mcache_capacity(c << 1);

		assert_true(n >= 2 && n <= MAGAZINE_CAP_MAX);
		assert_true(n == 12 || n * (size_t)sizeclass_bytes[c] <= 256 * 1024);
		assert_int_equal(n, mcache_capacity(c << 1 | 1));
	}
}

static void a_depot_is_a_bounded_stack(void **state)
{
	static struct magazine mags[4];
	struct magazine *empty = &mags[0];
	struct depot depot;

	(void)state;
	depot_init(&depot, 3);
	assert_null(depot_pop(&depot, NULL));
	for (int i = 0; i < 3; i++) {
		assert_true(depot_push(&depot, &mags[i], &empty));
		assert_null(empty);
	}
	assert_false(depot_push(&depot, &mags[3], &empty));
	assert_int_equal(depot_count(&depot), 3);
	for (int i = 3; i-- > 0;) {
		assert_ptr_equal(depot_pop(&depot, NULL), &mags[i]);
		assert_null(mags[i].slot[0]);
	}
	assert_null(depot_pop(&depot, NULL));
}

static void a_depot_changes_full_for_empty(void **state)
{
	static struct magazine mags[4];
	struct magazine *empty;
	struct depot depot;

	(void)state;
	depot_init(&depot, 3);
	/* nothing to be had: nothing stays */
	assert_null(depot_pop(&depot, &mags[3]));
	assert_null(depot_pop_empty(&depot));
	assert_true(depot_push(&depot, &mags[0], &empty));
	assert_ptr_equal(depot_pop(&depot, &mags[1]), &mags[0]);
	assert_true(depot_push(&depot, &mags[0], &empty));
	assert_ptr_equal(empty, &mags[1]);
	assert_null(mags[1].slot[0]);
	assert_ptr_equal(depot_pop(&depot, &mags[2]), &mags[0]);
	assert_ptr_equal(depot_pop_empty(&depot), &mags[2]);
	assert_null(depot_pop_empty(&depot));
}

static void idle_depots_shrink(void **state)
{
	static struct magazine mags[160];
	struct magazine *empty;
	struct depot depot;

	(void)state;
	depot_init(&depot, 160);
	for (unsigned i = 0; i < 160; i++)
		depot_push(&depot, &mags[i], &empty);
	/* all of them came since the last turn */
	assert_int_equal(depot_turn(&depot), 0);
	/* nothing moved: half, but not more than a quarter of the limit at a time */
	assert_int_equal(depot_turn(&depot), 41);
	for (unsigned i = 0; i < 130; i++)
		depot_pop(&depot, NULL);
	/* 30 were not needed, but others were */
	assert_int_equal(depot_turn(&depot), 0);
	assert_int_equal(depot_turn(&depot), 15);
	depot_push(&depot, &mags[0], &empty);
	for (unsigned i = 0; i < 31; i++)
		depot_pop(&depot, NULL);
	assert_int_equal(depot_turn(&depot), 0);
	assert_int_equal(depot_turn(&depot), 0);
}

/* ---- Take and give ---- */

static void the_newest_freed_is_taken_next(void **state)
{
	(void)state;
	alloc_many(3);
	slate_free(objects[1]);
	/* two magazines: what was given is taken when the take side is dry, not at once */
	for (size_t i = 0; i < 2 * cap; i++) {
		void *p = slate_alloc(64);

		objects[100 + i] = p;
		if (p == objects[1])
			return;
	}
	fail_msg("the freed object did not come back");
}

static void a_pair_stays_in_the_cache(void **state)
{
	struct slate_cpu_stats before;
	struct slate_cpu_stats after;

	(void)state;
	slate_free(slate_alloc(64));
	slate_cpu_stats(0, &before);
	for (int i = 0; i < 10000; i++)
		slate_free(slate_alloc(64));
	slate_cpu_stats(0, &after);
	/* at most one exchange in half a magazine */
	assert_true(after.refills - before.refills <= 10000 / (cap / 2));
	assert_int_equal(after.flushes, before.flushes);
}

/* No number of live objects makes every pair slow. */
static void no_unlucky_number_of_live_objects(void **state)
{
	(void)state;
	for (size_t live = 0; live < 4 * cap; live++) {
		struct slate_cpu_stats before;
		struct slate_cpu_stats after;
		size_t events;

		objects[live] = slate_alloc(64);
		slate_cpu_stats(0, &before);
		for (int i = 0; i < 1000; i++)
			slate_free(slate_alloc(64));
		slate_cpu_stats(0, &after);
		events = after.refills - before.refills + after.flushes - before.flushes;
		assert_true(events <= 2 * 1000 / (cap / 2));
	}
}

static void what_is_out_is_live_or_cached(void **state)
{
	(void)state;
	alloc_many(1000);
	assert_int_equal(taken(), 1000 + cached(0) + mcache_depot_cached(class));
	free_many(600);
	assert_int_equal(taken(), 400 + cached(0) + mcache_depot_cached(class));
	assert_true(cached(0) <= 2 * cap);
	for (size_t i = 600; i < 1000; i++)
		slate_free(objects[i]);
	assert_int_equal(taken(), cached(0) + mcache_depot_cached(class));
	assert_int_equal(slate_validate(), 0);
}

static void full_magazines_wait_in_the_depot(void **state)
{
	size_t depot_max = 32 * MAGAZINE_CAP_MAX;

	(void)state;
	alloc_many(MANY);
	free_many(MANY);
	assert_true(mcache_depot_cached(class) > 0);
	assert_true(mcache_depot_cached(class) <= depot_max);
	assert_true(taken() <= depot_max + 2 * cap);
}

static void the_depot_serves_another_cpu(void **state)
{
	struct slate_class_stats before;
	struct slate_class_stats after;

	(void)state;
	alloc_many(2000);
	free_many(2000);
	slate_class_stats(class, &before);
	host_cpu_set(1);
	alloc_many(500);
	slate_class_stats(class, &after);
	assert_int_equal(after.spans, before.spans);
	assert_int_equal(after.objects, before.objects);
	free_many(500);
}

static void objects_freed_elsewhere_come_home(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		host_cpu_set(0);
		alloc_many(2000);
		host_cpu_set(1);
		free_many(2000);
	}
	/* bounded by what caches and depot may hold, not by the number of rounds */
	assert_true(taken() <= 33 * (size_t)MAGAZINE_CAP_MAX + 4 * cap);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Drains ---- */

static void a_drain_empties_this_cpu(void **state)
{
	(void)state;
	alloc_many(10);
	assert_true(cached(0) > 0);
	mcache_drain();
	assert_int_equal(cached(0), 0);
	assert_int_equal(taken(), 10);
	free_many(10);
	mcache_drain();
	assert_int_equal(taken(), 0);
}

static void a_flush_empties_all_cpus_and_depots(void **state)
{
	(void)state;
	alloc_many(3000);
	host_cpu_set(1);
	free_many(3000);
	host_cpu_set(0);
	slate_flush();
	assert_int_equal(cached(0) + cached(1) + mcache_depot_cached(class), 0);
	assert_int_equal(taken(), 0);
}

static void an_unreachable_cpu_keeps_its_cache(void **state)
{
	(void)state;
	host_cpu_set(1);
	alloc_many(1);
	host_cpu_set(0);
	host_ipi_disable();
	slate_flush();
	assert_true(cached(1) > 0);
	host_cpu_set(1);
	slate_free(objects[0]);
	slate_flush();
	assert_int_equal(cached(1), 0);
	assert_int_equal(taken(), 0);
}

static void an_empty_cache_works_after_a_drain(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		alloc_many(20);
		mcache_drain();
		free_many(20);
		mcache_drain_depots();
	}
	mcache_drain();
	assert_int_equal(taken(), 0);
	assert_int_equal(slate_validate(), 0);
}

/* ---- CPUs ---- */

static void the_first_cpu_inherits_the_bootstrap_cache(void **state)
{
	struct slate_range range = {
		.base = MIB, .size_bytes = 16 * MIB, .type = SLATE_RANGE_USABLE};
	struct slate_memmap map = {.ranges = &range, .count = 1, .capacity = 1};
	struct slate_init_params params = {.map = &map, .direct_map_offset = host_offset()};
	void *p;

	(void)state;
	host_reset();
	host_memory(MIB, 16 * MIB);
	assert_int_equal(slate_init(&params), SLATE_OK);
	p = slate_alloc(64);
	assert_non_null(p);
	assert_true(mcache_boot_cached(class) > 0);
	host_cpu_online(3);
	assert_int_equal(mcache_boot_cached(class), 0);
	assert_true(cached(3) > 0);
	slate_free(p);
	slate_flush();
	assert_int_equal(taken(), 0);
}

static void cpu_statistics(void **state)
{
	struct slate_cpu_stats stats;

	(void)state;
	assert_true(slate_cpu_stats(0, &stats));
	assert_true(stats.online);
	assert_int_equal(stats.cached_objects, 0);
	assert_false(slate_cpu_stats(2, &stats));
	assert_false(slate_cpu_stats(SLATE_MAX_CPUS, &stats));
	alloc_many(1);
	slate_cpu_stats(0, &stats);
	assert_int_equal(stats.cached_objects, cached(0));
	assert_int_equal(stats.cached_bytes, 64 * cached(0));
	assert_true(stats.refills >= 1);
}

/* ---- Frames ---- */

static void single_frames_are_cached(void **state)
{
	struct slate_stats before;
	struct slate_stats after;
	pfn_t pfn;

	(void)state;
	slate_stats(&before);
	pfn = slate_page_alloc(1, NULL);
	slate_stats(&after);
	assert_true(after.cached_pages > 0);
	assert_int_equal(after.manual_pages, 1);
	slate_page_free(pfn, 1);
	slate_stats(&after);
	assert_int_equal(after.manual_pages, 0);
	slate_flush();
	slate_stats(&after);
	assert_int_equal(after.cached_pages, 0);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
}

static void a_frame_freed_twice(void **state)
{
	pfn_t pfn = slate_page_alloc(1, NULL);

	(void)state;
	slate_page_free(pfn, 1);
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_page_free(pfn, 1);
	slate_flush();
	assert_int_equal(reported()->address, pfn_to_paddr(pfn).v);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Interrupts between any two steps ---- */

static struct host_random random_state;
static void *held[64];

static void handler(void)
{
	size_t i = host_random_below(&random_state, 64);

	slate_free(held[i]);
	held[i] = slate_alloc(64);
	if (held[i])
		memset(held[i], 0x77, 64);
}

/* The handler runs each time that the code below enables interrupts: in the middle of every slow
 * path. */
static void a_handler_in_every_gap(void **state)
{
	(void)state;
	random_state = host_random_seed("handler", 21);
	memset(held, 0, sizeof(held));
	host_irq_hook(handler);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 500; i++) {
			objects[i] = slate_alloc(64);
			memset(objects[i], 0x11, 64);
		}
		for (size_t i = 0; i < 500; i++) {
			for (size_t at = 0; at < 64; at++)
				assert_int_equal(((char *)objects[i])[at], 0x11);
			slate_free(objects[i]);
		}
		mcache_drain();
	}
	host_irq_hook(NULL);
	for (size_t i = 0; i < 64; i++)
		slate_free(held[i]);
	slate_flush();
	assert_int_equal(taken(), 0);
	assert_int_equal(mm_report_count(), 0);
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(a_magazine_by_its_top),
		BARE(the_dummy_is_empty_and_full),
		CACHE(capacities_are_bounded_in_bytes),
		BARE(a_depot_is_a_bounded_stack),
		BARE(a_depot_changes_full_for_empty),
		BARE(idle_depots_shrink),
		CACHE(the_newest_freed_is_taken_next),
		CACHE(a_pair_stays_in_the_cache),
		CACHE(no_unlucky_number_of_live_objects),
		CACHE(what_is_out_is_live_or_cached),
		CACHE(full_magazines_wait_in_the_depot),
		CACHE(the_depot_serves_another_cpu),
		CACHE(objects_freed_elsewhere_come_home),
		CACHE(a_drain_empties_this_cpu),
		CACHE(a_flush_empties_all_cpus_and_depots),
		CACHE(an_unreachable_cpu_keeps_its_cache),
		CACHE(an_empty_cache_works_after_a_drain),
		CACHE(the_first_cpu_inherits_the_bootstrap_cache),
		CACHE(cpu_statistics),
		CACHE(single_frames_are_cached),
		CACHE(a_frame_freed_twice),
		CACHE(a_handler_in_every_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
