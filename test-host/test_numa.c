/* SPDX-License-Identifier: MIT */
/* test_numa.c - the order of nodes, who is served from where, and nodes without memory. */
#include "test-host/unit.h"

#include "mm/mheap.h"
#include "mm/numa.h"

/* Node n has 16 MiB here. */
static uint64_t node_base(unsigned node)
{
	return ((uint64_t)node + 1) << 30;
}

/* Two pairs of near nodes, as on a board with two sockets; node 5 is equally far from all. */
static unsigned two_sockets(unsigned from, unsigned to)
{
	static const unsigned table[4][4] = {
		{10, 30, 12, 30},
		{30, 10, 30, 12},
		{12, 30, 10, 30},
		{30, 12, 30, 10},
	};

	return from < 4 && to < 4 ? table[from][to] : 200;
}

/* Memory on the nodes whose bit is set; CPU n belongs to node n. */
static void boot(unsigned with_memory)
{
	struct slate_range ranges[16];
	struct slate_node_range nodes[8];
	struct slate_memmap map = {
		.ranges = ranges, .capacity = 16, .nodes = nodes, .node_capacity = 8};

	for (unsigned node = 0; node < 4; node++) {
		host_cpu_node(node, node);
		if (!(with_memory & 1u << node))
			continue;
		slate_memmap_add(&map, node_base(node), 16 * MIB, SLATE_RANGE_USABLE, "test");
		slate_memmap_add_node(&map, node_base(node), 16 * MIB, node);
	}
	host_node_distance(two_sockets);
	host_boot_map(&map);
	for (unsigned cpu = 1; cpu < 4; cpu++)
		host_cpu_online(cpu);
}

static int tear_down_nodes(void **state)
{
	host_nodes_reset();
	return tear_down(state);
}

static unsigned node_of(uint64_t address)
{
	return (unsigned)(address >> 30) - 1;
}

static unsigned run_node(size_t n, const struct slate_page_constraints *fit)
{
	pfn_t pfn = slate_page_alloc(n, fit);
	unsigned node;

	if (pfn_is_none(pfn))
		return SLATE_ANY_NODE;
	node = node_of(pfn_to_paddr(pfn).v);
	slate_page_free(pfn, n);
	slate_flush();
	return node;
}

static unsigned object_node(size_t size_bytes)
{
	void *object = slate_alloc(size_bytes);
	unsigned node;

	if (!object)
		return SLATE_ANY_NODE;
	node = node_of(slate_phys(object).v);
	slate_free(object);
	slate_flush();
	return node;
}

/* ---- The order ---- */

static void nearest_first(void **state)
{
	static const uint8_t expected[4][8] = {
		{0, 2, 1, 3, 4, 5, 6, 7},
		{1, 3, 0, 2, 4, 5, 6, 7},
		{2, 0, 1, 3, 4, 5, 6, 7},
		{3, 1, 0, 2, 4, 5, 6, 7},
	};

	(void)state;
	boot(0xf);
	for (unsigned from = 0; from < 4; from++)
		assert_memory_equal(numa_order(from), expected[from], 8);
}

static unsigned backwards(unsigned from, unsigned to)
{
	(void)from;
	return 100 - to;
}

static void own_node_first_whatever_they_say(void **state)
{
	static const uint8_t expected[8] = {3, 7, 6, 5, 4, 2, 1, 0};

	(void)state;
	host_node_distance(backwards);
	numa_init();
	assert_memory_equal(numa_order(3), expected, 8);
	assert_int_equal(numa_order(0)[0], 0);
	assert_int_equal(numa_order(7)[0], 7);
	assert_int_equal(numa_order(7)[1], 6);
}

static void by_number_without_distances(void **state)
{
	static const uint8_t expected[8] = {2, 1, 3, 0, 4, 5, 6, 7};

	(void)state;
	numa_init();
	assert_memory_equal(numa_order(2), expected, 8);
}

/* ---- Who is served from where ---- */

static void own_node_serves(void **state)
{
	(void)state;
	boot(0xf);
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		host_cpu_set(cpu);
		assert_int_equal(run_node(1, NULL), cpu);
		assert_int_equal(run_node(30, NULL), cpu);
		assert_int_equal(object_node(64), cpu);
		assert_int_equal(object_node(32768), cpu);
		assert_int_equal(object_node(200000), cpu);
	}
	assert_int_equal(slate_validate(), 0);
}

