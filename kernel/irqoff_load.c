/* SPDX-License-Identifier: MIT */
/*
 * irqoff_load.c - memory in the states in which the page allocator has most to do: a search looks
 * at all of it in vain, a summary changes at every level, nothing is left.
 *
 * Frames that are taken are chained through themselves, so there may be any number of them.
 */
#include "kernel/irqoff_load.h"

#include <slate/heapmap.h>
#include <slate/port.h>
#include <slate/slate.h>
#include <slate/stats.h>
#include <slate/whois.h>

#include "arch/arch.h"
#include "kernel/hoard.h"
#include "kernel/hotplug.h"
#include "kernel/selftest.h"
#include "mm/handover.h"

#define SCATTER_MAX ((size_t)1 << 18) /* frames: a large machine need not be filled */
#define RUNS_MAX    48                /* of one kind */
#define WALK_MAX    ((size_t)1 << 22) /* frames: in larger machines no walk goes frame by frame */
#define OBJECTS_MAX 3000

static pfn_t runs[RUNS_MAX];
static void *objects[OBJECTS_MAX];

/* ---- Scattered frames ---- */

struct link {
	struct link *next;
};

static struct link *take_singles(size_t max)
{
	const struct slate_page_constraints mapped = {.max = mapped_end(), .node = SLATE_ANY_NODE};
	struct link *first = NULL;

	for (size_t i = 0; i < max; i++) {
		/* by magazine, but where that gives frames that cannot be written */
		pfn_t pfn = slate_page_alloc(1, NULL);
		struct link *link;

		if (!pfn_is_none(pfn) && pfn_to_paddr(pfn).v >= mapped_end()) {
			slate_page_free(pfn, 1);
			pfn = slate_page_alloc(1, &mapped);
		}
		if (pfn_is_none(pfn))
			break;
		link = slate_virt(pfn_to_paddr(pfn));
		link->next = first;
		first = link;
	}
	return first;
}

/* Give back as many of so many as come, by a random choice. Returns what is left. */
static struct link *give_some(struct link *list, unsigned some, unsigned of)
{
	struct link *kept = NULL;
	uint32_t seed = 99;

	while (list) {
		struct link *next = list->next;

		if (random_next(&seed) % of < some) {
			slate_page_free(paddr_to_pfn(slate_phys(list)), 1);
		} else {
			list->next = kept;
			kept = list;
		}
		list = next;
	}
	return kept;
}

/* ---- Constraints of every kind ---- */

static void ask(size_t pages, const struct slate_page_constraints *fit)
{
	size_t count = 0;

	while (count < RUNS_MAX && !pfn_is_none(runs[count] = slate_page_alloc(pages, fit)))
		count++;
	/* first come, first to go: no run is the last one that went out */
	for (size_t i = 0; i < count; i++)
		slate_page_free(runs[i], pages);
}

static void ask_all_kinds(void)
{
	static const size_t lengths[] = {1, 2, 3, 8, 31, 64, 100, 300, 512, 700, 2048, 5000};
	const uint64_t top = mapped_end();

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		size_t n = lengths[i];
		struct slate_page_constraints fits[] = {
			{.align_bytes = 2 * SLATE_PAGE_SIZE},
			{.align_bytes = 64 * SLATE_PAGE_SIZE},
			{.align_bytes = 1024 * SLATE_PAGE_SIZE},
			{.boundary_bytes = 8192 * SLATE_PAGE_SIZE, .align_bytes = SLATE_PAGE_SIZE},
			{.min = top / 2},
			{.max = top / 2},
			{.min = top / 4 + 5 * SLATE_PAGE_SIZE, .max = top / 4 * 3},
			{.min = top - 8192 * SLATE_PAGE_SIZE, .align_bytes = 4 * SLATE_PAGE_SIZE},
			{.flags = SLATE_RESERVE, .align_bytes = 8 * SLATE_PAGE_SIZE},
			{.flags = SLATE_NOWAIT},
		};

		ask(n, NULL);
		for (size_t k = 0; k < sizeof(fits) / sizeof(*fits); k++) {
			fits[k].node = SLATE_ANY_NODE;
			ask(n, &fits[k]);
		}
	}
}

/* Frames by number: one that is free, one that is not, and a long run. */
static void ask_by_number(void)
{
	pfn_t pfn = slate_page_alloc(600, NULL);

	if (pfn_is_none(pfn))
		return;
	(void)slate_page_alloc_at(pfn_to_paddr(pfn), 1);
	slate_page_free(pfn, 600);
	if (slate_page_alloc_at(pfn_to_paddr(pfn), 600) == SLATE_OK)
		slate_page_free(pfn, 600);
	if (slate_page_alloc_at(pfn_to_paddr(pfn), 200) == SLATE_OK)
		slate_page_free(pfn, 200);
}

static void scattered(unsigned some, unsigned of)
{
	struct link *kept = give_some(take_singles(SCATTER_MAX), some, of);

	slate_flush();
	ask_all_kinds();
	ask_by_number();
	slate_scavenge(256);
	slate_poll();
	kept = give_some(kept, 1, 2);
	slate_flush();
	ask_all_kinds();
	give_some(kept, 1, 1);
	slate_flush();
}

/* ---- No memory ---- */

static void out_of_memory(void)
{
	struct hoard hoard = {NULL, 0};

	hoard_take(&hoard, 0);
	ask_all_kinds();
	for (size_t size = 8; size <= 1 << 20; size *= 4)
		slate_free(slate_alloc(size));
	for (unsigned order = 0; order < SLATE_STACK_ORDERS; order++)
		slate_stack_free(slate_stack_alloc(order));
	slate_poll();
	hoard_release(&hoard);
	slate_flush();
}

