/* SPDX-License-Identifier: MIT */
/* test_mcentral.c - the spans of one class between heap and magazines: lists, counts, and what is
 * reported. */
#include "test-host/unit.h"

#include "mm/directmap.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"

#define CLASS_BYTES 2048u

static unsigned class;
static unsigned per_span;
static void *objects[512];

static int set_up(void **state)
{
	set_up_small(state);
	class = sizeclass_of(CLASS_BYTES) << 1;
	per_span = sizeclass_elems[class >> 1];
	return 0;
}

#define CENTRAL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Lengths of the lists, and the counts beside them. */
static void check(size_t partial, size_t full, size_t taken)
{
	const struct mcentral *central = &mcentrals[class];
	size_t found = 0;

	for (unsigned i = 0; i < MCENTRAL_FILLS; i++)
		found += list_length(&central->partial.fills[i]);
	assert_int_equal(found, partial);
	assert_int_equal(list_length(&central->full), full);
	assert_int_equal(central->spans, partial + full);
	assert_int_equal(central->objects, taken);
	/* what is on no list went back to the heap */
	assert_int_equal(mheaps[0].span_count, partial + full);
	assert_int_equal(atomic_load(&mheaps[0].object_pages),
			 (partial + full) * sizeclass_pages[class >> 1]);
	assert_int_equal(slate_validate(), 0);
}

static unsigned take(void **out, unsigned n)
{
	unsigned got = 0;

	while (got < n) {
		unsigned more = mcentral_take(class, out + got, n - got);

		assert_int_not_equal(more, 0);
		got += more;
	}
	return got;
}

static void give(void **from, unsigned n)
{
	mcentral_give(class, from, n, "slate_free");
}

static void the_first_take_brings_a_span(void **state)
{
	(void)state;
	check(0, 0, 0);
	assert_int_equal(mcentral_take(class, objects, 1), 1);
	check(1, 0, 1);
	give(objects, 1);
	check(0, 0, 0);
}

static void one_take_brings_several_spans(void **state)
{
	(void)state;
	assert_int_equal(mcentral_take(class, objects, per_span + 1), per_span + 1);
	check(1, 1, per_span + 1);
	give(objects, per_span + 1);
	check(0, 0, 0);
}

/* So that one magazine of a large class does not swallow a small machine. */
static void one_take_brings_so_many_frames(void **state)
{
	unsigned spans = MCENTRAL_FRESH_PAGES / sizeclass_pages[class >> 1];
	unsigned want = 2 * spans * per_span;

	(void)state;
	assert_int_equal(mcentral_take(class, objects, want), spans * per_span);
	check(0, spans, spans * per_span);
	assert_int_equal(mcentral_take(class, &objects[want], want), spans * per_span);
	check(0, 2 * spans, 2 * spans * per_span);
}

static void one_take_empties_several_partial_spans(void **state)
{
	(void)state;
	take(objects, 3 * per_span);
	check(0, 3, 3 * per_span);
	give(&objects[1], 1);
	give(&objects[per_span], 1);
	give(&objects[2 * per_span + 3], 1);
	check(3, 0, 3 * per_span - 3);
	assert_int_equal(mcentral_take(class, &objects[400], 3), 3);
	check(0, 3, 3 * per_span);
}

/* Four spans with 1, 2 and 3 objects free, and none out: whoever is nearest to full is filled. */
static void the_fullest_span_gives_first(void **state)
{
	static const unsigned out[4] = {2, 3, 1, 3};

	(void)state;
	assert_int_equal(per_span, 4);
	take(objects, 16);
	for (unsigned i = 0; i < 4; i++)
		give(&objects[4 * i], 4 - out[i]);
	check(4, 0, 9);
	take(&objects[20], 2);
	for (unsigned i = 20; i < 22; i++)
		assert_true(objects[i] == objects[4] || objects[i] == objects[12]);
	check(2, 2, 11);
	take(&objects[22], 2);
	assert_true(objects[22] == objects[0] || objects[22] == objects[1]);
	assert_true(objects[23] == objects[0] || objects[23] == objects[1]);
	check(1, 3, 13);
	/* the emptiest one lost its chance to be filled, and goes */
	give(&objects[11], 1);
	check(0, 3, 12);
}

static unsigned interrupts_left;