/* What another node's CPU has begun is not gone on with, while the own node has memory. */
static void objects_keep_to_their_nodes(void **state)
{
	static void *objects[4][200];

	(void)state;
	boot(0xf);
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned cpu = 0; cpu < 4; cpu++) {
			host_cpu_set(cpu);
			objects[cpu][i] = slate_alloc(120);
			assert_int_equal(node_of(slate_phys(objects[cpu][i]).v), cpu);
			if (i % 16 == 15)
				slate_flush();
		}
	}
	assert_int_equal(slate_validate(), 0);
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		host_cpu_set(cpu);
		for (unsigned i = 0; i < 200; i++)
			slate_free(objects[cpu][i]);
	}
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

/* Freed by a CPU of another node, they go home, and serve their own node's CPU again. */
static void frees_go_home(void **state)
{
	void *objects[20];

	(void)state;
	boot(0xf);
	host_cpu_set(2);
	for (unsigned i = 0; i < 20; i++)
		objects[i] = slate_alloc(120);
	slate_flush();
	host_cpu_set(1);
	for (unsigned i = 1; i < 20; i++)
		slate_free(objects[i]);
	slate_flush();
	assert_int_equal(object_node(120), 1);
	host_cpu_set(2);
	void *again = slate_alloc(120);

	assert_int_equal((uintptr_t)again >> SLATE_PAGE_SHIFT,
			 (uintptr_t)objects[0] >> SLATE_PAGE_SHIFT);
	slate_free(again);
	slate_free(objects[0]);
}

/* With nothing left at home, spans of others are used up before new ones are made. */
static void a_full_node_shares_spans(void **state)
{
	struct slate_class_stats before;
	struct slate_class_stats after;
	unsigned class = 2;

	(void)state;
	boot(0xc);
	host_cpu_set(2);
	void *there = slate_alloc(120);

	slate_flush();
	while (slate_class_stats(class, &before) && before.spans == 0)
		class ++;
	host_cpu_set(0);
	void *here = slate_alloc(120);

	assert_true(slate_class_stats(class, &after));
	assert_int_equal(after.spans, before.spans);
	assert_int_equal(node_of(slate_phys(here).v), 2);
	slate_free(here);
	slate_free(there);
}

/* Below its high watermark a node keeps its last frames: others' spans go on first. */
static void a_node_that_runs_low_shares_spans(void **state)
{
	void *there;
	void *here;
	size_t high;

	(void)state;
	boot(0x3);
	host_cpu_set(1);
	there = slate_alloc(120);
	slate_flush();
	host_cpu_set(0);
	high = mheap_marks(&mheaps[0]).high_pages;
	assert_true(high > 0);
	while (mheap_may_serve(&mheaps[0], high + 1))
		assert_false(pfn_is_none(slate_page_alloc(3, NULL)));
	assert_true(mheap_may_serve(&mheaps[0], 8));
	here = slate_alloc(120);
	assert_int_equal(node_of(slate_phys(here).v), 1);
	slate_free(here);
	slate_free(there);
}

/* Lists cost memory on further nodes only, and at once. */
static void lists_of_nodes_are_paid_for_once(void **state)
{
	size_t before;

	(void)state;
	boot(0x1);
	before = mheaps[0].metadata_pages;
	host_memory(node_base(1), 16 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){node_base(1)}, 4 * MIB, 1), SLATE_OK);
	/* 36 KiB of lists, and what an arena takes */
	assert_in_range(mheaps[0].metadata_pages - before, 9, 48);
	host_cpu_set(1);
	assert_int_equal(object_node(120), 1);
	host_cpu_set(0);
	before = mheaps[0].metadata_pages;
	assert_int_equal(slate_add_memory((paddr_t){node_base(1) + 8 * MIB}, 4 * MIB, 1), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){node_base(1)}, 4 * MIB, NULL), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){node_base(1) + 8 * MIB}, 4 * MIB, NULL),
			 SLATE_OK);
	assert_int_equal(slate_add_memory((paddr_t){node_base(1)}, 4 * MIB, 1), SLATE_OK);
	assert_int_equal(mheaps[0].metadata_pages, before);
	assert_int_equal(slate_validate(), 0);
}

