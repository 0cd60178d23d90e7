/* SPDX-License-Identifier: MIT */
/*
 * pure_memmap.c - mm/memmap.c: the table of boot maps, maps of thousands of entries, and random
 * maps against a model that looks at each frame by itself.
 */
#include "lib/string.h"
#include "test-host/memmap_cases.h"
#include "test-host/pure.h"

#define MANY 4096

static struct slate_range many[MANY];

static void table(void)
{
	for (const struct memmap_case *test = memmap_cases; test->name; test++)
		memmap_case_run(test);
}

/* No two rows are the same case. */
static void rows_differ(void)
{
	for (const struct memmap_case *a = memmap_cases; a->name; a++) {
		for (const struct memmap_case *b = memmap_cases; b < a; b++) {
			bool same_input = LIB_NAME(strcmp)(a->before, b->before) == 0 &&
					  a->capacity == b->capacity;

			if (same_input && !a->nodes && !b->nodes)
				pure_fail(__FILE__, __LINE__, a->name);
			if (LIB_NAME(strcmp)(a->name, b->name) == 0)
				pure_fail(__FILE__, __LINE__, a->name);
		}
	}
}

static uint64_t seed;

static uint32_t random_below(uint32_t bound)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(((seed >> 33) * bound) >> 31);
}

/* ---- Thousands of entries ---- */

static struct slate_memmap many_map(void)
{
	return (struct slate_memmap){.ranges = many, .capacity = MANY};
}

/* Each second frame, added in a scrambled order (an odd factor modulo a power of two meets each
 * index once). */
static void thousands_unsorted(void)
{
	struct slate_memmap map = many_map();

	for (uint64_t i = 0; i < MANY; i++)
		CHECK(slate_memmap_add(&map, (i * 1337 % MANY) * 0x2000, 0x1000, SLATE_RANGE_USABLE,
				       "e820"));
	CHECK(slate_memmap_build(&map, NULL, NULL) == MANY);
	CHECK(map.count == MANY);
	for (uint64_t i = 0; i < MANY; i++)
		CHECK(many[i].base == i * 0x2000 && many[i].size_bytes == 0x1000);
}

static void thousands_that_merge(void)
{
	struct slate_memmap map = many_map();

	for (uint64_t i = 0; i < MANY; i++)
		slate_memmap_add(&map, (i * 1337 % MANY) * 0x1000, 0x1000, SLATE_RANGE_USABLE, "x");
	CHECK(slate_memmap_build(&map, NULL, NULL) == MANY);
	CHECK(map.count == 1 && many[0].size_bytes == (uint64_t)MANY * 0x1000);
}

/* Half the array is reserved frames inside one usable range: the splits fill the rest. */
static void thousands_of_holes(void)
{
	struct slate_memmap map = many_map();
	uint64_t holes = MANY / 2 - 1;

	slate_memmap_add(&map, 0, (2 * holes + 1) * 0x1000, SLATE_RANGE_USABLE, "ram");
	for (uint64_t i = 0; i < holes; i++)
		slate_memmap_add(&map, (2 * i + 1) * 0x1000, 0x1000, SLATE_RANGE_RESERVED, "hole");
	CHECK(slate_memmap_build(&map, NULL, NULL) == holes + 1);
	CHECK(map.count == 2 * holes + 1);
}

static size_t given_up;

static void count_given_up(const struct slate_lint *lint, void *arg)
{
	(void)arg;
	if (lint->kind == SLATE_LINT_NO_ROOM)
		given_up += (size_t)(lint->size_bytes >> SLATE_PAGE_SHIFT);
}

/* A full array with a hole in each usable frame run: no hole may get lost, and all that is lost is
 * told. */
