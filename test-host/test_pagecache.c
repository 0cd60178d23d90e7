/* SPDX-License-Identifier: MIT */
/*
 * test_pagecache.c - groups of 64 frames: out of a node and back on exact bitmaps, frames and runs
 * out of a group, and the groups that CPUs keep.
 */
#include "test-host/unit.h"

#include "mm/mcache.h"
#include "mm/mcache_pages.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/pagecache.h"

/* ---- A node of its own ---- */

#define START ((size_t)0x1010) /* in the middle of a group */
#define PAGES ((size_t)3000)

static struct pagealloc node;
static struct pagecache cache;
static void *metadata;

static int set_up_node(void **state)
{
	size_t bytes = pagealloc_region_bytes(PAGES);

	(void)state;
	host_reset();
	assert_int_equal(posix_memalign(&metadata, 64, bytes), 0);
	memset(metadata, 0xa5, bytes);
	pagealloc_init(&node, 0);
	assert_true(pagealloc_add(&node, (pfn_t){START}, PAGES, metadata));
	cache = (struct pagecache){.group = {.free = 0}};
	return 0;
}

static int end_node(void **state)
{
	(void)state;
	free(metadata);
	host_reset();
	return 0;
}

static void assert_valid(void)
{
	pfn_t where = SLATE_PFN_NONE;
	const char *wrong = pagealloc_validate(&node, &where);

	if (wrong)
		host_fail(__FILE__, __LINE__, "%s at frame 0x%zx", wrong, where.v);
}

static size_t fill(void)
{
	return pagecache_fill(&cache, &node);
}

static bool is_taken(size_t pfn)
{
	return pagealloc_is_allocated(&node, (pfn_t){pfn});
}

/* What is taken before, which group comes, what it holds. */
static void the_lowest_group_comes(void **state)
{
	static const struct {
		size_t taken; /* frames from START on */
		size_t base;
		uint64_t free;
	} table[] = {
		{0, 0x1000, ~(uint64_t)0 << 16},
		{1, 0x1000, ~(uint64_t)0 << 17},
		{47, 0x1000, (uint64_t)1 << 63},
		{48, 0x1040, ~(uint64_t)0},
		{49, 0x1040, ~(uint64_t)0 << 1},
		{48 + 31, 0x1040, ~(uint64_t)0 << 31},
		{48 + 32, 0x1040, ~(uint64_t)0 << 32},
		{48 + 33, 0x1040, ~(uint64_t)0 << 33},
		/* another chunk */
		{0x1200 - START, 0x1200, ~(uint64_t)0},
		/* the region's end lies in the group */
		{PAGES - 1, 0x1bc0, (uint64_t)1 << ((START + PAGES - 1) & 63)},
		{PAGES - 5, 0x1bc0, (uint64_t)31 << ((START + PAGES - 5) & 63)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t before = PAGES - table[i].taken;
		size_t count = bits_popcount64(table[i].free);

		if (table[i].taken)
			assert_true(pagealloc_alloc_at(&node, (pfn_t){START}, table[i].taken));
		assert_int_equal(fill(), count);
		assert_int_equal(cache.group.base.v, table[i].base);
		assert_true(cache.group.free == table[i].free);
		assert_true(cache.group.released == 0);
		assert_int_equal(node.free_pages, before - count);
		for (unsigned bit = 0; bit < 64; bit++)
			if (table[i].free >> bit & 1)
				assert_true(is_taken(table[i].base + bit));
		assert_valid();
		assert_int_equal(pagecache_flush(&cache, &node), count);
		assert_true(pagecache_is_empty(&cache));
		assert_int_equal(node.free_pages, before);
		assert_valid();
		if (table[i].taken)
			assert_int_equal(pagealloc_free(&node, (pfn_t){START}, table[i].taken),
					 table[i].taken);
		assert_int_equal(pagealloc_alloc(&node, 1, NULL).v, START);
		assert_int_equal(pagealloc_free(&node, (pfn_t){START}, 1), 1);
	}
}

static void a_scattered_group(void **state)
{
	static const unsigned free_bits[] = {3, 4, 5, 17, 31, 32, 33, 63};
	uint64_t mask = 0;

	(void)state;
	assert_true(pagealloc_alloc_at(&node, (pfn_t){START}, PAGES));
	for (size_t i = 0; i < 8; i++) {
		mask |= (uint64_t)1 << free_bits[i];
		assert_int_equal(pagealloc_free(&node, (pfn_t){0x1080 + free_bits[i]}, 1), 1);
	}
	assert_int_equal(fill(), 8);
	assert_true(cache.group.free == mask);
	assert_int_equal(node.free_pages, 0);
	assert_valid();
	assert_int_equal(pagecache_alloc_n(&cache, 3).v, 0x1080 + 3);
	assert_int_equal(pagecache_alloc_n(&cache, 3).v, 0x1080 + 31);
	assert_true(pfn_is_none(pagecache_alloc_n(&cache, 2)));
	assert_int_equal(pagecache_alloc(&cache).v, 0x1080 + 17);
	assert_int_equal(pagecache_alloc_n(&cache, 1).v, 0x1080 + 63);
	assert_true(pagecache_is_empty(&cache));
	assert_true(pfn_is_none(pagecache_alloc(&cache)));
	assert_true(pfn_is_none(pagecache_alloc_n(&cache, 1)));
	assert_int_equal(pagecache_flush(&cache, &node), 0);
	/* nothing is left to fill it */
	assert_int_equal(fill(), 0);
	assert_true(pagecache_is_empty(&cache));
	assert_valid();
}

static void runs_of_every_length(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 64; n++) {
		for (unsigned bit = 0; bit + n <= 64; bit++) {
			/* a run that is just too short before it, where there is room */
			uint64_t mask = ~(uint64_t)0 >> (64 - n) << bit;

			if (n > 1 && bit >= n)
				mask |= ~(uint64_t)0 >> (64 - (n - 1)) << (bit - n);
			cache.group = (struct page_group){{0x4000}, mask, mask};
			assert_int_equal(pagecache_alloc_n(&cache, n).v, 0x4000 + bit);
			assert_true((cache.group.free >> bit & 1) == 0);
			assert_int_equal(pagecache_count(&cache), bits_popcount64(mask) - n);
			/* what was handed out is an ordinary frame */
			assert_true(cache.group.released == cache.group.free);
		}
	}
	cache.group.free = 0;
}