/* The class gets room from elsewhere. */
static void give_three_in_an_interrupt(void)
{
	if (interrupts_left > 0 && --interrupts_left == 0)
		give(objects, 3);
}

/* Wherever that falls while a span is being made: none is left that nobody took from. */
static void a_new_span_gives_at_once(void **state)
{
	(void)state;
	assert_int_equal(per_span, 4);
	for (unsigned when = 1;; when++) {
		take(objects, 8);
		interrupts_left = when;
		host_irq_hook(give_three_in_an_interrupt);
		assert_int_equal(mcentral_take(class, &objects[8], 1), 1);
		host_irq_hook(NULL);
		assert_int_equal(slate_validate(), 0);
		if (interrupts_left > 0)
			break;
		give(&objects[3], 6);
		check(0, 0, 0);
		assert_true(when < 100);
	}
	give(objects, 9);
	check(0, 0, 0);
}

/* One object of a span after the other: its list follows, and is never past the last one. */
static void fills_are_told_apart_in_every_class(void **state)
{
	static void *all[SIZECLASS_MAX_ELEMS];

	(void)state;
	for (unsigned c = 2; c <= PAGECLASS_SPAN_LAST; c += 7) {
		const struct mcentral *central = &mcentrals[c];
		unsigned elems = sizeclass_elems[c >> 1];
		unsigned lists = 0;

		for (unsigned i = 0; i < elems; i++) {
			assert_int_equal(mcentral_take(c, &all[i], 1), 1);
			assert_int_equal(slate_validate(), 0);
			lists |= central->partial.some;
		}
		/* at least half of the lists are used, where there are as many objects */
		if (elems > MCENTRAL_FILLS)
			assert_true(__builtin_popcount(lists) >= MCENTRAL_FILLS / 2);
		for (unsigned i = 0; i < elems; i++) {
			mcentral_give(c, &all[i], 1, "slate_free");
			assert_int_equal(slate_validate(), 0);
		}
		assert_int_equal(central->spans, 0);
	}
}

static void a_full_span_becomes_partial(void **state)
{
	(void)state;
	take(objects, 2 * per_span);
	check(0, 2, 2 * per_span);
	give(&objects[3], 1);
	check(1, 1, 2 * per_span - 1);
	take(&objects[3], 1);
	check(0, 2, 2 * per_span);
}

static void the_last_object_sends_its_span_home(void **state)
{
	size_t before = mheaps[0].pages.free_pages;

	(void)state;
	take(objects, 2 * per_span);
	assert_true(mheaps[0].pages.free_pages < before);
	give(objects, per_span);
	check(0, 1, per_span);
	give(&objects[per_span], per_span - 1);
	check(1, 0, 1);
	give(&objects[2 * per_span - 1], 1);
	check(0, 0, 0);
}

static void a_batch_of_many_spans_in_any_order(void **state)
{
	unsigned count = 8 * per_span;
	void *shuffled[512];

	(void)state;
	take(objects, count);
	for (unsigned i = 0; i < count; i++)
		shuffled[i * 7 % count] = objects[i];
	give(shuffled, count);
	check(0, 0, 0);
}

static void objects_are_unique_and_of_the_class(void **state)
{
	(void)state;
	take(objects, 100);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal((uintptr_t)objects[i] % CLASS_BYTES, 0);
		assert_int_equal(arena_class(virt_to_pfn(objects[i])), class);
		for (unsigned j = 0; j < i; j++)
			assert_ptr_not_equal(objects[i], objects[j]);
	}
}

static void no_memory_is_no_object(void **state)
{
	(void)state;
	mm_fault_arm(1, true);
	assert_int_equal(mcentral_take(class, objects, 5), 0);
	mm_fault_arm(0, false);
	check(0, 0, 0);
}

static void given_twice(void **state)
{
	(void)state;
	take(objects, 2);
	give(objects, 1);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	give(objects, 1);
	assert_int_equal(reported()->address, (uintptr_t)objects[0]);
	assert_string_equal(reported()->call, "slate_free");
	assert_int_equal(reported()->object_bytes, CLASS_BYTES);
	assert_int_equal(mm_leak_count(), 1);
	check(1, 0, 1);
}

/* The rest of the batch goes home all the same. */
static void given_twice_in_the_middle_of_a_batch(void **state)
{
	(void)state;
	take(objects, 6);
	objects[3] = objects[1];
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	give(objects, 6);
	reported();
	check(1, 0, 1);
}

