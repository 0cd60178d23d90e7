/* SPDX-License-Identifier: MIT */
/*
 * test_arena.c - the arena index and its maps: what is asked for and published, class bytes and
 * span pointers against a plain array, with and without a window.
 */
#include "test-host/unit.h"

#include "mm/arena.h"

#define PIECES     64
#define INDEX_BITS (SLATE_PADDR_BITS - SLATE_ARENA_SHIFT)

/* ---- Pieces of metadata ---- */

/* What arena_register() asked for; each its own allocation, so that ASan sees its end. */
static struct pieces {
	void *memory[PIECES];
	size_t bytes[PIECES];
	size_t count;
	size_t fail_at; /* index of the request that fails; PIECES: none */
} pieces;

static void *give(void *arg, size_t size_bytes)
{
	struct pieces *into = arg;
	void *memory = NULL;

	if (into->count == into->fail_at)
		return NULL;
	assert_true(into->count < PIECES);
	assert_int_equal(posix_memalign(&memory, 64, size_bytes), 0);
	memset(memory, 0xa5, size_bytes);
	into->memory[into->count] = memory;
	into->bytes[into->count++] = size_bytes;
	return memory;
}

static int set_up(void **state)
{
	(void)state;
	host_reset();
	pieces = (struct pieces){.fail_at = PIECES};
	return 0;
}

static int end(void **state)
{
	(void)state;
	host_reset();
	for (size_t i = 0; i < pieces.count; i++)
		free(pieces.memory[i]);
	return 0;
}

/* First frame of an arena. */
static pfn_t arena_pfn(size_t number)
{
	return (pfn_t){number << ARENA_PAGE_SHIFT};
}

static bool put(pfn_t pfn, size_t pages)
{
	return arena_register(pfn, pages, give, &pieces);
}

static size_t bytes_given(size_t from)
{
	size_t sum = 0;

	for (size_t i = from; i < pieces.count; i++)
		sum += (pieces.bytes[i] + 63) & ~(size_t)63;
	return sum;
}

/* Any pointer will do: spans are not looked into here. */
static struct mspan *span_number(size_t n)
{
	return (struct mspan *)(uintptr_t)(0x1000 + n * 64);
}

/* ---- Registration ---- */

static void a_new_arena_is_empty(void **state)
{
	(void)state;
	assert_true(put(pfn_add(arena_pfn(5), 77), 1));
	assert_non_null(arena_of(arena_pfn(5)));
	assert_ptr_equal(arena_of(arena_pfn(5)), arena_of(pfn_add(arena_pfn(5), ARENA_PAGES - 1)));
	for (size_t i = 0; i < ARENA_PAGES; i++) {
		assert_int_equal(arena_class(pfn_add(arena_pfn(5), i)), PAGECLASS_NONE);
		assert_null(arena_span(pfn_add(arena_pfn(5), i)));
	}
	assert_null(arena_of((pfn_t){arena_pfn(5).v - 1}));
	assert_null(arena_of(arena_pfn(6)));
}

static void a_range_touches_its_arenas(void **state)
{
	(void)state;
	/* the last frame of 7, all of 8, the first frame of 9 */
	assert_true(put(pfn_add(arena_pfn(7), ARENA_PAGES - 1), ARENA_PAGES + 2));
	assert_int_equal(pieces.count, 4);
	assert_null(arena_of(arena_pfn(6)));
	assert_non_null(arena_of(arena_pfn(7)));
	assert_non_null(arena_of(arena_pfn(8)));
	assert_non_null(arena_of(arena_pfn(9)));
	assert_null(arena_of(arena_pfn(10)));
	assert_ptr_not_equal(arena_of(arena_pfn(7)), arena_of(arena_pfn(8)));
	assert_ptr_not_equal(arena_of(arena_pfn(8)), arena_of(arena_pfn(9)));
}

static void again_asks_for_nothing(void **state)
{
	size_t asked;

	(void)state;
	assert_true(put(arena_pfn(3), 2 * ARENA_PAGES));
	arena_set_class(arena_pfn(3), 9, PAGECLASS_META);
	asked = pieces.count;
	assert_int_equal(arena_register_bytes(arena_pfn(3), 2 * ARENA_PAGES), 0);
	assert_true(put(arena_pfn(3), 2 * ARENA_PAGES));
	assert_int_equal(pieces.count, asked);
	assert_int_equal(arena_class(pfn_add(arena_pfn(3), 8)), PAGECLASS_META);
	/* one arena on either side is new */
	assert_true(put(arena_pfn(2), 4 * ARENA_PAGES));
	assert_int_equal(pieces.count, asked + 2);
	assert_int_equal(arena_class(pfn_add(arena_pfn(3), 8)), PAGECLASS_META);
}

