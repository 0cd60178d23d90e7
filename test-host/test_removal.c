/* SPDX-License-Identifier: MIT */
/* test_removal.c - ranges that go again: who holds them, and what happens to objects meanwhile. */
#include "test-host/far.h"

#include <slate/cache.h>

#include "mm/arena.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"

/* ---- There and back ---- */

static void back_and_forth(void **state)
{
	struct slate_stats before = stats();

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(add(), SLATE_OK);
		assert_int_equal(stats().total_pages, before.total_pages + SIZE / 4096);
		memset(slate_virt(pfn_to_paddr(far_run(1))), 1, 4096);
		assert_int_equal(take_away(), SLATE_EBUSY);
		slate_page_free(paddr_to_pfn(list[0].base), 1);
		assert_int_equal(slate_validate(), 0);
		assert_int_equal(take_away(), SLATE_OK);
		assert_int_equal(holders.count, 0);
		assert_int_equal(stats().total_pages, before.total_pages);
		assert_int_equal(slate_validate(), 0);
		/* the machine's owner may use it again: nothing of it may be touched */
		memset(host_virt(FAR), 0xee, SIZE);
	}
	assert_int_equal(stats().metadata_pages + stats().free_pages + stats().reserved_pages,
			 before.total_pages);
}

static void metadata_does_not_grow(void **state)
{
	struct slate_stats first;

	(void)state;
	assert_int_equal(add(), SLATE_OK);
	assert_int_equal(take_away(), SLATE_OK);
	first = stats();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(add(), SLATE_OK);
		assert_int_equal(take_away(), SLATE_OK);
	}
	assert_int_equal(stats().metadata_pages, first.metadata_pages);
	assert_int_equal(stats().free_pages, first.free_pages);
}

static void no_class_byte_is_left(void **state)
{
	(void)state;
	assert_int_equal(add(), SLATE_OK);
	assert_int_equal(arena_class(paddr_to_pfn((paddr_t){FAR})), PAGECLASS_META);
	assert_int_equal(take_away(), SLATE_OK);
	for (size_t i = 0; i < SIZE / 4096; i++)
		assert_int_equal(arena_class(paddr_to_pfn((paddr_t){FAR + i * 4096})),
				 PAGECLASS_NONE);
	/* so a pointer into it is foreign again */
	expect_report(SLATE_CRIME_FOREIGN);
	slate_free(host_virt(FAR + 4096));
	reported();
}

