/* SPDX-License-Identifier: MIT */
/*
 * bench_irqoff.c - how long interrupts are off: the worst stretch in the allocator while a workload
 * drives every path that takes a lock or masks them.
 *
 * Most paths are dear only where memory is scattered or gone, so nearly all of it is set aside
 * first, and the workload runs in what is left. slate_validate() is a diagnostic, walks whole lists
 * under their locks, and is left out.
 */
#include <slate/cache.h>
#include <slate/slate.h>
#include <slate/stats.h>

#include "arch/arch.h"
#include "kernel/bench.h"
#include "kernel/console.h"
#include "kernel/irqoff.h"
#include "kernel/irqoff_load.h"
#include "kernel/selftest.h"

#define GOAL        1600 /* 2000, and a margin for what nobody thought of */
#define ROOM_PAGES  4096 /* what the workload runs in */
#define ASIDE_MAX   128  /* runs that are set aside */
#define ASIDE_ORDER 22   /* the longest, in frames */
#define OBJECTS_MAX 16384

static struct {
	pfn_t pfn;
	size_t pages;
} aside[ASIDE_MAX];
static size_t aside_count;

static void *objects[OBJECTS_MAX];
static pfn_t frames[ROOM_PAGES];

/* ---- Memory that is set aside ---- */

static void set_aside(void)
{
	struct slate_stats stats;

	aside_count = 0;
	slate_flush();
	slate_stats(&stats);
	for (unsigned order = ASIDE_ORDER; order > 0; order--) {
		size_t pages = (size_t)1 << order;

		while (aside_count < ASIDE_MAX && stats.free_pages > ROOM_PAGES + pages) {
			pfn_t pfn = slate_page_alloc(pages, NULL);

			if (pfn_is_none(pfn))
				break;
			aside[aside_count].pfn = pfn;
			aside[aside_count++].pages = pages;
			stats.free_pages -= pages;
		}
	}
}

static void give_aside_back(void)
{
	while (aside_count > 0) {
		aside_count--;
		slate_page_free(aside[aside_count].pfn, aside[aside_count].pages);
	}
}

/* ---- Objects ---- */

static void shuffle_objects(size_t count)
{
	uint32_t seed = 4711;

	for (size_t i = count; i > 1; i--) {
		size_t other = random_next(&seed) % i;
		void *object = objects[i - 1];

		objects[i - 1] = objects[other];
		objects[other] = object;
	}
}

/* Until there are no more, in memory or in the table; back in any order, with polls in between. */
static void exhaust_class(size_t size, unsigned flags)
{
	size_t count = 0;

	while (count < OBJECTS_MAX && (objects[count] = slate_alloc_flags(size, flags)) != NULL)
		count++;
	slate_poll();
	shuffle_objects(count);
	for (size_t i = 0; i < count; i++) {
		slate_free(objects[i]);
		if (i % 512 == 0)
			slate_poll();
	}
	slate_flush();
}

static void bulk(size_t size)
{
	size_t count = slate_alloc_bulk(size, OBJECTS_MAX / 4, objects, 0);

	shuffle_objects(count);
	slate_free_bulk(objects, count);
}

static void typed(size_t size)
{
	struct slate_cache *cache = slate_cache_create(
		&(struct slate_cache_params){.name = "irqoff", .size_bytes = size});
	size_t count = 0;

	if (!cache)
		return;
	slate_cache_prefill(cache, 100);
	while (count < OBJECTS_MAX / 4 && (objects[count] = slate_cache_alloc(cache)) != NULL)
		count++;
	shuffle_objects(count);
	while (count > 0)
		slate_cache_free(cache, objects[--count]);
	slate_cache_destroy(cache);
}

static void all_objects(void)
{
	static const size_t sizes[] = {8,     16,    24,    32,     64,     112,  208,
				       512,   1024,  1792,  2048,   4096,   8192, 10240,
				       16384, 32768, 40000, 100000, 2000000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		exhaust_class(sizes[i], 0);
		exhaust_class(sizes[i], SLATE_ANYCTX);
		bulk(sizes[i]);
	}
	/* the longest that there is without a wait */
	exhaust_class((size_t)512 << 10, SLATE_ANYCTX);
	typed(48);
	typed(3000);
	slate_flush();
}

