/* SPDX-License-Identifier: MIT */
/* test_markcycle.c - a mark in pieces: what happens to objects and spans between two stops. */
#include "test-host/marker.h"

/* ---- A chain, scanned from its head ---- */

static uintptr_t hidden; /* a pointer that no scan recognises */

/* From the end, not scanned yet, to the start, which is: the scan will see neither. */
static void move_to_head(unsigned stop)
{
	if (stop != 3)
		return;
	store(&head[3], tail[3]);
	store(&tail[3], NULL);
}

static void lose_nothing_that_moves(bool deaf, size_t lost)
{
	make_chain();
	tail[3] = make(200);
	store(tail[3], make(300));
	notes.deaf = deaf;
	machine.then = move_to_head;
	assert_int_equal(scan(), lost);
	assert_true(machine.stops > 50);
	notes.deaf = false;
	machine.then = NULL;
	assert_int_equal(scan(), 0);
}

static void a_pointer_moves_behind_the_scan(void **state)
{
	(void)state;
	lose_nothing_that_moves(false, 0);
}

static void without_notes_it_is_lost(void **state)
{
	(void)state;
	lose_nothing_that_moves(true, 2);
}

/* At every boundary between two nodes that have been scanned. */
static void move_on(unsigned stop)
{
	void **from = stop % 2 ? head : head[0];
	void **to = stop % 2 ? head[0] : head;

	if (stop < 3)
		return;
	if (tail[3]) {
		store(&from[3], tail[3]);
		store(&tail[3], NULL);
	}
	if (from[3]) {
		store(&to[3], from[3]);
		store(&from[3], NULL);
	}
}

static void a_pointer_moves_at_every_boundary(void **state)
{
	(void)state;
	for (size_t chunk = 16; chunk <= 4096; chunk *= 4) {
		markcycle_chunk_words = chunk;
		make_chain();
		store(&tail[3], make(200));
		machine.stops = 0;
		machine.then = move_on;
		assert_int_equal(scan(), 0);
		assert_true(machine.stops > 8);
		machine.then = NULL;
		root[0] = NULL;
		assert_int_equal(scan(), LENGTH + 1);
		assert_int_equal(slate_collect(NULL), SLATE_OK);
	}
}

/* ---- Pieces ---- */

static void one_stop_when_nothing_is_noted(void **state)
{
	(void)state;
	notes.refused = true;
	make_chain();
	assert_int_equal(scan(), 0);
	assert_int_equal(machine.stops, 1);
	assert_int_equal(notes.begun, 0);
}

static void one_stop_for_a_small_heap(void **state)
{
	(void)state;
	root[0] = make(200);
	assert_int_equal(scan(), 0);
	assert_int_equal(machine.stops, 1);
	assert_int_equal(notes.begun, 1);
}

/* No stop but the last does more than it may, by more than a frame of the smallest objects. */
static void stops_are_bounded(void **state)
{
	const size_t chunk = 4096;
	const size_t frame_words = SLATE_PAGE_SIZE / sizeof(void *);
	void **wide = make(4 * MIB);

	(void)state;
	markcycle_chunk_words = chunk;
	root[1] = wide;
	make_chain();
	for (size_t i = 0; i < 20000; i++)
		store(&wide[25 * i], make(i % 2 ? 16 : 40));
	machine.then = move_to_head;
	assert_int_equal(scan(), 0);
	assert_true(markcycle_figures.stops > 4 * MIB / sizeof(void *) / chunk);
	assert_in_range(markcycle_figures.chunk_most, chunk, chunk + 3 * frame_words);
	assert_in_range(markcycle_figures.last, 1, 2 * chunk + 5 * frame_words);
	markcycle_chunk_words = SIZE_MAX;
	assert_int_equal(scan(), 0);
	assert_int_equal(markcycle_figures.stops, 1);
}

/* Then some stop has no bound. */
static void who_writes_faster_than_is_scanned(void **state)
{
	(void)state;
	make_chain();
	machine.then = write_all_over;
	assert_int_equal(scan(), 0);
	assert_true(markcycle_figures.last > LENGTH * NODE_WORDS);
}

/* Room for marks is used up by others, and a span comes. */
static void make_a_span(unsigned stop)
{
	if (stop != 5)
		return;
	while (gcbits_take(1))
		;
	store(&head[3], make(100000));
}

static void more_spans_than_room(void **state)
{
	(void)state;
	make_chain();
	machine.then = make_a_span;
	assert_int_equal(scan(), 0);
	assert_int_equal(notes.begun, 2);
}

/* Nothing is lost, nothing is taken for another, when the frames of what is to be scanned change
 * hands. */
