/* SPDX-License-Identifier: MIT */
/* test_realloc.c - large objects that are resized where they lie, and those that must move. */
#include "test-host/unit.h"

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"

#define KIB ((size_t)1 << 10)

static void fill(unsigned char *object, size_t size_bytes, unsigned seed)
{
	for (size_t i = 0; i < size_bytes; i++)
		object[i] = (unsigned char)(seed + i * 7 + (i >> 12));
}

static void check(const unsigned char *object, size_t size_bytes, unsigned seed)
{
	for (size_t i = 0; i < size_bytes; i++)
		if (object[i] != (unsigned char)(seed + i * 7 + (i >> 12)))
			fail_msg("byte %zu of %zu changed", i, size_bytes);
}

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now;
}

static bool is_free(const unsigned char *address)
{
	return !pagealloc_is_allocated(&mheaps[0].pages, virt_to_pfn(address));
}

/* An object of 64 KiB, aligned to 1 MiB, behind which nothing is taken. */
static unsigned char *lonely(void)
{
	unsigned char *object = slate_alloc_aligned(64 * KIB, 1 << 20, 0);

	assert_non_null(object);
	fill(object, 64 * KIB, 3);
	return object;
}

static void growing_in_place(void **state)
{
	struct slate_stats before = stats();
	unsigned char *object = lonely();

	(void)state;
	for (size_t size = 68 * KIB; size <= 1024 * KIB; size += 52 * KIB) {
		struct slate_span_info info;

		assert_ptr_equal(slate_realloc(object, size), object);
		assert_int_equal(slate_usable_size(object), size);
		assert_true(slate_span_of(object + size - 1, &info));
		assert_int_equal(info.object, (uintptr_t)object);
		assert_int_equal(info.object_bytes, size);
		assert_false(slate_in_heap(object + size));
		assert_int_equal(stats().object_pages - before.object_pages, size >> 12);
		assert_int_equal(stats().object_bytes - before.object_bytes, size);
		assert_int_equal(slate_validate(), 0);
	}
	check(object, 64 * KIB, 3);
	slate_free(object);
	assert_int_equal(stats().object_pages, before.object_pages);
	assert_int_equal(stats().object_bytes, before.object_bytes);
	assert_int_equal(stats().free_pages + stats().metadata_pages,
			 before.free_pages + before.metadata_pages);
}

static void shrinking_in_place(void **state)
{
	unsigned char *object = slate_alloc_aligned(1 << 20, 1 << 20, 0);

	(void)state;
	fill(object, 1 << 20, 9);
	for (size_t size = 1020 * KIB; size > 32 * KIB; size -= 44 * KIB) {
		size_t free_pages = stats().free_pages;
		size_t old = slate_usable_size(object);

		assert_ptr_equal(slate_realloc(object, size - 5), object);
		assert_int_equal(slate_usable_size(object), size);
		assert_int_equal(stats().free_pages - free_pages, (old - size) >> 12);
		assert_int_equal(arena_class(virt_to_pfn(object + size)), PAGECLASS_FREE);
		assert_true(is_free(object + size));
		assert_false(is_free(object + size - 1));
		check(object, size, 9);
		assert_int_equal(slate_validate(), 0);
	}
	/* a small one is no large one */
	unsigned char *small = slate_realloc(object, 32 * KIB);

	assert_ptr_not_equal(small, object);
	check(small, 32 * KIB, 9);
	slate_free(small);
}

/* What was given back is nobody's object any more, and others get it. */
static void the_tail_is_free(void **state)
{
	unsigned char *object = lonely();

	(void)state;
	assert_ptr_equal(slate_realloc(object, 36 * KIB), object);
	expect_report(SLATE_CRIME_NOT_OBJECT);
	slate_free(object + 36 * KIB);
	assert_int_equal(reported()->address, (uintptr_t)object + 36 * KIB);
	assert_int_equal(slate_page_alloc_at(slate_phys(object + 36 * KIB), 7), SLATE_OK);
	memset(object + 36 * KIB, 0xff, 28 * KIB);
	check(object, 36 * KIB, 3);
	slate_page_free(virt_to_pfn(object + 36 * KIB), 7);
	slate_free(object);
}

/* One frame of those behind it is taken: wherever it is, all is as before but the place. */
static void a_neighbour_makes_it_move(void **state)
{
	(void)state;
	for (size_t at = 0; at < 16; at++) {
		unsigned char *object = lonely();
		size_t behind = 64 * KIB + at * SLATE_PAGE_SIZE;
		pfn_t pfn = virt_to_pfn(object + behind);

		assert_int_equal(slate_page_alloc_at(slate_phys(object + behind), 1), SLATE_OK);

		unsigned char *moved = slate_realloc(object, 128 * KIB);

		assert_non_null(moved);
		assert_ptr_not_equal(moved, object);
		check(moved, 64 * KIB, 3);
		assert_int_equal((uintptr_t)moved % (128 * KIB), 0);
		slate_flush();
		assert_true(is_free(object));
		slate_free(moved);
		slate_page_free(pfn, 1);
		slate_flush();
	}
	assert_int_equal(slate_validate(), 0);
}

