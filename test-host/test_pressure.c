/* SPDX-License-Identifier: MIT */
/* test_pressure.c - what is done before NULL, in which order and for whom: caches, shrinkers, the
 * reserve; and what slate_poll() does when a node runs low. */
#include "test-host/unit.h"

const bool host_witnesses = true;

#include <slate/port.h>

#include "mm/lockrank.h"
#include "mm/mheap.h"
#include "mm/reclaim.h"
#include "mm/shrinker.h"

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	assert_int_equal(now.total_pages, now.free_pages + now.cached_pages + now.object_pages +
						  now.manual_pages + now.metadata_pages +
						  now.reserved_pages + now.released_pages +
						  now.stack_pages);
	return now;
}

/* ---- All frames but the reserve, chained by number ---- */

static pfn_t held[8192];
static size_t held_count;

static void hold_all(void)
{
	struct slate_page_constraints fit = {.node = SLATE_ANY_NODE, .flags = SLATE_NOWAIT};

	while (held_count < 8192) {
		held[held_count] = slate_page_alloc(1, &fit);
		if (pfn_is_none(held[held_count]))
			return;
		held_count++;
	}
	fail();
}

static void release_all(void)
{
	while (held_count > 0)
		slate_page_free(held[--held_count], 1);
}

static int set_up(void **state)
{
	held_count = 0;
	return set_up_small(state);
}

#define PRESSED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* ---- A shrinker that holds frames ---- */

struct hoarder {
	struct slate_shrinker shrinker;
	pfn_t frames[64];
	size_t has;
	size_t counts;
	size_t shrinks;
	size_t asked; /* by the last call */
	unsigned order;
	void *(*inside)(void); /* done in shrink() */
	void *got;
};

static unsigned calls; /* numbers them across hoarders */

static size_t hoarder_count(struct slate_shrinker *shrinker)
{
	struct hoarder *hoarder = (struct hoarder *)shrinker;

	mm_lock_assert_none();
	assert_true(port_irq_enabled());
	hoarder->counts++;
	return hoarder->has;
}

static size_t hoarder_shrink(struct slate_shrinker *shrinker, size_t pages)
{
	struct hoarder *hoarder = (struct hoarder *)shrinker;
	size_t freed = 0;

	mm_lock_assert_none();
	assert_true(port_irq_enabled());
	hoarder->shrinks++;
	hoarder->asked = pages;
	hoarder->order = ++calls;
	if (hoarder->inside)
		hoarder->got = hoarder->inside();
	for (; freed < pages && hoarder->has > 0; freed++)
		slate_page_free(hoarder->frames[--hoarder->has], 1);
	return freed;
}

static void hoarder_init(struct hoarder *hoarder, size_t n)
{
	*hoarder = (struct hoarder){
		.shrinker = {.name = "test", .count = hoarder_count, .shrink = hoarder_shrink}};
	for (; hoarder->has < n; hoarder->has++) {
		hoarder->frames[hoarder->has] = slate_page_alloc(1, NULL);
		assert_false(pfn_is_none(hoarder->frames[hoarder->has]));
	}
	assert_int_equal(slate_shrinker_add(&hoarder->shrinker), SLATE_OK);
}

static void hoarder_end(struct hoarder *hoarder)
{
	assert_int_equal(slate_shrinker_remove(&hoarder->shrinker), SLATE_OK);
	while (hoarder->has > 0)
		slate_page_free(hoarder->frames[--hoarder->has], 1);
}

/* ---- The reserve ---- */

static void reserve_is_a_share_of_the_node(void **state)
{
	struct slate_node_stats node;
	size_t in_allocator;

	(void)state;
	assert_true(slate_node_stats(0, &node));
	in_allocator = node.free_pages + node.reserved_pages;
	assert_int_equal(node.reserved_pages, in_allocator >> SLATE_RESERVE_SHIFT);
	assert_int_equal(node.reserved_pages, stats().reserved_pages);
	assert_int_equal(node.low_pages, 2 * node.reserved_pages);
	assert_int_equal(node.high_pages, 3 * node.reserved_pages);
	host_boot(1024 * MIB, 8192 * MIB);
	assert_true(slate_node_stats(0, &node));
	assert_int_equal(node.reserved_pages, SLATE_RESERVE_MAX_PAGES);
}

