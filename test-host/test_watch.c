/* SPDX-License-Identifier: MIT */
/*
 * test_watch.c - what debug builds see of an object's life: red zones, poison, quarantine, sizes.
 * The texts of the reports are pure_faults.c's business.
 */
#include "test-host/unit.h"

#include <slate/whois.h>

#include "mm/mmdebug.h"
#include "mm/watch.h"

const bool host_witnesses = true;

#if SLATE_DEBUG

static const size_t sizes[] = {1,    8,    16,   24,   64,    100,   1000,  4095,
			       4096, 5000, 8192, 9000, 32768, 40000, 65536, 1u << 19};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static size_t frames_at_rest(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats.free_pages + stats.metadata_pages;
}

static bool all_are(const unsigned char *bytes, unsigned char value, size_t n)
{
	while (n > 0 && bytes[n - 1] == value)
		n--;
	return n == 0;
}

static bool count_held(const struct slate_held *held, void *arg)
{
	size_t *count = arg;

	assert_true(held->allocated.known);
	/* an object of 100 bytes, or a stack of two frames */
	if (held->size_bytes == 100 || held->size_bytes == 2 * SLATE_PAGE_SIZE)
		++*count;
	return *count < 40;
}

static size_t held(void)
{
	size_t count = 0;

	slate_held_walk(count_held, &count);
	return count;
}

static void what_is_held_is_walked(void **state)
{
	void *object[20];
	void *stack = slate_stack_alloc(1);

	(void)state;
	for (size_t i = 0; i < 20; i++)
		object[i] = slate_alloc(100);
	assert_int_equal(held(), 21);
	slate_stack_free(stack);
	for (size_t i = 0; i < 10; i++)
		slate_free(object[i]);
	assert_int_equal(held(), 10);
	slate_flush();
	assert_int_equal(held(), 10);
	for (size_t i = 0; i < 100; i++)
		assert_non_null(slate_alloc(100));
	/* it ends when it is told to */
	assert_int_equal(held(), 40);
}

static void fresh_memory_is_filled(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		unsigned char *object = slate_alloc(sizes[i]);
		unsigned char *zeroed = slate_zalloc(sizes[i]);

		assert_true(all_are(object, POISON_FRESH, sizes[i] < 4096 ? sizes[i] : 4096));
		assert_true(all_are(zeroed, 0, sizes[i]));
		slate_free(object);
		slate_free(zeroed);
	}
	assert_int_equal(slate_validate(), 0);
}

static void sizes_are_those_asked_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		void *object = slate_alloc(sizes[i]);

		assert_int_equal(slate_usable_size(object), sizes[i]);
		assert_int_equal(slate_good_size(sizes[i]), sizes[i]);
		if ((sizes[i] & (sizes[i] - 1)) == 0)
			assert_int_equal((uintptr_t)object % sizes[i], 0);
		slate_free_sized(object, sizes[i]);
	}
}

/* Each byte of the least red zone there is. */
static void every_overflow_is_found_at_the_free(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		for (size_t at = 0; at < WITNESS_ZONE_MIN; at++) {
			unsigned char *object = slate_alloc(sizes[i]);

			object[sizes[i] + at] ^= 0x81;
			expect_report(SLATE_CRIME_OVERFLOW);
			slate_free(object);
			assert_int_equal(reported()->damage, (uintptr_t)object + sizes[i] + at);
			assert_int_equal(reported()->damage_expected, POISON_REDZONE);
			assert_int_equal(reported()->object_bytes, sizes[i]);
			assert_false(reported()->damage_is_bit);
		}
		slate_flush();
	}
	assert_int_equal(mm_leak_count(), SIZES * WITNESS_ZONE_MIN);
}

static void one_flipped_bit_is_called_so(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 8; bit++) {
		unsigned char *object = slate_alloc(100);

		object[100] ^= (unsigned char)(1u << bit);
		expect_report(SLATE_CRIME_OVERFLOW);
		slate_free(object);
		assert_true(reported()->damage_is_bit);
	}
	unsigned char *object = slate_alloc(100);

	object[100] ^= 1;
	object[103] ^= 1;
	expect_report(SLATE_CRIME_OVERFLOW);
	slate_free(object);
	assert_false(reported()->damage_is_bit);
}

static void a_write_after_free_is_found_at_the_flush(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		volatile unsigned char *object = slate_alloc(sizes[i]);

		slate_free((void *)object);
		object[sizes[i] / 2 < 4096 ? sizes[i] / 2 : 0] = 1;
		expect_report(SLATE_CRIME_WRITE_AFTER_FREE);
		slate_flush();
		assert_int_equal(reported()->address, (uintptr_t)object);
	}
}

/* Its quarantine is over, but nobody has it yet. */
static void a_write_after_the_quarantine_is_found_when_it_has_an_owner(void **state)
{
	volatile unsigned char *object = slate_alloc(100);
	void *keep = slate_alloc(100); /* the span stays */
	unsigned before;

	(void)state;
	slate_free((void *)object);
	slate_flush();
	object[17] = 1;
	expect_report(SLATE_CRIME_WRITE_AFTER_FREE);
	before = 0;
	while (reports_seen() == 0 && before++ < 1000)
		assert_ptr_not_equal(slate_alloc(100), object);
	assert_int_equal(reported()->address, (uintptr_t)object);
	slate_free(keep);
}