static void thousands_without_room(void)
{
	struct slate_memmap map = many_map();
	size_t reserved = 0;
	size_t usable;

	given_up = 0;
	slate_memmap_add(&map, 0, (uint64_t)2 * MANY * 0x1000, SLATE_RANGE_USABLE, "ram");
	for (uint64_t i = 0; i < MANY - 1; i++)
		slate_memmap_add(&map, (2 * i + 1) * 0x1000, 0x1000, SLATE_RANGE_RESERVED, "hole");
	usable = slate_memmap_build(&map, count_given_up, NULL);
	for (size_t i = 0; i < map.count; i++)
		if (many[i].type == SLATE_RANGE_RESERVED)
			reserved++;
	CHECK(map.count <= MANY);
	CHECK(reserved == MANY - 1);
	CHECK(usable + given_up + reserved == 2 * MANY);
}

static void thousands_of_duplicates(void)
{
	struct slate_memmap map = many_map();

	for (unsigned i = 0; i < MANY; i++)
		slate_memmap_add(&map, 0x5000, 0x3000, SLATE_RANGE_USABLE, "again");
	CHECK(slate_memmap_build(&map, NULL, NULL) == 3);
	CHECK(map.count == 1);
}

static void adding_to_a_full_map(void)
{
	struct slate_range two[2];
	struct slate_memmap map = {.ranges = two, .capacity = 2};

	CHECK(slate_memmap_add(&map, 0, 0x9000, SLATE_RANGE_USABLE, "a"));
	CHECK(slate_memmap_add(&map, 0x10000, 0x1000, SLATE_RANGE_USABLE, "b"));
	CHECK(!slate_memmap_add(&map, 0x20000, 0x1000, SLATE_RANGE_USABLE, "c"));
	CHECK(map.dropped == 1 && two[1].base == 0x10000);
	CHECK(!slate_memmap_add(&map, 0x30000, 0x1000, SLATE_RANGE_RESERVED, "d"));
	CHECK(map.dropped == 2 && two[0].base == 0 && two[1].base == 0x30000);
	CHECK(!slate_memmap_add(&map, 0x40000, 0x1000, SLATE_RANGE_BAD, "e"));
	CHECK(two[0].base == 0x40000);
	CHECK(!slate_memmap_add(&map, 0x50000, 0x1000, SLATE_RANGE_BAD, "f"));
	CHECK(map.dropped == 4 && map.count == 2 && two[0].base == 0x40000);
	CHECK(!slate_memmap_add_node(&map, 0, 0x1000, 0));
}

/* ---- What a finding says ---- */

static struct slate_lint last_lint;
static unsigned lint_count;

static void note_last(const struct slate_lint *lint, void *arg)
{
	CHECK(arg == &lint_count);
	last_lint = *lint;
	lint_count++;
}

/* Two entries, one finding: which is the entry, which its partner. NULL: none. */
static void check_finding(struct slate_range a, struct slate_range b, enum slate_lint_kind kind,
			  const char *range, const char *other)
{
	struct slate_range two[4] = {a, b};
	struct slate_memmap map = {.ranges = two, .count = 2, .capacity = 4};

	lint_count = 0;
	slate_memmap_build(&map, note_last, &lint_count);
	CHECK(lint_count == 1);
	CHECK(last_lint.kind == kind);
	CHECK(last_lint.range.name && LIB_NAME(strcmp)(last_lint.range.name, range) == 0);
	if (!other)
		CHECK(last_lint.other.size_bytes == 0 && !last_lint.other.name);
	else
		CHECK(last_lint.other.name && LIB_NAME(strcmp)(last_lint.other.name, other) == 0);
}

#define ENTRY(type_, base_, size_, name_)                  \
	((struct slate_range){.type = SLATE_RANGE_##type_, \
			      .base = (base_),             \
			      .size_bytes = (size_),       \
			      .name = (name_)})

