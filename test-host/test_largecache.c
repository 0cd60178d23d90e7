/* SPDX-License-Identifier: MIT */
/* test_largecache.c - large objects that a CPU keeps: what is found again, how much is kept, and
 * when it goes home. */
#include <slate/port.h>

#include "test-host/unit.h"

#include "mm/largecache.h"
#include "mm/mcache.h"
#include "mm/mspan.h"

#define FAR (256 * MIB)

static bool nmi;

bool port_in_nmi(void)
{
	return nmi;
}

static size_t free_before;

static size_t free_and_metadata(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	return stats.free_pages + stats.metadata_pages;
}

/* 64 MiB: some 250 frames may be kept, half by each of two CPUs. */
static int set_up(void **state)
{
	(void)state;
	nmi = false;
	host_boot(MIB, 64 * MIB);
	slate_flush();
	free_before = free_and_metadata();
	return 0;
}

#define LARGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static size_t kept_pages(void)
{
	return largecache_held_pages(largecache_sum());
}

static size_t kept_spans(void)
{
	return largecache_held_spans(largecache_sum());
}

static void give(size_t size_bytes)
{
	void *object = slate_alloc(size_bytes);

	assert_non_null(object);
	slate_free(object);
}

/* ---- What is found again ---- */

static void a_pair_touches_no_frames(void **state)
{
	struct slate_stats stats;
	void *object = slate_alloc(100000);

	(void)state;
	slate_free(object);
	slate_stats(&stats);
	assert_int_equal(stats.cached_pages, 25);
	assert_int_equal(stats.object_pages, 0);
	assert_int_equal(stats.large_objects, 0);
	assert_int_equal(stats.object_bytes, 0);

	size_t free = stats.free_pages;

	for (unsigned i = 0; i < 100; i++) {
		assert_ptr_equal(slate_alloc(100000), object);
		slate_stats(&stats);
		assert_int_equal(stats.cached_pages, 0);
		assert_int_equal(stats.object_pages, 25);
		assert_int_equal(stats.large_objects, 1);
		assert_int_equal(stats.object_bytes, 25 * 4096);
		assert_int_equal(stats.free_pages, free);
		slate_free(object);
	}
	assert_int_equal(slate_validate(), 0);
}

static void only_the_same_length_is_found(void **state)
{
	void *nine = slate_alloc(9 * 4096);
	void *other;

	(void)state;
	slate_free(nine);
	/* of the same bin, and of others */
	for (size_t pages = 10; pages < 40; pages++) {
		other = slate_alloc(pages * 4096);
		assert_ptr_not_equal(other, nine);
		assert_int_equal(slate_usable_size(other), pages * 4096);
		slate_free(other);
		slate_flush();
		slate_free(slate_alloc(9 * 4096));
	}
	nine = slate_alloc(9 * 4096);
	slate_free(nine);
	assert_ptr_equal(slate_alloc(9 * 4096), nine);
	slate_free(nine);
}

/* Behind three others of its bin a span is still seen. */
static void a_few_of_the_bin_are_looked_at(void **state)
{
	void *objects[5];

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		objects[i] = slate_alloc((16 + i) * 4096);
	for (unsigned i = 0; i < 4; i++)
		slate_free(objects[i]);
	slate_free(objects[4]);
	assert_int_equal(kept_spans(), 5);
	/* newest first: 20, 19, 18, 17, and 16 is the fifth */
	assert_ptr_not_equal(slate_alloc(16 * 4096), objects[0]);
	assert_ptr_equal(slate_alloc(17 * 4096), objects[1]);
}

/* ---- The hot one ---- */

static struct largecache *own(void)
{
	return &mcaches[port_cpu()]->large;
}

static void the_one_taken_last_touches_no_bin(void **state)
{
	void *object = slate_alloc(100000);
	void *other;

	(void)state;
	slate_free(object);
	assert_int_equal(own()->hot_held, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(slate_alloc(100000), object);
		assert_int_equal(kept_spans(), 0);
		assert_int_equal(slate_validate(), 0);
		slate_free(object);
		assert_int_equal(own()->hot_held, largecache_weight(25));
		assert_int_equal(own()->held, 0);
		assert_int_equal(kept_pages(), 25);
		assert_int_equal(slate_validate(), 0);
	}
	/* until another one is found */
	other = slate_alloc(300000);
	slate_free(other);
	assert_ptr_equal(slate_alloc(300000), other);
	assert_int_equal(kept_pages(), 25);
	slate_free(other);
	assert_int_equal(own()->hot_held, largecache_weight(74));
	assert_int_equal(kept_spans(), 2);
	assert_int_equal(slate_validate(), 0);
	slate_flush();
	assert_int_equal(kept_spans(), 0);
	assert_int_equal(free_and_metadata(), free_before);
}