/* ---- Frames ---- */

static void shuffle_frames(size_t count)
{
	uint32_t seed = 1234;

	for (size_t i = count; i > 1; i--) {
		size_t other = random_next(&seed) % i;
		pfn_t pfn = frames[i - 1];

		frames[i - 1] = frames[other];
		frames[other] = pfn;
	}
}

/* Runs of that length until none is left, and back. */
static void exhaust_runs(size_t pages, const struct slate_page_constraints *fit, size_t from)
{
	size_t count = from;

	while (count < ROOM_PAGES && !pfn_is_none(frames[count] = slate_page_alloc(pages, fit)))
		count++;
	while (count > from)
		slate_page_free(frames[--count], pages);
}

/* Every frame is taken; every second one in no order goes back; runs are asked of what is left. */
static void scattered_frames(void)
{
	const struct slate_page_constraints fit = {
		.align_bytes = 4 * SLATE_PAGE_SIZE,
		.boundary_bytes = 16 * SLATE_PAGE_SIZE,
		.node = SLATE_ANY_NODE,
	};
	struct slate_page_constraints hurry = fit;
	size_t count = 0;
	size_t kept;

	hurry.flags = SLATE_ANYCTX;

	while (count < ROOM_PAGES && !pfn_is_none(frames[count] = slate_page_alloc(1, NULL)))
		count++;
	shuffle_frames(count);
	kept = count / 2;
	while (count > kept)
		slate_page_free(frames[--count], 1);
	for (size_t pages = 1; pages <= 64; pages *= 2) {
		exhaust_runs(pages, NULL, kept);
		exhaust_runs(pages, &fit, kept);
		exhaust_runs(pages, &hurry, kept);
		slate_poll();
	}
	slate_scavenge(64);
	while (kept > 0)
		slate_page_free(frames[--kept], 1);
	slate_flush();
}

static void all_frames(void)
{
	const struct slate_page_constraints huge = {
		.align_bytes = 512 * SLATE_PAGE_SIZE,
		.node = SLATE_ANY_NODE,
	};
	const struct slate_page_constraints hurry = {.node = SLATE_ANY_NODE, .flags = SLATE_ANYCTX};

	for (size_t pages = 1; pages <= ROOM_PAGES; pages *= 2) {
		exhaust_runs(pages, NULL, 0);
		exhaust_runs(pages, &hurry, 0);
	}
	exhaust_runs(512, &huge, 0);
	scattered_frames();
	slate_scavenge(SIZE_MAX);
	scattered_frames();
}

static void all_stacks(void)
{
	for (unsigned order = 0; order < SLATE_STACK_ORDERS; order++) {
		size_t count = 0;

		while (count < 200 && (objects[count] = slate_stack_alloc(order)) != NULL)
			count++;
		shuffle_objects(count);
		while (count > 0)
			slate_stack_free(objects[--count]);
	}
	slate_flush();
}

static void all_figures(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	for (unsigned i = 0; i < slate_class_count(); i++)
		slate_class_stats(i, &(struct slate_class_stats){0});
	slate_node_stats(0, &(struct slate_node_stats){0});
}

static void workload(void)
{
	/* 600 polls: each class has its turn. */
	all_objects();
	all_frames();
	all_stacks();
	all_figures();
	for (size_t i = 0; i < 600; i++)
		slate_poll();
}

static bool run_irqoff(const struct bench *row)
{
	const struct irqoff_worst *worst;

	if (!arch_irq_enabled())
		return false;
	irqoff_start();
	/* once in all memory, once where there is little */
	irqoff_load();
	all_frames();
	set_aside();
	workload();
	give_aside_back();
	slate_flush();
	worst = irqoff_stop();
	for (unsigned i = 0; i < IRQOFF_PLACES && worst[i].ticks > GOAL; i++)
		kprintf("# interrupts were off for %llu: what returns to 0x%lx ended it\n",
			(unsigned long long)worst[i].ticks, (unsigned long)worst[i].return_pc);
	kprintf("bench %s %zu %s %llu\n", row->name, row->size, bench_unit(),
		(unsigned long long)worst->ticks);
	return true;
}

const struct bench bench_both[] = {
	{"irqoff_max", BENCH_OBJECT | BENCH_PAGE, 0, run_irqoff},
	{0},
};