static void taking_by_the_batch(void **state)
{
	pfn_t out[64];

	(void)state;
	assert_int_equal(fill(), 48);
	assert_int_equal(pagecache_take(&cache, out, 0), 0);
	assert_int_equal(pagecache_take(&cache, out, 32), 32);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(out[i].v, START + i);
	assert_int_equal(pagecache_take(&cache, out, 32), 16);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(out[i].v, START + 32 + i);
	assert_int_equal(pagecache_take(&cache, out, 32), 0);
}

static void the_reserve_is_left(void **state)
{
	(void)state;
	pagealloc_keep(&node, PAGES - 10);
	assert_int_equal(fill(), 10);
	assert_true(cache.group.free == (uint64_t)1023 << 16);
	assert_valid();
	assert_int_equal(pagealloc_alloc(&node, 1, &(struct page_fit){.reserve = true}).v,
			 START + 10);
	pagecache_flush(&cache, &node);
	pagealloc_keep(&node, PAGES);
	assert_int_equal(fill(), 0);
	assert_valid();
}

/* Released frames that nobody was given are released ones when they come back. */
static void released_frames(void **state)
{
	size_t released;

	(void)state;
	assert_true(pagealloc_alloc_at(&node, (pfn_t){0x1040}, 40));
	assert_true(pagealloc_give_released(&node, (pfn_t){0x1040}, 40));
	assert_true(pagealloc_alloc_at(&node, (pfn_t){START}, 48));
	assert_int_equal(fill(), 64);
	assert_true(cache.group.released == ~(uint64_t)0 >> 24);
	assert_int_equal(pagealloc_released(&node), 0);
	assert_int_equal(pagecache_alloc_n(&cache, 8).v, 0x1040);
	assert_int_equal(pagecache_alloc(&cache).v, 0x1048);
	assert_int_equal(pagecache_flush(&cache, &node), 55);
	released = pagealloc_released(&node);
	assert_int_equal(released, 31);
	assert_false(is_taken(0x1049));
	assert_true(is_taken(0x1048));
	assert_valid();
}

/* Somebody freed frames that the cache holds: they count once, and nothing else is touched. */
static void frames_that_are_free_already(void **state)
{
	(void)state;
	assert_int_equal(fill(), 48);
	assert_int_equal(pagealloc_free(&node, (pfn_t){START + 3}, 2), 2);
	assert_int_equal(pagecache_flush(&cache, &node), 46);
	assert_int_equal(node.free_pages, PAGES);
	assert_valid();
	/* a group of elsewhere */
	cache.group = (struct page_group){{0x80000}, 7, 0};
	assert_int_equal(pagecache_flush(&cache, &node), 0);
	assert_valid();
}

static void no_group_of_an_isolated_region(void **state)
{
	(void)state;
	assert_int_equal(fill(), 48);
	assert_true(pagealloc_isolate(&node, (pfn_t){START}));
	struct pagecache other = {.group = {.free = 0}};

	assert_int_equal(pagecache_fill(&other, &node), 0);
	assert_false(pagealloc_remove(&node));
	assert_int_equal(pagecache_flush(&cache, &node), 48);
	assert_true(pagealloc_remove(&node));
	assert_int_equal(node.free_pages, 0);
}

