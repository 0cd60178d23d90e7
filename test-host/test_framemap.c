/* SPDX-License-Identifier: MIT */
/* test_framemap.c - the walk over all frames: blocks, holders, holes, and the figures' equal. */
#include "test-host/unit.h"

#include <slate/port.h>

#include "mm/arena.h"

#define MAX_BLOCKS 256

static struct slate_frame_block blocks[MAX_BLOCKS];
static size_t block_count;
static struct slate_frame_block sum;

static void note(const struct slate_frame_block *block, void *arg)
{
	assert_ptr_equal(arg, &sum);
	assert_true(block_count < MAX_BLOCKS);
	blocks[block_count++] = *block;
	sum.pages += block->pages;
	sum.free_pages += block->free_pages;
	sum.released_pages += block->released_pages;
	sum.object_pages += block->object_pages;
	sum.stack_pages += block->stack_pages;
	sum.frame_pages += block->frame_pages;
	sum.metadata_pages += block->metadata_pages;
}

/* Walk; whatever the blocks, their sum is what the figures tell. */
static void walk(size_t block_pages)
{
	struct slate_stats stats;

	memset(&sum, 0, sizeof(sum));
	block_count = 0;
	slate_frames_walk(block_pages, note, &sum);
	slate_stats(&stats);
	assert_int_equal(sum.pages, stats.total_pages);
	assert_int_equal(sum.free_pages, stats.free_pages + stats.reserved_pages);
	assert_int_equal(sum.released_pages, stats.released_pages);
	assert_int_equal(sum.object_pages, stats.object_pages);
	assert_int_equal(sum.stack_pages, stats.stack_pages);
	assert_int_equal(sum.frame_pages, stats.manual_pages + stats.cached_pages);
	assert_int_equal(sum.metadata_pages, stats.metadata_pages);
	for (size_t i = 0; i < block_count; i++) {
		assert_int_equal(blocks[i].start.v % block_pages, 0);
		assert_in_range(blocks[i].pages, 1, block_pages);
		if (i > 0)
			assert_true(blocks[i].start.v > blocks[i - 1].start.v);
	}
}

enum slate_discard port_page_discard(pfn_t pfn, size_t n)
{
	(void)pfn;
	(void)n;
	return SLATE_DISCARD_ZEROED;
}

static void blocks_of_any_length(void **state)
{
	(void)state;
	walk(512);
	assert_int_equal(block_count, 9); /* 1 MiB to 17 MiB */
	assert_int_equal(blocks[0].pages, 256);
	assert_int_equal(blocks[0].start.v, 0);
	assert_int_equal(blocks[8].pages, 256);
	walk(16);
	assert_int_equal(block_count, 256);
	walk(1 << 20);
	assert_int_equal(block_count, 1);
	walk((size_t)1 << 40);
	assert_int_equal(block_count, 1);
}

static void refused_lengths(void **state)
{
	(void)state;
	block_count = 0;
	slate_frames_walk(0, note, &sum);
	slate_frames_walk(3, note, &sum);
	slate_frames_walk(513, note, &sum);
	assert_int_equal(block_count, 0);
}

static void each_holder_is_found(void **state)
{
	void *object = slate_alloc(2000);
	void *large = slate_alloc(3 * MIB);
	pfn_t run = slate_page_alloc(700, NULL);
	pfn_t frame = slate_page_alloc(1, NULL);
	void *stack = slate_stack_alloc(2);

	(void)state;
	assert_non_null(stack);
	walk(512);
	assert_true(sum.object_pages >= 768 + 1);
	assert_true(sum.frame_pages >= 701);
	assert_true(sum.stack_pages >= 4);
	slate_page_free(run, 350);
	walk(64);
	slate_page_free(pfn_add(run, 350), 350);
	slate_page_free(frame, 1);
	slate_free(large);
	slate_free(object);
	slate_stack_free(stack);
	slate_flush();
	walk(512);
	assert_int_equal(sum.object_pages + sum.frame_pages, 0);
}

static void released_frames_are_told_from_free_ones(void **state)
{
	(void)state;
	assert_true(slate_scavenge(1024) >= 1024);
	walk(512);
	assert_true(sum.released_pages >= 1024);
}

static void far_ranges_and_holes(void **state)
{
	struct slate_range ranges[8];
	struct slate_node_range nodes[2];
	struct slate_memmap map = {
		.ranges = ranges, .capacity = 8, .nodes = nodes, .node_capacity = 2};
	const uint64_t far = host_memory_limit() / 2;

	(void)state;
	slate_memmap_add(&map, MIB, 7 * MIB, SLATE_RANGE_USABLE, "low");
	slate_memmap_add(&map, 100 * MIB + 0x3000, 9 * MIB, SLATE_RANGE_USABLE, "middle");
	slate_memmap_add(&map, far, 8 * MIB, SLATE_RANGE_USABLE, "far");
	slate_memmap_add_node(&map, far, 8 * MIB, 1);
	host_boot_map(&map);
	walk(512);
	assert_int_equal(block_count, 4 + 5 + 4);
	assert_int_equal(blocks[12].start.v, (far + 6 * MIB) >> 12);
	host_memory(far + 64 * MIB, 4 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){far + 64 * MIB}, 4 * MIB, 0), SLATE_OK);
	walk(512);
	assert_int_equal(block_count, 15);
	walk(64);
}

static void next_arena(void **state)
{
	struct slate_range ranges[4];
	struct slate_memmap map = {.ranges = ranges, .capacity = 4};
	const uint64_t far = host_memory_limit() / 2;

	(void)state;
	slate_memmap_add(&map, 200 * MIB, 7 * MIB, SLATE_RANGE_USABLE, "low");
	slate_memmap_add(&map, far, 8 * MIB, SLATE_RANGE_USABLE, "far");
	host_boot_map(&map);
	assert_int_equal(arena_next((pfn_t){0}).v, 192 * MIB >> 12);
	assert_int_equal(arena_next((pfn_t){200 * MIB >> 12}).v, 200 * MIB >> 12);
	assert_int_equal(arena_next((pfn_t){256 * MIB >> 12}).v, far >> 12);
	assert_int_equal(arena_next((pfn_t){(far >> 12) + 5}).v, (far >> 12) + 5);
	assert_true(pfn_is_none(arena_next((pfn_t){(far + 64 * MIB) >> 12})));
	assert_true(pfn_is_none(arena_next((pfn_t){SIZE_MAX})));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(blocks_of_any_length), SMALL(refused_lengths),
		SMALL(each_holder_is_found), SMALL(released_frames_are_told_from_free_ones),
		BARE(far_ranges_and_holes),  BARE(next_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
