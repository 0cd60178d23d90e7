/* SPDX-License-Identifier: MIT */
/*
 * selftest_memory.c - the end of memory: every frame and every object taken, what must not be
 * touched by it, and every single request failing once.
 */
#include <stdatomic.h>

#include <slate/profile.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "boot/bootinfo.h"
#include "kernel/hoard.h"
#include "kernel/main.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/tap.h"
#include "mm/mmdebug.h"

/* What tests that go object by object leave free for themselves: 16 MiB. */
#define SMALL_REST ((size_t)4096)

/* Frames to overwrite at most: a host may not have what the machine believes to have. 1 GiB. */
#define FILL_MAX ((size_t)1 << (30 - SLATE_PAGE_SHIFT))

/* Above it (16 GiB) a walk over everything takes too long to be made for each request. */
#define VALIDATE_MAX ((size_t)1 << (34 - SLATE_PAGE_SHIFT))

/* What a test holds; static, so that it can be given back when the test fails in the middle. */
static struct hoard hoard;
static struct hoard rest;
static void *chain;

static size_t metadata_frames(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	return stats.metadata_pages;
}

/* Free frames and Slate's own: what it needs first time on a CPU comes out of the free ones, and
 * stays. */
static size_t frames_at_rest(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats.free_pages + stats.released_pages + stats.metadata_pages;
}

static void test_all_frames(void)
{
	size_t before = frames_at_rest();
	struct slate_stats stats;

	hoard_take(&hoard, 0);
	slate_stats(&stats);
	CHECK(stats.free_pages == 0);
	CHECK(stats.cached_pages == 0);
	CHECK(hoard.pages + metadata_frames() == before);
	CHECK(pfn_is_none(slate_page_alloc(1, NULL)));
	CHECK(!slate_alloc(100000));
	hoard_release(&hoard);
	CHECK(frames_at_rest() == before);
}

static void test_single_frames(void)
{
	size_t before = frames_at_rest();

	hoard_take(&hoard, 4 * SMALL_REST);
	hoard_take_singles(&rest);
	CHECK(hoard.pages + rest.pages + metadata_frames() == before);
	CHECK(pfn_is_none(slate_page_alloc(1, NULL)));
	hoard_release(&rest);
	hoard_release(&hoard);
	CHECK(frames_at_rest() == before);
}

/* Objects chained through their first word, to the last one. Returns how many. */
static size_t take_objects(size_t size_bytes)
{
	size_t count = 0;

	for (;;) {
		void **object = slate_alloc(size_bytes);

		if (!object)
			return count;
		*object = chain;
		chain = object;
		count++;
	}
}

static void free_objects(void)
{
	while (chain) {
		void **object = chain;

		chain = *object;
		slate_free(object);
	}
}

void selftest_memory_clean_up(void)
{
	free_objects();
	hoard_release(&rest);
	hoard_release(&hoard);
}

/* For each object, and a red zone in debug builds; else where samples are taken every few bytes. */
static bool has_records(void)
{
	struct slate_profile_info profile;

	slate_profile_info(&profile);
	return SLATE_DEBUG || (profile.rate_bytes > 0 && profile.rate_bytes < 1024);
}

static void objects_to_the_last(size_t size_bytes)
{
	size_t before;
	size_t count;
	size_t room;

	hoard_take(&hoard, SMALL_REST);
	before = frames_at_rest() - metadata_frames();
	count = take_objects(size_bytes);
	/* Small spans fill 7/8 of what was free; longer runs find it in pieces. */
	room = before * SLATE_PAGE_SIZE / slate_good_size(size_bytes);
	if (has_records())
		CHECK(count >= room / 16);
	else
		CHECK(count >= (size_bytes <= SLATE_PAGE_SIZE ? room - room / 8 : room / 2));
	CHECK(!slate_alloc(size_bytes));
	free_objects();
	hoard_release(&hoard);
}

static void test_objects_small(void)
{
	objects_to_the_last(16);
}

static void test_objects_middle(void)
{
	objects_to_the_last(1024);
}

static void test_objects_big(void)
{
	objects_to_the_last(32768);
}

static void test_objects_large(void)
{
	objects_to_the_last(65536);
}

/* Objects and frames of one CPU's cache only it can reach. */
static void leave_in_cache(void *arg)
{
	pfn_t frames[8];

	(void)arg;
	for (size_t i = 0; i < 8; i++)
		frames[i] = slate_page_alloc(1, NULL);
	for (size_t i = 0; i < 8; i++) {
		if (!pfn_is_none(frames[i]))
			slate_page_free(frames[i], 1);
	}
	slate_free(slate_alloc(2048));
}

static void test_drained_before_null(void)
{
	struct slate_stats before;
	struct slate_stats after;
	size_t all = frames_at_rest();

	smp_run_all(leave_in_cache, NULL);
	slate_stats(&before);
	hoard_take(&hoard, 0);
	slate_stats(&after);
	CHECK(hoard.pages + metadata_frames() == all);
	CHECK(after.cached_pages == 0);
	CHECK(after.drains > before.drains);
	CHECK(after.failures > before.failures);
	hoard_release(&hoard);
}