/* ---- Memory that comes and goes ---- */

static void plug(void)
{
	struct slate_range range = hotplug_range();
	struct slate_page_constraints inside = {
		.min = range.base,
		.max = range.base + range.size_bytes,
		.node = SLATE_ANY_NODE,
	};
	struct slate_holders none = {.capacity = 0};
	size_t count = 0;

	if (!range.size_bytes || hotplug_is_in() || hotplug_add() != SLATE_OK)
		return;
	while (count < RUNS_MAX && !pfn_is_none(runs[count] = slate_page_alloc(3, &inside)))
		count++;
	/* held here and there, then free */
	for (size_t i = 0; i < count; i += 2)
		slate_page_free(runs[i], 3);
	(void)hotplug_remove(&none);
	for (size_t i = 1; i < count; i += 2)
		slate_page_free(runs[i], 3);
	ask(1, &inside);
	(void)hotplug_remove(&none);
}

/* ---- Objects in every state ---- */

static size_t take_objects(size_t size_bytes, unsigned flags, size_t max)
{
	size_t count = 0;

	while (count < max && (objects[count] = slate_alloc_flags(size_bytes, flags)) != NULL)
		count++;
	return count;
}

static void shuffle_objects(size_t count)
{
	uint32_t seed = 31;

	for (size_t i = count; i > 1; i--) {
		size_t other = random_next(&seed) % i;
		void *object = objects[i - 1];

		objects[i - 1] = objects[other];
		objects[other] = object;
	}
}

static void free_objects(size_t count)
{
	shuffle_objects(count);
	while (count > 0)
		slate_free(objects[--count]);
}

static void poll_often(void)
{
	for (size_t i = 0; i < 200; i++)
		slate_poll();
}

/* Magazines that nobody touches any more: each object in them is the last one of its span, or the
 * first to come back to it. */
static void idle_magazines(void)
{
	static const size_t sizes[] = {8, 64, 600, 1024, 4096, 8192, 16384, 32768, 100000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		free_objects(take_objects(sizes[i], SLATE_NOWAIT, 200));
	for (unsigned order = 0; order < SLATE_STACK_ORDERS; order++)
		slate_stack_free(slate_stack_alloc(order));
	poll_often();
}

static void tiny(void)
{
	for (size_t size = 1; size < 8; size++) {
		free_objects(take_objects(size, SLATE_NOSCAN, OBJECTS_MAX));
		poll_often();
	}
	slate_flush();
}

static void see_object(void *object, void *arg)
{
	(void)object;
	(void)arg;
}

/* Half of them go while interrupts are off, so that a poll runs their finalizers. */
static void records(size_t size_bytes)
{
	size_t count = take_objects(size_bytes, 0, OBJECTS_MAX);
	unsigned long irq;

	shuffle_objects(count);
	for (size_t i = 0; i < count; i++) {
		(void)slate_on_free(objects[i], see_object, NULL);
		(void)slate_tag_set(objects[i], i + 1);
	}
	for (size_t i = 0; i < count; i += 3)
		(void)slate_tag_set(objects[i], 0);
	shuffle_objects(count);
	while (count > 0) {
		irq = arch_irq_save();
		slate_free(objects[--count]);
		arch_irq_restore(irq);
		if (count > 0)
			slate_free(objects[--count]);
	}
	poll_often();
	slate_flush();
}

/* Magazines of every kind, full. */
static void fill_caches(void)
{
	idle_magazines();
	free_objects(take_objects(5, SLATE_NOSCAN, OBJECTS_MAX));
	for (size_t size = 8; size <= 1 << 20; size *= 2)
		free_objects(take_objects(size, SLATE_NOWAIT, 200));
}

/* What another CPU's request to drain does here. */
static void hand_over(void)
{
	struct handover handover;

	fill_caches();
	handover_begin(&handover, mcaches[arch_cpu()]);
	while (!handover.done) {
		unsigned long irq;

		handover_look(&handover);
		irq = port_irq_save();
		handover_part(&handover);
		port_irq_restore(irq);
		handover_finish(&handover);
	}
}

static void offline(void)
{
	fill_caches();
	if (slate_cpu_offline() == SLATE_OK) {
		unsigned long irq = arch_irq_save();

		(void)slate_cpu_online();
		arch_irq_restore(irq);
	}
}

/* ---- Figures ---- */

static void see_block(const struct slate_frame_block *block, void *arg)
{
	(void)block;
	(void)arg;
}

static bool see_run(const struct slate_heap_run *run, void *arg)
{
	(void)run;
	(void)arg;
	return true;
}

static void figures(void)
{
	void *object = slate_alloc(100);
	struct slate_stats stats;
	struct slate_cpu_stats cpu;
	struct slate_whois who;

	slate_stats(&stats);
	slate_frames_walk(stats.total_pages > WALK_MAX ? (size_t)1 << 18 : 512, see_block, NULL);
	if (stats.total_pages <= WALK_MAX)
		slate_frames_walk(1, see_block, NULL);
	slate_heap_walk(see_run, NULL);
	(void)slate_cpu_stats(0, &cpu);
	slate_whois(object, &who);
	(void)slate_tag_set(object, 1);
	slate_free(object);
	slate_flush();
}

void irqoff_load(void)
{
	scattered(1, 2);
	scattered(7, 8);
	out_of_memory();
	plug();
	idle_magazines();
	tiny();
	records(8);
	records(500);
	hand_over();
	offline();
	figures();
	slate_scavenge_pace(0, 64);
	for (size_t i = 0; i < 600; i++)
		slate_poll();
	slate_scavenge_pace(SIZE_MAX, 0);
	slate_scavenge(SIZE_MAX);
	scattered(3, 4);
}