/* Where it lies would do for the length, but not for what its size is aligned to. */
static void alignment_makes_it_move(void **state)
{
	/* 96 KiB are aligned to 32; the place is made an odd one */
	unsigned char *wide = slate_alloc_aligned(64 * KIB, 256 * KIB, 0);
	unsigned char *object = NULL;

	(void)state;
	assert_ptr_equal(slate_realloc(wide, 96 * KIB), wide);
	for (int i = 0; i < 64; i++) {
		object = (slate_alloc)(96 * KIB);
		assert_non_null(object);
		if ((uintptr_t)object % (64 * KIB))
			break;
	}
	assert_int_not_equal((uintptr_t)object % (64 * KIB), 0);
	fill(object, 96 * KIB, 1);
	/* shorter, yet aligned to more */
	unsigned char *moved = slate_realloc(object, 64 * KIB);

	assert_ptr_not_equal(moved, object);
	assert_int_equal((uintptr_t)moved % (64 * KIB), 0);
	check(moved, 64 * KIB, 1);
	/* asked-for alignment stays with the place */
	assert_ptr_equal(slate_realloc(wide, 64 * KIB), wide);
	assert_int_equal((uintptr_t)wide % (256 * KIB), 0);
}

/* Neither over the end of memory nor over that of the direct map. */
static void the_end_of_memory(void **state)
{
	size_t end = 17 * MIB;
	bool found = false;

	(void)state;
	pagealloc_keep(&mheaps[0].pages, 0);
	/* metadata is at the end: the last free run before it */
	for (uint64_t at = end - 64 * KIB; !found && at > MIB; at -= 4 * KIB) {
		const struct page_fit fit = {.min = {at >> 12}};
		pfn_t pfn = mheap_alloc_pages(16, &fit, SLATE_ANY_NODE);

		if (pfn_is_none(pfn))
			continue;
		mheap_free_pages(pfn, 16);
		end = ((uint64_t)pfn.v + 16) << 12;
		found = true;
	}
	assert_true(found);
	const struct page_fit below = {.end = {(end - 128 * KIB) >> 12}};

	while (!pfn_is_none(mheap_alloc_pages(1, &below, SLATE_ANY_NODE))) {
	}

	struct mspan *span = mheap_alloc_large(10, 1);

	assert_non_null(span);
	assert_true(mheap_resize_large(span, 20));
	assert_int_equal(span->pages, 20);
	assert_false(mheap_resize_large(span, 33));
	assert_false(mheap_resize_large(span, 100000));
	assert_int_equal(span->pages, 20);
	assert_int_equal(slate_validate(), 0);
	/* as if the map ended there */
	pfn_t real_end = directmap_end;

	directmap_end = pfn_add(virt_to_pfn((void *)span->base), 22);
	assert_false(mheap_resize_large(span, 23));
	assert_true(mheap_resize_large(span, 22));
	directmap_end = real_end;
	assert_true(mheap_resize_large(span, 23));
	mheap_free_span(span);
}

static void the_reserve_stays(void **state)
{
	unsigned char *object = lonely();
	struct mheap_marks marks = mheap_marks(&mheaps[0]);
	size_t left;

	(void)state;
	assert_true(marks.reserve_pages > 0);
	/* all but the reserve and one frame more, in front of it */
	left = mheaps[0].pages.free_pages - marks.reserve_pages;
	for (size_t i = 0; i + 1 < left; i++) {
		const struct page_fit fit = {.end = virt_to_pfn(object)};
		pfn_t pfn = mheap_alloc_pages(1, &fit, SLATE_ANY_NODE);
		const struct page_fit high = {.min = virt_to_pfn(object + 72 * KIB)};

		if (pfn_is_none(pfn))
			pfn = mheap_alloc_pages(1, &high, SLATE_ANY_NODE);
		assert_false(pfn_is_none(pfn));
	}
	assert_true(is_free(object + 64 * KIB));
	assert_null(slate_realloc(object, 72 * KIB));
	assert_ptr_equal(slate_realloc(object, 68 * KIB), object);
	assert_null(slate_realloc(object, 72 * KIB));
	check(object, 64 * KIB, 3);
	assert_int_equal(slate_validate(), 0);
}

/* Frames are there, and are refused: the object is as it was. */
static void a_failure_changes_nothing(void **state)
{
	unsigned char *object = lonely();
	struct slate_stats before = stats();

	(void)state;
	mm_fault_arm(1, true);
	assert_null(slate_realloc(object, 96 * KIB));
	mm_fault_arm(0, false);
	assert_null(slate_realloc(object, SIZE_MAX));
	assert_null(slate_realloc(object, SIZE_MAX / 2 + 1));
	assert_null(slate_realloc(object, 64 * MIB));
	assert_int_equal(slate_usable_size(object), 64 * KIB);
	check(object, 64 * KIB, 3);
	assert_int_equal(stats().object_pages, before.object_pages);
	assert_int_equal(slate_validate(), 0);
	/* once: it moves instead */
	mm_fault_arm(1, false);
	unsigned char *moved = slate_realloc(object, 96 * KIB);

	assert_non_null(moved);
	check(moved, 64 * KIB, 3);
	slate_free(moved);
}