static void test_nowait(void)
{
	unsigned long state;

	hoard_take(&hoard, 0);
	CHECK(!slate_alloc_flags(100000, SLATE_NOWAIT));
	state = arch_irq_save();
	/* with interrupts off nobody may be waited for: NULL must come all the same */
	void *object = slate_alloc(100000);

	arch_irq_restore(state);
	CHECK(!object);
	hoard_release(&hoard);
}

static _Atomic size_t taken;

static void run_out(void *arg)
{
	uint32_t seed = 5 + arch_cpu();
	size_t count = 0;
	void *own = NULL;

	(void)arg;
	for (;;) {
		void **object = slate_alloc(512 + random_next(&seed) % 4096);

		if (!object)
			break;
		*object = own;
		own = object;
		count++;
	}
	while (own) {
		void *object = own;

		own = *(void **)object;
		slate_free(object);
	}
	atomic_fetch_add(&taken, count);
}

static void test_all_run_out(void)
{

	atomic_store(&taken, 0);
	hoard_take(&hoard, SMALL_REST);
	smp_run_all(run_out, NULL);
	hoard_release(&hoard);
	CHECK(atomic_load(&taken) > SMALL_REST / 4);
}

/* ---- What filling all memory must not touch ---- */

#define WATCH_MAX 128

struct watch {
	const uint64_t *start;
	size_t words;
	uint64_t sum;
};

static struct watch watches[WATCH_MAX];

static uint64_t checksum(const uint64_t *words, size_t count)
{
	uint64_t sum = 0xcbf29ce484222325; /* FNV-1a, by words */

	for (size_t i = 0; i < count; i++)
		sum = (sum ^ words[i]) * 0x100000001b3;
	return sum;
}

/* RAM that somebody else has written and nobody writes now. */
static bool is_watched(const struct slate_range *range)
{
	if (range->base + range->size_bytes > mapped_end())
		return false;
	switch (range->type) {
	case SLATE_RANGE_MODULE:
	case SLATE_RANGE_BOOT_INFO:
	case SLATE_RANGE_DTB:
	case SLATE_RANGE_ACPI_RECLAIM:
	case SLATE_RANGE_TRAMPOLINE:
		return true;
	default:
		return false;
	}
}

static void watch_add(size_t *count, const void *start, size_t size_bytes)
{
	struct watch *watch = &watches[*count];

	CHECK(*count < WATCH_MAX);
	watch->start = start;
	watch->words = size_bytes / sizeof(uint64_t);
	watch->sum = checksum(watch->start, watch->words);
	(*count)++;
}

static size_t watch_all(size_t *size_bytes)
{
	size_t count = 0;

	*size_bytes = (uintptr_t)rodata_end - (uintptr_t)text_start;
	watch_add(&count, text_start, *size_bytes);
	for (size_t i = 0; i < boot_info.map.count; i++) {
		const struct slate_range *range = &boot_info.map.ranges[i];

		if (!is_watched(range))
			continue;
		watch_add(&count, slate_virt((paddr_t){range->base}), (size_t)range->size_bytes);
		*size_bytes += (size_t)range->size_bytes;
	}
	return count;
}

/* The first that changed, or count. */
static size_t watch_check(size_t count)
{
	size_t i = 0;

	while (i < count && checksum(watches[i].start, watches[i].words) == watches[i].sum)
		i++;
	return i;
}

static void test_reserved_unchanged(void)
{
	size_t size_bytes;
	size_t count = watch_all(&size_bytes);
	size_t before = frames_at_rest();
	size_t filled;

	hoard_take(&hoard, 0);
	CHECK(hoard.pages + metadata_frames() == before);
	filled = hoard_fill(&hoard, FILL_MAX);
	CHECK(hoard_check(&hoard, FILL_MAX));
	CHECK(watch_check(count) == count);
	tap_note("%zu of %zu frames overwritten; %zu reserved ranges, %zu KiB, unchanged", filled,
		 hoard.pages, count, size_bytes >> 10);
	hoard_release(&hoard);
}

/* The negative control: one changed byte anywhere is noticed. */
static void test_checksum_notices(void)
{
	size_t size_bytes = 8 * SLATE_PAGE_SIZE;
	unsigned char *object = slate_zalloc(size_bytes);
	size_t count = 0;

	CHECK(object);
	watch_add(&count, object, size_bytes);
	CHECK(watch_check(count) == count);
	for (size_t at = 0; at < size_bytes; at += 509) {
		object[at] ^= 0x10;
		CHECK(watch_check(count) == 0);
		object[at] ^= 0x10;
	}
	CHECK(watch_check(count) == count);
	slate_free(object);
}