static void the_estimate_is_what_is_asked(void **state)
{
	static const struct {
		size_t arena, offset, pages;
	} rows[] = {
		{0, 0, 1},
		{0, 0, ARENA_PAGES},
		{1, ARENA_PAGES - 1, 2},
		{4094, 5, 3 * ARENA_PAGES},
		{4096, 0, 1},
		{12288 - 1, ARENA_PAGES - 1, 1},
		{12288 - 1, ARENA_PAGES - 1, 2},
		{((size_t)1 << INDEX_BITS) - 2, 0, 2 * ARENA_PAGES},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		pfn_t pfn = pfn_add(arena_pfn(rows[i].arena), rows[i].offset);
		size_t before = pieces.count;
		size_t bytes = arena_register_bytes(pfn, rows[i].pages);

		assert_true(put(pfn, rows[i].pages));
		assert_int_equal(bytes_given(before), bytes);
		assert_int_equal(arena_register_bytes(pfn, rows[i].pages), 0);
	}
}

static void no_memory_at_any_piece(void **state)
{
	pfn_t pfn = arena_pfn(4094); /* four arenas in two blocks */

	(void)state;
	for (size_t piece = 0; piece < 6; piece++) {
		pieces.fail_at = piece;
		assert_false(put(pfn, 4 * ARENA_PAGES));
		assert_int_equal(pieces.count, piece);
		/* what is there stays, and is not asked for again */
		assert_true((arena_of(arena_pfn(4094)) != NULL) == (piece > 1));
		assert_true((arena_of(arena_pfn(4097)) != NULL) == (piece > 5));
	}
	pieces.fail_at = PIECES;
	assert_true(put(pfn, 4 * ARENA_PAGES));
	assert_int_equal(pieces.count, 6);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(arena_class(arena_pfn(4094 + i)), PAGECLASS_NONE);
}

static void the_last_arena(void **state)
{
	size_t number = ((size_t)1 << INDEX_BITS) - 1;

	(void)state;
	assert_true(put(arena_pfn(number), ARENA_PAGES));
	arena_set_class(arena_pfn(number), ARENA_PAGES, PAGECLASS_META);
	assert_int_equal(arena_class(pfn_add(arena_pfn(number), ARENA_PAGES - 1)), PAGECLASS_META);
	assert_int_equal(arena_class(arena_pfn(number + 1)), PAGECLASS_NONE);
	assert_null(arena_of(arena_pfn(number + 1)));
	assert_int_equal(arena_class(SLATE_PFN_NONE), PAGECLASS_NONE);
	assert_false(put(arena_pfn(number), ARENA_PAGES + 1));
}

static void reset_forgets(void **state)
{
	(void)state;
	assert_true(put(arena_pfn(1), 1));
	arena_reset();
	assert_null(arena_of(arena_pfn(1)));
	assert_int_equal(arena_class(arena_pfn(1)), PAGECLASS_NONE);
}

/* ---- Class bytes and spans ---- */

static void classes_that_have_a_span(void **state)
{
	(void)state;
	assert_true(put(arena_pfn(1), 300));
	for (unsigned class = 0; class < PAGECLASS_COUNT; class ++) {
		pfn_t pfn = pfn_add(arena_pfn(1), class);
		bool none = class == PAGECLASS_NONE || class == PAGECLASS_FREE ||
			    class == PAGECLASS_META;

		arena_set_span(pfn, 1, span_number(class), class);
		assert_int_equal(arena_class(pfn), class);
		assert_ptr_equal(arena_span(pfn), none ? NULL : span_number(class));
	}
}

static void a_span_across_arenas(void **state)
{
	pfn_t pfn = pfn_add(arena_pfn(2), ARENA_PAGES - 3);

	(void)state;
	assert_true(put(arena_pfn(2), 2 * ARENA_PAGES));
	arena_set_span(pfn, 7, span_number(1), PAGECLASS_LARGE);
	assert_null(arena_span((pfn_t){pfn.v - 1}));
	for (size_t i = 0; i < 7; i++) {
		assert_ptr_equal(arena_span(pfn_add(pfn, i)), span_number(1));
		assert_int_equal(arena_class(pfn_add(pfn, i)), PAGECLASS_LARGE);
	}
	assert_null(arena_span(pfn_add(pfn, 7)));
	arena_set_class(pfn, 7, PAGECLASS_FREE);
	assert_null(arena_span(pfn));
	assert_null(arena_span(pfn_add(pfn, 6)));
}

