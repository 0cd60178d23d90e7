/* SPDX-License-Identifier: MIT */
/* test_kcache.c - typed caches, and many objects at once. */
#include "test-host/unit.h"

#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/mmdebug.h"

static unsigned constructed;

static void construct(void *object)
{
	constructed++;
	*(uint64_t *)object = 0x600d;
}

static int set_up(void **state)
{
	(void)state;
	constructed = 0;
	host_boot(MIB, 32 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	return 0;
}

#define KCACHE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static struct slate_cache *make(size_t size_bytes, size_t align_bytes)
{
	struct slate_cache *cache =
		slate_cache_create(&(struct slate_cache_params){.name = "thing",
								.size_bytes = size_bytes,
								.align_bytes = align_bytes,
								.constructor = construct});

	assert_non_null(cache);
	return cache;
}

static size_t objects_of(const struct slate_cache *cache)
{
	size_t spans;
	size_t objects;

	mcentral_counts((unsigned)cache->give_index, &spans, &objects);
	return objects;
}

/* ---- Objects ---- */

static void test_objects_are_constructed_once(void **state)
{
	struct slate_cache *cache = make(100, 0);

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t *object = slate_cache_alloc(cache);

		assert_int_equal(*object, 0x600d);
		slate_cache_free(cache, object);
	}
	assert_true(constructed > 0);
	assert_true(constructed < 200);
}

static void test_state_survives_a_free(void **state)
{
	struct slate_cache *cache = make(64, 0);
	uint64_t *object = slate_cache_alloc(cache);

	(void)state;
	object[1] = 77;
	slate_cache_free(cache, object);
	bool seen = false;
	for (unsigned i = 0; i < 200 && !seen; i++) {
		uint64_t *again = slate_cache_alloc(cache);

		seen = again == object;
		if (seen)
			assert_int_equal(again[1], 77);
	}
	assert_true(seen);
}

static void test_every_size_and_alignment(void **state)
{
	static void *objects[300];

	(void)state;
	for (size_t align = 1; align <= SLATE_PAGE_SIZE; align *= 4) {
		for (size_t size = 1; size < 50000; size = size * 3 + 5) {
			struct slate_cache *cache = make(size < 8 ? 8 : size, align);

			for (unsigned i = 0; i < 300; i++) {
				objects[i] = slate_cache_alloc(cache);
				if (!objects[i]) {
					assert_true(i > 100);
					break;
				}
				assert_int_equal((uintptr_t)objects[i] % (align < 8 ? 8 : align),
						 0);
				memset(objects[i], (int)i, size < 8 ? 8 : size);
			}
			for (unsigned i = 0; i < 300 && objects[i]; i++) {
				assert_int_equal(*(unsigned char *)objects[i], i & 0xff);
				slate_cache_free(cache, objects[i]);
				objects[i] = NULL;
			}
			assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
		}
	}
	assert_int_equal(slate_validate(), 0);
}

static void test_plain_free_works(void **state)
{
	struct slate_cache *cache = make(200, 0);

	(void)state;
	slate_free(slate_cache_alloc(cache));
	slate_flush();
	assert_int_equal(objects_of(cache), 0);
}

static void test_usable_size(void **state)
{
	struct slate_cache *cache = make(100, 0);
	void *object = slate_cache_alloc(cache);

	(void)state;
	assert_int_equal(slate_usable_size(object), 104);
	slate_cache_free(cache, object);
}

static void test_freed_on_another_cpu(void **state)
{
	struct slate_cache *cache = make(64, 0);
	static void *objects[500];

	(void)state;
	for (unsigned i = 0; i < 500; i++)
		objects[i] = slate_cache_alloc(cache);
	host_cpu_set(1);
	for (unsigned i = 0; i < 500; i++)
		slate_cache_free(cache, objects[i]);
	host_cpu_set(0);
	slate_flush();
	assert_int_equal(objects_of(cache), 0);
}

