/* SPDX-License-Identifier: MIT */
/* test_malloc.c - the public object calls on one CPU: sizes, alignment, contents, misuse. */
#include "test-host/unit.h"

#include "mm/mmdebug.h"
#include "mm/sizeclass.h"

/* Fills with a pattern of the address, and looks at it again. */
static void fill(void *object, size_t size_bytes)
{
	unsigned char *bytes = object;

	for (size_t i = 0; i < size_bytes; i++)
		bytes[i] = (unsigned char)(((uintptr_t)object >> 3) + i);
}

static void assert_filled(const void *object, size_t size_bytes, const void *filled_as)
{
	const unsigned char *bytes = object;

	for (size_t i = 0; i < size_bytes; i++)
		assert_int_equal(bytes[i], (unsigned char)(((uintptr_t)filled_as >> 3) + i));
}

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now;
}

/* Everything is home again: free frames and metadata are what they were. */
static void assert_nothing_lost(const struct slate_stats *before)
{
	struct slate_stats now;

	slate_flush();
	now = stats();
	assert_int_equal(now.free_pages + now.metadata_pages,
			 before->free_pages + before->metadata_pages);
	assert_int_equal(now.objects, before->objects);
	assert_int_equal(now.object_pages, before->object_pages);
	assert_int_equal(now.manual_pages, before->manual_pages);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Sizes ---- */

static void every_class_and_its_neighbours(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		for (size_t size = sizeclass_bytes[c] - 1; size <= sizeclass_bytes[c] + 1u;
		     size++) {
			void *p = slate_alloc(size);

			assert_non_null(p);
			assert_true(slate_usable_size(p) >= size);
			assert_int_equal(slate_usable_size(p), slate_good_size(size));
			fill(p, slate_usable_size(p));
			assert_filled(p, slate_usable_size(p), p);
			slate_free(p);
		}
	}
	assert_nothing_lost(&before);
}

static void size_0_is_unique(void **state)
{
	void *a = slate_alloc(0);
	void *b = slate_alloc(0);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	slate_free(a);
	slate_free(b);
}

static void large_sizes(void **state)
{
	static const size_t sizes[] = {32769, 36864, 40000, 65536, 100000, 1 << 20, 5000000};
	struct slate_stats before = stats();

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *p = slate_alloc(sizes[i]);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % SLATE_PAGE_SIZE, 0);
		assert_true(slate_usable_size(p) >= sizes[i]);
		assert_true(slate_usable_size(p) < sizes[i] + SLATE_PAGE_SIZE);
		fill(p, sizes[i]);
		assert_filled(p, sizes[i], p);
		assert_int_equal(stats().large_objects, 1);
		slate_free(p);
	}
	assert_nothing_lost(&before);
}

/* The largest class is no large object, by whatever call; nor is one aligned to a frame. */
static void the_border_between_classes_and_large(void **state)
{
	(void)state;
	assert_non_null(slate_alloc(32768));
	assert_non_null(slate_alloc_flags(32768, SLATE_NOSCAN));
	assert_non_null(slate_alloc_aligned(32768, 8, 0));
	assert_non_null(slate_alloc_aligned(32768, 4096, 0));
	assert_non_null(slate_alloc_aligned(100, 4096, 0));
	assert_int_equal(stats().large_objects, 0);
	assert_non_null(slate_alloc_flags(32769, SLATE_NOSCAN));
	assert_non_null(slate_alloc_aligned(100, 8192, 0));
	assert_int_equal(stats().large_objects, 2);
}

static void impossible_sizes(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	assert_null(slate_alloc(SIZE_MAX));
	assert_null(slate_alloc(SIZE_MAX - 4095));
	assert_null(slate_alloc(SIZE_MAX / 2 + 1));
	assert_null(slate_alloc(SIZE_MAX / 2));
	assert_null(slate_alloc(17 * MIB));
	assert_nothing_lost(&before);
}

static void many_objects_do_not_overlap(void **state)
{
	enum { N = 3000 };
	static void *objects[N];
	struct slate_stats before = stats();

	(void)state;
	for (size_t i = 0; i < N; i++) {
		objects[i] = slate_alloc(8 + i % 700);
		assert_non_null(objects[i]);
		fill(objects[i], 8 + i % 700);
	}
	for (size_t i = 0; i < N; i++)
		assert_filled(objects[i], 8 + i % 700, objects[i]);
	assert_int_equal(slate_validate(), 0);
	for (size_t i = 0; i < N; i++)
		slate_free(objects[i * 7 % N]);
	assert_nothing_lost(&before);
}