static void reserve_follows_added_memory(void **state)
{
	size_t before = stats().reserved_pages;

	(void)state;
	host_memory(64 * MIB, 16 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){64 * MIB}, 16 * MIB, 0), SLATE_OK);
	assert_in_range(stats().reserved_pages, 2 * before - 1, 2 * before + 1);
}

static void reserve_for_frames(void **state)
{
	struct slate_page_constraints last = {.node = SLATE_ANY_NODE, .flags = SLATE_RESERVE};
	size_t reserve = stats().reserved_pages;
	pfn_t taken[64];
	size_t n = 0;

	(void)state;
	assert_in_range(reserve, 2, 64);
	hold_all();
	assert_int_equal(stats().free_pages, 0);
	assert_int_equal(stats().reserved_pages, reserve);
	assert_true(pfn_is_none(slate_page_alloc(1, NULL)));
	assert_true(pfn_is_none(slate_page_alloc(2, NULL)));
	assert_null(slate_alloc(100000));
	while (n < 64 && !pfn_is_none(taken[n] = slate_page_alloc(1, &last)))
		n++;
	assert_int_equal(n, reserve);
	assert_int_equal(stats().reserved_pages, 0);
	assert_true(stats().reserve_uses > reserve);
	/* what comes back fills the reserve first */
	slate_page_free(taken[--n], 1);
	slate_flush();
	assert_int_equal(stats().reserved_pages, 1);
	assert_true(pfn_is_none(slate_page_alloc(1, NULL)));
	while (n > 0)
		slate_page_free(taken[--n], 1);
	release_all();
	slate_flush();
	assert_int_equal(stats().reserved_pages, reserve);
	assert_int_equal(slate_validate(), 0);
}

