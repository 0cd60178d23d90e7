/* SPDX-License-Identifier: MIT */
/*
 * pure_arena.c - what the arena index says of frames that it does not hold, and what it refuses.
 * Nothing is registered here, so that it runs beside a live allocator; test_arena.c does the rest.
 */
#include "mm/arena.h"
#include "test-host/pure.h"

extern const struct pure_test pure_arena_tests[];

/* Arenas at the far end of the address space: no machine of ours has memory there. */
#define INDEX_BITS (SLATE_PADDR_BITS - SLATE_ARENA_SHIFT)
#define FAR(back)  ((pfn_t){(((size_t)1 << INDEX_BITS) - (back)) << ARENA_PAGE_SHIFT})

static size_t asked;
static size_t asked_bytes;

static void *give_nothing(void *arg, size_t size_bytes)
{
	asked++;
	asked_bytes = size_bytes;
	*(bool *)arg = true;
	return NULL;
}

static void garbage_frames(void)
{
	const size_t frames[] = {
		FAR(1).v, FAR(1).v + ARENA_PAGES - 1, FAR(0).v,     FAR(0).v + 1,
		SIZE_MAX, SIZE_MAX - ARENA_PAGES,     SIZE_MAX / 2, SIZE_MAX / 2 + 1};

	for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		pfn_t pfn = {frames[i]};

		CHECK(arena_of(pfn) == NULL);
		CHECK(arena_class(pfn) == PAGECLASS_NONE);
		CHECK(arena_span(pfn) == NULL);
		/* nothing to set, and nothing happens */
		arena_set_class(pfn, 1, PAGECLASS_META);
		CHECK(arena_class(pfn) == PAGECLASS_NONE);
	}
	for (unsigned shift = 0; shift < sizeof(size_t) * 8; shift++)
		CHECK(arena_class((pfn_t){~((size_t)1 << shift)}) == PAGECLASS_NONE);
}

static void refused_ranges(void)
{
	bool called = false;

	asked = 0;
	CHECK(!arena_register(FAR(0), 1, give_nothing, &called));
	CHECK(!arena_register(FAR(1), ARENA_PAGES + 1, give_nothing, &called));
	CHECK(!arena_register((pfn_t){SIZE_MAX}, 2, give_nothing, &called));
	CHECK(!arena_register(FAR(1), SIZE_MAX, give_nothing, &called));
	CHECK(asked == 0);
	CHECK(arena_register_bytes(FAR(0), 1) == 0);
	CHECK(arena_register_bytes((pfn_t){SIZE_MAX}, 2) == 0);
}

static void empty_ranges(void)
{
	bool called = false;

	CHECK(arena_register(FAR(1), 0, give_nothing, &called));
	CHECK(arena_register((pfn_t){SIZE_MAX}, 0, give_nothing, &called));
	CHECK(!called);
	CHECK(arena_register_bytes(FAR(1), 0) == 0);
}

static void no_memory(void)
{
	bool called = false;

	asked = 0;
	CHECK(!arena_register(FAR(1), 1, give_nothing, &called));
	CHECK(called);
	CHECK(asked == 1);
	CHECK(asked_bytes > 0);
	CHECK(asked_bytes <= arena_register_bytes(FAR(1), 1));
	CHECK(arena_of(FAR(1)) == NULL);
}

static void bytes_by_arenas(void)
{
	size_t one = arena_register_bytes(FAR(2), 1);
	size_t two = arena_register_bytes(FAR(2), ARENA_PAGES + 1);
	size_t arena = sizeof(struct arena) + ARENA_PAGES; /* outside the window */

	CHECK(one >= arena);
	CHECK(arena_register_bytes(FAR(2), ARENA_PAGES) == one);
	CHECK(two - one >= arena);
	CHECK(two - one < arena + 64);
	CHECK(arena_register_bytes(pfn_add(FAR(2), ARENA_PAGES - 1), 2) == two);
}

const struct pure_test pure_arena_tests[] = {
	{"arena: garbage frames have no class and no span", garbage_frames},
	{"arena: ranges outside the index are refused", refused_ranges},
	{"arena: empty ranges ask for nothing", empty_ranges},
	{"arena: no memory leaves nothing registered", no_memory},
	{"arena: bytes grow by the arenas touched", bytes_by_arenas},
	{NULL, NULL},
};
