/* SPDX-License-Identifier: MIT */
/*
 * test_reclaim.c - each step before NULL by itself: what it empties, whom it asks, what it counts.
 * How they work together stands in test_pressure.c.
 */
#include "test-host/unit.h"

#include <slate/port.h>

#include "mm/mcache_pages.h"
#include "mm/mheap.h"
#include "mm/reclaim.h"
#include "mm/shrinker.h"

#define OBJECTS 600
#define BYTES   2048

/* As reclaim_next() numbers them. */
enum step { OWN, DEPOTS, OTHERS, SHRINK, SCAVENGE, RESERVE };

static bool nmi;
static void *objects[OBJECTS];
static struct reclaim *inside; /* what a discard asks for */
static bool inside_result;
static unsigned inside_flags;
static pfn_t held[16384];
static size_t held_count;

bool port_in_nmi(void)
{
	return nmi;
}

enum slate_discard port_page_discard(pfn_t pfn, size_t n)
{
	(void)pfn;
	(void)n;
	if (inside) {
		inside_result = reclaim_next(inside, inside_flags);
		inside = NULL;
	}
	return SLATE_DISCARD_UNKNOWN;
}

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now;
}

static int set_up(void **state)
{
	(void)state;
	nmi = false;
	inside = NULL;
	held_count = 0;
	host_boot(MIB, 32 * MIB);
	for (unsigned cpu = 1; cpu < 3; cpu++)
		host_cpu_online(cpu);
	host_cpu_set(0);
	return 0;
}

#define STEP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* So many that magazines and the depot hold some of them. */
static void cache_some(void)
{
	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = slate_alloc(BYTES);
	for (size_t i = 0; i < OBJECTS; i++)
		slate_free(objects[i]);
	assert_true(stats().cached_objects > 100);
}

/* Some small objects in the magazines of a CPU. */
static void cache_on(unsigned cpu)
{
	host_cpu_set(cpu);
	slate_free(slate_alloc(64));
	host_cpu_set(0);
}

static size_t cached_on(unsigned cpu)
{
	struct slate_cpu_stats cpu_stats;

	assert_true(slate_cpu_stats(cpu, &cpu_stats));
	return cpu_stats.cached_objects;
}

static bool step(enum step number, unsigned flags)
{
	struct reclaim reclaim = {.pages = 1, .step = number};

	return reclaim_next(&reclaim, flags);
}

/* ---- Caches ---- */

static void own_magazines_then_depots(void **state)
{
	(void)state;
	cache_some();
	assert_true(step(OWN, SLATE_NOWAIT));
	assert_int_equal(cached_on(0), 0);
	assert_true(stats().cached_objects > 0);
	assert_true(step(DEPOTS, SLATE_NOWAIT));
	assert_int_equal(stats().cached_objects, 0);
}

static void own_frees_that_an_nmi_deferred(void **state)
{
	void *large = slate_alloc(100000);

	(void)state;
	nmi = true;
	slate_free(large);
	nmi = false;
	assert_int_equal(stats().large_objects, 1);
	assert_true(step(OWN, SLATE_NOWAIT));
	assert_int_equal(stats().large_objects, 0);
}

static void others_are_counted(void **state)
{
	(void)state;
	cache_on(1);
	cache_on(2);
	assert_true(step(OTHERS, 0));
	assert_int_equal(cached_on(1) + cached_on(2), 0);
	assert_int_equal(stats().remote_drains, 2);
}

static void others_hand_over_all_kinds(void **state)
{
	void *large[2];

	(void)state;
	host_cpu_set(1);
	slate_frame_free(slate_frame_alloc());
	for (unsigned i = 0; i < 2; i++)
		large[i] = slate_alloc(100000);
	slate_free(large[0]);
	nmi = true;
	slate_free(large[1]);
	nmi = false;
	host_cpu_set(0);
	assert_true(mcache_pages_count(mcaches[1]) > 0);
	assert_int_equal(stats().large_objects, 1);
	assert_true(step(OTHERS, 0));
	assert_int_equal(mcache_pages_count(mcaches[1]), 0);
	assert_int_equal(stats().large_objects, 0);
	assert_int_equal(largecache_total(&mcaches[1]->large), 0);
}

