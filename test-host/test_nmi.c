/* SPDX-License-Identifier: MIT */
/*
 * test_nmi.c - allocation and free in an NMI that falls where the interrupted code holds locks:
 * nothing waits, and what was freed comes home later.
 *
 * In debug builds a lock that the interrupted CPU holds is reported when it is waited for; release
 * builds would wait for ever.
 */
#include "test-host/unit.h"

#include <slate/cache.h>
#include <slate/shrinker.h>

#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/reclaim.h"
#include "mm/sizeclass.h"

#define N 300 /* more than magazines and depot would take without a slow path */

static bool nmi;
static struct slate_stats before;
static void *objects[N];
static pfn_t frames[N];

bool port_in_nmi(void)
{
	return nmi;
}

static int set_up(void **state)
{
	(void)state;
	nmi = false;
	host_boot(MIB, 64 * MIB);
	slate_flush();
	slate_stats(&before);
	return 0;
}

#define NMI(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Everything is home, and no count has moved. */
static void assert_all_home(void)
{
	struct slate_stats after;

	slate_poll();
	slate_flush();
	slate_stats(&after);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.large_objects, before.large_objects);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
	assert_int_equal(slate_validate(), 0);
}

/* fn as an NMI in code that holds the locks of 64-byte objects, of the heap and of the frames. */
static void interrupt_locked(void (*fn)(void))
{
	struct mcentral *central = mcentral_of(sizeclass_of(64) << 1);
	unsigned long irq[3];

	irq[0] = mm_lock_acquire(&central->lock);
	irq[1] = mm_lock_acquire(&mheaps[0].lock);
	irq[2] = mm_lock_acquire(&mheaps[0].pages.lock);
	nmi = true;
	fn();
	nmi = false;
	mm_lock_release(&mheaps[0].pages.lock, irq[2]);
	mm_lock_release(&mheaps[0].lock, irq[1]);
	mm_lock_release(&central->lock, irq[0]);
}

/* ---- Requests: the magazines are empty, and locks are held ---- */

static void ask_for_everything(void)
{
	const struct slate_page_constraints fit = {.align_bytes = 2 * SLATE_PAGE_SIZE,
						   .node = SLATE_ANY_NODE};
	const struct slate_page_constraints any = {.node = SLATE_ANY_NODE,
						   .flags = SLATE_ANYCTX | SLATE_RESERVE};
	void *out[4];

	assert_null((slate_alloc)(64));
	assert_null((slate_zalloc)(64));
	assert_null(slate_alloc_flags(64, SLATE_ANYCTX));
	assert_null(slate_alloc_flags(64, SLATE_ANYCTX | SLATE_RESERVE));
	assert_null(slate_alloc_flags(64, SLATE_NOWAIT));
	assert_null(slate_alloc_aligned(64, 64, 0));
	assert_null(slate_alloc(100000));
	assert_int_equal(slate_alloc_bulk(64, 4, out, 0), 0);
	assert_true(pfn_is_none(slate_frame_alloc()));
	assert_true(pfn_is_none((slate_page_alloc)(1, NULL)));
	assert_true(pfn_is_none((slate_page_alloc)(1, &any)));
	assert_true(pfn_is_none((slate_page_alloc)(3, NULL)));
	assert_true(pfn_is_none((slate_page_alloc)(3, &fit)));
	assert_true(pfn_is_none((slate_page_alloc)(8, NULL)));
	assert_true(pfn_is_none(slate_page_alloc(8, NULL)));
	assert_int_equal(slate_page_alloc_at((paddr_t){2 * MIB}, 1), SLATE_EBUSY);
	assert_null(slate_stack_alloc(1));
}

static void test_no_request_waits(void **state)
{
	(void)state;
	interrupt_locked(ask_for_everything);
	assert_all_home();
}

/* ---- What is done for a request that fails: it asks, and doesn't wait ---- */

static size_t asked(void)
{
	return atomic_load_explicit(&mcache_drain_wanted, memory_order_relaxed);
}

static void ask_object(void)
{
	assert_null(slate_alloc(64));
}

static void ask_frame(void)
{
	assert_true(pfn_is_none((slate_page_alloc)(1, NULL)));
}

static void ask_run(void)
{
	assert_true(pfn_is_none((slate_page_alloc)(8, NULL)));
}

static void test_an_nmi_asks_for_a_drain(void **state)
{
	static void (*const asks[])(void) = {ask_object, ask_frame, ask_run};

	(void)state;
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		size_t so_far = asked();

		interrupt_locked(asks[i]);
		assert_true(asked() > so_far);
	}
	assert_all_home();
}

static size_t shrunk;

