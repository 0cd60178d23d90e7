/* SPDX-License-Identifier: MIT */
/* test_onfree.c - finalizers and tags: when they run, what they may do, and what they leave. */
#include "test-host/unit.h"

#include <slate/port.h>

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/special.h"

static struct {
	unsigned calls;
	void *object;
	void *arg;
	char first; /* byte of the object */
	bool irq;
} seen;

static void note(void *object, void *arg)
{
	seen.calls++;
	seen.object = object;
	seen.arg = arg;
	seen.first = *(char *)object;
	seen.irq = port_irq_enabled();
}

static unsigned class_at(const void *object)
{
	return arena_class(virt_to_pfn(object));
}

static int set_up(void **state)
{
	memset(&seen, 0, sizeof(seen));
	return set_up_small(state);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void runs_once_before_the_memory_is_used_again(void **state)
{
	char *object = slate_alloc(64);
	char *neighbour = slate_alloc(64);
	unsigned class = class_at(object);

	(void)state;
	*object = 'x';
	assert_int_equal(slate_on_free(object, note, &seen), SLATE_OK);
	assert_int_equal(class_at(object), PAGECLASS_SLOW);
	slate_free(neighbour);
	assert_int_equal(seen.calls, 0);
	slate_free(object);
	assert_int_equal(seen.calls, 1);
	assert_ptr_equal(seen.object, object);
	assert_ptr_equal(seen.arg, &seen);
	assert_int_equal(seen.first, 'x');
	assert_int_equal(class_at(object), class);
	object = slate_alloc(64);
	slate_free(object);
	assert_int_equal(seen.calls, 1);
}

static void a_frame_stays_slow_until_its_last_record_goes(void **state)
{
	char *object[2] = {slate_alloc(64), slate_alloc(64)};
	unsigned class = class_at(object[0]);

	(void)state;
	assert_int_equal(slate_on_free(object[0], note, NULL), SLATE_OK);
	assert_int_equal(slate_tag_set(object[1], 7), SLATE_OK);
	slate_free(object[0]);
	assert_int_equal(class_at(object[1]), PAGECLASS_SLOW);
	slate_free(object[1]);
	assert_int_equal(class_at(object[1]), class);
	assert_int_equal(slate_validate(), 0);
}

static void every_free_call_finds_it(void **state)
{
	void *object = slate_alloc(64);

	(void)state;
	slate_on_free(object, note, NULL);
	slate_free_sized(object, 64);
	assert_int_equal(seen.calls, 1);
	object = slate_alloc(64);
	slate_on_free(object, note, NULL);
	(slate_free_sized)(object, 64);
	assert_int_equal(seen.calls, 2);
	object = slate_alloc(64);
	slate_on_free(object, note, NULL);
	slate_free_bulk(&object, 1);
	assert_int_equal(seen.calls, 3);
	object = slate_alloc(64);
	slate_on_free(object, note, NULL);
	object = slate_realloc(object, 5000);
	assert_int_equal(seen.calls, 4);
	slate_free(object);
	object = slate_alloc(MIB);
	assert_int_equal(slate_on_free(object, note, NULL), SLATE_OK);
	slate_free(object);
	assert_int_equal(seen.calls, 5);
	object = slate_alloc_flags(20000, SLATE_NOSCAN);
	assert_int_equal(slate_on_free(object, note, NULL), SLATE_OK);
	slate_free(object);
	assert_int_equal(seen.calls, 6);
}

static void replaced_and_removed(void **state)
{
	char *object = slate_alloc(100);
	unsigned class = class_at(object);
	int other;

	(void)state;
	assert_int_equal(slate_on_free(object, NULL, NULL), SLATE_ENOENT);
	assert_int_equal(slate_on_free(object, note, NULL), SLATE_OK);
	assert_int_equal(slate_on_free(object, note, &other), SLATE_OK);
	slate_free(object);
	assert_int_equal(seen.calls, 1);
	assert_ptr_equal(seen.arg, &other);
	object = slate_alloc(100);
	assert_int_equal(slate_on_free(object, note, NULL), SLATE_OK);
	assert_int_equal(slate_on_free(object, NULL, NULL), SLATE_OK);
	assert_int_equal(class_at(object), class);
	slate_free(object);
	assert_int_equal(seen.calls, 1);
}

static void what_has_no_finalizers(void **state)
{
	const struct slate_cache_params params = {.name = "typed", .size_bytes = 64};
	struct slate_cache *cache = slate_cache_create(&params);
	void *typed = slate_cache_alloc(cache);
	void *stack = slate_stack_alloc(1);
	pfn_t frame = slate_frame_alloc();
	char *object = slate_alloc(64);
	char *large = slate_alloc(MIB);
	int local;

	(void)state;
	assert_int_equal(slate_on_free(NULL, note, NULL), SLATE_EINVAL);
	assert_int_equal(slate_on_free(&local, note, NULL), SLATE_EINVAL);
	assert_int_equal(slate_on_free(object + 8, note, NULL), SLATE_EINVAL);
	assert_int_equal(slate_on_free(large + 4096, note, NULL), SLATE_EINVAL);
	assert_int_equal(slate_on_free(typed, note, NULL), SLATE_EINVAL);
	assert_int_equal(slate_on_free(stack, note, NULL), SLATE_EINVAL);
	assert_int_equal(slate_on_free(slate_virt(pfn_to_paddr(frame)), note, NULL), SLATE_EINVAL);
	assert_int_equal(slate_tag(object + 8), 0);
	slate_free(object);
	slate_free(large);
	slate_frame_free(frame);
	slate_stack_free(stack);
	slate_cache_free(cache, typed);
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
	assert_int_equal(seen.calls, 0);
}

/* ---- With interrupts disabled ---- */

static void waits_for_a_poll(void **state)
{
	char *object = slate_alloc(64);
	struct slate_stats before, after;

	(void)state;
	slate_stats(&before);
	slate_on_free(object, note, NULL);
	slate_tag_set(object, 5);
	host_irq_set(false);
	slate_free(object);
	host_irq_set(true);
	assert_int_equal(seen.calls, 0);
	assert_int_equal(slate_tag(object), 5);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free(object);
	assert_string_equal(reported()->detail, "freed before, its finalizer has not run yet");
	slate_poll();
	assert_int_equal(seen.calls, 1);
	assert_true(seen.irq);
	assert_int_equal(slate_validate(), 0);
	slate_poll();
	assert_int_equal(seen.calls, 1);
	slate_flush();
	slate_stats(&after);
	assert_true(after.free_pages + after.metadata_pages >=
		    before.free_pages + before.metadata_pages);
}

static void a_flush_runs_all_a_poll_some(void **state)
{
	void *objects[40];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		objects[i] = slate_alloc(i % 4 ? 64 : 70000);
		slate_on_free(objects[i], note, NULL);
	}
	host_irq_set(false);
	for (unsigned i = 0; i < 40; i++)
		slate_free(objects[i]);
	host_irq_set(true);
	slate_poll();
	assert_in_range(seen.calls, 1, 39);
	assert_ptr_equal(seen.object, objects[seen.calls - 1]);
	slate_flush();
	assert_int_equal(seen.calls, 40);
	assert_int_equal(slate_validate(), 0);
}