static void the_node_asked_for_serves(void **state)
{
	(void)state;
	boot(0xf);
	for (unsigned node = 0; node < 4; node++) {
		struct slate_page_constraints there = {.node = node};

		assert_int_equal(run_node(1, &there), node);
		assert_int_equal(run_node(7, &there), node);
	}
	struct slate_page_constraints unknown = {.node = 7};

	assert_int_equal(run_node(7, &unknown), 0);
}

static void full_nodes_are_passed_by_distance(void **state)
{
	static const unsigned then[4] = {0, 2, 1, 3};
	pfn_t held[4];
	size_t n = 8 * 256; /* more than half of a node, so one fits each */

	(void)state;
	boot(0xf);
	host_cpu_set(0);
	for (unsigned i = 0; i < 4; i++) {
		held[i] = slate_page_alloc(n, NULL);
		assert_false(pfn_is_none(held[i]));
		assert_int_equal(node_of(pfn_to_paddr(held[i]).v), then[i]);
	}
	assert_true(pfn_is_none(slate_page_alloc(n, NULL)));
	for (unsigned i = 0; i < 4; i++)
		slate_page_free(held[i], n);
}

static void a_node_without_memory(void **state)
{
	struct slate_page_constraints there = {.node = 0};

	(void)state;
	boot(0xc); /* nodes 2 and 3 */
	host_cpu_set(0);
	assert_int_equal(run_node(1, NULL), 2);
	assert_int_equal(run_node(9, NULL), 2);
	assert_int_equal(run_node(9, &there), 2);
	assert_int_equal(object_node(100), 2);
	host_cpu_set(1);
	assert_int_equal(run_node(9, NULL), 3);
	assert_int_equal(object_node(100), 3);
}

static void memory_that_comes_later_serves(void **state)
{
	(void)state;
	boot(0xc);
	host_cpu_set(0);
	assert_int_equal(run_node(9, NULL), 2);
	host_memory(node_base(0), 16 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){node_base(0)}, 16 * MIB, 0), SLATE_OK);
	assert_int_equal(run_node(9, NULL), 0);
	assert_int_equal(object_node(64), 0);
}

static void a_cpu_of_an_impossible_node(void **state)
{
	(void)state;
	boot(0xf);
	host_cpu_node(4, SLATE_MAX_NODES);
	host_cpu_online(4);
	assert_int_equal(run_node(1, NULL), 0);
}

/* ---- Figures ---- */

static struct slate_node_stats figures(unsigned node)
{
	struct slate_node_stats stats;

	assert_true(slate_node_stats(node, &stats));
	return stats;
}

static void local_and_remote_are_counted(void **state)
{
	struct slate_page_constraints there = {.node = 1};
	struct slate_node_stats before;
	pfn_t run;

	(void)state;
	boot(0xf);
	host_cpu_set(1);
	before = figures(1);
	run = slate_page_alloc(10, NULL);
	assert_int_equal(figures(1).local_pages, before.local_pages + 10);
	assert_int_equal(figures(1).remote_pages, before.remote_pages);
	slate_page_free(run, 10);
	host_cpu_set(3);
	run = slate_page_alloc(6, &there);
	assert_int_equal(figures(1).local_pages, before.local_pages + 10);
	assert_int_equal(figures(1).remote_pages, before.remote_pages + 6);
	slate_page_free(run, 6);
	void *object = slate_alloc(100000);

	assert_int_equal(figures(3).local_pages - figures(3).remote_pages, 25);
	slate_free(object);
}

#define NODES(test) cmocka_unit_test_setup_teardown(test, set_up_bare, tear_down_nodes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NODES(nearest_first),
		NODES(own_node_first_whatever_they_say),
		NODES(by_number_without_distances),
		NODES(own_node_serves),
		NODES(objects_keep_to_their_nodes),
		NODES(frees_go_home),
		NODES(a_full_node_shares_spans),
		NODES(a_node_that_runs_low_shares_spans),
		NODES(lists_of_nodes_are_paid_for_once),
		NODES(the_node_asked_for_serves),
		NODES(full_nodes_are_passed_by_distance),
		NODES(a_node_without_memory),
		NODES(memory_that_comes_later_serves),
		NODES(a_cpu_of_an_impossible_node),
		NODES(local_and_remote_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
