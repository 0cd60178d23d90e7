/* SPDX-License-Identifier: MIT */
/*
 * selftest_object.c - objects on one CPU: contents, alignment, sizes, realloc, what cannot be
 * given.
 */
#include <slate/slate.h>

#include "kernel/selftest.h"
#include "kernel/tap.h"
#include "lib/string.h"
#include "mm/percpu.h"
#include "mm/sizeclass.h"
#include "mm/witness.h"

#define BATCH 300

static void *batch[BATCH];

/* Largest power of two that divides n. */
static size_t natural_align(size_t n)
{
	return n & (~n + 1);
}

static void free_batch(size_t count)
{
	for (size_t i = 0; i < count; i++)
		slate_free(batch[i]);
}

/* Fill a batch of one size, then check that no object disturbed another. */
static void fill_and_check(size_t size_bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		batch[i] = slate_alloc(size_bytes);
		CHECK(batch[i]);
		pattern_fill(batch[i], size_bytes, (uint32_t)(size_bytes + i));
	}
	for (size_t i = 0; i < count; i++)
		CHECK(pattern_check(batch[i], size_bytes, (uint32_t)(size_bytes + i)) ==
		      size_bytes);
	free_batch(count);
}

static void test_every_class(void)
{
	for (unsigned class = 1; class < SIZECLASS_COUNT; class ++)
		fill_and_check(sizeclass_bytes[class], 40);
}

static void test_odd_sizes(void)
{
	for (size_t size_bytes = 1; size_bytes <= 1100; size_bytes += 7)
		fill_and_check(size_bytes, 8);
}

static void test_many_small(void)
{
	fill_and_check(8, BATCH);
	fill_and_check(24, BATCH);
	fill_and_check(64, BATCH);
	fill_and_check(200, BATCH);
}

static void test_alignment(void)
{
	for (size_t size_bytes = 1; size_bytes <= SIZECLASS_MAX_BYTES + 4096;
	     size_bytes += size_bytes < 512 ? 1 : 61) {
		char *object = slate_alloc(size_bytes);
		size_t align = size_bytes % 16 == 0 ? 16 : 8;

		CHECK(object);
		CHECK((uintptr_t)object % align == 0);
		slate_free(object);
	}
}

static void test_power_of_two_alignment(void)
{
	for (size_t size_bytes = 8; size_bytes <= 65536; size_bytes *= 2) {
		size_t want = size_bytes < SLATE_PAGE_SIZE ? size_bytes : SLATE_PAGE_SIZE;

		for (size_t i = 0; i < 20; i++) {
			batch[i] = slate_alloc(size_bytes);
			CHECK(batch[i]);
			CHECK(natural_align((uintptr_t)batch[i]) >= want);
		}
		free_batch(20);
	}
}

static void test_aligned(void)
{
	for (size_t align = 8; align <= 1024 * 1024; align *= 2) {
		for (size_t size_bytes = 1; size_bytes <= 100000; size_bytes = size_bytes * 3 + 5) {
			void *object = slate_alloc_aligned(size_bytes, align, 0);

			CHECK(object);
			CHECK((uintptr_t)object % align == 0);
			CHECK(slate_usable_size(object) >= size_bytes);
			pattern_fill(object, size_bytes, 7);
			CHECK(pattern_check(object, size_bytes, 7) == size_bytes);
			slate_free(object);
		}
	}
}

static void test_aligned_refused(void)
{
	CHECK(!slate_alloc_aligned(64, 0, 0));
	CHECK(!slate_alloc_aligned(64, 3, 0));
	CHECK(!slate_alloc_aligned(64, 48, 0));
	CHECK(!slate_alloc_aligned(64, SIZE_MAX, 0));
	CHECK(!slate_alloc_aligned(SIZE_MAX, 4096, 0));
	CHECK(!slate_alloc_aligned(64, SIZE_MAX / 2 + 1, 0));
}

static void test_size_zero(void)
{
	char *a = slate_alloc(0);
	char *b = slate_alloc(0);

	CHECK(a);
	CHECK(b);
	CHECK(a != b);
	slate_free(a);
	slate_free(b);
}

static void test_free_null(void)
{
	slate_free(NULL);
	slate_free_sized(NULL, 64);
	slate_free_sized(NULL, 0);
}

/* Leave dirty memory behind for the tests of zeroing. */
static void make_dirt(size_t size_bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		batch[i] = slate_alloc(size_bytes);
		CHECK(batch[i]);
		memset(batch[i], 0xee, size_bytes);
	}
	free_batch(count);
}

