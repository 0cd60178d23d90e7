/* SPDX-License-Identifier: MIT */
/*
 * irqoff_load.c - memory in the states in which the page allocator has most to do: a search looks
 * at all of it in vain, a summary changes at every level, nothing is left.
 *
 * Frames that are taken are chained through themselves, so there may be any number of them.
 */
#include "kernel/irqoff_load.h"

#include <slate/heapmap.h>
#include <slate/slate.h>
#include <slate/stats.h>
#include <slate/whois.h>

#include "kernel/hoard.h"
#include "kernel/hotplug.h"
#include "kernel/selftest.h"

#define SCATTER_MAX ((size_t)1 << 18) /* frames: a large machine need not be filled */
#define RUNS_MAX    48                /* of one kind */

static pfn_t runs[RUNS_MAX];

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
	struct slate_cpu_stats cpu;
	struct slate_whois who;

	slate_frames_walk(512, see_block, NULL);
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
	figures();
	slate_scavenge_pace(0, 64);
	for (size_t i = 0; i < 600; i++)
		slate_poll();
	slate_scavenge_pace(SIZE_MAX, 0);
	slate_scavenge(SIZE_MAX);
	scattered(3, 4);
}
