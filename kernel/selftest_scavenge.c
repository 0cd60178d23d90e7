/* SPDX-License-Identifier: MIT */
/*
 * selftest_scavenge.c - free frames to the hypervisor's balloon and back. What qemu-run.sh
 * --balloon sees from outside, it reads while the test waits behind its "rss" lines.
 */
#include <stdatomic.h>

#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/balloon.h"
#include "kernel/hoard.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/tap.h"

/* What stays free while nearly all is taken; and most that is taken: 1 GiB. */
#define REST_PAGES  4096
#define TOUCH_PAGES ((size_t)1 << 18)

/* Long enough for a look from outside. */
#define LOOK_MS 1500

/* Each with frames of its own. */
#define OBJECTS      300
#define OBJECT_BYTES 40000

/* More than the reserve. */
#define BACK_PAGES ((size_t)2048)

static struct hoard hoard;
static unsigned char *objects[OBJECTS];
static _Atomic size_t wrong;

void selftest_scavenge_clean_up(void)
{
	hoard_release(&hoard);
	for (size_t i = 0; i < OBJECTS; i++) {
		slate_free(objects[i]);
		objects[i] = NULL;
	}
	if (balloon_present())
		balloon_pace();
}

static bool skip(void)
{
	if (balloon_present())
		return false;
	tap_skip("no balloon");
	return true;
}

static struct slate_stats figures(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats;
}

/* Write to every frame of the hoard, so that the hypervisor has to hold it. */
static void touch(void)
{
	for (struct hoard_run *run = hoard.runs; run; run = run->next) {
		for (size_t i = 0; i < run->pages; i++)
			((volatile uint64_t *)run)[(i + 1) * SLATE_PAGE_SIZE / 8 - 1] = i;
	}
}

static void take_most(void)
{
	struct slate_stats stats = figures();
	size_t free_pages = stats.free_pages + stats.released_pages;

	hoard_take(&hoard,
		   free_pages > TOUCH_PAGES + REST_PAGES ? free_pages - TOUCH_PAGES : REST_PAGES);
	touch();
}

static void test_resident(void)
{
	size_t pages;

	if (skip())
		return;
	take_most();
	pages = hoard.pages;
	tap_note("rss peak");
	smp_delay_ms(LOOK_MS);
	hoard_release(&hoard);
	CHECK(figures().free_pages >= pages);
	CHECK(slate_scavenge(SIZE_MAX) >= pages);
	tap_note("rss after %zu MiB were freed", pages >> (20 - SLATE_PAGE_SHIFT));
	smp_delay_ms(LOOK_MS);
	CHECK(slate_validate() == 0);
}

static void test_account(void)
{
	struct slate_stats before, after;
	size_t released;

	if (skip())
		return;
	take_most();
	hoard_release(&hoard);
	before = figures();
	released = slate_scavenge(SIZE_MAX);
	slate_stats(&after);
	CHECK(released > 0);
	CHECK(after.released_pages == before.released_pages + released);
	CHECK(after.free_pages == before.free_pages - released);
	CHECK(after.free_pages == 0);
	CHECK(after.total_pages == after.cached_pages + after.object_pages + after.manual_pages +
					   after.stack_pages + after.metadata_pages +
					   after.reserved_pages + after.released_pages);
	/* nothing is left to give */
	CHECK(slate_scavenge(SIZE_MAX) == 0);
}

static void test_live_objects(void)
{
	if (skip())
		return;
	for (size_t i = 0; i < OBJECTS; i++) {
		objects[i] = slate_alloc(OBJECT_BYTES);
		CHECK(objects[i]);
		pattern_fill(objects[i], OBJECT_BYTES, (uint32_t)i);
	}
	for (size_t i = 0; i < OBJECTS; i += 3) {
		slate_free(objects[i]);
		objects[i] = NULL;
	}
	slate_flush();
	CHECK(slate_scavenge(SIZE_MAX) > 0);
	for (size_t i = 0; i < OBJECTS; i++) {
		CHECK(!objects[i] ||
		      pattern_check(objects[i], OBJECT_BYTES, (uint32_t)i) == OBJECT_BYTES);
		slate_free(objects[i]);
		objects[i] = NULL;
	}
}

