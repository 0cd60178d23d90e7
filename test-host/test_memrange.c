/* SPDX-License-Identifier: MIT */
/* test_memrange.c - where ranges may come and go, exact frames, boot memory released; and what each
 * of these calls refuses. */
#include "test-host/far.h"

/* ---- Where it may lie ---- */

static void ranges_that_touch(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(slate_add_memory((paddr_t){FAR + i * MIB}, MIB, 0), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, 2 * MIB, NULL), SLATE_ENOENT);
	/* from the middle, then the rest */
	for (int i = 0; i < 4; i++) {
		uint64_t base = FAR + (uint64_t)((i + 2) % 4) * MIB;

		assert_int_equal(slate_remove_memory((paddr_t){base}, MIB, NULL), SLATE_OK);
		assert_int_equal(slate_validate(), 0);
	}
	assert_int_equal(slate_add_memory((paddr_t){FAR}, 4 * MIB, 0), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, 4 * MIB, NULL), SLATE_OK);
}

static void a_neighbour_keeps_its_class_bytes(void **state)
{
	void *object;

	(void)state;
	hoard_near();
	assert_int_equal(slate_add_memory((paddr_t){FAR}, MIB, 0), SLATE_OK);
	assert_int_equal(slate_add_memory((paddr_t){FAR + MIB}, MIB, 0), SLATE_OK);
	pfn_t all = far_run(200);

	object = slate_alloc(500);
	while (object && slate_phys(object).v < FAR + MIB)
		object = slate_alloc(500);
	assert_non_null(object);
	slate_page_free(all, 200);
	/* same arena: the first range goes or stays, the second one's object is an object */
	slate_remove_memory((paddr_t){FAR}, MIB, NULL);
	assert_int_equal(slate_usable_size(object), 512);
	slate_free(object);
	unhoard();
	assert_int_equal(slate_validate(), 0);
}

static void another_node(void **state)
{
	struct slate_node_stats node;

	(void)state;
	assert_int_equal(slate_add_memory((paddr_t){FAR}, SIZE, 3), SLATE_OK);
	assert_true(slate_node_stats(3, &node));
	assert_int_equal(node.total_pages, SIZE / 4096);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, SIZE, NULL), SLATE_OK);
	assert_false(slate_node_stats(3, &node));
	/* and as another node's */
	assert_int_equal(slate_add_memory((paddr_t){FAR}, SIZE, 2), SLATE_OK);
	assert_true(slate_node_stats(2, &node));
	assert_int_equal(slate_validate(), 0);
}

/* Objects lie lowest, in the range; their metadata does not, while there is other memory. */
static void metadata_keeps_out(void **state)
{
	static void *objects[150];
	unsigned inside = 0;

	(void)state;
	host_boot(FAR, 16 * MIB);
	host_memory(MIB, SIZE);
	assert_int_equal(slate_add_memory((paddr_t){MIB}, SIZE, 0), SLATE_OK);
	for (int i = 0; i < 150; i++) {
		objects[i] = slate_alloc(32 + 32 * (i % 40));
		inside += slate_phys(objects[i]).v < FAR;
	}
	assert_int_equal(inside, 150);
	for (int i = 0; i < 150; i++)
		slate_free(objects[i]);
	assert_int_equal(slate_remove_memory((paddr_t){MIB}, SIZE, NULL), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

/* No memory for arenas: the range carries them itself, and stays. */
static void a_range_that_must_stay(void **state)
{
	uint64_t fresh = FAR + 1024 * MIB;

	(void)state;
	host_memory(fresh, SIZE);
	hoard_near();
	assert_int_equal(slate_add_memory((paddr_t){fresh}, SIZE, 0), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){fresh}, SIZE, &holders), SLATE_EBUSY);
	assert_int_equal(holders.count, 1);
	assert_int_equal(list[0].kind, SLATE_HOLDER_METADATA);
	assert_int_equal(list[0].base.v, fresh);
	unhoard();
	assert_int_equal(slate_validate(), 0);
}

/* ---- Refused ---- */