static void test_zalloc(void)
{
	for (size_t size_bytes = 8; size_bytes <= 200000; size_bytes = size_bytes * 2 + 8) {
		make_dirt(size_bytes, 10);
		for (size_t i = 0; i < 10; i++) {
			batch[i] = slate_zalloc(size_bytes);
			CHECK(batch[i]);
			CHECK(bytes_are(batch[i], 0, size_bytes));
		}
		free_batch(10);
	}
}

static void test_calloc(void)
{
	unsigned char *object;

	make_dirt(1000, 20);
	object = slate_calloc(100, 10);
	CHECK(object);
	CHECK(bytes_are(object, 0, 1000));
	slate_free(object);
	object = slate_calloc(0, 10);
	CHECK(object);
	slate_free(object);
	object = slate_calloc(10, 0);
	CHECK(object);
	slate_free(object);
}

static void test_calloc_overflow(void)
{
	size_t half = SIZE_MAX / 2 + 1;

	CHECK(!slate_calloc(half, 2));
	CHECK(!slate_calloc(2, half));
	CHECK(!slate_calloc(SIZE_MAX, SIZE_MAX));
	CHECK(!slate_calloc(half + 32, 2));
	CHECK(!slate_calloc(SIZE_MAX / 64 + 2, 64));
}

static void test_absurd_sizes(void)
{
	CHECK(!slate_alloc(SIZE_MAX));
	CHECK(!slate_alloc(SIZE_MAX - 4094));
	CHECK(!slate_alloc(SIZE_MAX - 65535));
	CHECK(!slate_alloc(SIZE_MAX / 2));
	CHECK(!slate_zalloc(SIZE_MAX));
	CHECK(!slate_realloc(NULL, SIZE_MAX));
}

static void test_realloc_content(void)
{
	for (size_t from = 1; from <= 70000; from = from * 2 + 3) {
		for (size_t to = 1; to <= 70000; to = to * 3 + 1) {
			size_t keep = from < to ? from : to;
			char *object = slate_alloc(from);

			CHECK(object);
			pattern_fill(object, from, (uint32_t)from);
			object = slate_realloc(object, to);
			CHECK(object);
			CHECK(pattern_check(object, keep, (uint32_t)from) == keep);
			CHECK(slate_usable_size(object) >= to);
			slate_free(object);
		}
	}
}

static void test_realloc_walk(void)
{
	size_t len = 1;
	char *object = slate_realloc(NULL, len);

	CHECK(object);
	pattern_fill(object, len, 1);
	while (len < 600000) {
		size_t longer = len + len / 2 + 1;

		object = slate_realloc(object, longer);
		CHECK(object);
		CHECK(pattern_check(object, len, 1) == len);
		pattern_fill(object, longer, 1);
		len = longer;
	}
	CHECK(slate_realloc(object, 0) == NULL);
}

static void test_realloc_fails(void)
{
	char *object = slate_alloc(100);

	CHECK(object);
	pattern_fill(object, 100, 5);
	CHECK(!slate_realloc(object, SIZE_MAX / 2));
	CHECK(pattern_check(object, 100, 5) == 100);
	slate_free(object);
}

static void test_usable_size(void)
{
	for (size_t size_bytes = 1; size_bytes <= 150000; size_bytes += 1 + size_bytes / 3) {
		void *object = slate_alloc(size_bytes);
		size_t usable = slate_usable_size(object);

		CHECK(object);
		CHECK(usable >= size_bytes);
		CHECK(usable == slate_good_size(size_bytes));
		memset(object, 0x77, usable);
		slate_free_sized(object, size_bytes);
	}
}

static void test_free_sized(void)
{
	for (unsigned class = 1; class < SIZECLASS_COUNT; class ++) {
		size_t size_bytes = sizeclass_bytes[class];
		void *object = slate_alloc(size_bytes);

		CHECK(object);
		slate_free_sized(object, size_bytes);
		/* the smallest size of the same class will do, too */
		object = slate_alloc(size_bytes);
		CHECK(object);
		slate_free_sized(object, (size_t)sizeclass_bytes[class - 1] + 1);
	}
}