/* They are finished into the magazines of whoever asked, who may want frames. */
static void others_deferred_frees_go_home(void **state)
{
	(void)state;
	host_cpu_set(1);
	objects[0] = slate_alloc(BYTES);
	nmi = true;
	slate_free(objects[0]);
	nmi = false;
	host_cpu_set(0);
	assert_true(step(OTHERS, 0));
	assert_int_equal(stats().cached_objects, 0);
	assert_int_equal(stats().objects, 0);
}

/* Else its next slow path would do all that once more. */
static void who_was_drained_need_not_drain(void **state)
{
	(void)state;
	assert_true(step(OTHERS, 0));
	assert_int_equal(atomic_load(&mcaches[1]->drained), mcache_drain_asked());
}

static void nobody_else_is_no_step(void **state)
{
	(void)state;
	host_cpu_set(1);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	host_cpu_set(2);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	host_cpu_set(0);
	assert_false(step(OTHERS, 0));
	assert_int_equal(stats().remote_drains, 0);
}

/* Who may not wait asks, and they do it at their next poll. */
static void others_are_asked(void **state)
{
	(void)state;
	cache_on(1);
	assert_false(step(OTHERS, SLATE_NOWAIT));
	assert_true(cached_on(1) > 0);
	host_cpu_set(1);
	slate_poll();
	host_cpu_set(0);
	assert_int_equal(cached_on(1), 0);
}

/* ---- Shrinkers ---- */

static size_t asked[16];
static size_t rounds;
static size_t gives; /* what a shrinker says */

static size_t some(struct slate_shrinker *self)
{
	(void)self;
	return SIZE_MAX;
}

static size_t note(struct slate_shrinker *self, size_t pages)
{
	(void)self;
	assert_true(rounds < 16);
	asked[rounds++] = pages;
	return gives;
}

/* Frees what lies in objects[]. */
static size_t free_objects(struct slate_shrinker *self, size_t pages)
{
	(void)self;
	(void)pages;
	for (size_t i = 0; i < OBJECTS; i++)
		slate_free(objects[i]);
	return OBJECTS * BYTES / SLATE_PAGE_SIZE;
}

static struct slate_shrinker shrinker_of(size_t (*shrink)(struct slate_shrinker *, size_t))
{
	rounds = 0;
	gives = 1;
	return (struct slate_shrinker){.name = "test", .count = some, .shrink = shrink};
}

static void rounds_ask_for_twice_as_much(void **state)
{
	struct slate_shrinker shrinker = shrinker_of(note);
	struct reclaim reclaim = {.pages = 5, .step = SHRINK};

	(void)state;
	assert_int_equal(slate_shrinker_add(&shrinker), SLATE_OK);
	for (size_t round = 0; round < 8; round++) {
		assert_true(reclaim_next(&reclaim, 0));
		assert_int_equal(rounds, round + 1);
		assert_int_equal(asked[round], 5u << round);
	}
	assert_false(reclaim_next(&reclaim, 0));
	assert_int_equal(rounds, 8);
	assert_int_equal(slate_shrinker_remove(&shrinker), SLATE_OK);
}

static void nobody_shrinks_for_what_cannot_be(void **state)
{
	struct slate_shrinker shrinker = shrinker_of(note);
	struct reclaim most = {.pages = SIZE_MAX >> 8, .step = SHRINK};
	struct reclaim more = {.pages = (SIZE_MAX >> 8) + 1, .step = SHRINK};

	(void)state;
	assert_int_equal(slate_shrinker_add(&shrinker), SLATE_OK);
	assert_true(reclaim_next(&most, 0));
	assert_int_equal(asked[0], SIZE_MAX >> 8);
	assert_false(reclaim_next(&more, 0));
	assert_int_equal(rounds, 1);
	assert_int_equal(slate_shrinker_remove(&shrinker), SLATE_OK);
}

