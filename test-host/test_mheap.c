/* SPDX-License-Identifier: MIT */
/* test_mheap.c - spans, frame runs and metadata out of the page allocators: what is published,
 * counted and given back. */
#include "test-host/unit.h"

#include "mm/directmap.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/pagealloc.h"

static size_t heap_free(void)
{
	return mheaps[0].pages.free_pages;
}

static size_t counter(_Atomic size_t *value)
{
	return atomic_load(value);
}

/* ---- Spans ---- */

static void a_span_of_each_class(void **state)
{
	(void)state;
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		struct mspan *span = mheap_alloc_span(c << 1 | 1);

		assert_non_null(span);
		assert_int_equal(span->base % (sizeclass_align_pages(c) * SLATE_PAGE_SIZE), 0);
		assert_int_equal(span->pages, sizeclass_pages[c]);
		for (size_t i = 0; i < span->pages; i++) {
			pfn_t pfn = pfn_add(virt_to_pfn((void *)span->base), i);

			assert_int_equal(arena_class(pfn), c << 1 | 1);
			assert_ptr_equal(arena_span(pfn), span);
		}
		mheap_free_span(span);
	}
	assert_int_equal(slate_validate(), 0);
}

static void a_freed_span_is_forgotten(void **state)
{
	struct mspan *span = mheap_alloc_span(sizeclass_of(4096) << 1);
	pfn_t pfn = virt_to_pfn((void *)span->base);
	size_t pages = span->pages;

	(void)state;
	mheap_free_span(span);
	for (size_t i = 0; i < pages; i++) {
		assert_int_equal(arena_class(pfn_add(pfn, i)), PAGECLASS_FREE);
		assert_null(arena_span(pfn_add(pfn, i)));
		assert_false(pagealloc_is_allocated(&mheaps[0].pages, pfn_add(pfn, i)));
	}
	/* dead, or by now poisoned */
	assert_int_not_equal(mspan_state(span), MSPAN_IN_USE);
}

static void frames_are_conserved(void **state)
{
	struct mspan *spans[SIZECLASS_COUNT];
	struct slate_stats before;
	struct slate_stats after;
	size_t pages = 0;

	(void)state;
	slate_stats(&before);
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		spans[c] = mheap_alloc_span(c << 1);
		pages += spans[c]->pages;
	}
	assert_int_equal(counter(&mheaps[0].object_pages), pages);
	assert_int_equal(mheaps[0].span_count, SIZECLASS_COUNT - 1);
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++)
		mheap_free_span(spans[c]);
	slate_stats(&after);
	assert_int_equal(counter(&mheaps[0].object_pages), 0);
	assert_int_equal(mheaps[0].span_count, 0);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
}

static void large_spans_are_aligned(void **state)
{
	(void)state;
	for (size_t align = 1; align <= 256; align *= 2) {
		struct mspan *span = mheap_alloc_large(3, align);

		assert_non_null(span);
		assert_int_equal(span->base % (align * SLATE_PAGE_SIZE), 0);
		assert_int_equal(counter(&mheaps[0].large_objects), 1);
		assert_int_equal(counter(&mheaps[0].large_bytes), 3 * SLATE_PAGE_SIZE);
		mheap_free_span(span);
		assert_int_equal(counter(&mheaps[0].large_objects), 0);
		assert_int_equal(counter(&mheaps[0].large_bytes), 0);
	}
}

static void no_span_without_frames(void **state)
{
	size_t before = heap_free();

	(void)state;
	assert_null(mheap_alloc_large(100000, 1));
	mm_fault_arm(1, true);
	assert_null(mheap_alloc_span(sizeclass_of(16) << 1));
	assert_null(mheap_alloc_large(1, 1));
	mm_fault_arm(0, false);
	assert_int_equal(heap_free(), before);
	assert_int_equal(slate_validate(), 0);
}

/* The third request fails: what the first two brought goes back. */
static void half_a_span_is_undone(void **state)
{
	(void)state;
	for (size_t nth = 1; nth < 4; nth++) {
		struct mspan *span;

		mm_fault_arm(nth, true);
		span = mheap_alloc_span(sizeclass_of(8) << 1);
		mm_fault_arm(0, false);
		if (span)
			mheap_free_span(span);
		assert_int_equal(counter(&mheaps[0].object_pages), 0);
		assert_int_equal(slate_validate(), 0);
	}
}

struct visit {
	struct mspan *seen[8];
	size_t count;
	size_t limit;
};

static bool note_span(struct mspan *span, void *arg)
{
	struct visit *visit = arg;

	visit->seen[visit->count++] = span;
	return visit->count < visit->limit;
}

