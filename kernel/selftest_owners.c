/* SPDX-License-Identifier: MIT */
/*
 * selftest_owners.c - counted call sites: exact, on all CPUs at once, with constant and other
 * sizes, and when there is no memory. This file is always compiled with them.
 */
#ifndef SLATE_TRACK
#define SLATE_TRACK
#endif
#include <slate/slate.h>
#include <slate/whois.h>

#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/tap.h"
#include "lib/string.h"

#define PER_CPU 1000u

/* The one site of a function, or NULL: none, or several. */
static struct slate_site *site_of(const char *function)
{
	struct slate_site *found = NULL;

	for (struct slate_site *site = __start_slate_sites; site < __stop_slate_sites; site++) {
		if (strcmp(site->function, function) != 0)
			continue;
		if (found)
			return NULL;
		found = site;
	}
	return found;
}

static void constant_pairs(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PER_CPU; i++)
		slate_free(slate_alloc(48));
}

static void other_pairs(void *arg)
{
	(void)arg;
	for (size_t i = 1; i <= PER_CPU; i++)
		slate_free(slate_alloc(i));
}

static void frame_pairs(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < PER_CPU; i++)
		slate_page_free(slate_page_alloc(2, NULL), 2);
}

/* What one run on all CPUs adds. */
static void check_run(void (*fn)(void *arg), const char *function, uint64_t bytes_per_cpu)
{
	struct slate_site *site = site_of(function);

	CHECK(site);
	if (!site)
		return;
	size_t allocs = slate_site_allocs(site);
	uint64_t bytes = slate_site_bytes(site);

	smp_run_all(fn, NULL);
	CHECK(slate_site_allocs(site) - allocs == (size_t)PER_CPU * smp_count());
	CHECK(slate_site_bytes(site) - bytes == bytes_per_cpu * smp_count());
}

static void test_constant(void)
{
	check_run(constant_pairs, "constant_pairs", (uint64_t)PER_CPU * 48);
}

static void test_other(void)
{
	check_run(other_pairs, "other_pairs", (uint64_t)PER_CPU * (PER_CPU + 1) / 2);
}

static void test_frames(void)
{
	check_run(frame_pairs, "frame_pairs", (uint64_t)PER_CPU * 2 * SLATE_PAGE_SIZE);
}

static void *fail(size_t size_bytes)
{
	return slate_alloc(size_bytes);
}

static void test_failed(void)
{
	struct slate_site *site = site_of("fail");

	CHECK(site);
	if (!site)
		return;
	size_t failed = atomic_load_explicit(&site->failed, memory_order_relaxed);
	size_t allocs = slate_site_allocs(site);
	uint64_t bytes = slate_site_bytes(site);

	CHECK(!fail(SIZE_MAX / 4));
	CHECK(atomic_load_explicit(&site->failed, memory_order_relaxed) == failed + 1);
	CHECK(slate_site_allocs(site) == allocs);
	CHECK(slate_site_bytes(site) == bytes);
}

/* ---- Held now, in debug builds ---- */

#define HELD_BYTES 777u
#define HELD_COUNT 50u

static void *held_objects[HELD_COUNT];

static __attribute__((noinline)) void take_held(void)
{
	for (size_t i = 0; i < HELD_COUNT; i++) {
		held_objects[i] = (slate_alloc)(HELD_BYTES);
		CHECK(held_objects[i]);
	}
}

struct found {
	size_t count;
	uintptr_t pc;
	bool one_caller;
};

static bool look_for_held(const struct slate_held *held, void *arg)
{
	struct found *found = arg;

	if (held->size_bytes != HELD_BYTES || held->allocated.depth == 0)
		return true;
	if (found->count++ == 0)
		found->pc = held->allocated.pcs[0];
	found->one_caller &= found->pc == held->allocated.pcs[0];
	return true;
}

static struct found find_held(void)
{
	struct found found = {.one_caller = true};

	slate_held_walk(look_for_held, &found);
	return found;
}

static void test_held(void)
{
	struct found found;

	if (!SLATE_DEBUG) {
		tap_skip("built without DEBUG=1");
		return;
	}
	CHECK(find_held().count == 0);
	take_held();
	found = find_held();
	CHECK(found.count == HELD_COUNT);
	CHECK(found.one_caller);
	CHECK(found.pc - (uintptr_t)take_held < 256);
	for (size_t i = 0; i < HELD_COUNT; i++)
		slate_free(held_objects[i]);
	CHECK(find_held().count == 0);
}

const struct pure_test selftest_owners[] = {
	{"owners_constant", test_constant}, {"owners_other", test_other},
	{"owners_frames", test_frames},     {"owners_failed", test_failed},
	{"owners_held", test_held},         {NULL, NULL},
};