/* What shrinkers free lies in magazines and depots. */
static void what_shrinkers_free_goes_home(void **state)
{
	struct slate_shrinker shrinker = shrinker_of(free_objects);

	(void)state;
	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = slate_alloc(BYTES);
	assert_int_equal(slate_shrinker_add(&shrinker), SLATE_OK);
	assert_true(step(SHRINK, 0));
	assert_int_equal(stats().cached_objects, 0);
	assert_int_equal(slate_shrinker_remove(&shrinker), SLATE_OK);
}

/* ---- A run on its way to the machine's owner ---- */

static void ask_in_discard(struct reclaim *reclaim, unsigned flags)
{
	inside = reclaim;
	inside_flags = flags;
	assert_true(slate_scavenge(16) > 0);
	assert_null(inside);
}

static void a_run_on_its_way_is_waited_for(void **state)
{
	struct reclaim patient = {.pages = 1, .step = SCAVENGE};
	struct reclaim hurry = {.pages = 1, .step = SCAVENGE};
	struct reclaim from_shrink = {.pages = 1, .step = SHRINK};

	(void)state;
	assert_false(step(SCAVENGE, 0));
	assert_int_equal(stats().scavenge_waits, 0);
	ask_in_discard(&patient, 0);
	assert_true(inside_result);
	assert_int_equal(stats().scavenge_waits, 1);
	assert_false(reclaim_next(&patient, 0));
	ask_in_discard(&hurry, SLATE_NOWAIT);
	assert_false(inside_result);
	assert_int_equal(stats().scavenge_waits, 1);
	/* no shrinker gives: this step comes at once */
	ask_in_discard(&from_shrink, 0);
	assert_true(inside_result);
	assert_int_equal(stats().scavenge_waits, 2);
}

/* ---- NULL ---- */

static void failures_are_counted(void **state)
{
	(void)state;
	assert_null(slate_alloc(64 * MIB));
	assert_int_equal(stats().failures, 1);
	assert_true(pfn_is_none(slate_page_alloc(20000, NULL)));
	assert_int_equal(stats().failures, 2);
	assert_null(slate_alloc_flags(64 * MIB, SLATE_RESERVE));
	assert_int_equal(stats().failures, 3);
	assert_int_equal(stats().reserve_uses, 1);
}

/* Nothing that takes a lock. */
static void in_an_nmi_there_is_only_the_reserve(void **state)
{
	(void)state;
	cache_some();
	for (unsigned i = 0; i < 2; i++) {
		unsigned flags = i == 0 ? 0 : SLATE_ANYCTX;
		struct reclaim reclaim = {.pages = 1};

		nmi = i == 0;
		assert_false(reclaim_next(&reclaim, flags));
		reclaim = (struct reclaim){.pages = 1};
		assert_true(reclaim_next(&reclaim, flags | SLATE_RESERVE));
		assert_true(reclaim.reserve);
		assert_false(reclaim_next(&reclaim, flags | SLATE_RESERVE));
	}
	assert_int_equal(stats().reserve_uses, 2);
	assert_int_equal(stats().drains, 0);
}

/* ---- In the background ---- */

/* With a limit, so that no magazine is filled. */
static struct slate_page_constraints at_once = {
	.max = 1024 * MIB, .node = SLATE_ANY_NODE, .flags = SLATE_NOWAIT};

static void hold_down_to(size_t pages)
{
	while (stats().free_pages + stats().reserved_pages > pages) {
		held[held_count] = slate_page_alloc(1, &at_once);
		assert_false(pfn_is_none(held[held_count++]));
	}
}

static void release(size_t count)
{
	while (count-- > 0 && held_count > 0)
		slate_page_free(held[--held_count], 1);
}