static void test_back(void)
{
	struct slate_page_constraints fit = {
		.max = mapped_end(),
		.node = SLATE_ANY_NODE,
		.flags = SLATE_ZERO,
	};
	struct slate_stats before, after;
	pfn_t run;

	if (skip())
		return;
	slate_scavenge(SIZE_MAX);
	before = figures();
	run = slate_page_alloc(BACK_PAGES, &fit);
	CHECK(!pfn_is_none(run));
	CHECK(figures().released_pages == before.released_pages - BACK_PAGES);
	CHECK(bytes_are(slate_virt(pfn_to_paddr(run)), 0, BACK_PAGES * SLATE_PAGE_SIZE));
	slate_page_free(run, BACK_PAGES);
	after = figures();
	CHECK(after.free_pages + after.released_pages == before.free_pages + before.released_pages);
	/* the reserve stays */
	CHECK(slate_scavenge(SIZE_MAX) >= BACK_PAGES - before.reserved_pages);
}

/* Down to the goal, and no further than the last run. */
static void test_background(void)
{
	struct slate_stats stats;
	size_t goal;

	if (skip())
		return;
	take_most();
	goal = hoard.pages / 2;
	hoard_release(&hoard);
	slate_scavenge_pace(goal, 1024);
	slate_poll();
	stats = figures();
	CHECK(stats.free_pages > goal);
	for (size_t i = 0; i < 2000 && stats.free_pages > goal; i++) {
		slate_poll();
		slate_stats(&stats);
	}
	CHECK(stats.free_pages <= goal);
	CHECK(stats.free_pages + 1024 > goal);
	balloon_pace();
}

/* CPU 0 gives back what the others are freeing. */
static void churn(void *arg)
{
	uint32_t random = 1 + arch_cpu();

	(void)arg;
	for (size_t i = 0; i < 300; i++) {
		size_t bytes = 4096 + random_next(&random) % 200000;
		unsigned char *object;

		if (arch_cpu() == 0) {
			slate_scavenge(4096);
			continue;
		}
		object = slate_alloc(bytes);
		if (!object)
			continue;
		pattern_fill(object, 64, random);
		pattern_fill(object + bytes - 64, 64, random);
		slate_poll();
		if (pattern_check(object, 64, random) != 64 ||
		    pattern_check(object + bytes - 64, 64, random) != 64)
			atomic_fetch_add(&wrong, 1);
		slate_free(object);
	}
}

static void test_others_allocate(void)
{
	if (skip())
		return;
	atomic_store(&wrong, 0);
	smp_run_all(churn, NULL);
	CHECK(atomic_load(&wrong) == 0);
	CHECK(slate_validate() == 0);
}

/* Without a balloon the hook refuses, and nothing changes. */
static void test_refused(void)
{
	struct slate_stats before = figures();
	struct slate_stats after;

	if (balloon_present()) {
		tap_skip("there is a balloon");
		return;
	}
	CHECK(slate_scavenge(SIZE_MAX) == 0);
	slate_stats(&after);
	CHECK(after.free_pages == before.free_pages);
	CHECK(after.released_pages == 0);
	CHECK(after.discard_refused == before.discard_refused + 1);
}

const struct pure_test selftest_scavenge[] = {
	{"scavenge: free memory leaves the machine", test_resident},
	{"scavenge: the account tells what left", test_account},
	{"scavenge: live objects keep their contents", test_live_objects},
	{"scavenge: what left comes back by being allocated", test_back},
	{"scavenge: in the background, down to the goal", test_background},
	{"scavenge: while other CPUs allocate", test_others_allocate},
	{"scavenge: a refusal changes nothing", test_refused},
	{0},
};
