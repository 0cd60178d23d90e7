/* SPDX-License-Identifier: MIT */
/* test_init.c - start-up stages, ranges added later, nodes, metadata, and calls that come too
 * early. */
#include "test-host/unit.h"

#include "mm/arena.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/pagealloc.h"

static struct slate_range ranges[64];
static struct slate_node_range nodes[8];
static struct slate_memmap map;

static int set_up(void **state)
{
	(void)state;
	host_reset();
	map = (struct slate_memmap){
		.ranges = ranges, .capacity = 64, .nodes = nodes, .node_capacity = 8};
	return 0;
}

#define STAGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now;
}

static int init_raw(const struct slate_memmap *of)
{
	struct slate_init_params params = {.map = (struct slate_memmap *)of,
					   .direct_map_offset = host_offset()};

	return slate_init(&params);
}

/* ---- Too early ---- */

static void calls_before_init(void **state)
{
	(void)state;
	expect_reports(SLATE_CRIME_WRONG_STAGE, 6);
	assert_null(slate_alloc(8));
	assert_null(slate_zalloc(100000));
	assert_true(pfn_is_none(slate_page_alloc(1, NULL)));
	assert_true(pfn_is_none(slate_page_alloc(3, NULL)));
	assert_int_equal(slate_add_memory((paddr_t){MIB}, MIB, 0), SLATE_ESTAGE);
	assert_int_equal(slate_cpu_online(), SLATE_ESTAGE);
	reported();
}

static void frees_before_init(void **state)
{
	int local;

	(void)state;
	slate_free(NULL);
	expect_report(SLATE_CRIME_FOREIGN);
	slate_free(&local);
	reported();
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_page_free((pfn_t){256}, 2);
	reported();
}

/* ---- slate_init() ---- */

static void refused_parameters(void **state)
{
	struct slate_init_params params = {.map = NULL};

	(void)state;
	assert_int_equal(slate_init(NULL), SLATE_EINVAL);
	assert_int_equal(slate_init(&params), SLATE_EINVAL);
}

static void a_map_that_was_not_built(void **state)
{
	(void)state;
	slate_memmap_add(&map, 4 * MIB, MIB, SLATE_RANGE_USABLE, "b");
	slate_memmap_add(&map, MIB, MIB, SLATE_RANGE_USABLE, "a");
	assert_int_equal(init_raw(&map), SLATE_EINVAL);
	map.count = 0;
	slate_memmap_add(&map, MIB + 1, MIB, SLATE_RANGE_USABLE, "crooked");
	assert_int_equal(init_raw(&map), SLATE_EINVAL);
}

static void a_map_without_usable_memory(void **state)
{
	(void)state;
	assert_int_equal(init_raw(&map), SLATE_ENOMEM);
	slate_memmap_add(&map, 0, MIB, SLATE_RANGE_RESERVED, "rom");
	assert_int_equal(init_raw(&map), SLATE_ENOMEM);
}

static void a_range_too_small_for_its_metadata(void **state)
{
	(void)state;
	host_memory(MIB, 4096);
	slate_memmap_add(&map, MIB, 4096, SLATE_RANGE_USABLE, "tiny");
	assert_int_equal(init_raw(&map), SLATE_ENOMEM);
}

static void twice(void **state)
{
	(void)state;
	host_boot(MIB, 4 * MIB);
	slate_memmap_add(&map, MIB, 4 * MIB, SLATE_RANGE_USABLE, "again");
	assert_int_equal(init_raw(&map), SLATE_ESTAGE);
	assert_int_equal(slate_cpu_online(), SLATE_ESTAGE);
}

/* Every frame of the usable ranges is free or metadata, and no frame outside is ever handed out. */
static void frames_come_from_usable_ranges_only(void **state)
{
	static const uint64_t usable[][2] = {{0x1000, 0x9e000}, {MIB, 3 * MIB}, {9 * MIB, 7 * MIB}};
	struct slate_stats now;
	size_t handed_out = 0;

	(void)state;
	slate_memmap_add(&map, 0, 0x9f000, SLATE_RANGE_USABLE, "low");
	slate_memmap_add(&map, 0, 0x1000, SLATE_RANGE_FIRMWARE, "vectors");
	slate_memmap_add(&map, MIB, 15 * MIB, SLATE_RANGE_USABLE, "high");
	slate_memmap_add(&map, 4 * MIB, 5 * MIB, SLATE_RANGE_KERNEL, "kernel");
	host_boot_map(&map);
	now = stats();
	assert_int_equal(now.total_pages, 0x9e + (3 + 7) * 256);
	assert_int_equal(now.total_pages, now.free_pages + now.reserved_pages + now.metadata_pages);
	for (;;) {
		pfn_t pfn = slate_page_alloc(1, NULL);
		bool inside = false;

		if (pfn_is_none(pfn))
			break;
		for (int i = 0; i < 3; i++)
			inside |= pfn_to_paddr(pfn).v >= usable[i][0] &&
				  pfn_to_paddr(pfn).v < usable[i][0] + usable[i][1];
		assert_true(inside);
		handed_out++;
	}
	assert_true(handed_out + 40 > now.free_pages);
	assert_int_equal(slate_validate(), 0);
}