static void reserve_for_objects(void **state)
{
	static void *small[4096];
	size_t n = 0;

	(void)state;
	hold_all();
	while (n < 4096 && (small[n] = slate_alloc(2048)) != NULL)
		n++;
	assert_null(slate_alloc_flags(2048, SLATE_NOWAIT));
	void *object = slate_alloc_flags(2048, SLATE_RESERVE);

	assert_non_null(object);
	assert_null(slate_alloc(8192));
	void *large = slate_alloc_flags(8192, SLATE_RESERVE | SLATE_NOWAIT);

	assert_non_null(large);
	assert_true(stats().reserved_pages < 16);
	slate_free(object);
	slate_free(large);
	while (n > 0)
		slate_free(small[--n]);
	release_all();
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

static void reserve_for_large_objects(void **state)
{
	static void *large[2048];
	size_t n = 0;
	void *last;

	(void)state;
	host_boot(MIB, 64 * MIB);
	while (n < 2048 && (large[n] = slate_alloc_flags(40000, SLATE_NOWAIT)) != NULL)
		n++;
	assert_in_range(n, 1000, 2047);
	assert_null(slate_alloc(40000));
	last = slate_alloc_flags(40000, SLATE_RESERVE);
	assert_non_null(last);
	slate_free(last);
	while (n > 0)
		slate_free(large[--n]);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Shrinkers ---- */

static void shrinkers_are_the_last_to_be_asked(void **state)
{
	struct hoarder hoarder;
	struct slate_stats before;

	(void)state;
	hoarder_init(&hoarder, 32);
	hold_all();
	assert_int_equal(hoarder.counts, 0); /* NOWAIT */
	/* a frame in this CPU's cache is found without them */
	slate_page_free(held[--held_count], 1);
	held[held_count] = slate_page_alloc(1, NULL);
	assert_false(pfn_is_none(held[held_count++]));
	assert_int_equal(hoarder.counts, 0);
	/* nor are they asked for what lies in another CPU's */
	host_cpu_online(1);
	slate_page_free(held[--held_count], 1);
	host_cpu_set(0);
	before = stats();
	held[held_count] = slate_page_alloc(1, NULL);
	assert_false(pfn_is_none(held[held_count++]));
	assert_int_equal(hoarder.counts, 0);
	assert_true(stats().remote_drains > before.remote_drains);
	/* then they are */
	before = stats();
	held[held_count] = slate_page_alloc(1, NULL);
	assert_false(pfn_is_none(held[held_count++]));
	assert_int_equal(hoarder.shrinks, 1);
	assert_int_equal(hoarder.asked, 1);
	assert_int_equal(stats().shrinks, before.shrinks + 1);
	assert_int_equal(stats().shrunk_pages, before.shrunk_pages + 1);
	assert_int_equal(stats().drains, before.drains + 1);
	assert_int_equal(stats().depot_drains, before.depot_drains + 1);
	assert_int_equal(stats().failures, before.failures);
	hoarder_end(&hoarder);
	release_all();
}

static void rounds_go_on_while_they_give(void **state)
{
	struct slate_page_constraints eight = {.align_bytes = 8 * SLATE_PAGE_SIZE,
					       .node = SLATE_ANY_NODE};
	struct hoarder hoarder;

	(void)state;
	hoarder_init(&hoarder, 64);
	hold_all();
	/* single frames come back until eight of them lie together */
	pfn_t run = slate_page_alloc(8, &eight);

	assert_false(pfn_is_none(run));
	assert_true(hoarder.shrinks >= 1);
	slate_page_free(run, 8);
	/* and what cannot be had ends */
	assert_true(pfn_is_none(slate_page_alloc(3000, NULL)));
	assert_int_equal(hoarder.has, 0);
	hoarder_end(&hoarder);
	release_all();
}

static void impatient_callers_do_without(void **state)
{
	struct slate_page_constraints hurry = {.node = SLATE_ANY_NODE, .flags = SLATE_NOWAIT};
	struct hoarder hoarder;

	(void)state;
	hoarder_init(&hoarder, 16);
	hold_all();
	assert_true(pfn_is_none(slate_page_alloc(1, &hurry)));
	assert_null(slate_alloc_flags(5000, SLATE_NOWAIT));
	assert_null(slate_alloc_flags(5000, SLATE_ANYCTX));
	host_irq_set(false);
	assert_true(pfn_is_none(slate_page_alloc(1, NULL)));
	assert_null(slate_alloc(5000));
	host_irq_set(true);
	assert_int_equal(hoarder.counts, 0);
	void *object = slate_alloc(5000);

	assert_non_null(object);
	assert_true(hoarder.shrinks > 0);
	slate_free(object);
	hoarder_end(&hoarder);
	release_all();
}

static void shrinkers_before_the_reserve(void **state)
{
	struct slate_page_constraints last = {.node = SLATE_ANY_NODE, .flags = SLATE_RESERVE};
	struct hoarder hoarder;
	size_t reserve = stats().reserved_pages;

	(void)state;
	hoarder_init(&hoarder, 2);
	hold_all();
	for (int i = 0; i < 2; i++)
		held[held_count++] = slate_page_alloc(1, &last);
	assert_int_equal(hoarder.has, 0);
	assert_int_equal(stats().reserved_pages, reserve);
	pfn_t pfn = slate_page_alloc(1, &last);

	assert_false(pfn_is_none(pfn));
	assert_int_equal(stats().reserved_pages, reserve - 1);
	slate_page_free(pfn, 1);
	hoarder_end(&hoarder);
	release_all();
}

static void in_order_until_enough(void **state)
{
	struct hoarder first, second, third;

	(void)state;
	calls = 0;
	hoarder_init(&first, 1);
	hoarder_init(&second, 0);
	hoarder_init(&third, 8);
	assert_int_equal(shrinker_run(4), 4);
	assert_int_equal(first.order, 1);
	assert_int_equal(second.shrinks, 0);
	assert_int_equal(second.counts, 1);
	assert_int_equal(third.order, 2);
	assert_int_equal(third.asked, 3);
	assert_int_equal(shrinker_run(1), 1);
	assert_int_equal(first.shrinks, 1);
	hoarder_end(&second);
	hoarder_end(&first);
	assert_int_equal(shrinker_run(100), 4);
	hoarder_end(&third);
	assert_int_equal(shrinker_run(100), 0);
}

static void *allocate_inside(void)
{
	return slate_alloc(200000);
}

static void no_shrinkers_inside_shrinkers(void **state)
{
	struct hoarder hoarder;

	(void)state;
	hoarder_init(&hoarder, 4);
	hoarder.inside = allocate_inside;
	hold_all();
	held[held_count] = slate_page_alloc(1, NULL);
	assert_false(pfn_is_none(held[held_count++]));
	assert_int_equal(hoarder.shrinks, 1);
	assert_null(hoarder.got);
	/* afterwards they are asked again */
	held[held_count] = slate_page_alloc(1, NULL);
	assert_false(pfn_is_none(held[held_count++]));
	assert_int_equal(hoarder.shrinks, 2);
	hoarder_end(&hoarder);
	release_all();
}

static size_t no_shrink(struct slate_shrinker *shrinker, size_t pages)
{
	(void)shrinker;
	return pages;
}

/* Says that it freed something, and never does. */
static void a_liar_ends_too(void **state)
{
	struct hoarder liar = {.has = 1000};

	(void)state;
	liar.shrinker = (struct slate_shrinker){.count = hoarder_count, .shrink = no_shrink};
	assert_int_equal(slate_shrinker_add(&liar.shrinker), SLATE_OK);
	hold_all();
	assert_true(pfn_is_none(slate_page_alloc(1, NULL)));
	assert_in_range(liar.counts, 1, 16);
	assert_int_equal(slate_shrinker_remove(&liar.shrinker), SLATE_OK);
	release_all();
}

static void refused_registrations(void **state)
{
	struct slate_shrinker half = {.count = hoarder_count};
	struct hoarder hoarder;

	(void)state;
	assert_int_equal(slate_shrinker_add(NULL), SLATE_EINVAL);
	assert_int_equal(slate_shrinker_add(&half), SLATE_EINVAL);
	assert_int_equal(slate_shrinker_remove(NULL), SLATE_EINVAL);
	assert_int_equal(slate_shrinker_remove(&half), SLATE_EINVAL);
	hoarder_init(&hoarder, 0);
	assert_int_equal(slate_shrinker_add(&hoarder.shrinker), SLATE_EEXIST);
	hoarder_end(&hoarder);
	assert_int_equal(slate_shrinker_remove(&hoarder.shrinker), SLATE_EINVAL);
	hoarder_init(&hoarder, 1);
	hoarder_end(&hoarder);
}

static void too_early(void **state)
{
	struct slate_shrinker shrinker = {.count = hoarder_count, .shrink = no_shrink};

	(void)state;
	expect_report(SLATE_CRIME_WRONG_STAGE);
	assert_int_equal(slate_shrinker_add(&shrinker), SLATE_ESTAGE);
	reported();
}

/* ---- The order of steps ---- */

static void steps_in_order(void **state)
{
	struct reclaim patient = {.pages = 1};
	struct reclaim hurry = {.pages = 1};
	struct reclaim last = {.pages = 1};

	(void)state;
	host_cpu_online(1);
	host_cpu_set(0);
	assert_true(reclaim_next(&patient, 0));
	assert_int_equal(stats().drains, 1);
	assert_int_equal(stats().depot_drains, 0);
	assert_true(reclaim_next(&patient, 0));
	assert_int_equal(stats().depot_drains, 1);
	assert_int_equal(stats().remote_drains, 0);
	assert_true(reclaim_next(&patient, 0));
	assert_int_equal(stats().remote_drains, 1);
	assert_false(reclaim_next(&patient, 0));
	assert_false(patient.reserve);

	assert_true(reclaim_next(&hurry, SLATE_NOWAIT));
	assert_true(reclaim_next(&hurry, SLATE_NOWAIT));
	assert_false(reclaim_next(&hurry, SLATE_NOWAIT));
	assert_int_equal(stats().remote_drains, 1);

	assert_true(reclaim_next(&last, SLATE_NOWAIT | SLATE_RESERVE));
	assert_true(reclaim_next(&last, SLATE_NOWAIT | SLATE_RESERVE));
	assert_false(last.reserve);
	assert_true(reclaim_next(&last, SLATE_NOWAIT | SLATE_RESERVE));
	assert_true(last.reserve);
	assert_int_equal(stats().reserve_uses, 1);
	assert_false(reclaim_next(&last, SLATE_NOWAIT | SLATE_RESERVE));
}

/* ---- Watermarks ---- */

/* Frames until so many are left in the allocator. */
static void hold_down_to(size_t pages)
{
	struct slate_page_constraints fit = {.node = SLATE_ANY_NODE, .flags = SLATE_NOWAIT};

	while (stats().free_pages + stats().reserved_pages > pages) {
		held[held_count] = slate_page_alloc(1, &fit);
		assert_false(pfn_is_none(held[held_count++]));
	}
}

static void a_low_node_is_refilled_by_polls(void **state)
{
	struct slate_node_stats node;
	struct hoarder hoarder;
	size_t before;

	(void)state;
	hoarder_init(&hoarder, 64);
	assert_true(slate_node_stats(0, &node));
	hold_down_to(node.low_pages);
	slate_poll();
	assert_int_equal(stats().low_nodes, 0);
	assert_int_equal(hoarder.counts, 0);
	hold_down_to(node.low_pages - 1);
	host_irq_set(false);
	slate_poll(); /* a tick only asks */
	slate_poll();
	host_irq_set(true);
	assert_int_equal(stats().low_nodes, 1);
	assert_int_equal(hoarder.counts, 0);
	slate_poll();
	assert_int_equal(hoarder.shrinks, 1);
	assert_true(hoarder.asked >= node.high_pages - node.low_pages);
	slate_flush();
	assert_true(stats().free_pages + stats().reserved_pages >= node.high_pages);
	slate_poll();
	/* up to the high mark, and down again: once more */
	before = stats().low_nodes;
	hold_down_to(node.low_pages + 1);
	slate_poll();
	assert_int_equal(stats().low_nodes, before);
	hold_down_to(node.low_pages - 1);
	slate_poll();
	assert_int_equal(stats().low_nodes, before + 1);
	hoarder_end(&hoarder);
	release_all();
}

static void a_node_that_stays_low_is_left_alone(void **state)
{
	struct slate_node_stats node;

	(void)state;
	assert_true(slate_node_stats(0, &node));
	hold_down_to(node.low_pages - 1);
	for (int i = 0; i < 20; i++)
		slate_poll();
	assert_int_equal(stats().low_nodes, 1);
	release_all();
	slate_flush();
	slate_poll();
	hold_down_to(node.low_pages - 1);
	slate_poll();
	assert_int_equal(stats().low_nodes, 2);
	release_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PRESSED(reserve_is_a_share_of_the_node),
		PRESSED(reserve_follows_added_memory),
		PRESSED(reserve_for_frames),
		PRESSED(reserve_for_objects),
		PRESSED(reserve_for_large_objects),
		PRESSED(shrinkers_are_the_last_to_be_asked),
		PRESSED(rounds_go_on_while_they_give),
		PRESSED(impatient_callers_do_without),
		PRESSED(shrinkers_before_the_reserve),
		PRESSED(in_order_until_enough),
		PRESSED(no_shrinkers_inside_shrinkers),
		PRESSED(a_liar_ends_too),
		PRESSED(refused_registrations),
		BARE(too_early),
		PRESSED(steps_in_order),
		PRESSED(a_low_node_is_refilled_by_polls),
		PRESSED(a_node_that_stays_low_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