static void validate_looks_at_all(void **state)
{
	unsigned char *over = slate_alloc(200);
	volatile unsigned char *after = slate_alloc(300);

	(void)state;
	assert_int_equal(slate_validate(), 0);
	over[200] = 0;
	expect_report(SLATE_CRIME_OVERFLOW);
	assert_int_equal(slate_validate(), 1);
	reported();
	/* it is given up, and told once */
	assert_int_equal(slate_validate(), 0);
	slate_free((void *)after);
	after[0] = 0;
	expect_report(SLATE_CRIME_WRITE_AFTER_FREE);
	assert_int_equal(slate_validate(), 1);
	reported();
}

static void double_frees_are_found_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		void *object = slate_alloc(sizes[i]);

		slate_free(object);
		expect_report(SLATE_CRIME_DOUBLE_FREE);
		slate_free(object);
		assert_int_equal(reports_seen(), 1);
		reported();
	}
	assert_int_equal(slate_validate(), 0);
}

static void freed_objects_wait(void **state)
{
	void *object = slate_alloc(64);

	(void)state;
	slate_free(object);
	for (int i = 0; i < 100; i++)
		assert_ptr_not_equal(slate_alloc(64), object);
	slate_flush();
	for (int i = 0; i < 100; i++) {
		if (slate_alloc(64) == object)
			return;
	}
	fail();
}

/* However much waits, it is bounded, and a flush brings all of it home. */
static void nothing_is_lost(void **state)
{
	size_t before = frames_at_rest();

	(void)state;
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < 5000; i++) {
			void *object = slate_alloc(sizes[i % SIZES]);

			assert_non_null(object);
			slate_free(object);
		}
		assert_int_equal(frames_at_rest(), before);
	}
	assert_int_equal(slate_validate(), 0);
}

/* What waits is drained before anybody gets NULL. */
static void quarantine_is_no_shortage(void **state)
{
	/* two of them are more than there is, and each waits alone */
	const size_t size = 1100000;

	(void)state;
	host_boot(MIB, 2 * MIB);
	for (int i = 0; i < 20; i++) {
		void *object = slate_alloc(size);

		assert_non_null(object);
		slate_free(object);
	}
}

static void realloc_moves_the_zone(void **state)
{
	unsigned char *object = slate_alloc(40);

	(void)state;
	for (size_t size = 41; size < 50000; size += size / 9 + 1) {
		object = slate_realloc(object, size);
		assert_non_null(object);
		assert_int_equal(slate_usable_size(object), size);
		memset(object, 7, size);
		assert_int_equal(slate_validate(), 0);
	}
	object[slate_usable_size(object)] = 1;
	expect_report(SLATE_CRIME_OVERFLOW);
	assert_null(slate_realloc(object, 10));
	reported();
}

static void freed_objects_have_no_size(void **state)
{
	void *object = slate_alloc(40);

	(void)state;
	slate_free(object);
	expect_report(SLATE_CRIME_USE_AFTER_FREE);
	assert_int_equal(slate_usable_size(object), 0);
	reported();
	expect_report(SLATE_CRIME_USE_AFTER_FREE);
	assert_null(slate_realloc(object, 80));
	reported();
}

static void construct(void *object)
{
	memset(object, 0x11, 50);
}

static void constructed_objects_are_left_alone(void **state)
{
	const struct slate_cache_params params = {
		.name = "built", .size_bytes = 50, .constructor = construct};
	struct slate_cache *cache = slate_cache_create(&params);
	unsigned char *object = slate_cache_alloc(cache);

	(void)state;
	assert_true(all_are(object, 0x11, 50));
	slate_cache_free(cache, object);
	assert_true(all_are(object, 0x11, 50));
	object[3] = 0x12;
	expect_report(SLATE_CRIME_WRITE_AFTER_FREE);
	slate_flush();
	assert_int_equal(reported()->address, (uintptr_t)object);
}

static void a_caches_object_is_its_own(void **state)
{
	const struct slate_cache_params params = {.name = "one", .size_bytes = 50};
	struct slate_cache *one = slate_cache_create(&params);
	struct slate_cache *two = slate_cache_create(&params);
	void *object = slate_cache_alloc(one);

	(void)state;
	expect_report(SLATE_CRIME_WRONG_SIZE);
	slate_cache_free(two, object);
	reported();
	slate_cache_free(one, object);
	slate_flush();
	assert_int_equal(slate_cache_destroy(one), SLATE_OK);
	assert_int_equal(slate_cache_destroy(two), SLATE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(what_is_held_is_walked),
		SMALL(fresh_memory_is_filled),
		SMALL(sizes_are_those_asked_for),
		SMALL(every_overflow_is_found_at_the_free),
		SMALL(one_flipped_bit_is_called_so),
		SMALL(a_write_after_free_is_found_at_the_flush),
		SMALL(a_write_after_the_quarantine_is_found_when_it_has_an_owner),
		SMALL(validate_looks_at_all),
		SMALL(double_frees_are_found_at_once),
		SMALL(freed_objects_wait),
		SMALL(nothing_is_lost),
		SMALL(quarantine_is_no_shortage),
		SMALL(realloc_moves_the_zone),
		SMALL(freed_objects_have_no_size),
		SMALL(constructed_objects_are_left_alone),
		SMALL(a_caches_object_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void release_builds_have_no_witnesses(void **state)
{
	(void)state;
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {BARE(release_builds_have_no_witnesses)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