static size_t shrink_count(struct slate_shrinker *self)
{
	(void)self;
	return 1;
}

static size_t shrink_none(struct slate_shrinker *self, size_t pages)
{
	(void)self;
	(void)pages;
	shrunk++;
	return 0;
}

/* Row by row: who drains, who asks, who waits, who may take the reserve. */
static void test_callers_and_what_they_may_do(void **state)
{
	static const struct {
		unsigned flags;
		bool irq_off;
		bool drains, asks, waits, shrinks, reserve;
	} rows[] = {
		{0, false, true, true, true, true, false},
		{0, true, true, true, false, false, false},
		{SLATE_NOWAIT, false, true, true, false, false, false},
		{SLATE_NOWAIT | SLATE_RESERVE, false, true, true, false, false, true},
		{SLATE_RESERVE, false, true, true, true, true, true},
		{SLATE_ANYCTX, false, false, true, false, false, false},
		{SLATE_ANYCTX, true, false, true, false, false, false},
		{SLATE_ANYCTX | SLATE_RESERVE, false, false, true, false, false, true},
	};

	struct slate_shrinker shrinker = {.count = shrink_count, .shrink = shrink_none};

	(void)state;
	host_cpu_online(1);
	host_cpu_set(0);
	assert_int_equal(slate_shrinker_add(&shrinker), SLATE_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reclaim reclaim = {.pages = 1};
		struct reclaim_counts first = reclaim_counts();
		size_t so_far = asked();
		unsigned long irq = 0;

		shrunk = 0;
		if (rows[i].irq_off)
			irq = port_irq_save();
		while (reclaim_next(&reclaim, rows[i].flags)) {
		}
		if (rows[i].irq_off)
			port_irq_restore(irq);
		assert_int_equal(reclaim_counts().drains > first.drains, rows[i].drains);
		assert_int_equal(asked() > so_far, rows[i].asks);
		assert_int_equal(reclaim_counts().remote_drains > first.remote_drains,
				 rows[i].waits);
		assert_int_equal(shrunk > 0, rows[i].shrinks);
		assert_int_equal(reclaim.reserve, rows[i].reserve);
	}
	assert_int_equal(slate_shrinker_remove(&shrinker), SLATE_OK);
}

/* ---- The same with something in the magazines ---- */

static pfn_t frame, run;
static void *object;

static void take_from_magazines(void)
{
	const struct slate_page_constraints any = {.node = SLATE_ANY_NODE, .flags = SLATE_ANYCTX};

	object = slate_alloc_flags(64, SLATE_ANYCTX);
	frame = (slate_page_alloc)(1, &any);
	run = (slate_page_alloc)(8, NULL);
}

static size_t bulk_got;

static void take_bulk(void)
{
	bulk_got = slate_alloc_bulk(64, 100, objects, 0);
}

/* What the magazines hold, and no more. */
static void test_a_bulk_ends_with_the_magazines(void **state)
{
	(void)state;
	slate_free(slate_alloc(64));
	interrupt_locked(take_bulk);
	assert_in_range(bulk_got, 1, 99);
	slate_free_bulk(objects, bulk_got);
	assert_all_home();
}

static void test_magazines_serve(void **state)
{
	(void)state;
	slate_free(slate_alloc(64));
	slate_page_free(slate_page_alloc(1, NULL), 1);
	slate_page_free(slate_page_alloc(8, NULL), 8);
	interrupt_locked(take_from_magazines);
	assert_non_null(object);
	assert_false(pfn_is_none(frame));
	assert_false(pfn_is_none(run));
	slate_free(object);
	slate_page_free(frame, 1);
	slate_page_free(run, 8);
	assert_all_home();
}

/* No lock is held: ANYCTX goes one level down, to a span with free objects. */
static void test_anyctx_tries_the_span(void **state)
{
	(void)state;
	void *pin = slate_alloc(64);

	slate_flush();
	object = slate_alloc_flags(64, SLATE_ANYCTX);
	assert_non_null(object);
	assert_int_equal(mcache_cached(mcaches[0], sizeclass_of(64) << 1), 0);
	slate_free(object);
	slate_free(pin);
	assert_all_home();
}

/* ---- Frees ---- */

static void free_objects(void)
{
	for (unsigned i = 0; i < N; i += 3) {
		slate_free(objects[i]);
		(slate_free_sized)(objects[i + 1], 64);
		slate_free_bulk(&objects[i + 2], 1);
	}
}

static void test_objects_come_home(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++)
		objects[i] = slate_alloc(64);
	interrupt_locked(free_objects);
	assert_all_home();
}

static void free_frames(void)
{
	for (unsigned i = 0; i < N; i++)
		slate_page_free(frames[i], 1);
	(slate_page_free)(run, 5);
	slate_page_free(frame, 8);
}