/* The first poll of a low node asks all CPUs; the second empties depots and asks shrinkers. */
static void polls_of_a_low_node(void **state)
{
	struct slate_shrinker shrinker = shrinker_of(note);
	struct slate_node_stats node;

	(void)state;
	assert_int_equal(slate_shrinker_add(&shrinker), SLATE_OK);
	assert_true(slate_node_stats(0, &node));
	cache_some();
	assert_true(step(OWN, 0));
	cache_on(1);
	hold_down_to(node.low_pages - 1);
	slate_poll();
	assert_int_equal(stats().low_nodes, 1);
	host_cpu_set(1);
	host_irq_set(false);
	slate_poll();
	host_irq_set(true);
	host_cpu_set(0);
	assert_int_equal(cached_on(1), 0);
	assert_int_equal(rounds, 0);
	/* in depots */
	assert_true(stats().cached_objects > 0);
	slate_poll();
	assert_int_equal(stats().cached_objects, 0);
	assert_int_equal(rounds, 1);
	release(SIZE_MAX);
	assert_int_equal(slate_shrinker_remove(&shrinker), SLATE_OK);
}

/* It recovered before anybody was asked for anything: the next fall is a new one. */
static void a_node_that_recovers_by_itself(void **state)
{
	struct slate_shrinker shrinker = shrinker_of(note);
	struct slate_node_stats node;

	(void)state;
	assert_int_equal(slate_shrinker_add(&shrinker), SLATE_OK);
	assert_true(slate_node_stats(0, &node));
	for (unsigned fall = 1; fall <= 2; fall++) {
		hold_down_to(node.low_pages - 1);
		slate_poll();
		assert_int_equal(stats().low_nodes, fall);
		release(node.high_pages);
		slate_flush();
		slate_poll();
		assert_int_equal(rounds, 0);
	}
	release(SIZE_MAX);
	assert_int_equal(slate_shrinker_remove(&shrinker), SLATE_OK);
}

static void the_second_node_is_watched_too(void **state)
{
	static struct slate_range space[8];
	static struct slate_node_range nodes[4];
	struct slate_memmap map = {
		.ranges = space, .capacity = 8, .nodes = nodes, .node_capacity = 4};
	struct slate_node_stats node;
	pfn_t last = {0};

	(void)state;
	host_reset();
	slate_memmap_add(&map, MIB, 32 * MIB, SLATE_RANGE_USABLE, "memory");
	slate_memmap_add_node(&map, 0, 17 * MIB, 0);
	slate_memmap_add_node(&map, 17 * MIB, 16 * MIB, 1);
	host_boot_map(&map);
	host_cpu_set(0);
	at_once.min = 17 * MIB;
	assert_true(slate_node_stats(1, &node));
	while (node.free_pages + node.reserved_pages >= node.low_pages) {
		last = slate_page_alloc(1, &at_once);
		assert_false(pfn_is_none(last));
		assert_true(slate_node_stats(1, &node));
	}
	at_once.min = 0;
	slate_poll();
	assert_int_equal(stats().low_nodes, 1);
}

/* ---- Flush ---- */

static void flush_with_interrupts_off_stays_here(void **state)
{
	(void)state;
	cache_on(1);
	cache_some();
	host_irq_set(false);
	slate_flush();
	host_irq_set(true);
	assert_int_equal(cached_on(0), 0);
	assert_true(cached_on(1) > 0);
	assert_int_equal(stats().cached_objects, cached_on(1));
	slate_flush();
	assert_int_equal(stats().cached_objects, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STEP(own_magazines_then_depots),
		STEP(own_frees_that_an_nmi_deferred),
		STEP(others_are_counted),
		STEP(others_hand_over_all_kinds),
		STEP(others_deferred_frees_go_home),
		STEP(who_was_drained_need_not_drain),
		STEP(nobody_else_is_no_step),
		STEP(others_are_asked),
		STEP(rounds_ask_for_twice_as_much),
		STEP(nobody_shrinks_for_what_cannot_be),
		STEP(what_shrinkers_free_goes_home),
		STEP(a_run_on_its_way_is_waited_for),
		STEP(failures_are_counted),
		STEP(in_an_nmi_there_is_only_the_reserve),
		STEP(polls_of_a_low_node),
		STEP(a_node_that_recovers_by_itself),
		STEP(the_second_node_is_watched_too),
		STEP(flush_with_interrupts_off_stays_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