/* ---- What a finalizer does ---- */

static void *inner;

static void frees_and_allocates(void *object, void *arg)
{
	(void)object;
	(void)arg;
	slate_free(inner);
	inner = slate_alloc(64);
	assert_int_equal(slate_on_free(inner, note, NULL), SLATE_OK);
}

static void a_finalizer_may_use_the_allocator(void **state)
{
	void *object = slate_alloc(64);

	(void)state;
	inner = slate_alloc(64);
	slate_on_free(object, frees_and_allocates, NULL);
	slate_on_free(inner, note, NULL);
	slate_free(object);
	assert_int_equal(seen.calls, 1);
	slate_free(inner);
	assert_int_equal(seen.calls, 2);
}

static void interior_and_misaligned_pointers_of_slow_frames(void **state)
{
	char *object = slate_alloc(64);

	(void)state;
	slate_on_free(object, note, NULL);
	expect_report(SLATE_CRIME_INTERIOR);
	slate_free(object + 16);
	assert_ptr_equal(reported()->object, object);
	expect_report(SLATE_CRIME_MISALIGNED);
	slate_free(object + 3);
	reported();
	expect_report(SLATE_CRIME_WRONG_SIZE);
	slate_free_sized(object, 640);
	reported();
	assert_int_equal(seen.calls, 0);
	slate_free(object);
	assert_int_equal(seen.calls, 1);
}