/* Make the object of so many bytes hot, and taken. */
static void *taken_hot(size_t size_bytes)
{
	void *object;

	give(size_bytes);
	object = slate_alloc(size_bytes);
	assert_int_equal(own()->hot->base, (uintptr_t)object);
	return object;
}

static void a_hot_one_that_others_free_is_not_found(void **state)
{
	void *object = taken_hot(100000);
	struct mspan *hot = own()->hot;

	(void)state;
	host_cpu_online(1);
	slate_free(object);
	assert_int_equal(mspan_state(hot), MSPAN_CACHED);
	host_cpu_set(0);
	assert_ptr_equal(own()->hot, hot);
	assert_ptr_not_equal(slate_alloc(100000), object);
	host_cpu_set(1);
	assert_ptr_equal(slate_alloc(100000), object);
	slate_free(object);
	assert_int_equal(slate_validate(), 0);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	host_cpu_set(0);
}

static void a_hot_one_may_change_its_length(void **state)
{
	void *object = taken_hot(200000);

	(void)state;
	assert_ptr_equal(slate_realloc(object, 100000), object);
	slate_free(object);
	assert_int_equal(own()->hot_held, largecache_weight(25));
	assert_ptr_not_equal(slate_alloc(200000), object);
	assert_ptr_equal(slate_alloc(100000), object);
}

static void a_hot_one_is_found_by_alignment_too(void **state)
{
	void *objects[9];
	void *aligned;

	(void)state;
	/* one that happens to lie badly */
	for (unsigned i = 0; i < 9; i++)
		objects[i] = slate_alloc(9 * 4096);
	for (unsigned i = 0; i < 9; i++) {
		if ((uintptr_t)objects[i] % 65536 == 0)
			continue;
		slate_free(objects[i]);
		assert_ptr_equal(slate_alloc(9 * 4096), objects[i]);
		slate_free(objects[i]);
		assert_int_equal(own()->hot->base, (uintptr_t)objects[i]);
		break;
	}
	assert_int_equal(own()->hot_held, largecache_weight(9));
	aligned = slate_alloc_aligned(9 * 4096, 65536, 0);
	assert_int_equal((uintptr_t)aligned % 65536, 0);
	assert_int_equal(kept_pages(), 9);
	slate_free(aligned);
}

/* It is part of what may be kept, makes room, and ages. */
static void a_hot_one_counts(void **state)
{
	size_t limit = largecache_held_pages(largecache_limit);

	(void)state;
	slate_free(taken_hot(100 * 4096));
	assert_int_equal(own()->hot_held, largecache_weight(100));
	give((limit - 50) * 4096);
	assert_int_equal(kept_pages(), limit - 50);
	assert_int_equal(own()->hot_held, 0);
	slate_flush();
	slate_free(taken_hot(100 * 4096));
	for (unsigned i = 0; i < 32 * 4; i++)
		slate_poll();
	assert_int_equal(kept_pages(), 0);
	assert_int_equal(free_and_metadata(), free_before);
}

static void alignment_is_kept(void **state)
{
	void *objects[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		objects[i] = slate_alloc(9 * 4096);
		assert_int_equal((uintptr_t)objects[i] % 4096, 0);
	}
	for (unsigned i = 0; i < 8; i++)
		slate_free(objects[i]);
	for (unsigned i = 0; i < 8; i++) {
		objects[i] = slate_alloc_aligned(9 * 4096, 64 * 1024, 0);
		assert_int_equal((uintptr_t)objects[i] % (64 * 1024), 0);
	}
	for (unsigned i = 0; i < 8; i++)
		slate_free(objects[i]);
}

static void what_is_found_again_is_zeroed(void **state)
{
	unsigned char *object = slate_alloc(50000);

	(void)state;
	memset(object, 0xee, 50000);
	slate_free(object);
	assert_ptr_equal(slate_zalloc(50000), object);
	for (size_t i = 0; i < 50000; i++)
		assert_int_equal(object[i], 0);
	slate_free(object);
}