static void findings_name_both_sides(void)
{
	check_finding(ENTRY(USABLE, 0, 0x4000, "ram"), ENTRY(RESERVED, 0x1000, 0x1000, "hole"),
		      SLATE_LINT_OVERLAP, "ram", "hole");
	check_finding(ENTRY(RESERVED, 0, 0x4000, "hole"), ENTRY(USABLE, 0x1000, 0x1000, "ram"),
		      SLATE_LINT_OVERLAP, "ram", "hole");
	check_finding(ENTRY(USABLE, 0, 0x4000, "first"), ENTRY(USABLE, 0x1000, 0x1000, "second"),
		      SLATE_LINT_OVERLAP, "second", "first");
	check_finding(ENTRY(USABLE, 0, 0x4000, "ram"), ENTRY(MODULE, 0x1000, 0x1000, "initrd"),
		      SLATE_LINT_INSIDE_USABLE, "initrd", "ram");
	check_finding(ENTRY(USABLE, 0, 0x4000, "b"), ENTRY(USABLE, 0, 0x4000, "a"),
		      SLATE_LINT_DUPLICATE, "b", "a");
	check_finding(ENTRY(USABLE, 0x4000, 0x1000, "map"), ENTRY(USABLE, 0, 0x1000, "map"),
		      SLATE_LINT_UNSORTED, "map", "map");
	CHECK(last_lint.range.base == 0 && last_lint.other.base == 0x4000);
	check_finding(ENTRY(USABLE, 0, 0x4000, "ram"), ENTRY(KERNEL, 0x8000, 0x1000, "kernel"),
		      SLATE_LINT_OUTSIDE_MEMORY, "kernel", NULL);
	check_finding(ENTRY(USABLE, 0, 0x4000, "ram"), ENTRY(USABLE, 0x8000, 0, "nothing"),
		      SLATE_LINT_ZERO, "nothing", NULL);
	check_finding(ENTRY(USABLE, 0, 0x4800, "ram"), ENTRY(RESERVED, 0x9000, 0x1000, "hole"),
		      SLATE_LINT_UNALIGNED, "ram", NULL);
}

/* The entry as it was given, not as it was cut. */
static void findings_show_the_entry_as_found(void)
{
	check_finding(ENTRY(USABLE, 0, 0x4000, "ram"),
		      ENTRY(USABLE, 0xffffffffff000, 0x10000, "far"), SLATE_LINT_ABOVE_LIMIT, "far",
		      NULL);
	CHECK(last_lint.range.size_bytes == 0x10000);
	CHECK(last_lint.base == 0x10000000000000 && last_lint.size_bytes == 0xf000);
}

static void unknown_types_are_remembered(void)
{
	struct slate_range one[1];
	struct slate_memmap map = {.ranges = one, .capacity = 1};

	slate_memmap_add(&map, 0x1000, 0x1000, (enum slate_range_type)SLATE_RANGE_TYPES, "x");
	CHECK(one[0].firmware_type == SLATE_RANGE_TYPES);
	slate_memmap_build(&map, NULL, NULL);
	CHECK(one[0].type == SLATE_RANGE_RESERVED && one[0].firmware_type == SLATE_RANGE_TYPES);
	map.count = 0;
	slate_memmap_add(&map, 0x1000, 0x1000, SLATE_RANGE_BAD, "x");
	CHECK(one[0].type == SLATE_RANGE_BAD && one[0].firmware_type == 0);
}

/* ---- Random maps against the model ---- */

#define FRAMES   48
#define QUARTERS (4 * FRAMES)
#define ENTRIES  12

/* What the model says of a frame. */
struct frame {
	unsigned type; /* 0: nothing, or usable bytes that do not fill it */
	unsigned node;
};

static struct slate_range given[ENTRIES];
static size_t given_count;
static struct slate_node_range given_nodes[3];
static size_t given_node_count;
static struct frame model[FRAMES];

static uint64_t quarters(unsigned n)
{
	return (uint64_t)n * (SLATE_PAGE_SIZE / 4);
}

static bool covers(const struct slate_range *range, uint64_t start, uint64_t end)
{
	return range->base < end && start < range->base + range->size_bytes;
}

static bool quarter_usable(unsigned quarter)
{
	for (size_t i = 0; i < given_count; i++)
		if (given[i].type == SLATE_RANGE_USABLE &&
		    covers(&given[i], quarters(quarter), quarters(quarter + 1)))
			return true;
	return false;
}

static struct frame model_frame(unsigned frame)
{
	uint64_t start = quarters(4 * frame);
	uint64_t end = quarters(4 * frame + 4);
	struct frame result = {0, 0};

