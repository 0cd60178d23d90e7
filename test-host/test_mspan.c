/* SPDX-License-Identifier: MIT */
/* test_mspan.c - the bitmap of one span: taking, giving, and what is no object's start. */
#include "test-host/unit.h"

#include "mm/arena.h"
#include "mm/mspan.h"
#include "mm/sizeclass.h"

static struct mspan span;
static unsigned long bits[MSPAN_BITS_BYTES / sizeof(unsigned long)];
static void *taken[SIZECLASS_MAX_ELEMS + 1];

/* A base like any other; nothing is written there. */
#define BASE ((uintptr_t)0x12340000)

static void start(unsigned span_class)
{
	memset(&span, 0xee, sizeof(span));
	memset(bits, 0xee, sizeof(bits));
	mspan_init(&span, (void *)BASE, sizeclass_pages[span_class >> 1], span_class,
		   mspan_needs_bits(span_class) ? bits : NULL);
}

static void a_fresh_span_is_all_free(void **state)
{
	(void)state;
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		start(c << 1);
		assert_int_equal(span.allocated, 0);
		assert_int_equal(span.elem_count, sizeclass_elems[c]);
		assert_int_equal(span.elem_bytes, sizeclass_bytes[c]);
		assert_int_equal(span.page_class, c << 1);
		assert_int_equal(mspan_state(&span), MSPAN_IN_USE);
		assert_false(mspan_is_full(&span));
		assert_false(list_is_linked(&span.link));
		assert_null(mspan_validate(&span));
	}
}

static void taking_all_in_order(void **state)
{
	(void)state;
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		unsigned count = sizeclass_elems[c];

		start(c << 1);
		assert_int_equal(mspan_take(&span, taken, SIZECLASS_MAX_ELEMS + 1), count);
		for (unsigned i = 0; i < count; i++)
			assert_int_equal(taken[i], BASE + i * sizeclass_bytes[c]);
		assert_true(mspan_is_full(&span));
		assert_int_equal(mspan_take(&span, taken, 1), 0);
		assert_null(mspan_validate(&span));
	}
}

static void taking_in_parts(void **state)
{
	unsigned got = 0;

	(void)state;
	start(sizeclass_of(24) << 1);
	for (unsigned n = 1; got + n <= span.elem_count; n++) {
		assert_int_equal(mspan_take(&span, taken + got, n), n);
		got += n;
		assert_int_equal(span.allocated, got);
		assert_null(mspan_validate(&span));
	}
	for (unsigned i = 0; i < got; i++)
		assert_int_equal(taken[i], BASE + i * 24);
}

static void taking_none(void **state)
{
	(void)state;
	start(sizeclass_of(64) << 1);
	assert_int_equal(mspan_take(&span, taken, 0), 0);
	assert_int_equal(span.allocated, 0);
}

/* The lowest free object comes first, whatever the order of frees. */
static void lowest_first_after_frees(void **state)
{
	static const unsigned freed[] = {300, 5, 64, 63, 128, 7, 200};
	static const unsigned sorted[] = {5, 7, 63, 64, 128, 200, 300};

	(void)state;
	start(sizeclass_of(16) << 1);
	mspan_take(&span, taken, SIZECLASS_MAX_ELEMS);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(mspan_give(&span, (void *)(BASE + 16 * freed[i])), MSPAN_FREED);
	assert_null(mspan_validate(&span));
	assert_int_equal(mspan_take(&span, taken, 9), 7);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(taken[i], BASE + 16 * sorted[i]);
	assert_true(mspan_is_full(&span));
}

static void giving_what_is_free(void **state)
{
	(void)state;
	start(sizeclass_of(48) << 1);
	assert_int_equal(mspan_give(&span, (void *)BASE), MSPAN_WAS_FREE);
	mspan_take(&span, taken, 2);
	assert_int_equal(mspan_give(&span, taken[0]), MSPAN_FREED);
	assert_int_equal(mspan_give(&span, taken[0]), MSPAN_WAS_FREE);
	assert_int_equal(span.allocated, 1);
	assert_null(mspan_validate(&span));
}

static void giving_what_is_no_start(void **state)
{
	(void)state;
	for (unsigned c = 2; c < SIZECLASS_COUNT; c++) {
		uintptr_t end = BASE + sizeclass_pages[c] * SLATE_PAGE_SIZE;

		start(c << 1);
		mspan_take(&span, taken, SIZECLASS_MAX_ELEMS);
		assert_int_equal(mspan_give(&span, (void *)(BASE + 8)), MSPAN_NOT_START);
		assert_int_equal(mspan_give(&span, (void *)(BASE + sizeclass_bytes[c] - 8)),
				 MSPAN_NOT_START);
		assert_int_equal(mspan_give(&span, (void *)(end - 8)), MSPAN_NOT_START);
		assert_true(mspan_is_full(&span));
	}
}