/* Against a flag a frame. */
static void random_against_flags(void **state)
{
	static unsigned char held[PAGES + 64]; /* 1: by us, 2: in the cache */
	struct host_random random = host_random_seed("pagecache", 23);
	size_t n;

	(void)state;
	memset(held, 0, sizeof(held));
	for (size_t op = 0; op < 20000; op++) {
		pfn_t pfn = SLATE_PFN_NONE;

		switch (host_random_below(&random, 8)) {
		case 0:
			if (!pagecache_is_empty(&cache)) {
				pagecache_flush(&cache, &node);
				for (size_t i = 0; i < PAGES; i++)
					held[i] = held[i] == 2 ? 0 : held[i];
			}
			fill();
			for (unsigned bit = 0; bit < 64; bit++)
				if (cache.group.free >> bit & 1) {
					assert_int_equal(held[cache.group.base.v + bit - START], 0);
					held[cache.group.base.v + bit - START] = 2;
				}
			break;
		case 1:
		case 2:
			n = 1 + host_random_below(&random, 9);
			pfn = pagecache_alloc_n(&cache, (unsigned)n);
			for (size_t i = 0; !pfn_is_none(pfn) && i < n; i++) {
				assert_int_equal(held[pfn.v + i - START], 2);
				held[pfn.v + i - START] = 1;
			}
			break;
		case 3:
			pfn = pagealloc_alloc(&node, 1, NULL);
			if (!pfn_is_none(pfn)) {
				assert_int_equal(held[pfn.v - START], 0);
				held[pfn.v - START] = 1;
			}
			break;
		default:
			n = host_random_below(&random, PAGES);
			if (held[n] == 1) {
				assert_int_equal(pagealloc_free(&node, (pfn_t){START + n}, 1), 1);
				held[n] = 0;
			}
			break;
		}
		if (op % 256 == 0)
			assert_valid();
	}
	n = 0;
	for (size_t i = 0; i < PAGES; i++)
		n += held[i] == 0;
	assert_int_equal(node.free_pages, n);
}

/* ---- The groups of CPUs ---- */

static pfn_t handler_frames[64];
static unsigned handled;
static unsigned skipped; /* interrupts that the handler lets pass */

static int set_up_cpus(void **state)
{
	(void)state;
	host_boot(MIB, 64 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	slate_flush();
	return 0;
}

static size_t pages_of(unsigned cpu)
{
	return mcache_pages_count(mcaches[cpu]);
}

static struct slate_stats stats(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now;
}

/* Two refills, one group; each CPU has its own. */
static void refills_come_from_one_group(void **state)
{
	size_t group[2];

	(void)state;
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		host_cpu_set(cpu);
		slate_frame_alloc();
		/* what the magazine did not take of the first group, or of the next */
		assert_true(pages_of(cpu) > 0);
		while (pages_of(cpu) != 32)
			slate_frame_alloc();
		group[cpu] = mcaches[cpu]->pages.base;
		for (size_t i = 0; i < 32; i++)
			slate_frame_alloc();
		assert_int_equal(mcaches[cpu]->pages.base, group[cpu]);
	}
	assert_int_not_equal(group[0], group[1]);
	assert_int_equal(slate_validate(), 0);
}

static void they_count_as_cached(void **state)
{
	struct slate_stats before = stats();
	pfn_t frame = slate_frame_alloc();
	struct slate_cpu_stats cpu;

	(void)state;
	assert_true(pages_of(0) > 0);
	assert_int_equal(stats().manual_pages, before.manual_pages + 1);
	assert_int_equal(stats().cached_pages, before.free_pages - stats().free_pages - 1);
	assert_true(slate_cpu_stats(0, &cpu));
	assert_true(cpu.cached_bytes >= pages_of(0) << SLATE_PAGE_SHIFT);
	/* the last frame of a group goes last */
	assert_true(mcache_pages_hold(mcaches[0], (pfn_t){mcaches[0]->pages.base + 63}));
	assert_false(mcache_pages_hold(mcaches[0], (pfn_t){mcaches[0]->pages.base + 64}));
	assert_false(mcache_pages_hold(mcaches[0], frame));
	slate_frame_free(frame);
	slate_flush();
	assert_int_equal(pages_of(0), 0);
	assert_int_equal(stats().free_pages, before.free_pages);
	assert_int_equal(stats().cached_pages, 0);
}