/* ---- How much is kept ---- */

static void the_bound_holds(void **state)
{
	void *objects[64];
	size_t limit = largecache_held_pages(largecache_limit);

	(void)state;
	/* a 64th of the memory without the metadata that was carved off it */
	assert_in_range(limit, 250, 256);
	for (unsigned i = 0; i < 64; i++)
		objects[i] = slate_alloc(40000 + i % 7 * 10000);
	for (unsigned i = 0; i < 64; i++) {
		slate_free(objects[i]);
		assert_true(kept_pages() <= limit);
		assert_int_equal(slate_validate(), 0);
	}
	assert_true(kept_pages() > limit - 25);
	/* the longest that fits takes the place of all others */
	give(limit * 4096);
	assert_int_equal(kept_pages(), limit);
	assert_int_equal(kept_spans(), 1);
	/* what is longer goes home at once */
	give(limit * 4096 + 1);
	assert_int_equal(kept_spans(), 1);
	slate_flush();
	assert_int_equal(kept_pages(), 0);
	assert_int_equal(free_and_metadata(), free_before);
}

static void more_cpus_share_the_bound(void **state)
{
	size_t limit = largecache_held_pages(largecache_limit);

	(void)state;
	give(limit * 4096);
	assert_int_equal(kept_pages(), limit);
	host_cpu_online(1);
	assert_int_equal(largecache_held_pages(largecache_limit), limit / 2);
	/* CPU 0 learns of it at its next tick */
	host_cpu_set(0);
	slate_poll();
	assert_int_equal(kept_pages(), 0);
	host_cpu_set(1);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	host_cpu_set(0);
	assert_int_equal(largecache_held_pages(largecache_limit), limit);
}

static void more_memory_raises_the_bound(void **state)
{
	size_t limit = largecache_limit;

	(void)state;
	host_memory(FAR, 64 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){FAR}, 64 * MIB, 0), SLATE_OK);
	assert_true(largecache_limit > limit);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, 64 * MIB, NULL), SLATE_OK);
	assert_int_equal(largecache_limit, limit);
}

/* ---- When it goes home ---- */

static void a_flush_and_offline_send_it_home(void **state)
{
	(void)state;
	give(100000);
	give(200000);
	assert_int_equal(kept_spans(), 2);
	slate_flush();
	assert_int_equal(kept_spans(), 0);
	assert_int_equal(free_and_metadata(), free_before);
	host_cpu_online(1);
	give(100000);
	assert_int_equal(kept_spans(), 1);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	assert_int_equal(kept_spans(), 0);
	host_cpu_set(0);
}

static void what_is_idle_goes_home_by_and_by(void **state)
{
	size_t kept;

	(void)state;
	give(100000);
	give(200000);
	give(300000);
	kept = kept_pages();
	/* used between any two looks, all of it at once: it stays */
	for (unsigned i = 0; i < 128; i++) {
		void *objects[] = {slate_alloc(100000), slate_alloc(200000), slate_alloc(300000)};

		for (unsigned j = 0; j < 3; j++)
			slate_free(objects[j]);
		slate_poll();
	}
	assert_int_equal(kept_pages(), kept);
	for (unsigned i = 0; i < 32 * 16 && kept_pages() > 0; i++)
		slate_poll();
	assert_int_equal(kept_pages(), 0);
	assert_int_equal(slate_validate(), 0);
}

/* Another CPU needs the frames. */
static void memory_is_drained_before_it_is_refused(void **state)
{
	pfn_t runs[32];
	unsigned n = 0;

	(void)state;
	host_cpu_online(1);
	give(400000);
	host_cpu_set(0);
	assert_int_equal(kept_spans(), 1);
	while (n < 32 && !pfn_is_none(runs[n] = slate_page_alloc(1024, NULL)))
		n++;
	assert_int_equal(kept_pages(), 0);
	while (n > 0)
		slate_page_free(runs[--n], 1024);
	assert_int_equal(slate_validate(), 0);
}

static void removal_empties_it(void **state)
{
	void *objects[200];
	unsigned n = 0;

	(void)state;
	host_memory(FAR, 64 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){FAR}, 64 * MIB, 0), SLATE_OK);
	/* until they come from there */
	for (; n < 200; n++) {
		objects[n] = slate_alloc(400000);
		if (slate_phys(objects[n]).v >= FAR)
			break;
	}
	assert_true(n < 200);
	slate_free(objects[n]);
	assert_true(kept_pages() > 0);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, 64 * MIB, NULL), SLATE_OK);
	while (n > 0)
		slate_free(objects[--n]);
	assert_int_equal(slate_validate(), 0);
}