/* The start of the tail is a multiple of the size, but no object. */
static void giving_the_tail(void **state)
{
	(void)state;
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		size_t used = (size_t)sizeclass_elems[c] * sizeclass_bytes[c];

		if (used == sizeclass_pages[c] * SLATE_PAGE_SIZE)
			continue;
		start(c << 1);
		mspan_take(&span, taken, SIZECLASS_MAX_ELEMS);
		assert_int_equal(mspan_give(&span, (void *)(BASE + used)), MSPAN_NOT_START);
		assert_int_equal(mspan_object_start(&span, BASE + used), 0);
		assert_null(mspan_validate(&span));
	}
}

static void start_of_any_address(void **state)
{
	(void)state;
	for (unsigned c = 1; c < SIZECLASS_COUNT; c += 3) {
		start(c << 1);
		for (size_t offset = 0; offset < (size_t)span.elem_count * span.elem_bytes;
		     offset += 1 + offset % 7)
			assert_int_equal(mspan_object_start(&span, BASE + offset),
					 BASE + offset / span.elem_bytes * span.elem_bytes);
	}
}

static void is_taken(void **state)
{
	(void)state;
	start(sizeclass_of(32) << 1);
	mspan_take(&span, taken, 70);
	mspan_give(&span, taken[66]);
	assert_true(mspan_is_taken(&span, BASE));
	assert_true(mspan_is_taken(&span, BASE + 69 * 32));
	assert_false(mspan_is_taken(&span, BASE + 66 * 32));
	assert_false(mspan_is_taken(&span, BASE + 70 * 32));
}

static void bits_from_outside(void **state)
{
	(void)state;
	start(sizeclass_of(8) << 1);
	assert_ptr_equal(span.alloc_bits, bits);
	assert_ptr_equal(mspan_kill(&span), bits);
	assert_int_equal(mspan_state(&span), MSPAN_DEAD);
	start(sizeclass_of(4096) << 1);
	assert_ptr_equal(span.alloc_bits, span.inline_bits);
	assert_null(mspan_kill(&span));
}

static void a_large_span(void **state)
{
	(void)state;
	mspan_init_large(&span, (void *)BASE, 25);
	assert_int_equal(span.elem_bytes, 25 * SLATE_PAGE_SIZE);
	assert_int_equal(span.elem_count, 1);
	assert_int_equal(span.span_class, PAGECLASS_LARGE);
	assert_true(mspan_is_full(&span));
	assert_int_equal(mspan_object_start(&span, BASE + 99999), BASE);
	assert_null(mspan_validate(&span));
}

static void a_manual_span(void **state)
{
	(void)state;
	mspan_init_manual(&span, (void *)BASE, 5, 4 * SLATE_PAGE_SIZE);
	assert_int_equal(mspan_state(&span), MSPAN_MANUAL);
	assert_int_equal(span.pages, 5);
	assert_int_equal(span.elem_bytes, 4 * SLATE_PAGE_SIZE);
	assert_int_equal(span.page_class, PAGECLASS_STACK);
	assert_true(mspan_is_full(&span));
	assert_true(mspan_is_taken(&span, BASE));
	assert_null(mspan_validate(&span));
}

static void a_large_span_is_claimed_once(void **state)
{
	(void)state;
	mspan_init_large(&span, (void *)BASE, 9);
	assert_true(mspan_claim(&span));
	assert_false(mspan_claim(&span));
	assert_int_equal(mspan_state(&span), MSPAN_CLAIMED);
}

static void names_of_states(void **state)
{
	(void)state;
	assert_string_equal(mspan_state_name(MSPAN_DEAD), "dead");
	assert_string_equal(mspan_state_name(MSPAN_IN_USE), "in use");
	assert_string_equal(mspan_state_name((enum mspan_state)77), "unknown");
	assert_string_equal(mspan_state_name(MSPAN_STATES), "unknown");
}

static void refuse_change(enum mspan_state from, enum mspan_state to)
{
	EXPECT_FATAL(SLATE_CRIME_ASSERT, mspan_transition(&span, from, to));
}

/* The table of mspan.h, each pair: from any state only the ways that are told. */
static void states_change_as_told(void **state)
{
	static const char ways[MSPAN_STATES][MSPAN_STATES + 1] = {
		[MSPAN_DEAD] = ".xx..",    [MSPAN_IN_USE] = "x.xx.", [MSPAN_MANUAL] = "xx.x.",
		[MSPAN_CLAIMED] = "xx..x", [MSPAN_CACHED] = ".x.x.",
	};

	(void)state;
	mspan_init_large(&span, (void *)BASE, 9);
	for (unsigned from = 0; from < MSPAN_STATES; from++) {
		for (unsigned to = 0; to < MSPAN_STATES; to++) {
			atomic_store(&span.state, (uint8_t)from);
			if (ways[from][to] == 'x') {
				assert_true(mspan_transition(&span, from, to));
				assert_int_equal(mspan_state(&span), to);
			} else if (SLATE_DEBUG) {
				refuse_change(from, to);
			}
		}
	}
	/* from another state than the caller thinks */
	atomic_store(&span.state, (uint8_t)MSPAN_CLAIMED);
	assert_false(mspan_transition(&span, MSPAN_MANUAL, MSPAN_CLAIMED));
	assert_int_equal(mspan_state(&span), MSPAN_CLAIMED);
}

