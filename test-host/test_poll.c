/* SPDX-License-Identifier: MIT */
/* test_poll.c - CPUs that leave and return, caches that shrink by themselves, drains on request,
 * frees from an NMI. */
#include "test-host/unit.h"

#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/sizeclass.h"

static bool nmi;

bool port_in_nmi(void)
{
	return nmi;
}

static unsigned class;

static int set_up(void **state)
{
	(void)state;
	nmi = false;
	host_boot(MIB, 64 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	class = sizeclass_of(64) << 1;
	return 0;
}

#define POLL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static size_t cached(unsigned cpu)
{
	return mcache_cached(mcaches[cpu], class);
}

/* Enough turns for every class to have had n. */
static void poll_rounds(unsigned n)
{
	for (unsigned i = 0; i < n * MCACHE_ENTRIES; i++)
		slate_poll();
}

/* ---- Offline ---- */

static void test_offline_returns_everything(void **state)
{
	struct slate_stats before;
	struct slate_stats after;

	(void)state;
	slate_stats(&before);
	host_cpu_set(1);
	slate_free(slate_alloc(64));
	slate_free(slate_alloc(3000));
	slate_page_free(slate_page_alloc(1, NULL), 1);
	assert_true(cached(1) > 0);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	host_cpu_set(0);
	slate_stats(&after);
	assert_int_equal(after.cached_objects, 0);
	assert_int_equal(after.cached_pages, 0);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
}

static void test_offline_twice_is_refused(void **state)
{
	(void)state;
	host_cpu_set(1);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	assert_int_equal(slate_cpu_offline(), SLATE_ESTAGE);
	host_cpu_set(0);
}

static void test_online_again_needs_no_metadata(void **state)
{
	struct slate_stats before;
	struct slate_stats after;

	(void)state;
	host_cpu_set(1);
	slate_stats(&before);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(slate_cpu_offline(), SLATE_OK);
		assert_int_equal(slate_cpu_online(), SLATE_OK);
		slate_free(slate_alloc(64));
	}
	slate_flush();
	slate_stats(&after);
	assert_true(after.metadata_pages <= before.metadata_pages + 8);
	host_cpu_set(0);
}

static void test_objects_outlive_their_cpu(void **state)
{
	(void)state;
	host_cpu_set(1);
	void *object = slate_alloc(64);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	host_cpu_set(0);
	slate_free(object);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

static void test_stats_say_offline(void **state)
{
	struct slate_cpu_stats stats;

	(void)state;
	host_cpu_set(1);
	slate_cpu_offline();
	host_cpu_set(0);
	assert_true(slate_cpu_stats(1, &stats));
	assert_false(stats.online);
}

/* ---- Poll ---- */

static void test_idle_caches_shrink_to_nothing(void **state)
{
	(void)state;
	slate_free(slate_alloc(64));
	assert_true(cached(0) > 0);
	poll_rounds(12);
	assert_int_equal(cached(0), 0);
}

static void test_idle_frames_go_home(void **state)
{
	struct slate_stats stats;

	(void)state;
	slate_page_free(slate_page_alloc(1, NULL), 1);
	poll_rounds(12);
	slate_stats(&stats);
	assert_int_equal(stats.cached_pages, 0);
}

static void test_busy_caches_stay(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40 * MCACHE_ENTRIES; i++) {
		void *object = slate_alloc(64);

		slate_poll();
		slate_free(object);
	}
	assert_true(cached(0) > 0);
}

static void test_drain_on_request(void **state)
{
	(void)state;
	host_cpu_set(1);
	slate_free(slate_alloc(64));
	host_cpu_set(0);
	mcache_ask_drain();
	assert_true(cached(1) > 0);
	host_cpu_set(1);
	slate_poll();
	assert_int_equal(cached(1), 0);
	host_cpu_set(0);
}

static void test_slow_path_honours_the_request(void **state)
{
	(void)state;
	slate_free(slate_alloc(64));
	mcache_ask_drain();
	/* another class's first refill */
	slate_free(slate_alloc(512));
	assert_int_equal(cached(0), 0);
}

/* ---- NMI ---- */