static void nothing_is_kept_while_memory_goes(void **state)
{
	(void)state;
	largecache_pause();
	largecache_pause();
	give(100000);
	assert_int_equal(kept_spans(), 0);
	largecache_resume();
	give(100000);
	assert_int_equal(kept_spans(), 0);
	largecache_resume();
	give(100000);
	assert_int_equal(kept_spans(), 1);
}

/* ---- Misuse, other contexts ---- */

static void misuse_is_found_at_once(void **state)
{
	char *object = slate_alloc(100000);

	(void)state;
	slate_free(object);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	assert_int_equal(reported()->address, (uintptr_t)object);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free_sized(object, 100000);
	reported();
	expect_report(SLATE_CRIME_INTERIOR);
	slate_free(object + 4096);
	reported();
	assert_int_equal(kept_spans(), 1);
	/* freed by another CPU than the one that has it */
	host_cpu_online(1);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	reported();
	host_cpu_set(0);
	assert_ptr_equal(slate_alloc(100000), object);
	slate_free(object);
	assert_int_equal(slate_validate(), 0);
}

static void an_nmi_stays_away(void **state)
{
	void *object = slate_alloc(100000);
	void *second = slate_alloc(100000);

	(void)state;
	slate_free(second);
	nmi = true;
	void *fresh = slate_alloc(100000);

	assert_non_null(fresh);
	slate_free(object);
	slate_free(fresh);
	nmi = false;
	assert_int_equal(kept_spans(), 1);
	fresh = slate_alloc_flags(100000, SLATE_ANYCTX);
	assert_non_null(fresh);
	assert_int_equal(kept_spans(), 1);
	slate_poll();
	slate_free(fresh);
	assert_int_equal(kept_spans(), 4);
	slate_flush();
	assert_int_equal(free_and_metadata(), free_before);
}

static void a_wrong_sum_is_found(void **state)
{
	(void)state;
	give(100000);
	mcaches[0]->large.held += largecache_weight(1);
	expect_report(SLATE_CRIME_CORRUPT);
	assert_true(slate_validate() > 0);
	assert_non_null(strstr(reported()->detail, "large"));
	mcaches[0]->large.held -= largecache_weight(1);
	assert_int_equal(slate_validate(), 0);
}

/* A thread that stopped between two stores leaves a sum behind that is not that of its bins. */
static void a_sum_is_made_anew(void **state)
{
	struct largecache *cache = &mcaches[0]->large;
	size_t held;

	(void)state;
	give(100000);
	give(40000);
	give(300000);
	assert_int_equal(kept_spans(), 3);
	held = cache->held;
	cache->held = 0;
	largecache_recount(cache);
	assert_int_equal(cache->held, held);
	cache->held = held + largecache_weight(7);
	largecache_recount(cache);
	assert_int_equal(cache->held, held);
	assert_int_equal(slate_validate(), 0);
	slate_flush();
	largecache_recount(cache);
	assert_int_equal(cache->held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LARGE(a_pair_touches_no_frames),
		LARGE(only_the_same_length_is_found),
		LARGE(a_few_of_the_bin_are_looked_at),
		LARGE(the_one_taken_last_touches_no_bin),
		LARGE(a_hot_one_that_others_free_is_not_found),
		LARGE(a_hot_one_may_change_its_length),
		LARGE(a_hot_one_is_found_by_alignment_too),
		LARGE(a_hot_one_counts),
		LARGE(alignment_is_kept),
		LARGE(what_is_found_again_is_zeroed),
		LARGE(the_bound_holds),
		LARGE(more_cpus_share_the_bound),
		LARGE(more_memory_raises_the_bound),
		LARGE(a_flush_and_offline_send_it_home),
		LARGE(what_is_idle_goes_home_by_and_by),
		LARGE(memory_is_drained_before_it_is_refused),
		LARGE(removal_empties_it),
		LARGE(nothing_is_kept_while_memory_goes),
		LARGE(misuse_is_found_at_once),
		LARGE(an_nmi_stays_away),
		LARGE(a_wrong_sum_is_found),
		LARGE(a_sum_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
