/* SPDX-License-Identifier: MIT */
/*
 * selftest_special.c - records on single objects: finalizers, tags, probes, and what keeps an
 * object from being a leak; set, read, taken off and freed, by one CPU and by all.
 */
#include <stdatomic.h>

#include <slate/marksweep.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "mm/arena.h"
#include "mm/directmap.h"

static const size_t sizes[] = {8, 24, 64, 1000, 4096, 32768, 100000, 1 << 20};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* What finalizers saw. */
static struct {
	unsigned calls;
	void *object;
	void *arg;
	unsigned char first;
} seen;

static void note(void *object, void *arg)
{
	seen.calls++;
	seen.object = object;
	seen.arg = arg;
	seen.first = *(unsigned char *)object;
}

static void *some(size_t size_bytes)
{
	void *object = slate_alloc(size_bytes);

	CHECK(object);
	return object;
}

static unsigned class_at(const void *object)
{
	return arena_class(virt_to_pfn(object));
}

static void test_finalizer(void)
{
	for (size_t i = 0; i < SIZES; i++) {
		unsigned char *object = some(sizes[i]);

		*object = (unsigned char)(i + 1);
		seen.calls = 0;
		CHECK(slate_on_free(object, note, &seen) == SLATE_OK);
		CHECK(seen.calls == 0);
		slate_free(object);
		CHECK(seen.calls == 1 && seen.object == object && seen.arg == &seen);
		CHECK(seen.first == i + 1);
		slate_free(some(sizes[i]));
		CHECK(seen.calls == 1);
	}
}

static void never(void *object, void *arg)
{
	(void)object;
	(void)arg;
	seen.calls += 1000;
}

static void test_replaced_removed(void)
{
	void *object = some(64);

	seen.calls = 0;
	CHECK(slate_on_free(object, NULL, NULL) == SLATE_ENOENT);
	CHECK(slate_on_free(object, never, NULL) == SLATE_OK);
	CHECK(slate_on_free(object, note, NULL) == SLATE_OK);
	slate_free(object);
	CHECK(seen.calls == 1);
	object = some(64);
	CHECK(slate_on_free(object, never, NULL) == SLATE_OK);
	CHECK(slate_on_free(object, NULL, NULL) == SLATE_OK);
	CHECK(slate_on_free(object, NULL, NULL) == SLATE_ENOENT);
	slate_free(object);
	CHECK(seen.calls == 1);
}

/* All kinds hang on one object, and go with it: not to who gets the memory next. */
static void test_kinds(void)
{
	for (size_t i = 0; i < SIZES; i++) {
		void *object = some(sizes[i]);

		seen.calls = 0;
		CHECK(slate_tag_set(object, 17) == SLATE_OK);
		CHECK(slate_on_free(object, note, NULL) == SLATE_OK);
		CHECK(slate_not_leak(object) == SLATE_OK);
		CHECK(slate_probe(object) == SLATE_OK);
		CHECK(slate_tag(object) == 17);
		CHECK(slate_tag_set(object, 18) == SLATE_OK);
		CHECK(slate_tag(object) == 18);
		CHECK(slate_reachable(object) == -1);
		slate_free(object);
		CHECK(seen.calls == 1);
		object = some(sizes[i]);
		CHECK(slate_tag(object) == 0);
		CHECK(slate_tag_set(object, 0) == SLATE_ENOENT);
		CHECK(slate_on_free(object, NULL, NULL) == SLATE_ENOENT);
		slate_free(object);
		CHECK(seen.calls == 1);
	}
}

static void test_page_marks(void)
{
	/* a sample marks its frame, too */
	size_t rate = profile_rate_set(0);
	void *one = some(64);
	void *other = some(64);
	unsigned class = class_at(one);

	profile_rate_set(rate);
	CHECK(class_at(other) == class);
	CHECK(slate_tag_set(one, 1) == SLATE_OK);
	CHECK(class_at(one) == PAGECLASS_SLOW);
	CHECK(slate_tag_set(other, 1) == SLATE_OK);
	CHECK(slate_tag_set(one, 0) == SLATE_OK);
	CHECK(class_at(other) == PAGECLASS_SLOW);
	slate_free(other);
	CHECK(class_at(one) == class);
	slate_free(one);
}