	for (size_t i = 0; i < given_count; i++)
		if (given[i].type > result.type && given[i].type != SLATE_RANGE_USABLE &&
		    covers(&given[i], start, end))
			result.type = given[i].type;
	if (!result.type && quarter_usable(4 * frame) && quarter_usable(4 * frame + 1) &&
	    quarter_usable(4 * frame + 2) && quarter_usable(4 * frame + 3))
		result.type = SLATE_RANGE_USABLE;
	for (size_t i = 0; i < given_node_count; i++)
		if (start >= given_nodes[i].base &&
		    start < given_nodes[i].base + given_nodes[i].size_bytes)
			result.node = given_nodes[i].node;
	return result;
}

/* A few entries of a few types at quarters of frames, and up to three disjoint nodes. */
static void make_random_map(struct slate_memmap *map)
{
	static const uint8_t types[] = {SLATE_RANGE_USABLE,  SLATE_RANGE_USABLE,
					SLATE_RANGE_USABLE,  SLATE_RANGE_BOOT_RECLAIM,
					SLATE_RANGE_MODULE,  SLATE_RANGE_KERNEL,
					SLATE_RANGE_RESERVED};
	static const char *const names[] = {"a", "b"};
	unsigned border = 0;

	given_count = 0;
	given_node_count = 0;
	for (unsigned i = random_below(ENTRIES); i > 0; i--) {
		unsigned first = random_below(QUARTERS);
		unsigned length = 1 + random_below(QUARTERS - first);

		if (random_below(2) && length > 12)
			length = 1 + random_below(12);
		slate_memmap_add(map, quarters(first), quarters(length),
				 types[random_below(sizeof(types))], names[random_below(2)]);
		given[given_count++] = map->ranges[map->count - 1];
	}
	for (unsigned i = random_below(4); i > 0; i--) {
		unsigned start = border + random_below(FRAMES / 3);
		unsigned length = 1 + random_below(FRAMES / 3);

		slate_memmap_add_node(map, quarters(4 * start), quarters(4 * length),
				      random_below(3));
		given_nodes[given_node_count] = map->nodes[given_node_count];
		given_node_count++;
		border = start + length;
	}
	for (unsigned frame = 0; frame < FRAMES; frame++)
		model[frame] = model_frame(frame);
}

/* Does an entry of this type and name touch the frame? */
static bool named_rightly(const struct slate_range *range, unsigned frame)
{
	for (size_t i = 0; i < given_count; i++)
		if (given[i].type == range->type && given[i].name == range->name &&
		    covers(&given[i], quarters(4 * frame), quarters(4 * frame + 4)))
			return true;
	return false;
}

/* Sorted, disjoint, of whole frames, and no two neighbours that should be one. */
static void check_shape(const struct slate_memmap *map)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct slate_range *range = &map->ranges[i];
		const struct slate_range *before = range - 1;

		CHECK(range->size_bytes > 0);
		CHECK(range->reserved == 0);
		CHECK(((range->base | range->size_bytes) & SLATE_PAGE_MASK) == 0);
		if (i == 0)
			continue;
		CHECK(before->base + before->size_bytes <= range->base);
		if (before->base + before->size_bytes == range->base)
			CHECK(before->type != range->type || before->node != range->node ||
			      before->name != range->name);
	}
}

static const struct slate_range *range_of(const struct slate_memmap *map, unsigned frame)
{
	for (size_t i = 0; i < map->count; i++)
		if (covers(&map->ranges[i], quarters(4 * frame), quarters(4 * frame + 4)))
			return &map->ranges[i];
	return NULL;
}

static void check_against_model(const struct slate_memmap *map, size_t usable)
{
	for (unsigned frame = 0; frame < FRAMES; frame++) {
		const struct slate_range *range = range_of(map, frame);

		CHECK((range ? range->type : 0) == model[frame].type);
		if (!range)
			continue;
		CHECK(range->node == model[frame].node);
		CHECK(named_rightly(range, frame));
		if (range->type == SLATE_RANGE_USABLE)
			usable--;
	}
	CHECK(usable == 0);
}

