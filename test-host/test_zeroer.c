/* SPDX-License-Identifier: MIT */
/*
 * test_zeroer.c - frames that are known to read as zero: where the knowledge comes from, that it is
 * used, and that no dirty frame is ever given as zero.
 */
#include "test-host/unit.h"

#include <slate/port.h>

#include "mm/directmap.h"
#include "mm/mheap.h"

static enum slate_discard device = SLATE_DISCARD_REFUSED;

/* What the machine's owner does: zeroes read back, or anything. */
enum slate_discard port_page_discard(pfn_t pfn, size_t n)
{
	if (device != SLATE_DISCARD_REFUSED)
		memset(pfn_to_virt(pfn), device == SLATE_DISCARD_ZEROED ? 0 : 0x99,
		       n << SLATE_PAGE_SHIFT);
	return device;
}

static const struct slate_page_constraints zero = {.node = SLATE_ANY_NODE, .flags = SLATE_ZERO};

static int set_up(void **state)
{
	(void)state;
	device = SLATE_DISCARD_REFUSED;
	host_boot(MIB, 32 * MIB);
	return 0;
}

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now;
}

static void expect_zero(const void *start, size_t size_bytes)
{
	const unsigned char *bytes = start;

	assert_int_equal(bytes[0], 0);
	if (memcmp(bytes, bytes + 1, size_bytes - 1) != 0)
		fail_msg("dirty memory was given as zero");
}

static void expect_zero_run(pfn_t pfn, size_t n)
{
	assert_false(pfn_is_none(pfn));
	expect_zero(pfn_to_virt(pfn), n << SLATE_PAGE_SHIFT);
	memset(pfn_to_virt(pfn), 0xee, n << SLATE_PAGE_SHIFT);
}

/* Boot memory is full of 0xc3 here. */
static void boot_memory_is_not_zero(void **state)
{
	pfn_t pfn = slate_page_alloc(1, &zero);

	(void)state;
	assert_int_equal(stats().zeroed_pages, 0);
	expect_zero_run(pfn, 1);
	slate_page_free(pfn, 1);
	expect_zero_run(slate_page_alloc(5, &zero), 5);
	expect_zero((slate_zalloc)(100000), 100000);
	assert_int_equal(stats().zero_saved_pages, 0);
}

static void idle_time_makes_zeroes(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	assert_int_equal(slate_idle_zero(20, 50), 20);
	assert_int_equal(stats().zeroed_pages, 20);
	assert_int_equal(slate_idle_zero(20, 50), 20);
	assert_int_equal(slate_idle_zero(20, 50), 10);
	assert_int_equal(slate_idle_zero(20, 50), 0);
	assert_int_equal(stats().zeroed_pages, 50);
	assert_int_equal(stats().free_pages, before.free_pages);
	assert_int_equal(slate_validate(), 0);
	for (size_t i = 0; i < 50; i++) {
		expect_zero_run(slate_page_alloc(1, &zero), 1);
		assert_int_equal(stats().zero_saved_pages, i + 1);
		assert_int_equal(stats().zeroed_pages, 49 - i);
	}
	expect_zero_run(slate_page_alloc(1, &zero), 1);
	assert_int_equal(stats().zero_saved_pages, 50);
	assert_int_equal(slate_validate(), 0);
}

/* What was handed out as anything comes back as dirty. */
static void taken_frames_are_not_known(void **state)
{
	size_t stock;
	size_t run;

	(void)state;
	stock = slate_idle_zero(SIZE_MAX, 5000);
	assert_true(stock >= 1000);
	for (run = 0; run < 1500; run++) {
		pfn_t pfn = slate_page_alloc(run % 40 + 1, NULL);

		if (pfn_is_none(pfn))
			break;
		memset(pfn_to_virt(pfn), 0xdd, (run % 40 + 1) << SLATE_PAGE_SHIFT);
		slate_page_free(pfn, run % 40 + 1);
	}
	slate_flush();
	assert_int_equal(slate_validate(), 0);
	while (stats().zeroed_pages > 0)
		expect_zero_run(slate_page_alloc(1, &zero), 1);
	assert_int_equal(slate_validate(), 0);
}

static void discarded_frames_as_the_device_says(void **state)
{
	(void)state;
	device = SLATE_DISCARD_UNKNOWN;
	assert_true(slate_scavenge(512) >= 512);
	assert_int_equal(stats().zeroed_pages, 0);
	device = SLATE_DISCARD_ZEROED;
	assert_true(slate_scavenge(1024) >= 1024);
	assert_true(stats().zeroed_pages >= 1024);
	assert_int_equal(slate_validate(), 0);

	struct slate_stats before = stats();
	pfn_t pfn = slate_page_alloc(1, &zero);

	expect_zero_run(pfn, 1);
	assert_int_equal(stats().zero_saved_pages, 1);
	assert_int_equal(stats().zeroed_pages, before.zeroed_pages - 1);
	assert_int_equal(stats().released_pages, before.released_pages - 1);
	slate_page_free(pfn, 1);
	slate_flush();
	assert_int_equal(stats().zeroed_pages, before.zeroed_pages - 1);
	assert_int_equal(slate_validate(), 0);
}

