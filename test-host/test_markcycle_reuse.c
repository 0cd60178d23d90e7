/* SPDX-License-Identifier: MIT */
/* test_markcycle_reuse.c - a mark in pieces, and free objects that become somebody's between two
 * stops. */
#include "test-host/marker.h"

enum { TYPED = 200, KEPT = 8 };

/*
 * Typed objects hold a pointer from their constructor, or from their last owner, that nobody writes
 * again. Of TYPED, each KEPTth stays, so that their spans do; the others are free for a while.
 */
static struct {
	struct slate_cache *cache;
	size_t constructed;
	void **wide; /* points at them */
	unsigned back;
	bool with_gift; /* the last owner leaves a pointer */
	size_t gifts;   /* that nobody has who is in use */
} typed;

static void construct(void *object)
{
	void **words = object;

	memset(words, 0, 80);
	words[2] = slate_alloc(120);
	note(words, 80);
	typed.constructed++;
}

static void make_typed(void)
{
	const struct slate_cache_params params = {
		.name = "typed", .size_bytes = 80, .constructor = construct};

	memset(&typed, 0, sizeof(typed));
	typed.cache = slate_cache_create(&params);
	typed.wide = root[1] = make(TYPED * sizeof(void *));
	for (size_t i = 0; i < TYPED; i++)
		store(&typed.wide[i], slate_cache_alloc(typed.cache));
}

static void leave_typed(bool flush)
{
	for (size_t i = 0; i < TYPED; i++) {
		void **object = typed.wide[i];

		if (i % KEPT == 0)
			continue;
		if (typed.with_gift) {
			store(&object[5], make(300));
			typed.gifts++;
		}
		store(&typed.wide[i], NULL);
		slate_cache_free(typed.cache, object);
	}
	if (flush)
		slate_flush();
}

static void retake_typed(void)
{
	for (size_t i = 0; i < TYPED; i++) {
		void **object = typed.wide[i];

		if (object)
			continue;
		object = slate_cache_alloc(typed.cache);
		assert_non_null(object);
		store(&typed.wide[i], object);
		typed.gifts -= object[5] != NULL;
	}
}

static size_t count_leaks(size_t size_bytes)
{
	size_t count = 0;

	for (size_t i = 0; i < leaks.count; i++)
		count += groups[i].object_bytes == size_bytes ? groups[i].count : 0;
	return count;
}

/* Everything is reached but what free objects hold. */
static void scan_typed(void (*then)(unsigned stop))
{
	machine.then = then;
	machine.stops = 0;
	notes.sweeps = 0;
	scan();
	assert_true(typed.back > 0);
	assert_int_equal(count_leaks(slate_good_size(120)), typed.constructed - TYPED);
	assert_int_equal(count_leaks(slate_good_size(300)), typed.gifts);
}

static void leave_at_once(unsigned stop)
{
	if (stop == 1)
		leave_typed(true);
	if (stop == 20) {
		retake_typed();
		typed.back = stop;
	}
}

/* They are on the mark stack then. */
static void freed_before_they_are_scanned(void **state)
{
	(void)state;
	make_chain();
	make_typed();
	scan_typed(leave_at_once);
}

/* Attempts at the last stop fail as long as everything is written; it sees them free. */
static void leave_for_an_attempt(unsigned stop)
{
	if (stop == 30)
		leave_typed(typed.with_gift);
	if (typed.back == 0)
		write_all_over(stop);
	if (stop > 30 && notes.sweeps >= 3 && typed.back == 0) {
		retake_typed();
		typed.back = stop;
	}
}

/* Out of their spans, into a magazine: taken, not reached, and nobody's. */
static void fill_a_magazine(unsigned stop)
{
	void *object[32];

	for (size_t i = 0; stop == 30 && i < 32; i++)
		object[i] = slate_cache_alloc(typed.cache);
	for (size_t i = 0; stop == 30 && i < 32; i++)
		slate_cache_free(typed.cache, object[i]);
	if (stop != 30)
		leave_for_an_attempt(stop);
}

static void free_in_a_cache_during_an_attempt(void **state)
{
	(void)state;
	make_chain();
	make_typed();
	leave_typed(true);
	scan_typed(fill_a_magazine);
}

static void written_by_the_last_owner(void **state)
{
	(void)state;
	make_chain();
	make_typed();
	typed.with_gift = true;
	scan_typed(leave_for_an_attempt);
	assert_true(typed.gifts < TYPED / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(freed_before_they_are_scanned),
		CASE(free_in_a_cache_during_an_attempt),
		CASE(written_by_the_last_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