static void test_large(void)
{
	for (size_t pages = 9; pages <= 1024; pages = pages * 2 - 1) {
		size_t size_bytes = pages * SLATE_PAGE_SIZE - 100;
		char *a = slate_alloc(size_bytes);
		char *b = slate_alloc(size_bytes);

		CHECK(a);
		CHECK(b);
		CHECK((uintptr_t)a % SLATE_PAGE_SIZE == 0);
		CHECK(a + size_bytes <= b || b + size_bytes <= a);
		pattern_fill(a, size_bytes, 11);
		pattern_fill(b, size_bytes, 12);
		CHECK(pattern_check(a, size_bytes, 11) == size_bytes);
		slate_free(a);
		CHECK(pattern_check(b, size_bytes, 12) == size_bytes);
		slate_free(b);
	}
}

static void test_flags(void)
{
	static const unsigned flags[] = {
		0,
		SLATE_NOWAIT,
		SLATE_ZERO,
		SLATE_NOSCAN,
		SLATE_NOSCAN | SLATE_ZERO,
		SLATE_NOWAIT | SLATE_ZERO,
		SLATE_RESERVE,
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		char *object = slate_alloc_flags(160, flags[i]);

		CHECK(object);
		if (flags[i] & SLATE_ZERO)
			CHECK(bytes_are(object, 0, 160));
		memset(object, 0xcc, 160);
		slate_free(object);
	}
}

static void test_reuse(void)
{
	/* What is freed is found again: the same 300 places serve 3000 objects. */
	struct slate_stats before;
	struct slate_stats after;
	/* samples have spans of their own */
	size_t rate = profile_rate_set(0);

	/* in debug builds freed ones wait in quarantine for a while */
	for (size_t round = 0; round < 4; round++)
		fill_and_check(96, BATCH);
	slate_stats(&before);
	for (size_t round = 0; round < 10; round++)
		fill_and_check(96, BATCH);
	slate_stats(&after);
	profile_rate_set(rate);
	CHECK(after.object_pages == before.object_pages);
}

/* Else an NMI could attach one where somebody has only just detached his (plant_give_way()). */
static void test_exchange_needs_a_magazine(void)
{
	unsigned class = sizeclass_of(96) << 1;
	size_t rate = profile_rate_set(0);
	size_t count = 40; /* worth an exchange, and less than a magazine holds */

	for (size_t i = 0; i < count; i++)
		batch[i] = (slate_alloc)(96);
	slate_flush();
	free_batch(count);
	if (witness_is_on())
		tap_skip("with witnesses objects wait in quarantine");
	else
		CHECK(!percpu_exchange(class));
	slate_free((slate_alloc)(96));
	CHECK(slate_validate() == 0);
	profile_rate_set(rate);
}

static void test_counts(void)
{
	struct slate_stats before;
	struct slate_stats during;
	struct slate_stats after;
	size_t live;

	slate_flush();
	slate_stats(&before);
	for (size_t i = 0; i < 100; i++) {
		batch[i] = slate_alloc(100);
		CHECK(batch[i]);
	}
	slate_stats(&during);
	live = during.objects - during.cached_objects;
	CHECK(live == before.objects - before.cached_objects + 100);
	free_batch(100);
	slate_flush();
	slate_stats(&after);
	CHECK(after.objects == before.objects);
	CHECK(after.object_pages == before.object_pages);
	CHECK(after.object_bytes == before.object_bytes);
}

const struct pure_test selftest_object[] = {
	{"object: every size class keeps its pattern", test_every_class},
	{"object: odd sizes keep their pattern", test_odd_sizes},
	{"object: many small ones do not overlap", test_many_small},
	{"object: 8 bytes aligned, multiples of 16 by 16", test_alignment},
	{"object: powers of two are naturally aligned", test_power_of_two_alignment},
	{"object: asked-for alignment up to 1 MiB", test_aligned},
	{"object: alignments that cannot be are refused", test_aligned_refused},
	{"object: size 0 gives unique pointers", test_size_zero},
	{"object: free of NULL is nothing", test_free_null},
	{"object: zalloc reads as zero", test_zalloc},
	{"object: calloc reads as zero", test_calloc},
	{"object: calloc overflow is NULL", test_calloc_overflow},
	{"object: absurd sizes are NULL", test_absurd_sizes},
	{"object: realloc keeps the content", test_realloc_content},
	{"object: realloc step by step to 600 KB, and to nothing", test_realloc_walk},
	{"object: a realloc that fails changes nothing", test_realloc_fails},
	{"object: usable size is good size, and can be written", test_usable_size},
	{"object: sized free takes any size of the class", test_free_sized},
	{"object: large ones of 9 to 1024 frames", test_large},
	{"object: each flag", test_flags},
	{"object: freed places are used again", test_reuse},
	{"object: no exchange without a take magazine", test_exchange_needs_a_magazine},
	{"object: the counts follow", test_counts},
	{0},
};