static void test_frames_and_runs_come_home(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++)
		frames[i] = slate_page_alloc(1, NULL);
	run = (slate_page_alloc)(5, NULL);
	frame = slate_page_alloc(8, NULL);
	interrupt_locked(free_frames);
	assert_all_home();
}

static void free_large(void)
{
	slate_free(object);
}

static void test_large_objects_come_home(void **state)
{
	(void)state;
	object = slate_alloc(100000);
	interrupt_locked(free_large);
	assert_all_home();
}

static void free_stacks(void)
{
	for (unsigned i = 0; i < 100; i++)
		slate_stack_free(objects[i]);
}

static void test_stacks_come_home(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_non_null(objects[i] = slate_stack_alloc(1));
	interrupt_locked(free_stacks);
	assert_all_home();
}

/* ---- Typed caches: what was deferred is constructed again ---- */

#define CONSTRUCTED 0x5a5a5a5a5a5a5a5aull

static struct slate_cache *cache;

static void construct(void *made)
{
	*(uint64_t *)made = CONSTRUCTED;
}

static void free_typed(void)
{
	for (unsigned i = 0; i < N; i++)
		slate_cache_free(cache, objects[i]);
}

static void test_typed_objects_are_constructed_again(void **state)
{
	(void)state;
	cache = slate_cache_create(&(struct slate_cache_params){
		.name = "nmi", .size_bytes = 64, .constructor = construct});
	for (unsigned i = 0; i < N; i++)
		assert_non_null(objects[i] = slate_cache_alloc(cache));
	interrupt_locked(free_typed);
	slate_poll();
	for (unsigned i = 0; i < N; i++) {
		assert_non_null(objects[i] = slate_cache_alloc(cache));
		assert_int_equal(*(uint64_t *)objects[i], CONSTRUCTED);
	}
	for (unsigned i = 0; i < N; i++)
		slate_cache_free(cache, objects[i]);
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
}

/* ---- Who finishes them ---- */

/* All memory lies in the deferred list: a request finds it before it fails. */
static void test_deferred_frames_are_found_before_null(void **state)
{
	(void)state;
	size_t count = 0;
	static pfn_t all[32768];

	while (count < 32768 && !pfn_is_none(all[count] = slate_page_alloc(1, NULL)))
		count++;
	nmi = true;
	for (size_t i = 0; i < count; i++)
		slate_page_free(all[i], 1);
	/* a magazine or two hold the first of them */
	nmi = false;
	for (size_t i = 0; i < count; i++)
		assert_false(pfn_is_none(all[i] = slate_page_alloc(1, NULL)));
	for (size_t i = 0; i < count; i++)
		slate_page_free(all[i], 1);
	assert_all_home();
}

/* ---- Misuse ---- */

static void free_twice(void)
{
	free_objects();
	slate_free(objects[N - 1]);
}

static void test_double_free_of_an_object(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++)
		objects[i] = slate_alloc(64);
	interrupt_locked(free_twice);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_poll();
	assert_non_null(reported());
}

static void free_frame_twice(void)
{
	free_frames();
	slate_page_free(frames[N - 1], 1);
}

static void test_double_free_of_a_frame(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++)
		frames[i] = slate_page_alloc(1, NULL);
	run = (slate_page_alloc)(5, NULL);
	frame = slate_page_alloc(8, NULL);
	interrupt_locked(free_frame_twice);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_poll();
	assert_non_null(reported());
}

static void test_foreign_run_is_reported_at_once(void **state)
{
	(void)state;
	object = slate_alloc(64);
	nmi = true;
	expect_report(SLATE_CRIME_PAGE_FREE);
	(slate_page_free)(paddr_to_pfn(slate_phys(object)), 3);
	assert_non_null(reported());
	nmi = false;
	slate_free(object);
	assert_all_home();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NMI(test_no_request_waits),
		NMI(test_an_nmi_asks_for_a_drain),
		NMI(test_callers_and_what_they_may_do),
		NMI(test_magazines_serve),
		NMI(test_a_bulk_ends_with_the_magazines),
		NMI(test_anyctx_tries_the_span),
		NMI(test_objects_come_home),
		NMI(test_frames_and_runs_come_home),
		NMI(test_large_objects_come_home),
		NMI(test_stacks_come_home),
		NMI(test_typed_objects_are_constructed_again),
		NMI(test_deferred_frames_are_found_before_null),
		NMI(test_double_free_of_an_object),
		NMI(test_double_free_of_a_frame),
		NMI(test_foreign_run_is_reported_at_once),
	};

	return cmocka_run_group_tests_name("nmi", tests, NULL, NULL);
}