static void cached_objects_and_frames_come_home(void **state)
{
	void *objects[64];

	(void)state;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	for (int i = 0; i < 64; i++) {
		objects[i] = slate_alloc(1024);
		assert_true(is_far(slate_phys(objects[i]).v));
	}
	pfn_t frame = slate_page_alloc(1, NULL);

	assert_true(is_far(pfn_to_paddr(frame).v));
	for (int i = 0; i < 64; i++)
		slate_free(objects[i]);
	slate_page_free(frame, 1);
	unhoard();
	/* all in magazines now, none drained by us */
	assert_int_equal(take_away(), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

static void the_caches_of_other_cpus_come_home(void **state)
{
	void *object;

	(void)state;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	host_cpu_set(1);
	object = slate_alloc(64);
	assert_true(is_far(slate_phys(object).v));
	slate_free(object);
	host_cpu_set(0);
	unhoard();
	assert_int_equal(take_away(), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

static void without_interrupts_between_cpus_it_is_held(void **state)
{
	(void)state;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	host_cpu_set(1);
	slate_free(slate_alloc(64));
	host_cpu_set(0);
	unhoard();
	host_ipi_disable();
	assert_int_equal(take_away(), SLATE_EBUSY);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Holders ---- */

static void holders_are_named(void **state)
{
	static const enum slate_holder_kind kinds[] = {SLATE_HOLDER_FRAMES, SLATE_HOLDER_OBJECTS,
						       SLATE_HOLDER_LARGE};
	void *small;
	void *large;
	pfn_t run;

	(void)state;
	assert_int_equal(add(), SLATE_OK);
	run = far_run(700);
	hoard_near();
	small = slate_alloc(2048);
	large = slate_alloc(100000);
	assert_true(is_far(slate_phys(small).v));
	assert_true(is_far(slate_phys(large).v));
	unhoard();
	assert_int_equal(take_away(), SLATE_EBUSY);
	assert_int_equal(holders.count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(list[i].kind, kinds[i]);
	assert_int_equal(list[0].base.v, pfn_to_paddr(run).v);
	assert_int_equal(list[0].pages, 700);
	assert_int_equal(list[1].object_bytes, 2048);
	assert_true(slate_phys(small).v - list[1].base.v < list[1].pages * 4096);
	assert_int_equal(list[2].base.v, slate_phys(large).v);
	assert_int_equal(list[2].pages, 25);
	assert_int_equal(list[2].object_bytes, 25 * 4096);
	assert_int_equal(holders.pages, list[0].pages + list[1].pages + list[2].pages);
	assert_int_equal(slate_validate(), 0);

	/* with room for one, the count is right all the same */
	holders.capacity = 1;
	list[1].pages = 0;
	assert_int_equal(take_away(), SLATE_EBUSY);
	assert_int_equal(holders.count, 3);
	assert_int_equal(list[1].pages, 0);
	assert_int_equal(slate_remove_memory((paddr_t){FAR}, SIZE, NULL), SLATE_EBUSY);

	slate_free(small);
	slate_free(large);
	slate_page_free(run, 700);
	assert_int_equal(take_away(), SLATE_OK);
}

/* A refused removal leaves everything as it was: spans serve, frames come. */
static void service_is_restored(void **state)
{
	void *object;
	void *again;
	pfn_t run;

	(void)state;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	object = slate_alloc(192);
	assert_int_equal(take_away(), SLATE_EBUSY);
	run = far_run(100);
	again = slate_alloc(192);
	/* the same span goes on */
	assert_true(is_far(slate_phys(again).v));
	assert_ptr_equal(arena_span(paddr_to_pfn(slate_phys(object))),
			 arena_span(paddr_to_pfn(slate_phys(again))));
	assert_int_equal(slate_usable_size(object), 192);
	slate_free_sized(object, 192);
	slate_free(again);
	slate_page_free(run, 100);
	unhoard();
	assert_int_equal(slate_validate(), 0);
	assert_int_equal(take_away(), SLATE_OK);
}

/* ---- While it is isolated ---- */

static void *victim;
static size_t seen_far;
static enum { FREE_PLAIN, FREE_SIZED, FREE_TWICE, FREE_RESIZED } deed;

/* Runs in an "interrupt" of this CPU, when the victim's frames are marked and the caches empty. */
static void while_isolated(void)
{
	if (victim && arena_class(paddr_to_pfn(slate_phys(victim))) == PAGECLASS_SLOW &&
	    stats().cached_objects == 0) {
		void *object = victim;

		victim = NULL;
		assert_int_equal(slate_usable_size(object), 2048);
		if (deed == FREE_SIZED)
			slate_free_sized(object, 2048);
		else if (deed == FREE_RESIZED)
			assert_null(slate_realloc(object, 0));
		else
			slate_free(object);
		if (deed == FREE_TWICE)
			slate_free(object);
		/* nothing in there is given to anyone */
		object = slate_alloc(2048);
		seen_far += object && is_far(slate_phys(object).v);
		slate_free(object);
	}
}

static void free_while_isolated(int how)
{
	deed = how;
	seen_far = 0;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	victim = slate_alloc(2048);
	assert_true(is_far(slate_phys(victim).v));
	host_irq_hook(while_isolated);
	assert_int_equal(take_away(), SLATE_OK);
	host_irq_hook(NULL);
	assert_null(victim);
	assert_int_equal(seen_far, 0);
	unhoard();
	assert_int_equal(slate_validate(), 0);
}

/* Objects of other kinds than slate_alloc()'s: of a typed cache, and tiny ones. */
static struct slate_cache *cache;
static size_t wanted_near;

static void *typed_alloc(void)
{
	return slate_cache_alloc(cache);
}

static void *tiny_alloc_one(void)
{
	return slate_alloc_flags(5, SLATE_NOSCAN);
}

static void *(*kind_alloc)(void);

/* When the spans are isolated and the magazines empty: other memory serves. */
static void want_another(void)
{
	struct mspan *span = victim ? arena_span(paddr_to_pfn(slate_phys(victim))) : NULL;

	if (span && span->isolated && wanted_near == 0 && stats().cached_objects == 0) {
		void *object = kind_alloc();

		wanted_near += object && !is_far(slate_phys(object).v);
		seen_far += object && is_far(slate_phys(object).v);
		slate_free(object);
	}
}

/* Nothing comes out of its span while the removal is tried, and the span goes on afterwards. */
static void kind_is_isolated(void *(*alloc)(void))
{
	void *again;

	kind_alloc = alloc;
	seen_far = wanted_near = 0;
	hoard_near();
	assert_int_equal(add(), SLATE_OK);
	victim = alloc();
	assert_true(is_far(slate_phys(victim).v));
	unhoard();
	host_irq_hook(want_another);
	assert_int_equal(take_away(), SLATE_EBUSY);
	host_irq_hook(NULL);
	assert_int_equal(seen_far, 0);
	assert_true(wanted_near > 0);
	assert_int_equal(slate_validate(), 0);

	assert_int_equal(arena_class(paddr_to_pfn(slate_phys(victim))),
			 arena_span(paddr_to_pfn(slate_phys(victim)))->page_class);
	slate_flush();
	again = alloc();
	assert_ptr_equal(arena_span(paddr_to_pfn(slate_phys(victim))),
			 arena_span(paddr_to_pfn(slate_phys(again))));
	slate_free(again);
	slate_free(victim);
	victim = NULL;
	assert_int_equal(take_away(), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
}

static void typed_objects_are_isolated(void **state)
{
	(void)state;
	cache = slate_cache_create(
		&(struct slate_cache_params){.name = "hotplug", .size_bytes = 40});
	assert_non_null(cache);
	kind_is_isolated(typed_alloc);
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
}

static void tiny_objects_are_isolated(void **state)
{
	(void)state;
	kind_is_isolated(tiny_alloc_one);
}

static void a_free_meanwhile_goes_straight_home(void **state)
{
	(void)state;
	free_while_isolated(FREE_PLAIN);
}

static void a_sized_free_meanwhile(void **state)
{
	(void)state;
	free_while_isolated(FREE_SIZED);
}

static void a_realloc_to_nothing_meanwhile(void **state)
{
	(void)state;
	free_while_isolated(FREE_RESIZED);
}

static void a_double_free_meanwhile(void **state)
{
	(void)state;
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	free_while_isolated(FREE_TWICE);
	reported();
}

static int inner_status;

static void nested(void)
{
	if (inner_status == SLATE_OK)
		inner_status = slate_add_memory((paddr_t){FAR + 32 * MIB}, SIZE, 0);
}

/* A handler that interrupts the first one is refused, where it would wait for ever. */
static void one_at_a_time(void **state)
{
	(void)state;
	assert_int_equal(add(), SLATE_OK);
	inner_status = SLATE_OK;
	host_irq_hook(nested);
	assert_int_equal(take_away(), SLATE_OK);
	host_irq_hook(NULL);
	assert_int_equal(inner_status, SLATE_EAGAIN);
	inner_status = SLATE_OK;
	assert_int_equal(add(), SLATE_OK);
	assert_int_equal(slate_add_memory((paddr_t){FAR + 32 * MIB}, SIZE, 0), SLATE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOT(back_and_forth),
		HOT(metadata_does_not_grow),
		HOT(no_class_byte_is_left),
		HOT(cached_objects_and_frames_come_home),
		HOT(the_caches_of_other_cpus_come_home),
		HOT(without_interrupts_between_cpus_it_is_held),
		HOT(holders_are_named),
		HOT(service_is_restored),
		HOT(typed_objects_are_isolated),
		HOT(tiny_objects_are_isolated),
		HOT(a_free_meanwhile_goes_straight_home),
		HOT(a_sized_free_meanwhile),
		HOT(a_realloc_to_nothing_meanwhile),
		HOT(a_double_free_meanwhile),
		HOT(one_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