static void good_sizes(void **state)
{
	(void)state;
	assert_int_equal(slate_good_size(0), 8);
	assert_int_equal(slate_good_size(1), 8);
	assert_int_equal(slate_good_size(8), 8);
	assert_int_equal(slate_good_size(9), 16);
	assert_int_equal(slate_good_size(32768), 32768);
	assert_int_equal(slate_good_size(32769), 36864);
	assert_int_equal(slate_good_size(SIZE_MAX), SIZE_MAX);
	assert_int_equal(slate_good_size(SIZE_MAX / 2), SIZE_MAX / 2 + 1);
}

/* ---- Alignment ---- */

static void alignment_by_size(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 4096; size++) {
		uintptr_t a = (uintptr_t)slate_alloc(size);
		uintptr_t b = (uintptr_t)slate_alloc(size);

		assert_int_equal((a | b) % 8, 0);
		if (size % 16 == 0)
			assert_int_equal((a | b) % 16, 0);
		if ((size & (size - 1)) == 0)
			assert_int_equal((a | b) % size, 0);
		slate_free((void *)a);
		slate_free((void *)b);
	}
}

static void natural_alignment_of_large_powers_of_two(void **state)
{
	(void)state;
	for (size_t size = 8192; size <= MIB; size *= 2) {
		void *objects[4];

		for (int i = 0; i < 4; i++) {
			objects[i] = slate_alloc(size);
			assert_non_null(objects[i]);
			assert_int_equal((uintptr_t)objects[i] % size, 0);
		}
		for (int i = 0; i < 4; i++)
			slate_free(objects[i]);
	}
}

static void asked_alignment(void **state)
{
	static const size_t sizes[] = {1, 8, 24, 100, 1000, 5000, 40000};
	struct slate_stats before = stats();

	(void)state;
	for (size_t align = 1; align <= 2 * MIB; align *= 2) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			void *p = slate_alloc_aligned(sizes[i], align, 0);
			void *q = slate_alloc_aligned(sizes[i], align, SLATE_ZERO);

			assert_non_null(p);
			assert_non_null(q);
			assert_int_equal(((uintptr_t)p | (uintptr_t)q) % align, 0);
			fill(p, sizes[i]);
			for (size_t at = 0; at < sizes[i]; at++)
				assert_int_equal(((unsigned char *)q)[at], 0);
			slate_free(p);
			slate_free(q);
		}
	}
	assert_nothing_lost(&before);
}

static void impossible_alignment(void **state)
{
	(void)state;
	assert_null(slate_alloc_aligned(8, 0, 0));
	assert_null(slate_alloc_aligned(8, 24, 0));
	assert_null(slate_alloc_aligned(8, SIZE_MAX, 0));
	assert_null(slate_alloc_aligned(8, (size_t)1 << 63, 0));
	assert_null(slate_alloc_aligned(SIZE_MAX, 4096, 0));
}

/* ---- Zero, flags, arrays ---- */

static void zeroed_memory_is_zero(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 100000; size += 1 + size / 3) {
		for (int round = 0; round < 3; round++) {
			unsigned char *p = slate_zalloc(size);

			assert_non_null(p);
			for (size_t i = 0; i < size; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xff, slate_usable_size(p));
			slate_free(p);
		}
	}
}

static void noscan_has_classes_of_its_own(void **state)
{
	struct slate_class_stats scan;
	struct slate_class_stats noscan;
	unsigned c = sizeclass_of(64);
	void *p = slate_alloc_flags(64, SLATE_NOSCAN);

	(void)state;
	assert_non_null(p);
	assert_true(slate_class_stats(c << 1, &scan));
	assert_true(slate_class_stats(c << 1 | 1, &noscan));
	assert_int_equal(scan.spans, 0);
	assert_int_equal(noscan.spans, 1);
	assert_true(noscan.noscan);
	slate_free_sized(p, 64);
}