static const struct bounds {
	const char *what;
	uint64_t base;
	uint64_t size_bytes;
	unsigned node;
	int add_status;
	int remove_status;
} bounds[] = {
	{"nothing", FAR, 0, 0, SLATE_EINVAL, SLATE_EINVAL},
	{"less than a frame", FAR, 4095, 0, SLATE_EINVAL, SLATE_EINVAL},
	{"parts of two frames", FAR + 1, 8190, 0, SLATE_EINVAL, SLATE_EINVAL},
	{"one frame", FAR, 4096, 0, SLATE_ENOMEM, SLATE_ENOENT},
	{"no such node", FAR, MIB, SLATE_MAX_NODES, SLATE_EINVAL, SLATE_ENOENT},
	{"a node far off", FAR, MIB, ~0u, SLATE_EINVAL, SLATE_ENOENT},
	{"boot memory", MIB, 16 * MIB, 0, SLATE_EEXIST, SLATE_ENOENT},
	{"a part of it", 2 * MIB, MIB, 0, SLATE_EEXIST, SLATE_ENOENT},
	{"its last frame", 17 * MIB - 4096, MIB, 0, SLATE_EEXIST, SLATE_ENOENT},
	{"around it", 0, 64 * MIB, 0, SLATE_EEXIST, SLATE_ENOENT},
	{"above all addresses", (uint64_t)1 << SLATE_PADDR_BITS, MIB, 0, SLATE_ERANGE,
	 SLATE_ERANGE},
	{"across the top", ((uint64_t)1 << SLATE_PADDR_BITS) - MIB, 2 * MIB, 0, SLATE_ERANGE,
	 SLATE_ERANGE},
	{"base + size overflows", UINT64_MAX - 4095, 8192, 0, SLATE_ERANGE, SLATE_ERANGE},
	{"all there is", 4096, UINT64_MAX, 0, SLATE_ERANGE, SLATE_ERANGE},
	{"longer than a region", (uint64_t)1 << 45, (uint64_t)1 << 45, 0, SLATE_ERANGE,
	 SLATE_ENOENT},
};

static void bounds_that_cannot_be(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		const struct bounds *b = &bounds[i];
		int added = slate_add_memory((paddr_t){b->base}, b->size_bytes, b->node);
		int removed = slate_remove_memory((paddr_t){b->base}, b->size_bytes, &holders);

		if (added != b->add_status || removed != b->remove_status)
			host_fail(__FILE__, __LINE__, "%s: add %d, remove %d", b->what, added,
				  removed);
	}
	assert_int_equal(stats().total_pages, before.total_pages);
	assert_int_equal(stats().free_pages, before.free_pages);
	assert_int_equal(slate_validate(), 0);
}

static void beyond_the_direct_map(void **state)
{
	struct slate_range ranges[4];
	struct slate_memmap map = {.ranges = ranges, .capacity = 4};
	struct slate_init_params params = {
		.map = &map, .direct_map_offset = host_offset(), .mapped_limit = FAR + MIB};

	(void)state;
	host_reset();
	slate_memmap_add(&map, MIB, 16 * MIB, SLATE_RANGE_USABLE, "ram");
	slate_memmap_build(&map, NULL, NULL);
	host_memory(MIB, 16 * MIB);
	host_memory(FAR, MIB);
	assert_int_equal(slate_init(&params), SLATE_OK);
	host_cpu_online(0);
	assert_int_equal(slate_add_memory((paddr_t){FAR + MIB}, MIB, 0), SLATE_ERANGE);
	/* frames above may be served, as numbers, where the metadata lies below */
	assert_int_equal(slate_add_memory((paddr_t){FAR}, 4 * MIB, 0), SLATE_OK);
	assert_true(pfn_to_paddr(far_run(700)).v < FAR + 4 * MIB);
	assert_int_equal(slate_validate(), 0);
}

static void removing_twice(void **state)
{
	(void)state;
	assert_int_equal(take_away(), SLATE_ENOENT);
	assert_int_equal(add(), SLATE_OK);
	assert_int_equal(add(), SLATE_EEXIST);
	assert_int_equal(slate_add_memory((paddr_t){FAR + MIB}, MIB, 0), SLATE_EEXIST);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, MIB, NULL), SLATE_ENOENT);
	assert_int_equal(slate_remove_memory((paddr_t){FAR + 4096}, SIZE - 4096, NULL),
			 SLATE_ENOENT);
	assert_int_equal(take_away(), SLATE_OK);
	assert_int_equal(take_away(), SLATE_ENOENT);
}

static void too_early(void **state)
{
	struct slate_range range = {.base = FAR, .size_bytes = MIB, .type = SLATE_RANGE_MODULE};

	(void)state;
	host_reset();
	expect_reports(SLATE_CRIME_WRONG_STAGE, 4);
	assert_int_equal(add(), SLATE_ESTAGE);
	assert_int_equal(take_away(), SLATE_ESTAGE);
	assert_int_equal(slate_reserve_release(&range), SLATE_ESTAGE);
	assert_int_equal(slate_page_alloc_at((paddr_t){FAR}, 1), SLATE_ESTAGE);
	reported();
}

/* ---- Exact frames ---- */

static void exact_frames(void **state)
{
	pfn_t run = slate_page_alloc(64, NULL);
	paddr_t at = pfn_to_paddr(run);

	(void)state;
	assert_int_equal(slate_page_alloc_at(at, 1), SLATE_EBUSY);
	assert_int_equal(slate_page_alloc_at(at, 64), SLATE_EBUSY);
	slate_page_free(run, 64);
	assert_int_equal(slate_page_alloc_at(at, 64), SLATE_OK);
	assert_int_equal(stats().manual_pages, 64);
	slate_page_free(pfn_add(run, 10), 20);
	assert_int_equal(slate_page_alloc_at((paddr_t){at.v + 9 * 4096}, 2), SLATE_EBUSY);
	assert_int_equal(slate_page_alloc_at((paddr_t){at.v + 12 * 4096}, 3), SLATE_OK);
	slate_page_free(pfn_add(run, 12), 3);
	slate_page_free(run, 10);
	slate_page_free(pfn_add(run, 30), 34);
	assert_int_equal(stats().manual_pages, 0);
	assert_int_equal(slate_validate(), 0);
}

