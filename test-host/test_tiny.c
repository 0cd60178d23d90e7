/* SPDX-License-Identifier: MIT */
/* test_tiny.c - objects of 1 to 7 bytes: how they lie, what comes back when, and misuse of each. */
#include <slate/port.h>

#include "test-host/unit.h"

#include "mm/arena.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/spanclass.h"
#include "mm/tiny.h"

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

static int set_up(void **state)
{
	(void)state;
	nmi = false;
	host_boot(MIB, 16 * MIB);
	free_before = free_and_metadata();
	return 0;
}

#define TINY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static unsigned char *tiny(size_t size_bytes)
{
	unsigned char *object = slate_alloc_flags(size_bytes, SLATE_NOSCAN);

	assert_non_null(object);
	return object;
}

/* Blocks that left their spans. */
static size_t blocks_out(void)
{
	size_t spans;
	size_t objects;

	mcentral_counts(SPANCLASS_TINY, &spans, &objects);
	return objects;
}

static void assert_nothing_left(void)
{
	slate_flush();
	assert_int_equal(blocks_out(), 0);
	assert_int_equal(tiny_held(), 0);
	assert_int_equal(free_and_metadata(), free_before);
	assert_int_equal(slate_validate(), 0);
}

/* ---- How they lie ---- */

static const unsigned per_block[8] = {0, 12, 8, 5, 4, 3, 2, 2};

static void objects_share_blocks(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 7; size++) {
		unsigned char *objects[24];
		unsigned n = 2 * per_block[size];
		size_t align = size & (~size + 1);

		for (unsigned i = 0; i < n; i++) {
			objects[i] = tiny(size);
			assert_int_equal((uintptr_t)objects[i] % align, 0);
			assert_int_equal(slate_usable_size(objects[i]), size);
			assert_int_equal(arena_class_at(objects[i]), PAGECLASS_TINY);
			memset(objects[i], (int)(16 * size + i), size);
			assert_int_equal((uintptr_t)objects[i] / 16,
					 (uintptr_t)objects[i / per_block[size] * per_block[size]] /
						 16);
		}
		for (unsigned i = 0; i < n; i++) {
			for (size_t byte = 0; byte < size; byte++)
				assert_int_equal(objects[i][byte], (unsigned char)(16 * size + i));
		}
		assert_int_equal(slate_validate(), 0);
		for (unsigned i = 0; i < n; i++)
			slate_free(objects[i]);
	}
	assert_nothing_left();
}

/* Whatever the caller asks for that no tiny object can be. */
static void others_are_no_tiny_objects(void **state)
{
	void *objects[] = {
		slate_alloc(4),
		slate_zalloc(4),
		slate_alloc_flags(4, 0),
		slate_alloc_flags(8, SLATE_NOSCAN),
		slate_alloc_flags(0, SLATE_NOSCAN),
		slate_alloc_aligned(4, 8, SLATE_NOSCAN),
		slate_alloc_aligned(6, 4, SLATE_NOSCAN),
		slate_alloc_flags(4, SLATE_NOSCAN | SLATE_ANYCTX),
	};

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		assert_non_null(objects[i]);
		assert_int_equal(slate_usable_size(objects[i]), 8);
		slate_free(objects[i]);
	}
	slate_free(objects[7]);
	assert_int_equal(blocks_out(), 0);
	/* but these are */
	void *two = slate_alloc_aligned(2, 2, SLATE_NOSCAN);

	assert_int_equal(slate_usable_size(two), 2);
	slate_free(two);
}

static void zeroed(void **state)
{
	unsigned char *object = tiny(5);

	(void)state;
	memset(object, 0xff, 5);
	slate_free(object);
	assert_ptr_equal(slate_alloc_flags(5, SLATE_NOSCAN | SLATE_ZERO), object);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(object[i], 0);
	slate_free(object);
}

