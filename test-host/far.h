/* SPDX-License-Identifier: MIT */
/* far.h - a small machine to which a range far above its boot memory comes, and from which it goes.
 */
#ifndef TEST_FAR_H
#define TEST_FAR_H

#include "test-host/unit.h"

#define FAR  (512 * MIB)
#define SIZE (8 * MIB)

static struct slate_holder list[64];
static struct slate_holders holders;

static inline struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now;
}

static pfn_t hoard[1024];
static size_t hoarded;

/* Metadata for what the tests allocate, from boot memory; and arenas for the range. */
static inline void warm_up(void)
{
	static const size_t sizes[] = {64, 500, 1024, 2048, 100000};
	void *objects[5];

	host_cpu_online(1);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		host_cpu_set(cpu);
		for (int i = 0; i < 5; i++)
			objects[i] = slate_alloc(sizes[i]);
		for (int i = 0; i < 5; i++)
			slate_free(objects[i]);
		slate_free(slate_alloc_flags(5, SLATE_NOSCAN));
		slate_frame_free(slate_frame_alloc());
	}
	host_cpu_set(0);
	slate_flush();
	assert_int_equal(slate_add_memory((paddr_t){FAR}, SIZE, 0), SLATE_OK);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, SIZE, NULL), SLATE_OK);
}

/* 16 MiB at 1 MiB, and FAR exists, but is not there. */
static inline int set_up(void **state)
{
	(void)state;
	host_boot(MIB, 16 * MIB);
	host_memory(FAR, 64 * MIB);
	memset(list, 0, sizeof(list));
	holders = (struct slate_holders){.list = list, .capacity = 64};
	hoarded = 0;
	warm_up();
	return 0;
}

#define HOT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static inline int add(void)
{
	return slate_add_memory((paddr_t){FAR}, SIZE, 0);
}

static inline int take_away(void)
{
	return slate_remove_memory((paddr_t){FAR}, SIZE, &holders);
}

static inline bool is_far(uint64_t paddr)
{
	return paddr >= FAR && paddr < FAR + SIZE;
}

/* A run of n frames inside the range. */
static inline pfn_t far_run(size_t n)
{
	pfn_t pfn = slate_page_alloc(
		n, &(struct slate_page_constraints){.min = FAR, .node = SLATE_ANY_NODE});

	assert_true(is_far(pfn_to_paddr(pfn).v));
	return pfn;
}

/* All boot memory: what comes next lies far. */
static inline void hoard_near(void)
{
	struct slate_page_constraints near = {
		.max = FAR, .node = SLATE_ANY_NODE, .flags = SLATE_RESERVE};

	slate_flush();
	for (size_t n = 8; n > 0; n /= 2) {
		pfn_t pfn;

		while (pfn = slate_page_alloc(n, &near), !pfn_is_none(pfn)) {
			assert_true(hoarded < 1024);
			hoard[hoarded++] = pfn;
			if (n > 1)
				hoard[hoarded - 1].v |= (size_t)n << 48;
		}
	}
}

static inline void unhoard(void)
{
	while (hoarded > 0) {
		size_t n = hoard[--hoarded].v >> 48;

		slate_page_free((pfn_t){hoard[hoarded].v & (((size_t)1 << 48) - 1)}, n ? n : 1);
	}
}

#endif