static void test_free_null(void **state)
{
	(void)state;
	slate_cache_free(make(64, 0), NULL);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Life ---- */

static void test_bad_parameters(void **state)
{
	const struct slate_cache_params bad[] = {
		{.size_bytes = 0},
		{.size_bytes = 60000},
		{.size_bytes = SIZE_MAX},
		{.size_bytes = 64, .align_bytes = 24},
		{.size_bytes = 64, .align_bytes = 8192},
		{.size_bytes = 53250, .align_bytes = 4096},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(slate_cache_create(&bad[i]));
}

static void test_all_places_taken(void **state)
{
	/* one place is the tiny objects' */
	struct slate_cache *caches[SPANCLASS_TYPED_COUNT - SLATE_TINY];

	(void)state;
	for (unsigned i = 0; i < SPANCLASS_TYPED_COUNT - SLATE_TINY; i++)
		caches[i] = make(8 + 8 * i, 0);
	assert_null(slate_cache_create(&(struct slate_cache_params){.size_bytes = 8}));
	assert_int_equal(slate_cache_destroy(caches[7]), SLATE_OK);
	assert_ptr_equal(make(9999, 0), caches[7]);
}

static void test_destroy_with_objects_is_refused(void **state)
{
	struct slate_cache *cache = make(64, 0);
	void *object = slate_cache_alloc(cache);

	(void)state;
	assert_int_equal(slate_cache_destroy(cache), SLATE_EBUSY);
	slate_cache_free(cache, object);
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
}

static void test_destroy_with_an_unreachable_cpu_is_refused(void **state)
{
	struct slate_cache *cache = make(64, 0);

	(void)state;
	host_ipi_disable();
	host_cpu_set(1);
	slate_cache_free(cache, slate_cache_alloc(cache));
	host_cpu_set(0);
	assert_int_equal(slate_cache_destroy(cache), SLATE_EBUSY);
	host_cpu_set(1);
	slate_flush();
	host_cpu_set(0);
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
}

static void test_names(void **state)
{
	struct slate_cache *cache = make(64, 0);

	(void)state;
	assert_string_equal(slate_cache_name((unsigned)cache->give_index), "thing");
	slate_cache_destroy(cache);
	assert_string_equal(slate_cache_name((unsigned)cache->give_index), "");
	assert_string_equal(slate_cache_name(2), "");
}

static void test_all_memory_comes_back(void **state)
{
	struct slate_stats before;
	struct slate_stats after;

	(void)state;
	slate_stats(&before);
	for (unsigned round = 0; round < 20; round++) {
		struct slate_cache *cache = make(500, 0);
		void *objects[100];

		for (unsigned i = 0; i < 100; i++)
			objects[i] = slate_cache_alloc(cache);
		for (unsigned i = 0; i < 100; i++)
			slate_cache_free(cache, objects[i]);
		assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
	}
	slate_stats(&after);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
}

/* ---- Put aside ---- */

static void test_prefill_keeps_its_promise(void **state)
{
	struct slate_cache *cache = make(64, 0);
	unsigned got = 0;

	(void)state;
	assert_true(slate_cache_prefill(cache, 100));
	mm_fault_arm(1, true);
	slate_flush();
	while (slate_cache_alloc(cache))
		got++;
	mm_fault_arm(0, false);
	assert_true(got >= 100);
}

static void test_prefill_survives_a_flush(void **state)
{
	struct slate_cache *cache = make(64, 0);

	(void)state;
	assert_true(slate_cache_prefill(cache, 40));
	slate_flush();
	assert_int_equal(objects_of(cache), 40);
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
}

static void test_prefill_without_memory(void **state)
{
	struct slate_cache *cache = make(4096, 0);

	(void)state;
	assert_false(slate_cache_prefill(cache, 100000));
}

/* ---- Misuse ---- */

static void test_another_caches_object(void **state)
{
	struct slate_cache *one = make(64, 0);
	struct slate_cache *two = make(64, 0);

	(void)state;
	slate_cache_free(two, slate_cache_alloc(one));
	expect_report(SLATE_CRIME_WRONG_SIZE);
	slate_flush();
	assert_non_null(reported());
}

static void test_double_free(void **state)
{
	struct slate_cache *cache = make(64, 0);
	void *object = slate_cache_alloc(cache);

	(void)state;
	slate_cache_free(cache, object);
	slate_cache_free(cache, object);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_flush();
	assert_non_null(reported());
}

static void test_plain_free_of_an_interior_pointer(void **state)
{
	char *object = slate_cache_alloc(make(64, 0));

	(void)state;
	expect_report(SLATE_CRIME_INTERIOR);
	slate_free(object + 8);
	assert_int_equal(reported()->object, (uintptr_t)object);
}

/* ---- Bulk ---- */

static void test_bulk(void **state)
{
	enum { N = 3000 };
	static void *objects[N];

	(void)state;
	for (size_t size = 8; size <= 2048; size *= 4) {
		assert_int_equal(slate_alloc_bulk(size, N, objects, SLATE_ZERO), N);
		for (unsigned i = 0; i < N; i++) {
			assert_int_equal(*(uint64_t *)objects[i], 0);
			*(uint64_t *)objects[i] = i + 1;
		}
		for (unsigned i = 0; i < N; i++)
			assert_int_equal(*(uint64_t *)objects[i], i + 1);
		slate_free_bulk(objects, N);
		slate_flush();
	}
	assert_int_equal(slate_validate(), 0);
}

static void test_bulk_runs_out(void **state)
{
	static void *objects[60000];
	size_t got = slate_alloc_bulk(1024, 60000, objects, 0);

	(void)state;
	assert_true(got > 20000 && got < 60000);
	slate_free_bulk(objects, got);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

static void test_bulk_of_none_and_of_large(void **state)
{
	void *objects[4];

	(void)state;
	assert_int_equal(slate_alloc_bulk(64, 0, objects, 0), 0);
	assert_int_equal(slate_alloc_bulk(100000, 4, objects, SLATE_NOSCAN), 4);
	slate_free_bulk(objects, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KCACHE(test_objects_are_constructed_once),
		KCACHE(test_state_survives_a_free),
		KCACHE(test_every_size_and_alignment),
		KCACHE(test_plain_free_works),
		KCACHE(test_usable_size),
		KCACHE(test_freed_on_another_cpu),
		KCACHE(test_free_null),
		KCACHE(test_bad_parameters),
		KCACHE(test_all_places_taken),
		KCACHE(test_destroy_with_objects_is_refused),
		KCACHE(test_destroy_with_an_unreachable_cpu_is_refused),
		KCACHE(test_names),
		KCACHE(test_all_memory_comes_back),
		KCACHE(test_prefill_keeps_its_promise),
		KCACHE(test_prefill_survives_a_flush),
		KCACHE(test_prefill_without_memory),
		KCACHE(test_another_caches_object),
		KCACHE(test_double_free),
		KCACHE(test_plain_free_of_an_interior_pointer),
		KCACHE(test_bulk),
		KCACHE(test_bulk_runs_out),
		KCACHE(test_bulk_of_none_and_of_large),
	};

	return cmocka_run_group_tests_name("kcache", tests, NULL, NULL);
}
