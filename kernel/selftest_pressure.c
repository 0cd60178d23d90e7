/* SPDX-License-Identifier: MIT */
/*
 * selftest_pressure.c - the end of memory from the kernel's side: shrinkers, the reserve, and a map
 * of frames that tells the same as the figures.
 */
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/hoard.h"
#include "kernel/selftest.h"
#include "kernel/tap.h"

/* What the shrinker of these tests could do without. */
#define SPARE 32

static struct hoard hoard;
static pfn_t spare[SPARE];
static size_t spare_count;
static size_t calls;
static bool called_masked;

static size_t count_spare(struct slate_shrinker *self)
{
	(void)self;
	return spare_count;
}

static size_t shrink_spare(struct slate_shrinker *self, size_t pages)
{
	size_t freed = 0;

	(void)self;
	calls++;
	called_masked |= !arch_irq_enabled();
	for (; freed < pages && spare_count > 0; freed++)
		slate_page_free(spare[--spare_count], 1);
	return freed;
}

static struct slate_shrinker shrinker = {
	.name = "selftest", .count = count_spare, .shrink = shrink_spare};

static bool shrinker_there;

static void begin(void)
{
	calls = 0;
	called_masked = false;
	while (spare_count < SPARE) {
		spare[spare_count] = slate_page_alloc(1, NULL);
		CHECK(!pfn_is_none(spare[spare_count]));
		spare_count++;
	}
	CHECK(slate_shrinker_add(&shrinker) == SLATE_OK);
	shrinker_there = true;
}

void selftest_pressure_clean_up(void)
{
	if (shrinker_there)
		slate_shrinker_remove(&shrinker);
	shrinker_there = false;
	while (spare_count > 0)
		slate_page_free(spare[--spare_count], 1);
	hoard_release(&hoard);
}

static void test_shrinker(void)
{
	struct slate_stats before;
	struct slate_stats after;

	begin();
	slate_stats(&before);
	hoard_take(&hoard, 0);
	slate_stats(&after);
	CHECK(spare_count == 0);
	CHECK(calls > 0);
	CHECK(!called_masked);
	CHECK(after.shrinks == before.shrinks + calls);
	CHECK(after.shrunk_pages == before.shrunk_pages + SPARE);
	CHECK(after.free_pages == 0);
	selftest_pressure_clean_up();
}

static void test_masked_callers(void)
{
	unsigned long state;
	void *object;

	begin();
	state = arch_irq_save();
	hoard_take(&hoard, 0);
	/* a run: the caches of other CPUs may hold single frames */
	object = slate_alloc(40000);
	arch_irq_restore(state);
	CHECK(!object);
	CHECK(calls == 0);
	selftest_pressure_clean_up();
}

static void test_reserve(void)
{
	struct slate_page_constraints last = {.node = SLATE_ANY_NODE, .flags = SLATE_RESERVE};
	struct slate_stats stats;
	size_t reserve;
	size_t n = 0;
	pfn_t pfn;

	slate_flush();
	slate_stats(&stats);
	reserve = stats.reserved_pages;
	if (reserve < SPARE) {
		tap_skip("the reserve is too small");
		return;
	}
	hoard_take(&hoard, 0);
	CHECK(pfn_is_none(slate_page_alloc(1, NULL)));
	CHECK(!slate_alloc(40000));
	while (spare_count < SPARE && (pfn = slate_page_alloc(1, &last), !pfn_is_none(pfn))) {
		spare[spare_count++] = pfn;
		n++;
	}
	slate_stats(&stats);
	CHECK(n == SPARE);
	CHECK(stats.reserved_pages == reserve - SPARE);
	CHECK(pfn_is_none(slate_page_alloc(1, NULL)));
	CHECK(slate_validate() == 0);
	selftest_pressure_clean_up();
}

/* ---- The map ---- */

static void add_block(const struct slate_frame_block *block, void *arg)
{
	struct slate_frame_block *sum = arg;

	CHECK(sum->start.v <= block->start.v);
	sum->start = block->start;
	sum->pages += block->pages;
	sum->free_pages += block->free_pages;
	sum->released_pages += block->released_pages;
	sum->object_pages += block->object_pages;
	sum->stack_pages += block->stack_pages;
	sum->frame_pages += block->frame_pages;
	sum->metadata_pages += block->metadata_pages;
}

static void walk_and_compare(size_t block_pages)
{
	struct slate_frame_block sum = {.start = {0}};
	struct slate_stats stats;

	slate_flush();
	slate_frames_walk(block_pages, add_block, &sum);
	slate_stats(&stats);
	CHECK(sum.pages == stats.total_pages);
	CHECK(sum.free_pages == stats.free_pages + stats.reserved_pages);
	CHECK(sum.released_pages == stats.released_pages);
	CHECK(sum.object_pages == stats.object_pages);
	CHECK(sum.stack_pages == stats.stack_pages);
	CHECK(sum.frame_pages == stats.manual_pages + stats.cached_pages);
	CHECK(sum.metadata_pages == stats.metadata_pages);
}

static void test_walk(void)
{
	void *small = slate_alloc(100);
	void *large = slate_alloc(1 << 20);
	pfn_t run = slate_page_alloc(1000, NULL);

	CHECK(small && large && !pfn_is_none(run));
	walk_and_compare(512);
	walk_and_compare((size_t)1 << 20);
	slate_page_free(run, 1000);
	slate_free(large);
	slate_free(small);
	walk_and_compare(1 << 14);
}

const struct pure_test selftest_pressure[] = {
	{"page: shrinkers give before NULL", test_shrinker},
	{"page: no shrinkers with interrupts masked", test_masked_callers},
	{"page: the reserve is for those who ask for it", test_reserve},
	{"page: a walk over all frames agrees with the figures", test_walk},
	{0},
};