static bool is_noscan(const void *object)
{
	struct slate_span_info info;

	assert_true(slate_span_of(object, &info));
	return info.noscan;
}

/* Through all ways: class to class, to large, in place, moved, and back. */
static void noscan_stays(void **state)
{
	static const size_t sizes[] = {40,         200,      5000,      40 * KIB, 60 * KIB,
				       1500 * KIB, 64 * KIB, 100 * KIB, 3000,     16};

	(void)state;
	for (unsigned flags = 0; flags <= SLATE_NOSCAN; flags += SLATE_NOSCAN) {
		void *object = slate_alloc_flags(24, flags);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			object = slate_realloc(object, sizes[i]);
			assert_non_null(object);
			assert_int_equal(is_noscan(object), flags != 0);
		}
		slate_free(object);
		object = slate_alloc_aligned(100 * KIB, 1 << 20, flags);
		assert_int_equal(is_noscan(object), flags != 0);
		object = slate_realloc(object, 200 * KIB);
		assert_int_equal(is_noscan(object), flags != 0);
		slate_free(object);
	}
}

/* A span that somebody is freeing is nobody's to resize. */
static void a_claimed_span_is_left_alone(void **state)
{
	struct mspan *span = mheap_alloc_large(16, 1);

	(void)state;
	assert_true(mspan_claim(span));
	assert_false(mheap_resize_large(span, 17));
	assert_false(mheap_resize_large(span, 15));
	assert_int_equal(span->pages, 16);
	assert_int_equal(mspan_state(span), MSPAN_CLAIMED);
	mheap_free_span(span);
	assert_int_equal(slate_validate(), 0);
}

/* Its region serves nobody any more, but takes back. */
static void a_removable_range_on_its_way_out(void **state)
{
	uint64_t far = 64 * MIB;
	unsigned char *object;

	(void)state;
	host_memory(far, 2 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){far}, 2 * MIB, 0), SLATE_OK);

	const struct page_fit fit = {.min = {far >> 12}};
	pfn_t pfn = mheap_alloc_pages(1, &fit, SLATE_ANY_NODE);

	mheap_free_pages(pfn, 1);
	/* all that lies below, so that the object comes to lie there */
	while (!pfn_is_none(mheap_alloc_pages(1, &(struct page_fit){.end = {far >> 12}}, 0))) {
	}
	object = slate_alloc_aligned(64 * KIB, 64 * KIB, 0);
	assert_non_null(object);
	assert_true(slate_phys(object).v >= far);
	assert_true(pagealloc_isolate(&mheaps[0].pages, virt_to_pfn(object)));
	assert_false(mheap_resize_large(arena_span(virt_to_pfn(object)), 20));
	assert_true(mheap_resize_large(arena_span(virt_to_pfn(object)), 12));
	pagealloc_restore(&mheaps[0].pages);
	assert_true(mheap_resize_large(arena_span(virt_to_pfn(object)), 20));
	slate_free(object);
	assert_int_equal(slate_validate(), 0);
}

#define OBJECTS 24
#define OPS     4000

/* Random lengths beside each other, each with a pattern of its own. */
static void random_lengths(void **state)
{
	struct host_random random = host_random_seed("realloc", 17);
	static unsigned char *objects[OBJECTS];
	static size_t sizes[OBJECTS];
	size_t stayed = 0;
	size_t moved = 0;

	(void)state;
	host_boot(MIB, 64 * MIB);
	for (size_t op = 0; op < OPS; op++) {
		size_t i = host_random_below(&random, OBJECTS);
		size_t size = 33 * KIB + host_random_below(&random, 600 * KIB);
		unsigned char *now = slate_realloc(objects[i], size);

		assert_non_null(now);
		*(now == objects[i] ? &stayed : &moved) += 1;
		check(now, sizes[i] < size ? sizes[i] : size, (unsigned)i);
		fill(now, size, (unsigned)i);
		objects[i] = now;
		sizes[i] = size;
		assert_int_equal((uintptr_t)now &
					 (((slate_usable_size(now) - 1) & ~slate_usable_size(now))),
				 0);
		if (op % 500 == 0)
			assert_int_equal(slate_validate(), 0);
	}
	assert_true(stayed > OPS / 10);
	assert_true(moved > OPS / 100);
	for (size_t i = 0; i < OBJECTS; i++) {
		check(objects[i], sizes[i], (unsigned)i);
		slate_free(objects[i]);
		objects[i] = NULL;
		sizes[i] = 0;
	}
	slate_flush();
	assert_int_equal(stats().object_pages, 0);
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(growing_in_place),
		SMALL(shrinking_in_place),
		SMALL(the_tail_is_free),
		SMALL(a_neighbour_makes_it_move),
		SMALL(alignment_makes_it_move),
		SMALL(the_end_of_memory),
		SMALL(the_reserve_stays),
		SMALL(a_failure_changes_nothing),
		SMALL(noscan_stays),
		SMALL(a_claimed_span_is_left_alone),
		SMALL(a_removable_range_on_its_way_out),
		SMALL(random_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