static void given_after_its_span_went_home(void **state)
{
	(void)state;
	take(objects, 1);
	give(objects, 1);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	give(objects, 1);
	reported();
	check(0, 0, 0);
}

static void given_inside(void **state)
{
	(void)state;
	take(objects, 2);
	objects[2] = (char *)objects[0] + 8;
	expect_report(SLATE_CRIME_INTERIOR);
	give(&objects[2], 1);
	assert_int_equal(reported()->object, (uintptr_t)objects[0]);
	check(1, 0, 2);
}

static void given_to_another_class(void **state)
{
	(void)state;
	take(objects, 1);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	mcentral_give(class ^ 1, objects, 1, "slate_free");
	reported();
	check(1, 0, 1);
	give(objects, 1);
	check(0, 0, 0);
}

static void counts(void **state)
{
	size_t spans;
	size_t taken;

	(void)state;
	take(objects, per_span + 2);
	mcentral_counts(class, &spans, &taken);
	assert_int_equal(spans, 2);
	assert_int_equal(taken, per_span + 2);
	mcentral_counts(class ^ 1, &spans, &taken);
	assert_int_equal(spans + taken, 0);
}

/* ---- What slate_validate() must see ---- */

static void expect_corrupt(const char *detail)
{
	expect_report(SLATE_CRIME_CORRUPT);
	assert_true(slate_validate() > 0);
	assert_string_equal(reported()->detail, detail);
}

static void a_wrong_span_count_is_found(void **state)
{
	(void)state;
	take(objects, 1);
	mcentrals[class].spans++;
	expect_corrupt("a class's span count is not what its lists hold");
	mcentrals[class].spans--;
	mcentrals[class].objects++;
	expect_corrupt("a class's object count is not what its spans hold");
	mcentrals[class].objects--;
	check(1, 0, 1);
}

static void a_span_on_the_wrong_list_is_found(void **state)
{
	struct list *link;

	(void)state;
	take(objects, 1);
	link = list_pop_front(&mcentrals[class].partial.fills[1]);
	assert_non_null(link);
	list_insert_front(&mcentrals[class].full, link);
	expect_corrupt("a span is on the wrong list");
	list_remove(link);
	list_insert_front(&mcentrals[class ^ 1].partial.fills[1], link);
	expect_report(SLATE_CRIME_CORRUPT);
	assert_true(slate_validate() > 0);
	reported();
}

static void a_wrong_class_byte_is_found(void **state)
{
	pfn_t pfn;

	(void)state;
	take(objects, 1);
	pfn = virt_to_pfn(objects[0]);
	arena_set_class(pfn, 1, class ^ 1);
	expect_corrupt("a frame's class byte is not its span's");
	arena_set_class(pfn, 1, class);
	check(1, 0, 1);
}

static void a_missing_frame_is_found(void **state)
{
	(void)state;
	take(objects, 1);
	atomic_fetch_add(&mheaps[0].frame_pages, 1);
	expect_corrupt("frames in use are not those of spans, callers and metadata");
	atomic_fetch_sub(&mheaps[0].frame_pages, 1);
	check(1, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CENTRAL(the_first_take_brings_a_span),
		CENTRAL(one_take_brings_several_spans),
		CENTRAL(one_take_brings_so_many_frames),
		CENTRAL(the_fullest_span_gives_first),
		CENTRAL(a_new_span_gives_at_once),
		CENTRAL(fills_are_told_apart_in_every_class),
		CENTRAL(one_take_empties_several_partial_spans),
		CENTRAL(a_full_span_becomes_partial),
		CENTRAL(the_last_object_sends_its_span_home),
		CENTRAL(a_batch_of_many_spans_in_any_order),
		CENTRAL(objects_are_unique_and_of_the_class),
		CENTRAL(no_memory_is_no_object),
		CENTRAL(given_twice),
		CENTRAL(given_twice_in_the_middle_of_a_batch),
		CENTRAL(given_after_its_span_went_home),
		CENTRAL(given_inside),
		CENTRAL(given_to_another_class),
		CENTRAL(counts),
		CENTRAL(a_wrong_span_count_is_found),
		CENTRAL(a_span_on_the_wrong_list_is_found),
		CENTRAL(a_wrong_class_byte_is_found),
		CENTRAL(a_missing_frame_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