/* Released frames stay with the machine's owner. */
static void idle_time_spares_released_frames(void **state)
{
	size_t released;

	(void)state;
	device = SLATE_DISCARD_UNKNOWN;
	released = slate_scavenge(SIZE_MAX);
	assert_true(released > 0);
	for (unsigned i = 0; i < 50; i++)
		slate_idle_zero(100, SIZE_MAX);
	assert_true(stats().released_pages >= released - 64);
	assert_int_equal(slate_validate(), 0);
}

static void runs_and_large_objects(void **state)
{
	const struct slate_page_constraints high = {
		.node = SLATE_ANY_NODE, .flags = SLATE_ZERO, .min = 8 * MIB};
	size_t saved;

	(void)state;
	device = SLATE_DISCARD_ZEROED;
	assert_true(slate_scavenge(SIZE_MAX) > 0);
	expect_zero_run(slate_page_alloc(64, &high), 64);
	assert_int_equal(stats().zero_saved_pages, 64);

	/* the lowest frames are the reserve, which nobody took */
	unsigned char *large = slate_alloc_aligned(409600, 16 * MIB, SLATE_ZERO);

	assert_non_null(large);
	expect_zero(large, 409600);
	saved = stats().zero_saved_pages;
	memset(large, 0xab, 409600);
	slate_free(large);
	/* from this CPU's cache, or the page allocator: dirty */
	large = slate_calloc(100, 4096);
	expect_zero(large, 409600);
	assert_int_equal(stats().zero_saved_pages, saved);
	assert_true(saved >= 64 + 100);
	slate_free(large);
	/* one dirty frame among them is enough */
	slate_flush();
	pfn_t pfn = slate_page_alloc(8, &high);

	expect_zero_run(pfn, 8);
	slate_page_free(pfn, 4);
	saved = stats().zero_saved_pages;
	slate_page_free(pfn_add(pfn, 4), 4);
	slate_flush();
	pfn = slate_page_alloc(16, &high);
	expect_zero_run(pfn, 16);
	assert_int_equal(stats().zero_saved_pages, saved);
	assert_int_equal(slate_validate(), 0);
}

static void the_direct_map_ends_before(void **state)
{
	pfn_t real_end = directmap_end;

	(void)state;
	directmap_end = (pfn_t){(MIB + 8 * MIB) >> SLATE_PAGE_SHIFT};
	for (unsigned i = 0; i < 100; i++)
		slate_idle_zero(64, 3000);
	/* all that is mapped and free, and nothing else */
	assert_in_range(stats().zeroed_pages, 1500, 2048);
	directmap_end = real_end;
	assert_int_equal(slate_validate(), 0);
}

#define SLOTS 300
#define OPS   30000

/* Zeroes asked for while everything is written full, given back, discarded and zeroed. */
static void random_tokens(void **state)
{
	static pfn_t runs[SLOTS];
	static size_t lengths[SLOTS];
	struct host_random random = host_random_seed("zeroer", 31);

	(void)state;
	memset(lengths, 0, sizeof(lengths));
	for (size_t op = 0; op < OPS; op++) {
		size_t i = host_random_below(&random, SLOTS);
		bool clean = host_random_below(&random, 2);

		if (op % 64 == 0)
			slate_idle_zero(32, 2000);
		if (op % 2048 == 0) {
			device = host_random_below(&random, 2) ? SLATE_DISCARD_ZEROED
							       : SLATE_DISCARD_UNKNOWN;
			slate_scavenge(300);
			assert_int_equal(slate_validate(), 0);
		}
		if (lengths[i] > 0) {
			slate_page_free(runs[i], lengths[i]);
			lengths[i] = 0;
			continue;
		}
		size_t n = host_random_below(&random, 4) ? 1 : 1 + host_random_below(&random, 20);

		runs[i] = clean ? slate_page_alloc(n, &zero) : (slate_page_alloc)(n, NULL);
		if (pfn_is_none(runs[i]))
			continue;
		lengths[i] = n;
		if (clean)
			expect_zero(pfn_to_virt(runs[i]), n << SLATE_PAGE_SHIFT);
		memset(pfn_to_virt(runs[i]), 0xf1, n << SLATE_PAGE_SHIFT);
	}
	assert_true(stats().zero_saved_pages > OPS / 20);
	for (size_t i = 0; i < SLOTS; i++)
		if (lengths[i])
			slate_page_free(runs[i], lengths[i]);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

#define ZERO(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZERO(boot_memory_is_not_zero),          ZERO(idle_time_makes_zeroes),
		ZERO(taken_frames_are_not_known),       ZERO(discarded_frames_as_the_device_says),
		ZERO(idle_time_spares_released_frames), ZERO(runs_and_large_objects),
		ZERO(the_direct_map_ends_before),       ZERO(random_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