static void a_span_dies_once(void **state)
{
	(void)state;
	mspan_init_large(&span, (void *)BASE, 9);
	mspan_kill(&span);
	EXPECT_FATAL(SLATE_CRIME_ASSERT, mspan_kill(&span));
}

static void each_span_is_another_generation(void **state)
{
	uint32_t before;

	(void)state;
	mspan_init_large(&span, (void *)BASE, 9);
	before = span.generation;
	mspan_kill(&span);
	mspan_init_large(&span, (void *)BASE, 9);
	assert_int_not_equal(span.generation, before);
}

static void why_a_span_is_busy(void **state)
{
	struct list list;

	(void)state;
	start(sizeclass_of(64) << 1);
	assert_null(mspan_why_busy(&span));
	mspan_take(&span, taken, 1);
	assert_string_equal(mspan_why_busy(&span), "a span goes home while objects of it are out");
	mspan_give(&span, taken[0]);
	list_init(&list);
	list_insert_back(&list, &span.link);
	assert_string_equal(mspan_why_busy(&span), "a span goes home that is still listed");
	list_remove(&span.link);
	assert_null(mspan_why_busy(&span));
	mspan_kill(&span);
	assert_string_equal(mspan_why_busy(&span), "a span goes home that is dead already");
	mspan_init_large(&span, (void *)BASE, 9);
	assert_null(mspan_why_busy(&span));
	mspan_init_manual(&span, (void *)BASE, 5, 4 * SLATE_PAGE_SIZE);
	assert_string_equal(mspan_why_busy(&span),
			    "a manual span goes home that its owner has not let go");
	assert_true(mspan_transition(&span, MSPAN_MANUAL, MSPAN_CLAIMED));
	assert_null(mspan_why_busy(&span));
}

/* Each equation of mspan_validate(), broken. */
static void contradictions_are_found(void **state)
{
	(void)state;
	start(sizeclass_of(24) << 1);
	mspan_take(&span, taken, 100);
	span.allocated++;
	assert_non_null(mspan_validate(&span));
	span.allocated--;
	assert_null(mspan_validate(&span));
	span.alloc_bits[0] &= ~1ul;
	assert_non_null(mspan_validate(&span));
	span.alloc_bits[0] |= 1ul;
	span.free_word = 5;
	assert_non_null(mspan_validate(&span));
	span.free_word = 0;
	start(sizeclass_of(4096) << 1);
	span.alloc_bits[0] |= 1ul << span.elem_count;
	assert_non_null(mspan_validate(&span));
	mspan_kill(&span);
	assert_non_null(mspan_validate(&span));
}

static void debug_refuses_a_wrong_shape(void **state)
{
	unsigned span_class = sizeclass_of(4096) << 1;

	(void)state;
	EXPECT_FATAL(SLATE_CRIME_ASSERT, mspan_init(&span, (void *)BASE, 99, span_class, NULL));
	EXPECT_FATAL(SLATE_CRIME_ASSERT,
		     mspan_init(&span, (void *)BASE, sizeclass_pages[span_class >> 1], span_class,
				bits));
}

/* Random takes and gives against one flag an object. */
static void random_against_flags(void **state)
{
	struct host_random random = host_random_seed("mspan", 11);
	static bool model[SIZECLASS_MAX_ELEMS];
	unsigned c = sizeclass_of(56);
	unsigned count = 0;

	(void)state;
	start(c << 1);
	memset(model, 0, sizeof(model));
	for (unsigned op = 0; op < 50000; op++) {
		unsigned index = (unsigned)host_random_below(&random, span.elem_count);
		unsigned lowest = 0;
		void *object;

		if (host_random_below(&random, 2)) {
			enum mspan_verdict verdict = mspan_give(&span, (void *)(BASE + index * 56));

			assert_int_equal(verdict, model[index] ? MSPAN_FREED : MSPAN_WAS_FREE);
			count -= model[index];
			model[index] = false;
			continue;
		}
		while (lowest < span.elem_count && model[lowest])
			lowest++;
		assert_int_equal(mspan_take(&span, &object, 1), lowest < span.elem_count);
		if (lowest == span.elem_count)
			continue;
		assert_int_equal(object, BASE + lowest * 56);
		model[lowest] = true;
		count++;
		assert_int_equal(span.allocated, count);
	}
	assert_null(mspan_validate(&span));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(a_fresh_span_is_all_free),
		BARE(taking_all_in_order),
		BARE(taking_in_parts),
		BARE(taking_none),
		BARE(lowest_first_after_frees),
		BARE(giving_what_is_free),
		BARE(giving_what_is_no_start),
		BARE(giving_the_tail),
		BARE(start_of_any_address),
		BARE(is_taken),
		BARE(bits_from_outside),
		BARE(a_large_span),
		BARE(a_manual_span),
		BARE(a_large_span_is_claimed_once),
		BARE(names_of_states),
		BARE(states_change_as_told),
		BARE(a_span_dies_once),
		BARE(each_span_is_another_generation),
		BARE(why_a_span_is_busy),
		BARE(contradictions_are_found),
		BARE(debug_refuses_a_wrong_shape),
		BARE(random_against_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