/* ---- Tags ---- */

static void tags_are_kept_until_the_object_goes(void **state)
{
	enum { COUNT = 200 };
	void *objects[COUNT];

	(void)state;
	for (uintptr_t i = 0; i < COUNT; i++) {
		objects[i] = slate_alloc(64);
		assert_int_equal(slate_tag_set(objects[i], i + 1), SLATE_OK);
	}
	assert_int_equal(slate_validate(), 0);
	for (uintptr_t i = 0; i < COUNT; i++)
		assert_int_equal(slate_tag(objects[i]), i + 1);
	for (uintptr_t i = 0; i < COUNT; i += 2)
		assert_int_equal(slate_tag_set(objects[i], 0), SLATE_OK);
	for (uintptr_t i = 0; i < COUNT; i++)
		assert_int_equal(slate_tag(objects[i]), i % 2 ? i + 1 : 0);
	assert_int_equal(slate_tag_set(objects[0], 0), SLATE_ENOENT);
	for (uintptr_t i = 0; i < COUNT; i++)
		slate_free(objects[i]);
	for (uintptr_t i = 0; i < COUNT; i++) {
		objects[i] = slate_alloc(64);
		assert_int_equal(slate_tag(objects[i]), 0);
	}
	for (uintptr_t i = 0; i < COUNT; i++)
		slate_free(objects[i]);
}

static void a_range_that_stays_keeps_its_records(void **state)
{
	const paddr_t base = {64 * MIB};
	void *objects[64];
	void *far = NULL;
	size_t n = 0;

	(void)state;
	host_memory(base.v, 4 * MIB);
	assert_int_equal(slate_add_memory(base, 4 * MIB, 0), SLATE_OK);
	/* what is left of the boot memory, until an object lies in the range */
	pfn_t rest = slate_page_alloc(1, &(struct slate_page_constraints){.min = base.v});

	assert_false(pfn_is_none(rest));
	slate_page_free(rest, 1);
	pfn_t hog[4096];
	size_t hogs = 0;

	while (hogs < 4096) {
		pfn_t pfn = slate_page_alloc(1, &(struct slate_page_constraints){.max = base.v});

		if (pfn_is_none(pfn))
			break;
		hog[hogs++] = pfn;
	}
	while (n < 64 && !far) {
		objects[n] = slate_alloc(4096);
		assert_non_null(objects[n]);
		if (slate_phys(objects[n]).v >= base.v)
			far = objects[n];
		n++;
	}
	assert_non_null(far);
	assert_int_equal(slate_on_free(far, note, NULL), SLATE_OK);
	assert_int_equal(slate_remove_memory(base, 4 * MIB, NULL), SLATE_EBUSY);
	assert_int_equal(class_at(far), PAGECLASS_SLOW);
	slate_free(far);
	assert_int_equal(seen.calls, 1);
	for (size_t i = 0; i + 1 < n; i++)
		slate_free(objects[i]);
	while (hogs > 0)
		slate_page_free(hog[--hogs], 1);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(runs_once_before_the_memory_is_used_again),
		CASE(a_frame_stays_slow_until_its_last_record_goes),
		CASE(every_free_call_finds_it),
		CASE(replaced_and_removed),
		CASE(what_has_no_finalizers),
		CASE(waits_for_a_poll),
		CASE(a_flush_runs_all_a_poll_some),
		CASE(a_finalizer_may_use_the_allocator),
		CASE(interior_and_misaligned_pointers_of_slow_frames),
		CASE(tags_are_kept_until_the_object_goes),
		CASE(a_range_that_stays_keeps_its_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