/* Frames that lie in a magazine are free: they are fetched. */
static void exact_frames_out_of_a_cache(void **state)
{
	pfn_t frame = slate_page_alloc(1, NULL);

	(void)state;
	slate_page_free(frame, 1);
	assert_int_equal(slate_page_alloc_at(pfn_to_paddr(frame), 1), SLATE_OK);
	slate_page_free(frame, 1);
	assert_int_equal(slate_validate(), 0);
}

static void exact_frames_that_cannot_be(void **state)
{
	static const struct {
		uint64_t base;
		size_t n;
		int status;
	} calls[] = {
		{2 * MIB, 0, SLATE_EINVAL},
		{2 * MIB + 1, 1, SLATE_EINVAL},
		{2 * MIB + 2048, 1, SLATE_EINVAL},
		{FAR, 1, SLATE_ENOENT},
		{0, 1, SLATE_ENOENT},
		{16 * MIB, 257, SLATE_ENOENT},
		{2 * MIB, SIZE_MAX, SLATE_ENOENT},
		{2 * MIB, SIZE_MAX - 511, SLATE_ENOENT},
		{(uint64_t)1 << SLATE_PADDR_BITS, 1, SLATE_ENOENT},
		{UINT64_MAX - 4095, 1, SLATE_ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		assert_int_equal(slate_page_alloc_at((paddr_t){calls[i].base}, calls[i].n),
				 calls[i].status);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Boot memory that is done with ---- */

static int release(uint64_t base, uint64_t size_bytes, unsigned type)
{
	const struct slate_range range = {
		.base = base, .size_bytes = size_bytes, .type = (uint8_t)type};

	return slate_reserve_release(&range);
}

static void an_initrd_becomes_usable(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	assert_int_equal(release(FAR + 100, 3 * MIB, SLATE_RANGE_MODULE), SLATE_OK);
	assert_int_equal(stats().total_pages, before.total_pages + 767);
	far_run(500);
	/* for good */
	assert_int_equal(slate_remove_memory((paddr_t){FAR + 4096}, 767 * 4096, &holders),
			 SLATE_EBUSY);
	assert_int_equal(release(FAR, 3 * MIB, SLATE_RANGE_MODULE), SLATE_EEXIST);
	assert_int_equal(slate_validate(), 0);
}

/* A single frame is worth it, since its metadata lies elsewhere; and it lies where it may. */
static void a_single_frame_is_released(void **state)
{
	(void)state;
	assert_int_equal(release(17 * MIB, 4096, SLATE_RANGE_TRAMPOLINE), SLATE_OK);
	host_memory(17 * MIB, 4096);
	assert_int_equal(slate_page_alloc_at((paddr_t){17 * MIB}, 1), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

static void what_is_not_released(void **state)
{
	static const enum slate_range_type never[] = {
		SLATE_RANGE_NONE,     SLATE_RANGE_USABLE, SLATE_RANGE_ACPI_NVS,
		SLATE_RANGE_FIRMWARE, SLATE_RANGE_MMIO,   SLATE_RANGE_BAD,
		SLATE_RANGE_RESERVED, SLATE_RANGE_TYPES,  SLATE_RANGE_PERSISTENT};
	struct slate_range odd = {
		.base = FAR, .size_bytes = MIB, .type = SLATE_RANGE_DTB, .node = SLATE_MAX_NODES};

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_int_equal(release(FAR, MIB, never[i]), SLATE_EINVAL);
	assert_int_equal(slate_reserve_release(NULL), SLATE_EINVAL);
	assert_int_equal(slate_reserve_release(&odd), SLATE_EINVAL);
	assert_int_equal(release(FAR, 4095, SLATE_RANGE_MODULE), SLATE_EINVAL);
	assert_int_equal(release(FAR, UINT64_MAX, SLATE_RANGE_MODULE), SLATE_ERANGE);
	assert_int_equal(release(2 * MIB, MIB, SLATE_RANGE_MODULE), SLATE_EEXIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOT(ranges_that_touch),
		HOT(a_neighbour_keeps_its_class_bytes),
		HOT(another_node),
		HOT(metadata_keeps_out),
		HOT(a_range_that_must_stay),
		HOT(bounds_that_cannot_be),
		HOT(beyond_the_direct_map),
		HOT(removing_twice),
		HOT(too_early),
		HOT(exact_frames),
		HOT(exact_frames_out_of_a_cache),
		HOT(exact_frames_that_cannot_be),
		HOT(an_initrd_becomes_usable),
		HOT(a_single_frame_is_released),
		HOT(what_is_not_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