static void calloc_zeroes_and_refuses_overflow(void **state)
{
	unsigned char *p = slate_calloc(7, 11);

	(void)state;
	assert_non_null(p);
	for (int i = 0; i < 77; i++)
		assert_int_equal(p[i], 0);
	slate_free(p);
	assert_null(slate_calloc(SIZE_MAX, 2));
	assert_null(slate_calloc(SIZE_MAX / 2 + 1, 2));
	assert_null(slate_calloc((size_t)1 << 32, (size_t)1 << 32));
	p = slate_calloc(0, SIZE_MAX);
	assert_non_null(p);
	slate_free(p);
}

/* ---- Realloc ---- */

static void realloc_keeps_contents(void **state)
{
	static const size_t sizes[] = {1,     8,     9,     100,   24,     4096, 50000,
				       30000, 70000, 36864, 40960, 200000, 16};
	size_t count = sizeof(sizes) / sizeof(sizes[0]);
	struct slate_stats before = stats();

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			size_t kept = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
			void *p = slate_alloc(sizes[i]);
			void *q;

			fill(p, sizes[i]);
			q = slate_realloc(p, sizes[j]);
			assert_non_null(q);
			assert_true(slate_usable_size(q) >= sizes[j]);
			assert_filled(q, kept, p);
			slate_free(q);
		}
	}
	assert_nothing_lost(&before);
}

static void realloc_within_the_class_stays(void **state)
{
	void *p = slate_alloc(50);

	(void)state;
	assert_ptr_equal(slate_realloc(p, 56), p);
	assert_ptr_equal(slate_realloc(p, 49), p);
	assert_ptr_not_equal(slate_realloc(p, 57), p);
}

static void realloc_of_null_and_to_0(void **state)
{
	struct slate_stats before = stats();
	void *p = slate_realloc(NULL, 100);

	(void)state;
	assert_non_null(p);
	assert_null(slate_realloc(p, 0));
	assert_nothing_lost(&before);
}

/* The first object of a span is aligned to anything: decoys take it. */
static void realloc_keeps_alignment(void **state)
{
	(void)state;
	for (size_t align = 16; align <= 4096; align *= 2) {
		void *p = slate_alloc_aligned(100, align, 0);

		for (size_t size = 120; size < 40000; size += size / 3) {
			for (int decoy = 0; decoy < 3; decoy++)
				assert_non_null(slate_alloc(size));
			p = slate_realloc(p, size);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % align, 0);
		}
		host_boot(MIB, 16 * MIB);
	}
}

static void realloc_that_fails_leaves_the_object(void **state)
{
	void *p = slate_alloc(100);

	(void)state;
	fill(p, 100);
	assert_null(slate_realloc(p, 100 * MIB));
	assert_null(slate_realloc(p, SIZE_MAX));
	assert_filled(p, 100, p);
	slate_free(p);
}

/* ---- Free ---- */

static void free_of_null_is_nothing(void **state)
{
	(void)state;
	slate_free(NULL);
	slate_free_sized(NULL, 123);
	assert_int_equal(slate_usable_size(NULL), 0);
	assert_int_equal(mm_report_count(), 0);
}

static void sized_free_takes_any_size_of_the_class(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	for (size_t size = 1; size <= 40000; size += 1 + size / 5) {
		void *p = slate_alloc(size);

		slate_free_sized(p, size);
		p = slate_alloc(size);
		slate_free_sized(p, slate_good_size(size));
	}
	assert_nothing_lost(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(every_class_and_its_neighbours),
		SMALL(size_0_is_unique),
		SMALL(large_sizes),
		SMALL(the_border_between_classes_and_large),
		SMALL(impossible_sizes),
		SMALL(many_objects_do_not_overlap),
		SMALL(good_sizes),
		SMALL(alignment_by_size),
		SMALL(natural_alignment_of_large_powers_of_two),
		SMALL(asked_alignment),
		SMALL(impossible_alignment),
		SMALL(zeroed_memory_is_zero),
		SMALL(noscan_has_classes_of_its_own),
		SMALL(calloc_zeroes_and_refuses_overflow),
		SMALL(realloc_keeps_contents),
		SMALL(realloc_within_the_class_stays),
		SMALL(realloc_of_null_and_to_0),
		SMALL(realloc_keeps_alignment),
		SMALL(realloc_that_fails_leaves_the_object),
		SMALL(free_of_null_is_nothing),
		SMALL(sized_free_takes_any_size_of_the_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