static void metadata_is_small(void **state)
{
	static const uint64_t sizes[] = {64 * MIB, 256 * MIB, 1024 * MIB};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct slate_stats now;

		host_boot(64 * MIB, sizes[i]);
		now = stats();
		/* 0.4 % */
		assert_true(now.metadata_pages * 250 <= now.total_pages);
	}
}

static void far_apart_ranges(void **state)
{
	uint64_t far = (uint64_t)1 << 40;

	(void)state;
	slate_memmap_add(&map, MIB, 8 * MIB, SLATE_RANGE_USABLE, "near");
	slate_memmap_add(&map, far, 8 * MIB, SLATE_RANGE_USABLE, "far");
	host_boot_map(&map);
	assert_int_equal(stats().total_pages, 16 * 256);
	for (int i = 0; i < 10; i++) {
		pfn_t pfn = slate_page_alloc(
			64, &(struct slate_page_constraints){.min = far, .node = SLATE_ANY_NODE});

		assert_true(pfn_to_paddr(pfn).v >= far);
		memset(slate_virt(pfn_to_paddr(pfn)), 1, 64 * SLATE_PAGE_SIZE);
	}
	assert_int_equal(slate_validate(), 0);
}

static void objects_stay_below_the_mapped_limit(void **state)
{
	struct slate_init_params params = {
		.map = &map, .direct_map_offset = host_offset(), .mapped_limit = 8 * MIB};
	struct slate_page_constraints zeroed = {.node = SLATE_ANY_NODE, .flags = SLATE_ZERO};
	unsigned above = 0;
	pfn_t pfn;
	void *p;

	(void)state;
	slate_memmap_add(&map, MIB, 15 * MIB, SLATE_RANGE_USABLE, "ram");
	slate_memmap_build(&map, NULL, NULL);
	/* only what is mapped exists */
	host_memory(MIB, 7 * MIB);
	assert_int_equal(slate_init(&params), SLATE_OK);
	host_cpu_online(0);
	while ((p = slate_alloc(50000)) != NULL) {
		assert_true(slate_phys(p).v + 50000 <= 8 * MIB);
		memset(p, 1, 50000);
	}
	/* frames are numbers: they may lie above, unless they shall be zeroed */
	while (pfn = slate_page_alloc(1, &zeroed), !pfn_is_none(pfn))
		assert_true(pfn_to_paddr(pfn).v < 8 * MIB);
	while (!pfn_is_none(slate_page_alloc(16, NULL)))
		above++;
	assert_true(above >= 100);
}

/* ---- Nodes ---- */

static void two_nodes(void **state)
{
	struct slate_node_stats node;

	(void)state;
	slate_memmap_add(&map, MIB, 31 * MIB, SLATE_RANGE_USABLE, "ram");
	slate_memmap_add_node(&map, 0, 16 * MIB, 0);
	slate_memmap_add_node(&map, 16 * MIB, 16 * MIB, 1);
	host_boot_map(&map);
	assert_true(slate_node_stats(0, &node));
	assert_int_equal(node.total_pages, 15 * 256);
	assert_true(slate_node_stats(1, &node));
	assert_int_equal(node.total_pages, 16 * 256);
	assert_true(node.largest_run_pages > 15 * 256);
	assert_false(slate_node_stats(2, &node));
	for (unsigned wanted = 0; wanted < 2; wanted++) {
		struct slate_page_constraints on = {.node = wanted};
		uint64_t paddr = pfn_to_paddr(slate_page_alloc(8, &on)).v;

		assert_int_equal(paddr >= 16 * MIB, wanted);
	}
	assert_int_equal(slate_validate(), 0);
}

static void a_full_node_falls_back(void **state)
{
	struct slate_page_constraints on = {.node = 1};
	unsigned here = 0;
	pfn_t pfn;

	(void)state;
	slate_memmap_add(&map, MIB, 15 * MIB, SLATE_RANGE_USABLE, "ram");
	slate_memmap_add_node(&map, 12 * MIB, 4 * MIB, 1);
	host_boot_map(&map);
	while (pfn = slate_page_alloc(16, &on), pfn_to_paddr(pfn).v >= 12 * MIB)
		here++;
	assert_true(here >= 60);
	assert_false(pfn_is_none(pfn));
	assert_int_equal(slate_validate(), 0);
}