static void test_nmi_takes_from_the_magazine(void **state)
{
	(void)state;
	slate_free(slate_alloc(64));
	nmi = true;
	void *object = slate_alloc(64);
	nmi = false;
	assert_non_null(object);
	slate_free(object);
}

static void test_nmi_frees_beyond_the_magazine(void **state)
{
	enum { N = 1000 };
	static void *objects[N];

	(void)state;
	for (unsigned i = 0; i < N; i++)
		objects[i] = slate_alloc(64);
	nmi = true;
	for (unsigned i = 0; i < N; i++)
		slate_free(objects[i]);
	nmi = false;
	slate_poll();
	slate_flush();
	struct slate_class_stats stats;
	slate_class_stats(class, &stats);
	assert_int_equal(stats.objects, 0);
	assert_int_equal(slate_validate(), 0);
}

static void test_nmi_frees_frames_and_large_objects(void **state)
{
	enum { N = 200 };
	static pfn_t frames[N];
	struct slate_stats before;
	struct slate_stats after;

	(void)state;
	slate_flush();
	slate_stats(&before);
	for (unsigned i = 0; i < N; i++)
		frames[i] = slate_page_alloc(1, NULL);
	void *large = slate_alloc(100000);
	nmi = true;
	for (unsigned i = 0; i < N; i++)
		slate_page_free(frames[i], 1);
	slate_free(large);
	nmi = false;
	slate_poll();
	slate_flush();
	slate_stats(&after);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
	assert_int_equal(after.large_objects, 0);
}

/* They lie in that CPU's chain, where a flush from elsewhere must find them. */
static void test_flush_ends_what_another_cpu_deferred(void **state)
{
	struct slate_stats stats;

	(void)state;
	void *large = slate_alloc(100000);

	host_cpu_set(1);
	nmi = true;
	slate_free(large);
	nmi = false;
	host_cpu_set(0);
	slate_stats(&stats);
	assert_int_equal(stats.large_objects, 1);
	slate_flush();
	slate_stats(&stats);
	assert_int_equal(stats.large_objects, 0);
}

/* Up to 512 KiB: what is longer takes more than one lock hold. */
static void test_nmi_gets_no_long_object(void **state)
{
	void *object;

	(void)state;
	nmi = true;
	object = slate_alloc(200000);
	assert_null(slate_alloc(600000));
	nmi = false;
	assert_non_null(object);
	slate_free(object);
	assert_int_equal(slate_validate(), 0);
}

static void test_nmi_double_free_is_a_report(void **state)
{
	(void)state;
	enum { N = 200 };
	static void *objects[N];

	for (unsigned i = 0; i < N; i++)
		objects[i] = slate_alloc(64);
	nmi = true;
	for (unsigned i = 0; i < N; i++)
		slate_free(objects[i]);
	slate_free(objects[N - 1]);
	nmi = false;
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_poll();
	assert_non_null(reported());
}

static void test_idle_depots_go_home(void **state)
{
	static void *objects[4000];

	(void)state;
	for (unsigned i = 0; i < 4000; i++)
		objects[i] = slate_alloc(64);
	for (unsigned i = 0; i < 4000; i++)
		slate_free(objects[i]);
	assert_true(mcache_depot_cached(class) > 0);
	poll_rounds(1);
	assert_int_equal(mcache_depot_cached(class), 0);
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		POLL(test_offline_returns_everything),
		POLL(test_offline_twice_is_refused),
		POLL(test_online_again_needs_no_metadata),
		POLL(test_objects_outlive_their_cpu),
		POLL(test_stats_say_offline),
		POLL(test_idle_caches_shrink_to_nothing),
		POLL(test_idle_frames_go_home),
		POLL(test_busy_caches_stay),
		POLL(test_drain_on_request),
		POLL(test_slow_path_honours_the_request),
		POLL(test_nmi_takes_from_the_magazine),
		POLL(test_nmi_frees_beyond_the_magazine),
		POLL(test_nmi_frees_frames_and_large_objects),
		POLL(test_flush_ends_what_another_cpu_deferred),
		POLL(test_nmi_gets_no_long_object),
		POLL(test_nmi_double_free_is_a_report),
		POLL(test_idle_depots_go_home),
	};

	return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