/* A hole between two arenas is passed over. */
static void setting_over_a_hole(void **state)
{
	(void)state;
	assert_true(put(arena_pfn(2), 1));
	assert_true(put(arena_pfn(4), 1));
	arena_set_class(pfn_add(arena_pfn(2), ARENA_PAGES - 1), ARENA_PAGES + 2, PAGECLASS_META);
	assert_int_equal(arena_class(pfn_add(arena_pfn(2), ARENA_PAGES - 2)), PAGECLASS_NONE);
	assert_int_equal(arena_class(pfn_add(arena_pfn(2), ARENA_PAGES - 1)), PAGECLASS_META);
	assert_int_equal(arena_class(arena_pfn(3)), PAGECLASS_NONE);
	assert_int_equal(arena_class(arena_pfn(4)), PAGECLASS_META);
	assert_int_equal(arena_class(pfn_add(arena_pfn(4), 1)), PAGECLASS_NONE);
}

/* Random ranges on [first, first + 3 arenas), each byte and pointer compared with plain arrays. */
static void compare_with_arrays(const char *name, size_t first_arena)
{
	static uint8_t classes[3 * ARENA_PAGES];
	static struct mspan *spans[3 * ARENA_PAGES];
	struct host_random random = host_random_seed(name, 21);
	pfn_t first = arena_pfn(first_arena);

	memset(classes, 0, sizeof(classes));
	for (size_t op = 0; op < host_ops(4000); op++) {
		size_t at = host_random_below(&random, 3 * ARENA_PAGES);
		size_t pages = 1 + host_random_below(&random, op % 50 ? 20 : 2 * ARENA_PAGES);
		unsigned class = (unsigned)host_random_below(&random, PAGECLASS_COUNT);
		bool span = host_random_below(&random, 2);

		/* half of them around the borders of arenas */
		if (op & 1)
			at = ARENA_PAGES * (1 + op / 2 % 2) - 10 + at % 20;
		if (pages > 3 * ARENA_PAGES - at)
			pages = 3 * ARENA_PAGES - at;
		if (span)
			arena_set_span(pfn_add(first, at), pages, span_number(op), class);
		else
			arena_set_class(pfn_add(first, at), pages, class);
		for (size_t i = at; i < at + pages; i++) {
			classes[i] = (uint8_t) class;
			spans[i] = span ? span_number(op) : spans[i];
		}
		for (size_t i = at < 40 ? 0 : at - 40; i < 3 * ARENA_PAGES && i < at + pages + 40;
		     i++)
			assert_int_equal(arena_class(pfn_add(first, i)), classes[i]);
		if (span && class != PAGECLASS_NONE && class != PAGECLASS_FREE &&
		    class != PAGECLASS_META)
			assert_ptr_equal(arena_span(pfn_add(first, at + pages / 2)),
					 spans[at + pages / 2]);
	}
	for (size_t i = 0; i < 3 * ARENA_PAGES; i++)
		assert_int_equal(arena_class(pfn_add(first, i)), classes[i]);
}

static void ranges_against_arrays(void **state)
{
	(void)state;
	assert_true(put(arena_pfn(11), 3 * ARENA_PAGES));
	compare_with_arrays("ranges_against_arrays", 11);
}

static size_t count_plainly(pfn_t pfn, size_t pages, unsigned page_class)
{
	size_t count = 0;

	while (count < pages && arena_class(pfn_add(pfn, count)) == page_class)
		count++;
	return count;
}