static void walking_over_spans(void **state)
{
	struct mspan *a = mheap_alloc_span(sizeclass_of(16) << 1);
	struct mspan *b = mheap_alloc_large(7, 1);
	struct mspan *c = mheap_alloc_span(sizeclass_of(512) << 1);
	struct visit visit = {.limit = 8};

	(void)state;
	mheap_for_each_span(0, note_span, &visit);
	assert_int_equal(visit.count, 3);
	assert_ptr_equal(visit.seen[0], a);
	assert_ptr_equal(visit.seen[1], b);
	assert_ptr_equal(visit.seen[2], c);
	visit = (struct visit){.limit = 2};
	mheap_for_each_span(0, note_span, &visit);
	assert_int_equal(visit.count, 2);
	mheap_free_span(b);
	visit = (struct visit){.limit = 8};
	mheap_for_each_span(0, note_span, &visit);
	assert_int_equal(visit.count, 2);
	assert_ptr_equal(visit.seen[1], c);
	mheap_free_span(a);
	mheap_free_span(c);
}

/* ---- Frames ---- */

static void runs_come_and_go(void **state)
{
	size_t before = heap_free();
	pfn_t a = mheap_alloc_pages(5, NULL, SLATE_ANY_NODE);
	pfn_t b = mheap_alloc_pages(3, NULL, 0);

	(void)state;
	assert_false(pfn_is_none(a));
	assert_false(pfn_is_none(b));
	assert_int_equal(counter(&mheaps[0].frame_pages), 8);
	assert_int_equal(heap_free(), before - 8);
	assert_int_equal(mheap_free_pages(a, 5), 5);
	assert_int_equal(mheap_free_pages(pfn_add(b, 1), 1), 1);
	assert_int_equal(mheap_free_pages(b, 1), 1);
	assert_int_equal(mheap_free_pages(pfn_add(b, 2), 1), 1);
	assert_int_equal(counter(&mheaps[0].frame_pages), 0);
	assert_int_equal(heap_free(), before);
}

static void runs_that_are_none_are_refused_whole(void **state)
{
	pfn_t run = mheap_alloc_pages(4, NULL, SLATE_ANY_NODE);
	struct mspan *span = mheap_alloc_span(sizeclass_of(64) << 1);
	size_t before = heap_free();

	(void)state;
	/* behind the run: free, or the span's */
	assert_int_equal(mheap_free_pages(run, 100), 4);
	assert_int_equal(mheap_free_pages(virt_to_pfn((void *)span->base), 1), 0);
	assert_int_equal(mheap_free_pages((pfn_t){0}, 1), 0);
	assert_int_equal(mheap_free_pages((pfn_t){SIZE_MAX - 1}, 1), 0);
	assert_int_equal(heap_free(), before);
	assert_int_equal(mheap_free_pages(run, 4), 4);
	assert_int_equal(mheap_free_pages(run, 4), 0);
	mheap_free_span(span);
	assert_int_equal(slate_validate(), 0);
}

static void batches_of_frames(void **state)
{
	void *slots[64];
	size_t before = heap_free();
	unsigned got = mheap_take_frames(slots, 60);

	(void)state;
	assert_int_equal(got, 60);
	assert_int_equal(heap_free(), before - 60);
	/* a magazine is popped from its top: the lowest frame is the last of the batch */
	for (unsigned i = 1; i < got; i++)
		assert_true(slot_to_frame(slots[i]).v < slot_to_frame(slots[i - 1]).v);
	assert_null(mheap_give_frames(slots, got));
	assert_int_equal(heap_free(), before);
	assert_int_equal(counter(&mheaps[0].frame_pages), 0);
}

/* More than one hold of the lock may bring: as many as it does. */
static void a_batch_is_bounded(void **state)
{
	void *slots[256];
	unsigned got;

	(void)state;
	memset(slots, 0, sizeof(slots));
	got = mheap_take_frames(slots, 256);
	assert_true(got > 0 && got < 256);
	assert_null(slots[got]);
	assert_int_equal(counter(&mheaps[0].frame_pages), got);
	assert_null(mheap_give_frames(slots, got));
}

/* A scattered batch in any order: each frame is free afterwards. */
static void a_shuffled_batch(void **state)
{
	void *slots[60];
	void *shuffled[60];

	(void)state;
	assert_int_equal(mheap_take_frames(slots, 60), 60);
	for (unsigned i = 0; i < 30; i++)
		shuffled[i * 7 % 30] = slots[2 * i];
	assert_null(mheap_give_frames(shuffled, 30));
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(pagealloc_is_allocated(&mheaps[0].pages, slot_to_frame(slots[i])),
				 i & 1);
	assert_int_equal(slate_validate(), 0);
}