/* With interrupts off: it waits for a poll, and so does the object. */
static void test_queued(void)
{
	void *object = some(200);
	unsigned long irq;

	seen.calls = 0;
	CHECK(slate_on_free(object, note, NULL) == SLATE_OK);
	irq = arch_irq_save();
	slate_free(object);
	arch_irq_restore(irq);
	CHECK(seen.calls == 0);
	report_begin(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	CHECK(report_end() == 1);
	CHECK(seen.calls == 0);
	for (unsigned i = 0; i < 100 && seen.calls == 0; i++)
		slate_poll();
	CHECK(seen.calls == 1 && seen.object == object);
}

static void test_realloc(void)
{
	unsigned char *object = some(64);

	seen.calls = 0;
	*object = 9;
	CHECK(slate_on_free(object, note, NULL) == SLATE_OK);
	object = slate_realloc(object, 5000);
	CHECK(object && *object == 9);
	CHECK(seen.calls == 1 && seen.first == 9);
	slate_free(object);
	CHECK(seen.calls == 1);
}

static void test_none(void)
{
	char *object = some(64);
	void *stack = slate_stack_alloc(1);
	pfn_t pfn = slate_page_alloc(1, NULL);

	CHECK(stack && !pfn_is_none(pfn));
	CHECK(slate_on_free(object + 8, note, NULL) == SLATE_EINVAL);
	CHECK(slate_on_free(NULL, note, NULL) == SLATE_EINVAL);
	CHECK(slate_on_free(&seen, note, NULL) == SLATE_EINVAL);
	CHECK(slate_tag_set(stack, 1) == SLATE_EINVAL);
	CHECK(slate_tag_set(slate_virt(pfn_to_paddr(pfn)), 1) == SLATE_EINVAL);
	slate_page_free(pfn, 1);
	slate_stack_free(stack);
	slate_free(object);
}

/* ---- All CPUs ---- */

#define SHARED 240

static struct {
	void *object[SHARED];
	_Atomic unsigned char calls[SHARED]; /* of its finalizer */
	_Atomic size_t wrong;
	_Atomic unsigned turn; /* CPUs that take part, in order of arrival */
} shared;

static void count(void *object, void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;

	if (i >= SHARED || shared.object[i] != object)
		atomic_fetch_add(&shared.wrong, 1);
	else
		atomic_fetch_add(&shared.calls[i], 1);
}

/* Neighbours are freed, tagged and untagged by different CPUs at once. */
static void free_share(void *arg)
{
	size_t cpus = smp_count();

	(void)arg;
	for (size_t i = atomic_fetch_add(&shared.turn, 1); i < SHARED; i += cpus) {
		void *object = shared.object[i];
		int put = slate_tag_set(object, i + 1);

		if (put != SLATE_OK || slate_tag(object) != i + 1)
			atomic_fetch_add(&shared.wrong, 1);
		if (i % 3 == 0 && slate_tag_set(object, 0) != SLATE_OK)
			atomic_fetch_add(&shared.wrong, 1);
		slate_free(object);
	}
}

static void test_all_cpus(void)
{
	for (size_t i = 0; i < SHARED; i++) {
		shared.object[i] = some(i % 7 ? 40 : 2000);
		atomic_store(&shared.calls[i], 0);
		CHECK(slate_on_free(shared.object[i], count, (void *)(uintptr_t)i) == SLATE_OK);
	}
	atomic_store(&shared.wrong, 0);
	atomic_store(&shared.turn, 0);
	smp_run_all(free_share, NULL);
	CHECK(atomic_load(&shared.wrong) == 0);
	for (size_t i = 0; i < SHARED; i++)
		CHECK(atomic_load(&shared.calls[i]) == 1);
	CHECK(slate_validate() == 0);
}

const struct pure_test selftest_special[] = {
	{"special: a finalizer runs once, before the memory is used again", test_finalizer},
	{"special: one is replaced, and removed", test_replaced_removed},
	{"special: every kind on one object, gone with it", test_kinds},
	{"special: frames are marked as long as one of their objects has one", test_page_marks},
	{"special: a finalizer waits for a poll", test_queued},
	{"special: realloc frees what it moves", test_realloc},
	{"special: interior pointers, frames, stacks and data have none", test_none},
	{"special: all CPUs free and tag neighbours", test_all_cpus},
	{0},
};
