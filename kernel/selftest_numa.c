/* SPDX-License-Identifier: MIT */
/*
 * selftest_numa.c - each CPU is served by its own node while that has memory.
 */
#include <slate/port.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "boot/bootinfo.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/tap.h"

/* A node with less is left alone: other CPUs' caches may need it. 16 MiB. */
#define ENOUGH_PAGES ((size_t)4096)

/* A node's frames ever served; false when it has none, or too few to serve all. */
static bool served(unsigned node, size_t *local, size_t *remote)
{
	struct slate_node_stats stats;

	if (!slate_node_stats(node, &stats) || stats.largest_run_pages < ENOUGH_PAGES)
		return false;
	*local = stats.local_pages;
	*remote = stats.remote_pages;
	return true;
}

static unsigned node_of(uint64_t address)
{
	for (size_t i = 0; i < boot_info.map.count; i++) {
		const struct slate_range *range = &boot_info.map.ranges[i];

		if (address - range->base < range->size_bytes)
			return range->node;
	}
	return SLATE_ANY_NODE;
}

struct visit {
	unsigned node; /* the CPU's */
	size_t wrong;  /* pieces of memory that came from another one */
	size_t none;
};

static void note(struct visit *visit, paddr_t pa)
{
	if (node_of(pa.v) != visit->node)
		visit->wrong++;
}

static void visit_frames(void *arg)
{
	struct visit *visit = arg;
	pfn_t run = slate_page_alloc(24, NULL);
	pfn_t frame = slate_page_alloc(1, NULL);

	if (pfn_is_none(run) || pfn_is_none(frame)) {
		visit->none++;
	} else {
		note(visit, pfn_to_paddr(run));
		note(visit, pfn_to_paddr(frame));
	}
	if (!pfn_is_none(run))
		slate_page_free(run, 24);
	if (!pfn_is_none(frame))
		slate_page_free(frame, 1);
}

static const size_t object_sizes[] = {48, 120, 1024, 100000};

static void visit_objects(void *arg)
{
	struct visit *visit = arg;

	for (size_t i = 0; i < sizeof(object_sizes) / sizeof(object_sizes[0]); i++) {
		void *object = slate_alloc(object_sizes[i]);

		if (!object)
			visit->none++;
		else
			note(visit, slate_phys(object));
		slate_free(object);
	}
}

/* Every CPU whose node has memory; returns how many had not. */
static unsigned visit_all(void (*fn)(void *arg))
{
	unsigned left_out = 0;

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		struct visit visit = {.node = port_cpu_node(cpu)};
		size_t local, remote, local_after, remote_after;

		if (!smp_is_online(cpu))
			continue;
		slate_flush();
		if (!served(visit.node, &local, &remote)) {
			left_out++;
			continue;
		}
		smp_run(cpu, fn, &visit);
		CHECK(visit.none == 0);
		CHECK(visit.wrong == 0);
		CHECK(served(visit.node, &local_after, &remote_after));
		CHECK(local_after > local);
		CHECK(remote_after == remote);
	}
	return left_out;
}

static void test_local_frames(void)
{
	unsigned left_out = visit_all(visit_frames);

	if (left_out)
		tap_note("%u CPUs have no memory of their own", left_out);
}

/* This CPU holds one of each, so its spans have room: other nodes' CPUs leave that alone. */
static void test_local_objects(void)
{
	void *held[4] = {NULL};

	for (size_t i = 0; i < 4; i++)
		held[i] = slate_alloc(object_sizes[i]);
	visit_all(visit_objects);
	for (size_t i = 0; i < 4; i++)
		slate_free(held[i]);
}

/* A CPU that asks for another node's memory gets it, and is counted there as a stranger. */
static void test_remote_asked(void)
{
	unsigned own = port_cpu_node(arch_cpu());

	for (unsigned node = 0; node < SLATE_MAX_NODES; node++) {
		struct slate_page_constraints there = {.node = node};
		size_t local, remote, local_after, remote_after;
		pfn_t run;

		if (node == own || !served(node, &local, &remote))
			continue;
		run = slate_page_alloc(16, &there);
		CHECK(!pfn_is_none(run));
		CHECK(node_of(pfn_to_paddr(run).v) == node);
		CHECK(served(node, &local_after, &remote_after));
		CHECK(remote_after == remote + 16);
		CHECK(local_after == local);
		slate_page_free(run, 16);
	}
}

const struct pure_test selftest_numa[] = {
	{"page: each CPU gets frames of its own node", test_local_frames},
	{"page: each CPU gets objects of its own node", test_local_objects},
	{"page: another node's memory for those who ask", test_remote_asked},
	{0},
};
