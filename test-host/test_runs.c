/* SPDX-License-Identifier: MIT */
/* test_runs.c - runs of 2, 4, 8 and 512 frames through the magazines, as the front ends of slate.h
 * take them. */
#include "test-host/unit.h"

#include "mm/mcache.h"

static size_t total_free(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	assert_int_equal(stats.cached_pages, 0);
	return stats.free_pages + stats.metadata_pages;
}

static int set_up(void **state)
{
	(void)state;
	host_boot(MIB, 256 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	return 0;
}

#define RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Every length: the frames are the caller's alone, and come back. */
#define CHURN(n)                                                               \
	static void test_churn_##n(void **state)                               \
	{                                                                      \
		static pfn_t runs[100];                                        \
		size_t before = total_free();                                  \
		unsigned count = 25600 / (n) < 100 ? 25600 / (n) : 100;        \
                                                                               \
		(void)state;                                                   \
		for (unsigned i = 0; i < count; i++) {                         \
			runs[i] = slate_page_alloc(n, NULL);                   \
			assert_false(pfn_is_none(runs[i]));                    \
			memset(slate_virt(pfn_to_paddr(runs[i])), (int)i,      \
			       (n) << SLATE_PAGE_SHIFT);                       \
		}                                                              \
		for (unsigned i = 0; i < count; i++) {                         \
			unsigned char *p = slate_virt(pfn_to_paddr(runs[i]));  \
                                                                               \
			assert_int_equal(p[0], i);                             \
			assert_int_equal(p[((n) << SLATE_PAGE_SHIFT) - 1], i); \
			slate_page_free(runs[i], n);                           \
		}                                                              \
		assert_int_equal(total_free(), before);                        \
		assert_int_equal(slate_validate(), 0);                         \
	}

CHURN(2)
CHURN(4)
CHURN(8)
CHURN(512)

static void test_huge_runs_are_huge_frames(void **state)
{
	pfn_t pfn = slate_page_alloc(512, NULL);

	(void)state;
	assert_int_equal(pfn.v % 512, 0);
	slate_page_free(pfn, 512);
}

static void test_a_pair_stays_on_its_cpu(void **state)
{
	pfn_t first = slate_page_alloc(8, NULL);
	struct slate_stats stats;

	(void)state;
	slate_page_free(first, 8);
	slate_stats(&stats);
	assert_true(stats.cached_pages >= 8);
	assert_int_equal(stats.manual_pages, 0);
}

static void test_no_run_is_nothing(void **state)
{
	(void)state;
	slate_page_free(SLATE_PFN_NONE, 8);
	slate_page_free(SLATE_PFN_NONE, 1);
	slate_page_free(slate_page_alloc(8, NULL), 8);
	assert_int_equal(slate_validate(), 0);
}

static void test_freed_in_parts(void **state)
{
	size_t before = total_free();
	pfn_t pfn = slate_page_alloc(8, NULL);

	(void)state;
	slate_page_free(pfn, 2);
	slate_page_free(pfn_add(pfn, 2), 1);
	slate_page_free(pfn_add(pfn, 3), 5);
	assert_int_equal(total_free(), before);
}

static void test_double_free_is_found_at_the_flush(void **state)
{
	pfn_t pfn = slate_page_alloc(4, NULL);

	(void)state;
	slate_page_free(pfn, 4);
	slate_page_free(pfn, 4);
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_flush();
	assert_int_equal(reported()->size_bytes, 4 * SLATE_PAGE_SIZE);
	assert_int_equal(slate_validate(), 0);
}

static void test_frames_of_an_object_are_refused(void **state)
{
	void *large = slate_alloc(100000);

	(void)state;
	slate_page_free(paddr_to_pfn(slate_phys(large)), 8);
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_flush();
	assert_non_null(reported());
	slate_free(large);
	assert_int_equal(slate_validate(), 0);
}

static void test_memory_runs_out_and_comes_back(void **state)
{
	static pfn_t runs[200];
	size_t before = total_free();
	unsigned n = 0;

	(void)state;
	while (n < 200 && !pfn_is_none(runs[n] = slate_page_alloc(512, NULL)))
		n++;
	assert_true(n > 100 && n < 128);
	while (n > 0)
		slate_page_free(runs[--n], 512);
	assert_int_equal(total_free(), before);
}

static void test_another_cpus_runs_are_drained_before_refusal(void **state)
{
	static pfn_t runs[200];
	unsigned n = 0;

	(void)state;
	host_cpu_set(1);
	slate_page_free(slate_page_alloc(512, NULL), 512);
	host_cpu_set(0);
	while (n < 200 && !pfn_is_none(runs[n] = slate_page_alloc(512, NULL)))
		n++;
	struct slate_stats stats;

	slate_stats(&stats);
	assert_int_equal(stats.cached_pages, 0);
	while (n > 0)
		slate_page_free(runs[--n], 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(test_churn_2),
		RUN(test_churn_4),
		RUN(test_churn_8),
		RUN(test_churn_512),
		RUN(test_huge_runs_are_huge_frames),
		RUN(test_a_pair_stays_on_its_cpu),
		RUN(test_no_run_is_nothing),
		RUN(test_freed_in_parts),
		RUN(test_double_free_is_found_at_the_flush),
		RUN(test_frames_of_an_object_are_refused),
		RUN(test_memory_runs_out_and_comes_back),
		RUN(test_another_cpus_runs_are_drained_before_refusal),
	};

	return cmocka_run_group_tests_name("runs", tests, NULL, NULL);
}