static void bulk_and_counts(void **state)
{
	struct slate_stats stats;
	void *objects[1000];

	(void)state;
	assert_int_equal(slate_alloc_bulk(3, 1000, objects, SLATE_NOSCAN | SLATE_ZERO), 1000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(slate_usable_size(objects[i]), 3);
	slate_stats(&stats);
	assert_int_equal(stats.tiny_allocs, 1000);
	/* 16 bytes for five of them */
	assert_int_equal(stats.objects - stats.cached_objects, 200);
	slate_free_bulk(objects, 1000);
	assert_nothing_left();
	slate_stats(&stats);
	assert_int_equal(stats.tiny_allocs, 1000);
}

static void realloc_of_tiny_objects(void **state)
{
	unsigned char *object = tiny(3);
	unsigned char *moved;

	(void)state;
	memcpy(object, "abc", 3);
	assert_ptr_equal(slate_realloc(object, 3), object);
	moved = slate_realloc(object, 2);
	assert_memory_equal(moved, "ab", 2);
	memcpy(moved, "xy", 2);
	object = slate_realloc(moved, 100);
	assert_memory_equal(object, "xy", 2);
	slate_free(object);
	/* 24 bytes promise an alignment of 8, which no tiny object has */
	object = slate_realloc(slate_alloc_flags(24, SLATE_NOSCAN), 2);
	assert_int_equal(slate_usable_size(object), 8);
	slate_free(object);
	assert_nothing_left();
}

/* ---- What comes back when ---- */

/* The block goes with its last object, in any order, from whatever CPU. */
static void a_block_returns_with_its_last_object(void **state)
{
	unsigned char *objects[4];
	unsigned char *next;

	(void)state;
	host_cpu_online(1);
	for (unsigned order = 0; order < 24; order++) {
		unsigned left[] = {0, 1, 2, 3};
		unsigned at = order;

		host_cpu_set(0);
		slate_flush();
		for (unsigned i = 0; i < 4; i++)
			objects[i] = tiny(4);
		/* another block is held now, and this one by its objects alone */
		next = tiny(4);
		assert_int_not_equal((uintptr_t)next / 16, (uintptr_t)objects[0] / 16);
		for (unsigned n = 4; n > 0; at /= n--) {
			unsigned pick = at % n;

			host_cpu_set(n & 1);
			slate_free(objects[left[pick]]);
			left[pick] = left[n - 1];
			host_cpu_set(0);
			slate_flush();
			assert_int_equal(blocks_out(), n > 1 ? 2 : 1);
			assert_int_equal(slate_validate(), 0);
		}
		slate_free(next);
	}
	assert_nothing_left();
}

/* While it is held its places are taken again; empty, it is let go by the drain. */
static void a_held_block_is_used_again(void **state)
{
	unsigned char *first = tiny(6);
	unsigned char *second = tiny(6);

	(void)state;
	assert_int_equal(tiny_held(), 1);
	slate_free(first);
	assert_ptr_equal(tiny(6), first);
	slate_free(second);
	slate_free(first);
	assert_int_equal(tiny_held(), 1);
	assert_int_equal(blocks_out() > 0, true);
	assert_ptr_equal(tiny(6), first);
	slate_free(first);
	assert_nothing_left();
}

static void offline_lets_go(void **state)
{
	unsigned char *object;

	(void)state;
	host_cpu_online(1);
	object = tiny(7);
	tiny(7);
	slate_free(object + 7);
	assert_int_equal(tiny_held(), 1);
	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	assert_int_equal(tiny_held(), 0);
	host_cpu_set(0);
	assert_int_equal(blocks_out(), 1);
	slate_free(object);
	slate_flush();
	assert_int_equal(blocks_out(), 0);
}

static void out_of_memory_is_null(void **state)
{
	static void *objects[4000000];
	size_t n = 0;

	(void)state;
	host_boot(MIB, 4 * MIB);
	while (n < 4000000 && (objects[n] = slate_alloc_flags(1, SLATE_NOSCAN)))
		n++;
	/* twelve in 19 bytes, where of the smallest class there would be two */
	assert_in_range(n, 4 * MIB / 2, 4000000 - 1);
	assert_int_equal(slate_validate(), 0);
	while (n > 0)
		slate_free(objects[--n]);
	slate_flush();
	assert_int_equal(blocks_out(), 0);
	assert_int_equal(slate_validate(), 0);
}

static void removal_of_their_memory(void **state)
{
	unsigned char *object;
	pfn_t run;

	(void)state;
	host_memory(256 * MIB, 16 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){256 * MIB}, 16 * MIB, 0), SLATE_OK);
	/* all but the far range is taken */
	do {
		run = slate_page_alloc(2, NULL);
		assert_false(pfn_is_none(run));
	} while (pfn_to_paddr(run).v < 256 * MIB);
	slate_page_free(run, 2);
	object = tiny(2);
	assert_true(slate_phys(object).v >= 256 * MIB);
	assert_int_equal(slate_remove_memory((paddr_t){256 * MIB}, 16 * MIB, NULL), SLATE_EBUSY);
	slate_free(object);
	assert_int_equal(slate_remove_memory((paddr_t){256 * MIB}, 16 * MIB, NULL), SLATE_OK);
}

/* ---- Misuse, other contexts ---- */

static void each_misuse_is_found_at_once(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 7; size++) {
		unsigned char *object = tiny(size);
		unsigned char *other = tiny(size);

		for (uintptr_t at = (uintptr_t)object & ~(uintptr_t)15, i = 0; i < 16; i++) {
			bool is_start = i % size == 0 && i / size < per_block[size];
			bool is_free = is_start && at + i != (uintptr_t)object &&
				       at + i != (uintptr_t)other;

			if (is_start && !is_free)
				continue;
			expect_report(is_start ? SLATE_CRIME_DOUBLE_FREE : SLATE_CRIME_INTERIOR);
			slate_free((void *)(at + i));
			assert_int_equal(reported()->address, at + i);
			assert_int_equal(reported()->object_bytes, size);
		}
		expect_report(SLATE_CRIME_WRONG_SIZE);
		slate_free_sized(object, size + 1);
		reported();
		slate_free_sized(object, size);
		expect_report(SLATE_CRIME_DOUBLE_FREE);
		slate_free(object);
		reported();
		expect_report(SLATE_CRIME_NOT_OBJECT);
		assert_int_equal(slate_usable_size(object), 0);
		reported();
		slate_free(other);
		/* and when its block lies in a magazine */
		tiny_drain();
		expect_report(SLATE_CRIME_DOUBLE_FREE);
		slate_free(object);
		reported();
	}
	assert_int_equal(slate_validate(), 0);
}