/* From every offset into a word, to every offset, across arenas, and into nothing. */
static void counting_a_class(void **state)
{
	struct host_random random = host_random_seed("counting_a_class", 22);
	pfn_t first = arena_pfn(7);

	(void)state;
	assert_true(put(first, 2 * ARENA_PAGES));
	arena_set_class(first, 2 * ARENA_PAGES, PAGECLASS_FREE);
	assert_int_equal(arena_count_class(first, 9 * ARENA_PAGES, PAGECLASS_FREE),
			 2 * ARENA_PAGES);
	assert_int_equal(arena_count_class(first, 0, PAGECLASS_FREE), 0);
	assert_int_equal(arena_count_class(first, 5, PAGECLASS_META), 0);
	assert_int_equal(arena_count_class(arena_pfn(9), 5, PAGECLASS_FREE), 0);
	assert_int_equal(arena_count_class(arena_pfn(9), 5, PAGECLASS_NONE), 5);
	assert_int_equal(arena_count_class(SLATE_PFN_NONE, 5, PAGECLASS_FREE), 0);
	for (size_t op = 0; op < host_ops(20000); op++) {
		pfn_t pfn = pfn_add(first, ARENA_PAGES - 100 + host_random_below(&random, 200));
		size_t pages = host_random_below(&random, 60);
		unsigned class = host_random_below(&random, 4) ? PAGECLASS_FREE : 7;

		if (op % 4 == 0)
			arena_set_class(pfn, 1 + pages / 16, class);
		else
			assert_int_equal(arena_count_class(pfn, pages, class),
					 count_plainly(pfn, pages, class));
	}
}

/* A word a frame, none shared, none outside. */
static void frame_links(void **state)
{
	(void)state;
	assert_true(put(arena_pfn(1), 2 * ARENA_PAGES));
	for (size_t i = 0; i < 2 * ARENA_PAGES; i++)
		*arena_frame_link(pfn_add(arena_pfn(1), i)) = (void *)(i + 1);
	for (size_t i = 0; i < 2 * ARENA_PAGES; i++)
		assert_int_equal((uintptr_t)*arena_frame_link(pfn_add(arena_pfn(1), i)), i + 1);
	assert_null(arena_frame_link(arena_pfn(0)));
	assert_null(arena_frame_link(arena_pfn(3)));
}

/* ---- The window ---- */

static void a_window_holds_the_bytes(void **state)
{
	size_t inside, outside;

	(void)state;
	assert_true(arena_window_make(arena_pfn(10), 4 * ARENA_PAGES, give, &pieces));
	/* a pointer for each arena, too */
	assert_in_range(bytes_given(0), 4 * ARENA_PAGES, arena_window_bytes(4 * ARENA_PAGES));
	assert_int_equal(arena_class(arena_pfn(10)), PAGECLASS_NONE);
	inside = arena_register_bytes(arena_pfn(10), 1);
	outside = arena_register_bytes(arena_pfn(14), 1);
	assert_int_equal(outside - inside, ARENA_PAGES);
	assert_true(put(arena_pfn(9), 6 * ARENA_PAGES));
	for (size_t number = 9; number < 15; number++) {
		assert_int_equal(arena_class(arena_pfn(number)), PAGECLASS_NONE);
		arena_set_class(arena_pfn(number), ARENA_PAGES, (unsigned)number);
	}
	for (size_t number = 9; number < 15; number++) {
		assert_int_equal(arena_class(arena_pfn(number)), number);
		assert_int_equal(arena_class(pfn_add(arena_pfn(number), ARENA_PAGES - 1)), number);
		assert_int_equal(arena_class_at(pfn_to_virt(arena_pfn(number))), number);
	}
}

static void ranges_across_the_windows_edge(void **state)
{
	(void)state;
	assert_true(arena_window_make(arena_pfn(21), ARENA_PAGES, give, &pieces));
	assert_true(put(arena_pfn(20), 3 * ARENA_PAGES));
	compare_with_arrays("ranges_across_the_windows_edge", 20);
}

static void a_window_without_memory(void **state)
{
	(void)state;
	pieces.fail_at = 0;
	assert_false(arena_window_make(arena_pfn(10), ARENA_PAGES, give, &pieces));
	pieces.fail_at = PIECES;
	assert_int_equal(arena_class(arena_pfn(10)), PAGECLASS_NONE);
	assert_true(put(arena_pfn(10), 1));
	arena_set_class(arena_pfn(10), 1, PAGECLASS_META);
	assert_int_equal(arena_class(arena_pfn(10)), PAGECLASS_META);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_new_arena_is_empty),
		CASE(a_range_touches_its_arenas),
		CASE(again_asks_for_nothing),
		CASE(the_estimate_is_what_is_asked),
		CASE(no_memory_at_any_piece),
		CASE(the_last_arena),
		CASE(reset_forgets),
		CASE(classes_that_have_a_span),
		CASE(a_span_across_arenas),
		CASE(setting_over_a_hole),
		CASE(ranges_against_arrays),
		CASE(counting_a_class),
		CASE(frame_links),
		CASE(a_window_holds_the_bytes),
		CASE(ranges_across_the_windows_edge),
		CASE(a_window_without_memory),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