/* ---- Later ---- */

static void adding_memory(void **state)
{
	struct slate_stats before;
	struct slate_stats after;

	(void)state;
	host_boot(MIB, 4 * MIB);
	before = stats();
	host_memory(64 * MIB, 8 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){64 * MIB}, 8 * MIB, 0), SLATE_OK);
	after = stats();
	assert_int_equal(after.total_pages, before.total_pages + 8 * 256);
	assert_int_equal(after.free_pages + after.reserved_pages + after.metadata_pages,
			 after.total_pages);
	assert_int_equal(slate_validate(), 0);
	/* metadata lies at its start, so what is served does not */
	assert_int_not_equal(arena_class(paddr_to_pfn((paddr_t){64 * MIB})), PAGECLASS_FREE);
	assert_non_null(slate_alloc(5 * MIB));
}

static void adding_aligns_inward(void **state)
{
	struct slate_stats before;

	(void)state;
	host_boot(MIB, 4 * MIB);
	before = stats();
	host_memory(64 * MIB, 2 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){64 * MIB + 100}, MIB, 0), SLATE_OK);
	assert_int_equal(stats().total_pages, before.total_pages + 255);
}

static void adding_what_cannot_be(void **state)
{
	uint64_t limit = (uint64_t)1 << SLATE_PADDR_BITS;
	struct slate_stats before;

	(void)state;
	host_boot(MIB, 16 * MIB);
	before = stats();
	assert_int_equal(slate_add_memory((paddr_t){64 * MIB}, 0, 0), SLATE_EINVAL);
	assert_int_equal(slate_add_memory((paddr_t){64 * MIB + 1}, 4096, 0), SLATE_EINVAL);
	assert_int_equal(slate_add_memory((paddr_t){64 * MIB}, MIB, SLATE_MAX_NODES), SLATE_EINVAL);
	assert_int_equal(slate_add_memory((paddr_t){limit}, MIB, 0), SLATE_ERANGE);
	assert_int_equal(slate_add_memory((paddr_t){limit - MIB}, 2 * MIB, 0), SLATE_ERANGE);
	assert_int_equal(slate_add_memory((paddr_t){UINT64_MAX - 4095}, 4096, 0), SLATE_ERANGE);
	assert_int_equal(slate_add_memory((paddr_t){4096}, UINT64_MAX, 0), SLATE_ERANGE);
	assert_int_equal(slate_add_memory((paddr_t){64 * MIB}, 4096, 0), SLATE_ENOMEM);
	assert_int_equal(stats().total_pages, before.total_pages);
	assert_int_equal(slate_validate(), 0);
}

static void adding_what_is_there(void **state)
{
	static const uint64_t overlaps[][2] = {
		{MIB, 16 * MIB}, {MIB, MIB}, {5 * MIB, MIB}, {16 * MIB, 4 * MIB}, {4096, 2 * MIB}};

	(void)state;
	host_boot(MIB, 16 * MIB);
	for (int i = 0; i < 5; i++)
		assert_int_equal(slate_add_memory((paddr_t){overlaps[i][0]}, overlaps[i][1], 0),
				 SLATE_EEXIST);
	host_memory(17 * MIB, MIB);
	assert_int_equal(slate_add_memory((paddr_t){17 * MIB}, MIB, 0), SLATE_OK);
	assert_int_equal(slate_add_memory((paddr_t){17 * MIB}, MIB, 0), SLATE_EEXIST);
	assert_int_equal(slate_validate(), 0);
}

static void adding_a_node(void **state)
{
	struct slate_node_stats node;

	(void)state;
	host_boot(MIB, 4 * MIB);
	host_memory(512 * MIB, 4 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){512 * MIB}, 4 * MIB, 3), SLATE_OK);
	assert_true(slate_node_stats(3, &node));
	assert_int_equal(node.total_pages, 1024);
	assert_false(slate_node_stats(1, &node));
	assert_int_equal(slate_validate(), 0);
}

static void an_exhausted_machine_goes_on_with_more(void **state)
{
	(void)state;
	host_boot(MIB, 2 * MIB);
	while (slate_alloc(4096))
		;
	assert_null(slate_alloc(20000));
	host_memory(8 * MIB, 2 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){8 * MIB}, 2 * MIB, 0), SLATE_OK);
	assert_non_null(slate_alloc(20000));
	assert_non_null(slate_alloc(4096));
}