/* It takes none; what it frees comes back, the block by the next one who may. */
static void an_nmi_frees(void **state)
{
	unsigned char *object = tiny(4);
	void *eight;

	(void)state;
	tiny_drain();
	nmi = true;
	eight = slate_alloc_flags(4, SLATE_NOSCAN);
	slate_free(object);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	reported();
	nmi = false;
	slate_free(eight);
	assert_nothing_left();

	/* no magazine to be had: the block is deferred */
	object = tiny(4);
	slate_flush();
	assert_int_equal(mcache_cached(mcaches[0], SPANCLASS_TINY), 0);
	nmi = true;
	slate_free(object);
	nmi = false;
	assert_int_equal(blocks_out(), 1);
	slate_poll();
	assert_nothing_left();
}

static void a_wrong_word_is_found(void **state)
{
	unsigned char *object = tiny(7);
	struct tiny_place place = tiny_look(arena_span(virt_to_pfn(object)), (uintptr_t)object);

	(void)state;
	*place.word |= 4; /* a third object of 7 bytes */
	expect_report(SLATE_CRIME_CORRUPT);
	assert_true(slate_validate() > 0);
	reported();
	*place.word &= (uint16_t)~4u;
	place.word[100] = 0x7001;
	expect_report(SLATE_CRIME_CORRUPT);
	assert_true(slate_validate() > 0);
	reported();
	place.word[100] = 0;
	slate_free(object);
	assert_nothing_left();
}

/* ---- Many of all, against a model ---- */

#define LIVE 3000u

static void random_sizes_and_cpus(void **state)
{
	static struct {
		unsigned char *object;
		size_t size;
		unsigned char token;
	} live[LIVE];
	struct host_random random = host_random_seed("tiny", 20240611);
	size_t ops = host_ops(200000);

	(void)state;
	memset(live, 0, sizeof(live));
	host_cpu_online(1);
	for (size_t op = 0; op < ops; op++) {
		size_t i = host_random_below(&random, LIVE);

		host_cpu_set((unsigned)host_random_below(&random, 2));
		if (live[i].object) {
			for (size_t byte = 0; byte < live[i].size; byte++)
				assert_int_equal(live[i].object[byte], live[i].token);
			slate_free(live[i].object);
			live[i].object = NULL;
		} else {
			live[i].size = 1 + host_random_below(&random, 7);
			live[i].token = (unsigned char)host_random(&random);
			live[i].object = tiny(live[i].size);
			memset(live[i].object, live[i].token, live[i].size);
		}
		if (op % 20000 == 0) {
			slate_flush();
			assert_int_equal(slate_validate(), 0);
		}
	}
	for (size_t i = 0; i < LIVE; i++)
		slate_free(live[i].object);
	host_cpu_set(0);
	slate_flush();
	assert_int_equal(blocks_out(), 0);
	assert_int_equal(slate_validate(), 0);
}

/* ---- True classes ---- */

/* An object of 8, 24 or 40 bytes takes that many, span tails and all. */
static void small_classes_are_true(void **state)
{
	static const size_t sizes[] = {8, 24, 40};
	static void *objects[50000];

	(void)state;
	for (unsigned s = 0; s < 3; s++) {
		struct slate_stats before;
		struct slate_stats after;
		size_t bytes;

		slate_flush();
		slate_stats(&before);
		for (unsigned i = 0; i < 50000; i++) {
			objects[i] = slate_alloc(sizes[s]);
			assert_int_equal(slate_usable_size(objects[i]), sizes[s]);
		}
		slate_stats(&after);
		bytes = (after.object_pages - before.object_pages) * 4096;
		assert_in_range(bytes, 50000 * sizes[s], 50000 * sizes[s] * 102 / 100);
		for (unsigned i = 0; i < 50000; i++)
			slate_free(objects[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TINY(objects_share_blocks),
		TINY(others_are_no_tiny_objects),
		TINY(zeroed),
		TINY(bulk_and_counts),
		TINY(realloc_of_tiny_objects),
		TINY(a_block_returns_with_its_last_object),
		TINY(a_held_block_is_used_again),
		TINY(offline_lets_go),
		TINY(out_of_memory_is_null),
		TINY(removal_of_their_memory),
		TINY(each_misuse_is_found_at_once),
		TINY(an_nmi_frees),
		TINY(a_wrong_word_is_found),
		TINY(random_sizes_and_cpus),
		TINY(small_classes_are_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