static void a_bad_frame_in_a_batch(void **state)
{
	void *slots[8];
	void *again;

	(void)state;
	mheap_take_frames(slots, 8);
	again = slots[3];
	assert_null(mheap_give_frames(&slots[3], 1));
	assert_ptr_equal(mheap_give_frames(slots, 8), again);
	assert_int_equal(counter(&mheaps[0].frame_pages), 0);
	slots[0] = frame_to_slot((pfn_t){1});
	assert_ptr_equal(mheap_give_frames(slots, 1), slots[0]);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Metadata ---- */

static void metadata_is_fed_from_frames(void **state)
{
	struct fixalloc fa;
	struct slate_stats before;
	struct slate_stats after;

	(void)state;
	slate_stats(&before);
	fixalloc_init(&fa, "test", 512, 64);
	for (int i = 0; i < 1000; i++)
		assert_non_null(mheap_alloc_metadata(&fa));
	slate_stats(&after);
	assert_true(after.metadata_pages > before.metadata_pages + 100);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
	mm_fault_arm(1, true);
	while (mheap_alloc_metadata(&fa))
		;
	mm_fault_arm(0, false);
	assert_int_equal(slate_validate(), 0);
}

static void permanent_metadata_is_aligned(void **state)
{
	(void)state;
	for (size_t align = 8; align <= 4096; align *= 2) {
		char *p = mheap_alloc_permanent(100, align);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % align, 0);
		memset(p, 1, 100);
	}
	assert_null(mheap_alloc_permanent(100 * MIB, 8));
}

static void metadata_frames_are_marked(void **state)
{
	char *p = mheap_alloc_permanent(5 * SLATE_PAGE_SIZE, 4096);

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(arena_class(virt_to_pfn(p + i * SLATE_PAGE_SIZE)), PAGECLASS_META);
	assert_int_equal(mheap_free_pages(virt_to_pfn(p), 5), 0);
}

/* Neither its frames nor its struct go back. */
static void a_busy_span_stays(void **state)
{
	struct mspan *span = mheap_alloc_span(sizeclass_of(64) << 1);
	void *object;
	size_t before = heap_free();

	(void)state;
	assert_int_equal(mspan_take(span, &object, 1), 1);
	expect_report(SLATE_CRIME_CORRUPT);
	mheap_free_span(span);
	assert_string_equal(reported()->detail, "a span goes home while objects of it are out");
	assert_int_equal(reported()->address, span->base);
	assert_int_equal(heap_free(), before);
	assert_int_equal(mspan_state(span), MSPAN_IN_USE);
	assert_int_equal(mspan_give(span, object), MSPAN_FREED);
	mheap_free_span(span);
	assert_int_equal(heap_free(), before + sizeclass_pages[sizeclass_of(64)]);
}

/* Frames of metadata that were not carved off at the start, and the lowest of them. */
static size_t metadata_above(pfn_t start, pfn_t end, pfn_t *lowest)
{
	size_t count = 0;

	for (; end.v > start.v; end.v--) {
		pfn_t pfn = {end.v - 1};

		if (arena_class(pfn) != PAGECLASS_META)
			continue;
		*lowest = pfn;
		count++;
	}
	return count;
}

/* Objects come up from the low end, their metadata down from the high one: without a gap. */
static void metadata_keeps_together(void **state)
{
	pfn_t start = paddr_to_pfn((paddr_t){MIB});
	pfn_t end = pfn_add(start, 64 * MIB >> SLATE_PAGE_SHIFT);
	pfn_t lowest = end;
	size_t before;

	(void)state;
	host_reset();
	host_boot(MIB, 64 * MIB);
	before = metadata_above(start, end, &lowest);
	for (unsigned i = 0; i < 7000; i++)
		assert_non_null(mheap_alloc_span(sizeclass_of(1024) << 1));

	size_t count = metadata_above(start, end, &lowest);

	assert_true(count >= before + 128);
	/* the zone in use may have room, and the first one ends with the node */
	assert_true(end.v - lowest.v <= count + 2 * 64);
	assert_int_equal(slate_validate(), 0);
}

/* There is room in the middle only: metadata goes there, and goes on. */
static void metadata_is_where_there_is_room(void **state)
{
	pfn_t all[5000];
	size_t n = 0;
	struct fixalloc fa;

	(void)state;
	fixalloc_init(&fa, "test", 4096, 64);
	while (n < 5000 && !pfn_is_none(all[n] = mheap_alloc_pages(1, NULL, 0)))
		n++;
	assert_true(n > 2000 && n < 5000);
	assert_int_equal(mheap_free_pages(all[1000], 1), 1);
	assert_int_equal(mheap_free_pages(all[1001], 1), 1);
	assert_int_equal(mheap_free_pages(all[1002], 1), 1);
	while (mheap_alloc_metadata(&fa))
		;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(arena_class(all[1000 + i]), PAGECLASS_META);
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(a_span_of_each_class),
		SMALL(a_freed_span_is_forgotten),
		SMALL(frames_are_conserved),
		SMALL(large_spans_are_aligned),
		SMALL(no_span_without_frames),
		SMALL(half_a_span_is_undone),
		SMALL(walking_over_spans),
		SMALL(runs_come_and_go),
		SMALL(runs_that_are_none_are_refused_whole),
		SMALL(batches_of_frames),
		SMALL(a_batch_is_bounded),
		SMALL(a_shuffled_batch),
		SMALL(a_bad_frame_in_a_batch),
		SMALL(metadata_is_fed_from_frames),
		SMALL(permanent_metadata_is_aligned),
		SMALL(metadata_frames_are_marked),
		SMALL(a_busy_span_stays),
		SMALL(metadata_keeps_together),
		SMALL(metadata_is_where_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