static void random_maps(void)
{
	struct slate_node_range nodes[3];

	seed = 20240229;
	for (unsigned round = 0; round < 3000; round++) {
		struct slate_memmap map = {
			.ranges = many, .capacity = 64, .nodes = nodes, .node_capacity = 3};

		make_random_map(&map);
		size_t usable = slate_memmap_build(&map, NULL, NULL);
		check_shape(&map);
		check_against_model(&map, usable);
	}
}

/* With too little room: what was reserved stays reserved, what is usable was usable, and nothing is
 * written behind the array. */
static void check_cautious(const struct slate_memmap *map)
{
	for (unsigned frame = 0; frame < FRAMES; frame++) {
		const struct slate_range *range = range_of(map, frame);

		if (model[frame].type > SLATE_RANGE_USABLE)
			CHECK(range && range->type > SLATE_RANGE_USABLE);
		if (range && range->type == SLATE_RANGE_USABLE)
			CHECK(model[frame].type == SLATE_RANGE_USABLE);
	}
}

static void random_maps_without_room(void)
{
	struct slate_node_range nodes[3];

	seed = 19991231;
	for (unsigned round = 0; round < 3000; round++) {
		struct slate_memmap map = {
			.ranges = many, .capacity = 64, .nodes = nodes, .node_capacity = 3};

		make_random_map(&map);
		map.capacity = map.count;
		many[map.capacity].base = 0x5a5a5a5a;
		slate_memmap_build(&map, NULL, NULL);
		CHECK(map.count <= map.capacity);
		CHECK(many[map.capacity].base == 0x5a5a5a5a);
		for (size_t i = 1; i < map.count; i++)
			CHECK(many[i - 1].base + many[i - 1].size_bytes <= many[i].base);
		check_cautious(&map);
	}
}

/* ---- Names ---- */

static void names(void)
{
	CHECK(LIB_NAME(strcmp)(slate_range_type_name(SLATE_RANGE_USABLE), "usable") == 0);
	CHECK(LIB_NAME(strcmp)(slate_range_type_name(SLATE_RANGE_BAD), "bad") == 0);
	CHECK(LIB_NAME(strcmp)(slate_range_type_name((enum slate_range_type)99), "unknown") == 0);
	CHECK(LIB_NAME(strcmp)(slate_lint_name(SLATE_LINT_NO_ROOM), "no room") == 0);
	CHECK(LIB_NAME(strcmp)(slate_lint_name((enum slate_lint_kind) - 1), "unknown") == 0);
	CHECK(LIB_NAME(strcmp)(slate_range_type_name(SLATE_RANGE_TYPES), "unknown") == 0);
	CHECK(LIB_NAME(strcmp)(slate_lint_name(SLATE_LINT_KINDS), "unknown") == 0);
	for (int type = 0; type < SLATE_RANGE_TYPES; type++)
		CHECK(slate_range_type_name((enum slate_range_type)type) != NULL);
	for (int kind = 0; kind < SLATE_LINT_KINDS; kind++)
		CHECK(slate_lint_name((enum slate_lint_kind)kind) != NULL);
}

const struct pure_test pure_memmap_tests[] = {
	{"memmap: the table of boot maps", table},
	{"memmap: no two rows of the table are the same case", rows_differ},
	{"memmap: thousands of entries, unsorted", thousands_unsorted},
	{"memmap: thousands of entries that merge", thousands_that_merge},
	{"memmap: thousands of holes", thousands_of_holes},
	{"memmap: thousands of holes without room", thousands_without_room},
	{"memmap: thousands of duplicates", thousands_of_duplicates},
	{"memmap: adding to a full map", adding_to_a_full_map},
	{"memmap: findings name both sides", findings_name_both_sides},
	{"memmap: findings show the entry as it was found", findings_show_the_entry_as_found},
	{"memmap: unknown types are remembered", unknown_types_are_remembered},
	{"memmap: random maps against a model of frames", random_maps},
	{"memmap: random maps without room lose no reservation", random_maps_without_room},
	{"memmap: names of types and findings", names},
	{0, 0},
};