static void replace_all(unsigned stop)
{
	static const size_t sizes[] = {48, 40000, 24, 8192};
	void **node;

	if (stop % 4)
		return;
	size_t size = sizes[stop / 4 % 4];

	node = root[2];
	while (node) {
		void **next = node[0];

		slate_free(node);
		node = next;
	}
	slate_flush();
	store(&root[2], NULL);
	for (size_t i = 0; i < 200; i++) {
		node = make(size);
		store(&node[0], root[2]);
		store(&node[1], make(1000));
		root[2] = node;
		hidden = (uintptr_t)node[1];
		store(&node[1], NULL);
		slate_free((void *)hidden);
	}
}

static void spans_go_and_come(void **state)
{
	(void)state;
	make_chain();
	replace_all(4);
	machine.then = replace_all;
	assert_int_equal(scan(), 0);
	assert_true(machine.stops > 50);
	machine.then = NULL;
	root[2] = NULL;
	assert_int_equal(scan(), 200);
}

/* ---- At random ---- */

enum { OWNERS = 400, SLOTS = 5, LOST = 300, TURNS = 40 };

/* A tree: each object but the first has one pointer to it, in a slot of another. */
static struct {
	void **object[OWNERS];
	size_t holder[OWNERS]; /* whose slot points at it, and which */
	size_t slot[OWNERS];
	uint64_t seed;
} tree;

static size_t choose(size_t n)
{
	tree.seed = tree.seed * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(tree.seed >> 33) % n;
}

static bool is_above(size_t upper, size_t lower)
{
	while (lower != 0 && lower != upper)
		lower = tree.holder[lower];
	return lower == upper;
}

/* Hang number where there is room, not below itself. */
static void hang(size_t number)
{
	for (size_t tries = 0; tries < 10000; tries++) {
		size_t holder = choose(OWNERS);
		size_t slot = choose(SLOTS);

		if (!tree.object[holder] || tree.object[holder][slot] || is_above(number, holder))
			continue;
		tree.holder[number] = holder;
		tree.slot[number] = slot;
		store(&tree.object[holder][slot], tree.object[number]);
		return;
	}
	fail_msg("no room");
}

static bool is_leaf(size_t number)
{
	for (size_t i = 0; i < SLOTS; i++) {
		if (tree.object[number][i])
			return false;
	}
	return true;
}

static void grow(size_t number)
{
	static const size_t sizes[] = {40, 48, 64, 200, 1000, 4096, 20000, 40000, 100000};

	tree.object[number] = make(sizes[choose(sizeof(sizes) / sizeof(sizes[0]))]);
	hang(number);
}

static void resize(size_t number)
{
	size_t size = 40 + choose(60000);

	tree.object[number] = slate_realloc(tree.object[number], size);
	assert_non_null(tree.object[number]);
	memset(tree.object[number] + SLOTS, 0, size - SLOTS * sizeof(void *));
	note(tree.object[number], size);
	store(&tree.object[tree.holder[number]][tree.slot[number]], tree.object[number]);
}

static void change(unsigned stop)
{
	(void)stop;
	for (size_t i = 0; i < TURNS; i++) {
		size_t number = 1 + choose(OWNERS - 1);
		void ***object = &tree.object[number];

		if (!*object) {
			grow(number);
			continue;
		}
		switch (choose(4)) {
		case 0:
			resize(number);
			break;
		case 1:
			if (is_leaf(number)) {
				store(&tree.object[tree.holder[number]][tree.slot[number]], NULL);
				slate_free(*object);
				*object = NULL;
			}
			break;
		default:
			store(&tree.object[tree.holder[number]][tree.slot[number]], NULL);
			hang(number);
		}
	}
	if (choose(4) == 0)
		slate_flush();
}

static void at_random(void **state)
{
	(void)state;
	for (size_t round = 0; round < 12; round++) {
		memset(&tree, 0, sizeof(tree));
		tree.seed = round;
		markcycle_chunk_words = 64 << choose(8);
		tree.object[0] = root[0] = make(80);
		for (size_t i = 1; i < OWNERS; i++)
			grow(i);
		for (size_t i = 0; i < LOST; i++)
			make(8 << choose(10));
		machine.then = change;
		assert_int_equal(scan(), LOST);
		machine.then = NULL;
		root[0] = NULL;
		assert_int_equal(slate_collect(NULL), SLATE_OK);
		assert_int_equal(scan(), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_pointer_moves_behind_the_scan),
		CASE(without_notes_it_is_lost),
		CASE(a_pointer_moves_at_every_boundary),
		CASE(one_stop_when_nothing_is_noted),
		CASE(one_stop_for_a_small_heap),
		CASE(stops_are_bounded),
		CASE(who_writes_faster_than_is_scanned),
		CASE(more_spans_than_room),
		CASE(spans_go_and_come),
		CASE(at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