/* No frame that the allocator gives lies in a range that somebody else holds. */
static void test_frames_are_usable(void)
{
	size_t outside = 0;

	hoard_take(&hoard, 0);
	for (struct hoard_run *run = hoard.runs; run; run = run->next) {
		uint64_t base = slate_phys(run).v;
		uint64_t end = base + run->pages * SLATE_PAGE_SIZE;

		for (size_t i = 0; i < boot_info.map.count; i++) {
			const struct slate_range *range = &boot_info.map.ranges[i];

			if (range->type != SLATE_RANGE_USABLE && range->base < end &&
			    base < range->base + range->size_bytes)
				outside++;
		}
	}
	hoard_release(&hoard);
	CHECK(outside == 0);
}

/* ---- Every request for frames fails once ---- */

#define SCENE 40

static bool scene_objects(void **held)
{
	bool all = true;

	for (size_t i = 0; i < SCENE; i++) {
		size_t size_bytes = i % 8 == 7 ? 40000 + i * 4096 : 16 + i * 200;

		held[i] = i % 3 ? slate_alloc(size_bytes) : slate_zalloc(size_bytes);
		if (held[i])
			pattern_fill(held[i], size_bytes, (uint32_t)i);
		all = all && held[i];
	}
	for (size_t i = 0; i < SCENE; i++) {
		size_t size_bytes = i % 8 == 7 ? 40000 + i * 4096 : 16 + i * 200;

		if (held[i])
			CHECK(pattern_check(held[i], size_bytes, (uint32_t)i) == size_bytes);
	}
	return all;
}

/* Returns true when nothing failed. */
static bool scene(void)
{
	void *held[SCENE];
	void *larger;
	pfn_t frames;
	bool all = scene_objects(held);

	frames = slate_page_alloc(5, NULL);
	all = all && !pfn_is_none(frames);
	if (!pfn_is_none(frames))
		slate_page_free(frames, 5);
	larger = held[1] ? slate_realloc(held[1], 50000) : NULL;
	if (larger)
		held[1] = larger;
	all = all && larger;
	for (size_t i = 0; i < SCENE; i++)
		slate_free(held[i]);
	return all;
}

/* The scene with its nth request failing: whatever was given went back, and all is consistent.
 * True: nothing failed. */
static bool fail_nth(size_t nth, bool for_ever)
{
	struct slate_stats before;
	struct slate_stats after;
	bool all;

	slate_flush();
	slate_stats(&before);
	mm_fault_arm(nth, for_ever);
	all = scene();
	mm_fault_arm(0, false);
	if (startup.usable_pages <= VALIDATE_MAX)
		CHECK(slate_validate() == 0);
	slate_flush();
	slate_stats(&after);
	CHECK(after.free_pages + after.released_pages + after.metadata_pages ==
	      before.free_pages + before.released_pages + before.metadata_pages);
	return all;
}

/* The first N at which nothing fails any more: the scene makes N - 1 requests. */
static size_t count_requests(void)
{
	size_t nth = 1;

	while (!fail_nth(nth, true)) {
		nth++;
		CHECK(nth < 10000);
	}
	return nth - 1;
}

static void test_fail_for_ever(void)
{
	CHECK(count_requests() > 5);
}

static void test_fail_once(void)
{
	size_t requests = count_requests();

	for (size_t nth = 1; nth <= requests; nth++)
		fail_nth(nth, false);
}

static void test_metadata_settles(void)
{
	struct slate_stats first;
	struct slate_stats second;
	/* samples come at random, and want records */
	size_t rate = profile_rate_set(0);

	hoard_take(&hoard, SMALL_REST);
	take_objects(48);
	free_objects();
	slate_flush();
	slate_stats(&first);
	take_objects(48);
	free_objects();
	slate_flush();
	slate_stats(&second);
	hoard_release(&hoard);
	profile_rate_set(rate);
	CHECK(second.metadata_pages == first.metadata_pages);
	CHECK(second.free_pages + second.released_pages == first.free_pages + first.released_pages);
}

static void test_validate(void)
{
	CHECK(slate_validate() == 0);
}

const struct pure_test selftest_memory[] = {
	{"memory: page runs to the last frame, then NULL, then all back", test_all_frames},
	{"memory: page by page to the last frame", test_single_frames},
	{"memory: objects of 16 bytes to the last", test_objects_small},
	{"memory: objects of 1024 bytes to the last", test_objects_middle},
	{"memory: objects of 32 KiB to the last", test_objects_big},
	{"memory: objects of 64 KiB to the last", test_objects_large},
	{"memory: every CPU's cache is drained before NULL", test_drained_before_null},
	{"memory: NULL comes with interrupts off, too", test_nowait},
	{"memory: all CPUs run out at once", test_all_run_out},
	{"memory: every frame given lies in a usable range", test_frames_are_usable},
	{"memory: reserved ranges unchanged with all frames filled", test_reserved_unchanged},
	{"memory: the checksum notices one byte", test_checksum_notices},
	{"memory: the N-th request fails once, for every N", test_fail_once},
	{"memory: from the N-th on all fail, for every N", test_fail_for_ever},
	{"memory: a second run like the first needs no more metadata", test_metadata_settles},
	{"memory: slate_validate finds nothing afterwards", test_validate},
	{0},
};