/* ---- CPUs ---- */

static void cpus_come_online_once(void **state)
{
	(void)state;
	host_boot(MIB, 16 * MIB);
	host_cpu_set(5);
	assert_int_equal(slate_cpu_online(), SLATE_OK);
	assert_int_equal(slate_cpu_online(), SLATE_ESTAGE);
	host_cpu_set(SLATE_MAX_CPUS);
	assert_int_equal(slate_cpu_online(), SLATE_ERANGE);
	host_cpu_set(0);
}

static void all_cpus(void **state)
{
	(void)state;
	host_boot(MIB, 64 * MIB);
	for (unsigned cpu = 1; cpu < SLATE_MAX_CPUS; cpu++)
		host_cpu_online(cpu);
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		host_cpu_set(cpu);
		slate_free(slate_alloc(100));
	}
	host_cpu_set(0);
	slate_flush();
	assert_int_equal(stats().objects, 0);
	assert_int_equal(slate_validate(), 0);
}

/* A window of the caller's covers memory that comes later; none of the boot map's is made. */
static void a_window_for_later(void **state)
{
	static _Alignas(8) uint8_t bytes[16 * ARENA_PAGES + 16 * sizeof(void *)];
	const uint64_t base = 4 * ARENA_SIZE;
	const uint64_t later = base + 15 * ARENA_SIZE;
	struct slate_init_params params = {
		.map = &map,
		.direct_map_offset = host_offset(),
		.window = bytes,
		.window_base = base,
		.window_bytes = 16 * ARENA_SIZE + SLATE_PAGE_SIZE,
	};

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	slate_memmap_add(&map, base, 4 * MIB, SLATE_RANGE_USABLE, "test");
	slate_memmap_build(&map, NULL, NULL);
	host_memory(base, 4 * MIB);
	host_memory(later, 8 * MIB);
	assert_int_equal(slate_init(&params), SLATE_EINVAL);
	params.window_bytes = 16 * ARENA_SIZE;
	assert_int_equal(slate_init(&params), SLATE_OK);
	assert_int_equal(bytes[0], PAGECLASS_FREE);
	assert_int_equal(bytes[15 * ARENA_PAGES], PAGECLASS_NONE);
	assert_int_equal(slate_add_memory((paddr_t){later}, 8 * MIB, 0), SLATE_OK);
	assert_int_equal(bytes[15 * ARENA_PAGES], PAGECLASS_META);
	assert_int_equal(bytes[15 * ARENA_PAGES + 2047], PAGECLASS_FREE);
	assert_int_equal(bytes[15 * ARENA_PAGES + 2048], PAGECLASS_NONE);

	/* more than the boot memory holds: some of it lies there, and comes back */
	static void *objects[100];

	for (unsigned i = 0; i < 100; i++) {
		objects[i] = slate_alloc(65536);
		assert_non_null(objects[i]);
	}
	for (unsigned i = 0; i < 100; i++)
		slate_free(objects[i]);
	assert_int_equal(slate_validate(), 0);
}

static void a_cpu_without_memory(void **state)
{
	int status;

	(void)state;
	host_boot(MIB, MIB);
	while (slate_alloc(8))
		;
	host_cpu_set(1);
	mm_fault_arm(1, true);
	status = slate_cpu_online();
	mm_fault_arm(0, false);
	assert_true(status == SLATE_ENOMEM || status == SLATE_OK);
	if (status == SLATE_ENOMEM) {
		struct slate_cpu_stats cpu;

		assert_false(slate_cpu_stats(1, &cpu));
	}
	assert_int_equal(slate_validate(), 0);
	host_cpu_set(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE(calls_before_init),
		STAGE(frees_before_init),
		STAGE(refused_parameters),
		STAGE(a_map_that_was_not_built),
		STAGE(a_map_without_usable_memory),
		STAGE(a_range_too_small_for_its_metadata),
		STAGE(twice),
		STAGE(frames_come_from_usable_ranges_only),
		STAGE(metadata_is_small),
		STAGE(far_apart_ranges),
		STAGE(objects_stay_below_the_mapped_limit),
		STAGE(two_nodes),
		STAGE(a_full_node_falls_back),
		STAGE(adding_memory),
		STAGE(adding_aligns_inward),
		STAGE(adding_what_cannot_be),
		STAGE(adding_what_is_there),
		STAGE(adding_a_node),
		STAGE(an_exhausted_machine_goes_on_with_more),
		STAGE(cpus_come_online_once),
		STAGE(all_cpus),
		STAGE(a_window_for_later),
		STAGE(a_cpu_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