static void offline_and_poll_return_them(void **state)
{
	size_t before = stats().free_pages;

	(void)state;
	host_cpu_set(1);
	slate_frame_free(slate_frame_alloc());
	assert_true(pages_of(1) > 0);
	for (unsigned i = 0; i < 3 * MCACHE_ENTRIES; i++)
		slate_poll();
	assert_int_equal(pages_of(1), 0);
	slate_frame_free(slate_frame_alloc());
	while (pages_of(1) == 0)
		slate_frame_alloc();
	size_t out = before - stats().free_pages - stats().cached_pages;

	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	assert_int_equal(pages_of(1), 0);
	host_cpu_set(0);
	assert_int_equal(stats().free_pages, before - out);
	assert_int_equal(slate_validate(), 0);
}

/* What another CPU keeps is fetched before NULL. */
static void all_memory_can_be_had(void **state)
{
	size_t free_pages = stats().free_pages;
	size_t count = 1;

	(void)state;
	host_cpu_set(1);
	slate_frame_alloc();
	assert_true(pages_of(1) > 0);
	host_cpu_set(0);
	while (!pfn_is_none(slate_frame_alloc()))
		count++;
	assert_int_equal(pages_of(1), 0);
	assert_in_range(count, free_pages - 8, free_pages);
	assert_int_equal(slate_validate(), 0);
}

static void short_runs_come_from_it(void **state)
{
	pfn_t runs[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		runs[i] = (slate_page_alloc)(1, NULL);
		slate_page_free(runs[i], 1);
		slate_flush();
		size_t first = 0;

		runs[i] = mcache_pages_take_run(2u << i);
		assert_false(pfn_is_none(runs[i]));
		first = mcaches[0]->pages.base;
		assert_true(runs[i].v - first < 64);
		/* the next ones lie behind it, in the same group */
		pfn_t next = mcache_pages_take_run(2u << i);

		assert_int_equal(next.v, runs[i].v + (2u << i));
		slate_page_free(next, 2u << i);
		slate_page_free(runs[i], 2u << i);
	}
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

/* Where memory is short nobody keeps a group. */
static void none_where_memory_is_short(void **state)
{
	(void)state;
	host_boot(MIB, 4 * MIB);
	slate_flush();
	slate_frame_free(slate_frame_alloc());
	assert_int_equal(pages_of(0), 0);
	assert_int_equal(slate_validate(), 0);
}

/* A handler fills a page cache while a refill has this CPU's detached: neither is lost. */
static void handler(void)
{
	if (skipped > 0)
		skipped--;
	else if (handled < 64)
		handler_frames[handled++] = slate_frame_alloc();
}

static void interrupted(unsigned skip)
{
	size_t before = stats().free_pages + stats().metadata_pages;
	pfn_t frame;

	handled = 0;
	skipped = skip;
	host_irq_hook(handler);
	frame = slate_frame_alloc();
	host_irq_hook(NULL);
	assert_false(pfn_is_none(frame));
	for (unsigned i = 0; i < handled; i++) {
		assert_false(pfn_is_none(handler_frames[i]));
		assert_int_not_equal(frame.v, handler_frames[i].v);
		slate_frame_free(handler_frames[i]);
	}
	slate_frame_free(frame);
	slate_flush();
	assert_int_equal(stats().free_pages + stats().metadata_pages, before);
	assert_int_equal(slate_validate(), 0);
}

static void a_handler_in_between(void **state)
{
	(void)state;
	for (unsigned skip = 0; skip < 12; skip++)
		interrupted(skip);
}

/* It reports what it had and finds free, and goes on. */
static void a_frame_freed_by_somebody_else(void **state)
{
	pfn_t held;

	(void)state;
	slate_frame_alloc();
	held = (pfn_t){mcaches[0]->pages.base + 63};
	assert_true(mcache_pages_hold(mcaches[0], held));
	assert_int_equal(mheap_free_pages(held, 1), 1);
	expect_report(SLATE_CRIME_PAGE_FREE);
	slate_flush();
	assert_string_equal(reported()->detail,
			    "frames of a CPU's page cache were freed by somebody else");
	assert_int_equal(slate_validate(), 0);
}

#define NODE(test) cmocka_unit_test_setup_teardown(test, set_up_node, end_node)
#define CPUS(test) cmocka_unit_test_setup_teardown(test, set_up_cpus, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NODE(the_lowest_group_comes),
		NODE(a_scattered_group),
		NODE(runs_of_every_length),
		NODE(taking_by_the_batch),
		NODE(the_reserve_is_left),
		NODE(released_frames),
		NODE(frames_that_are_free_already),
		NODE(no_group_of_an_isolated_region),
		NODE(random_against_flags),
		CPUS(refills_come_from_one_group),
		CPUS(they_count_as_cached),
		CPUS(offline_and_poll_return_them),
		CPUS(all_memory_can_be_had),
		CPUS(short_runs_come_from_it),
		CPUS(none_where_memory_is_short),
		CPUS(a_handler_in_between),
		CPUS(a_frame_freed_by_somebody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
