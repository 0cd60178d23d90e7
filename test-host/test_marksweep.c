/* SPDX-License-Identifier: MIT */
/* test_marksweep.c - what is reached and what is not: roots, stacks, graphs; leaks, collect. */
#include "test-host/unit.h"

#include <slate/marksweep.h>
#include <slate/port.h>

#include "mm/arena.h"
#include "mm/percpu.h"

#define GROUPS 64

/* The only root: what the tests keep. */
static void *root[512];

/* The only stack that is told. */
static struct slate_live live[2];
static bool can_stop;
static unsigned stops;

bool port_stop_cpus(void (*fn)(const struct slate_live *list, size_t count, void *arg), void *arg)
{
	if (!can_stop)
		return false;
	stops++;
	host_irq_set(false);
	fn(live, 2, arg);
	host_irq_set(true);
	return true;
}

static struct slate_leak groups[GROUPS];
static struct slate_leaks leaks;

static int set_up(void **state)
{
	(void)state;
	host_boot(MIB, 32 * MIB);
	memset(root, 0, sizeof(root));
	memset(live, 0, sizeof(live));
	memset(groups, 0, sizeof(groups));
	can_stop = true;
	stops = 0;
	leaks = (struct slate_leaks){.list = groups, .capacity = GROUPS};
	return slate_root_add(root, sizeof(root));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static size_t scan(void)
{
	assert_int_equal(slate_leak_scan(&leaks), SLATE_OK);
	return leaks.objects;
}

static size_t collect(void)
{
	struct slate_collected collected;

	assert_int_equal(slate_collect(&collected), SLATE_OK);
	assert_int_equal(slate_validate(), 0);
	return collected.objects;
}

static size_t free_and_metadata(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats.free_pages + stats.metadata_pages;
}

static const size_t sizes[] = {8,    16,   24,    40,    64,    100,   512,    1000,
			       2048, 4096, 10000, 20000, 32768, 40000, 500000, 3 << 20};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void an_empty_heap_has_none(void **state)
{
	(void)state;
	assert_int_equal(scan(), 0);
	assert_int_equal(collect(), 0);
	assert_int_equal(stops, 2);
}

static void a_leak_of_each_class(void **state)
{
	const size_t before = free_and_metadata();
	size_t bytes = 0;

	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		memset(slate_alloc(sizes[i]), 0xa0 + (int)i, sizes[i]);
		root[i] = slate_alloc(sizes[i]);
		bytes += slate_good_size(sizes[i]);
	}
	assert_int_equal(scan(), SIZES);
	assert_int_equal(leaks.bytes, bytes);
	assert_int_equal(leaks.count, SIZES);
	for (size_t i = 0; i < SIZES; i++) {
		assert_int_equal(groups[i].object_bytes, slate_good_size(sizes[i]));
		assert_int_equal(groups[i].count, 1);
		assert_int_equal(groups[i].head_bytes, sizes[i] < 32 ? sizes[i] : 32);
		for (size_t k = 0; k < groups[i].head_bytes; k++)
			assert_int_equal(groups[i].head[k], 0xa0 + i);
	}
	assert_int_equal(collect(), SIZES);
	assert_int_equal(scan(), 0);
	for (size_t i = 0; i < SIZES; i++)
		slate_free(root[i]);
	assert_true(free_and_metadata() >= before);
}

static void groups_count_and_overflow(void **state)
{
	(void)state;
	for (size_t i = 0; i < 30; i++)
		assert_non_null(slate_alloc(i % 3 ? 64 : 200));
	leaks.capacity = 1;
	assert_int_equal(scan(), 30);
	assert_int_equal(leaks.count, 1);
	assert_int_equal(leaks.bytes, 20 * 64 + 10 * slate_good_size(200));
	assert_int_equal(collect(), 30);
}

/* ---- What is reached ---- */

static void chains_and_interior_pointers(void **state)
{
	void **chain = NULL;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		void **next = slate_alloc(48);

		memset(next, 0, 48);
		next[i % 6] = chain ? (char *)chain + i % 48 : NULL;
		chain = next;
	}
	root[7] = (char *)chain + 47;
	assert_int_equal(scan(), 0);
	root[7] = NULL;
	assert_int_equal(collect(), 1000);
}

static void cycles_are_garbage(void **state)
{
	void **a = slate_zalloc(64);
	void **b = slate_zalloc(128);
	void **c = slate_zalloc(70000);

	(void)state;
	a[3] = b;
	b[15] = (char *)c + 69000;
	c[8000] = a;
	root[0] = b;
	assert_int_equal(scan(), 0);
	root[0] = NULL;
	assert_int_equal(scan(), 3);
	assert_int_equal(collect(), 3);
}

static void noscan_objects_keep_nothing(void **state)
{
	void **holder = slate_alloc_flags(64, SLATE_NOSCAN);
	void **large = slate_alloc_flags(100000, SLATE_NOSCAN);

	(void)state;
	memset(holder, 0, 64);
	memset(large, 0, 100000);
	holder[0] = slate_alloc(32);
	large[9000] = slate_alloc(32);
	root[0] = holder;
	root[1] = large;
	assert_int_equal(scan(), 2);
	assert_int_equal(collect(), 2);
	slate_free(holder);
	slate_free(large);
}

static void what_frames_hold_counts_as_a_root_only(void **state)
{
	pfn_t pfn = slate_page_alloc(2, NULL);
	void **words = slate_virt(pfn_to_paddr(pfn));

	(void)state;
	memset(words, 0, 2 * SLATE_PAGE_SIZE);
	words[700] = slate_alloc(64);
	root[0] = words;
	assert_int_equal(scan(), 1);
	assert_int_equal(slate_root_add(words, 2 * SLATE_PAGE_SIZE), SLATE_OK);
	assert_int_equal(scan(), 0);
	assert_int_equal(slate_root_remove(words), SLATE_OK);
	assert_int_equal(slate_root_remove(words), SLATE_ENOENT);
	assert_int_equal(collect(), 1);
	slate_page_free(pfn, 2);
}

static void used_parts_of_stacks(void **state)
{
	void **stack = slate_stack_alloc(1);
	const size_t words = 2 * SLATE_PAGE_SIZE / sizeof(void *);

	(void)state;
	memset(stack, 0, 2 * SLATE_PAGE_SIZE);
	stack[100] = slate_alloc(64);
	stack[900] = slate_alloc(64);
	live[1] = (struct slate_live){(uintptr_t)&stack[500], (uintptr_t)&stack[words]};
	assert_int_equal(scan(), 1);
	/* nobody told how much is used: all of it */
	live[1] = (struct slate_live){0, 0};
	assert_int_equal(scan(), 0);
	/* a cached stack is nobody's */
	slate_stack_free(stack);
	assert_int_equal(scan(), 2);
	assert_int_equal(collect(), 2);
}

static void a_magazine_in_a_stopped_cpus_hands(void **state)
{
	enum { HELD = 8 };
	struct {
		_Alignas(512) void *slot[64];
	} * magazine;
	void *stack[4] = {NULL};
	pfn_t pfn = slate_page_alloc(1, NULL);

	(void)state;
	/* the allocator's own memory is where magazines lie: a pointer there is followed */
	magazine = slate_virt(pfn_to_paddr(pfn));
	memset(magazine, 0, 512);
	for (size_t i = 1; i <= HELD; i++)
		magazine->slot[i] = slate_alloc(64);
	stack[2] = &magazine->slot[HELD];
	live[0] = (struct slate_live){(uintptr_t)stack, (uintptr_t)(stack + 4)};
	assert_int_equal(scan(), HELD);
	arena_set_class(pfn, 1, PAGECLASS_META);
	assert_int_equal(scan(), 0);
	stack[2] = &magazine->slot[HELD / 2];
	assert_int_equal(scan(), HELD / 2);
	stack[2] = magazine;
	assert_int_equal(scan(), 0);
	stack[2] = NULL;
	arena_set_class(pfn, 1, PAGECLASS_FREE);
	assert_int_equal(collect(), HELD);
	slate_page_free(pfn, 1);
}

/* Its slots still hold what was taken from it. */
static void a_deleted_magazine_hides_nothing(void **state)
{
	void *stack[4] = {NULL};
	unsigned class = 2 * sizeclass_of(64);

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_non_null(slate_alloc(64));
	stack[2] = magazine_of(mcache_top(&percpu_cache()->take[class]));
	live[0] = (struct slate_live){(uintptr_t)stack, (uintptr_t)(stack + 4)};
	assert_int_equal(scan(), 5);
	assert_int_equal(collect(), 5);
}

static void free_objects_outside_their_spans_are_no_leaks(void **state)
{
	const struct slate_cache_params params = {.name = "typed", .size_bytes = 80};
	struct slate_cache *cache = slate_cache_create(&params);
	void *typed = slate_cache_alloc(cache);
	void *lost = slate_cache_alloc(cache);

	(void)state;
	assert_true(slate_cache_prefill(cache, 40));
	assert_int_equal(scan(), 2);
	root[0] = typed;
	assert_int_equal(scan(), 1);
	assert_int_equal(groups[0].object_bytes, 80);
	assert_ptr_equal(groups[0].first, lost);
	assert_int_equal(collect(), 1);
	slate_cache_free(cache, typed);
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
}

static void more_than_the_mark_stack_holds(void **state)
{
	enum { WIDE = 200000 };
	void **wide = slate_alloc(WIDE * sizeof(void *));

	(void)state;
	for (size_t i = 0; i < WIDE; i++) {
		void **leaf = slate_alloc(16);

		leaf[0] = i % 100 == 0 ? slate_alloc(24) : NULL;
		leaf[1] = NULL;
		wide[i] = leaf;
	}
	root[0] = wide;
	assert_int_equal(scan(), 0);
	root[0] = NULL;
	assert_int_equal(collect(), WIDE + WIDE / 100 + 1);
}

/* ---- Finalizers ---- */

static struct {
	unsigned calls;
	uintptr_t last;
	bool ascending;
	void *saved; /* resurrected into root[0] */
} finalized;

static void note(void *object, void *arg)
{
	finalized.calls++;
	finalized.ascending &= (uintptr_t)object > finalized.last;
	finalized.last = (uintptr_t)object;
	if (arg == &finalized && object == finalized.saved)
		root[0] = object;
}

static void finalizers_run_first_once_by_address(void **state)
{
	(void)state;
	finalized.calls = 0;
	finalized.last = 0;
	finalized.ascending = true;
	for (size_t i = 0; i < 50; i++) {
		void *object = slate_alloc(i % 2 ? 64 : 50000);

		assert_int_equal(slate_on_free(object, note, NULL), SLATE_OK);
	}
	assert_int_equal(scan(), 50);
	assert_int_equal(finalized.calls, 0);
	assert_int_equal(collect(), 50);
	assert_int_equal(finalized.calls, 50);
	assert_true(finalized.ascending);
	assert_int_equal(collect(), 0);
	assert_int_equal(finalized.calls, 50);
}

static void a_finalizer_saves_its_object(void **state)
{
	void **saved = slate_zalloc(64);

	(void)state;
	finalized.calls = 0;
	finalized.saved = saved;
	saved[2] = slate_alloc(100);
	assert_int_equal(slate_on_free(saved, note, &finalized), SLATE_OK);
	assert_non_null(slate_alloc(64));
	assert_int_equal(collect(), 1);
	assert_int_equal(finalized.calls, 1);
	assert_ptr_equal(root[0], saved);
	assert_int_equal(scan(), 0);
	root[0] = NULL;
	assert_int_equal(collect(), 2);
	assert_int_equal(finalized.calls, 1);
}

static void a_freed_object_waits_for_its_finalizer(void **state)
{
	void *object = slate_alloc(64);

	(void)state;
	finalized.calls = 0;
	assert_int_equal(slate_on_free(object, note, NULL), SLATE_OK);
	host_irq_set(false);
	slate_free(object);
	host_irq_set(true);
	can_stop = true;
	assert_int_equal(scan(), 0);
	assert_int_equal(finalized.calls, 1);
}

/* ---- Records ---- */

static void kept_objects_are_no_leaks(void **state)
{
	void **kept = slate_zalloc(64);

	(void)state;
	kept[1] = slate_alloc(64);
	assert_int_equal(scan(), 2);
	assert_int_equal(slate_not_leak(kept), SLATE_OK);
	assert_int_equal(scan(), 0);
	slate_free(kept[1]);
	slate_free(kept);
	assert_int_equal(scan(), 0);
	assert_int_equal(slate_not_leak(root), SLATE_EINVAL);
}

static void probes_tell_what_the_last_mark_saw(void **state)
{
	void *held = slate_alloc(64);
	void *lost = slate_alloc(64);

	(void)state;
	assert_int_equal(slate_reachable(held), -1);
	assert_int_equal(slate_probe(held), SLATE_OK);
	assert_int_equal(slate_probe(lost), SLATE_OK);
	assert_int_equal(slate_reachable(held), -1);
	root[0] = held;
	assert_int_equal(scan(), 1);
	assert_int_equal(slate_reachable(held), 1);
	assert_int_equal(slate_reachable(lost), 0);
	root[0] = NULL;
	root[1] = lost;
	assert_int_equal(slate_reachable(held), 1);
	assert_int_equal(scan(), 1);
	assert_int_equal(slate_reachable(held), 0);
	assert_int_equal(slate_reachable(lost), 1);
	assert_int_equal(collect(), 1);
	slate_free(lost);
}

/* ---- Sweep on demand ---- */

static size_t objects_of_64(void)
{
	struct slate_class_stats class;

	slate_flush();
	assert_true(slate_class_stats(2 * sizeclass_of(64), &class));
	return class.objects;
}

/* Nobody visits the others. */
static void reclaim_takes_whole_spans_first(void **state)
{
	const size_t count = 40000;
	void **keep = slate_zalloc(count / 50 * sizeof(void *));
	size_t before;

	(void)state;
	root[0] = keep;
	for (int side = 0; side < 2; side++) {
		for (size_t i = 0; i < 4; i++)
			assert_non_null(slate_alloc(64 * 1024));
		for (size_t i = 0; i < count / 2 && side == 0; i++) {
			void *object = slate_alloc(64);

			if (i % 25 == 0)
				keep[i / 25] = object;
		}
	}
	before = objects_of_64();
	assert_int_equal(slate_reclaim(8 * 16), 8 * 16);
	assert_int_equal(objects_of_64(), before);
	assert_int_equal(collect(), count / 2 - count / 50);
	assert_int_equal(objects_of_64(), count / 50);
	for (size_t i = 0; i < count / 50; i++)
		slate_free(keep[i]);
	slate_free(keep);
}

static void reclaim_stops_when_it_has_enough(void **state)
{
	size_t got;

	(void)state;
	for (size_t i = 0; i < 40; i++)
		assert_non_null(slate_alloc(64 * 1024));
	got = slate_reclaim(100);
	assert_in_range(got, 100, 160);
	assert_int_equal(stops, 1);
	got += slate_reclaim(100);
	assert_int_equal(stops, 1);
	assert_in_range(got, 200, 300);
	got += slate_reclaim(SIZE_MAX / 2);
	assert_int_equal(stops, 1);
	assert_int_equal(got, 40 * 16);
	assert_int_equal(slate_reclaim(1), 0);
	assert_int_equal(stops, 2);
	assert_int_equal(slate_validate(), 0);
}

static void partly_reachable_spans(void **state)
{
	(void)state;
	for (size_t i = 0; i < 512; i++) {
		root[i] = slate_alloc(64);
		assert_non_null(slate_alloc(64));
	}
	assert_int_equal(slate_tag_set(root[100], 5), SLATE_OK);
	assert_int_equal(collect(), 512);
	assert_int_equal(slate_tag(root[100]), 5);
	assert_int_equal(collect(), 0);
	for (size_t i = 0; i < 512; i++)
		slate_free(root[i]);
	assert_int_equal(scan(), 0);
}

/* ---- Refusals ---- */

static void refusals(void **state)
{
	size_t before = free_and_metadata();

	(void)state;
	can_stop = false;
	assert_int_equal(slate_leak_scan(&leaks), SLATE_EBUSY);
	assert_int_equal(slate_collect(NULL), SLATE_EBUSY);
	assert_int_equal(slate_reclaim(5), 0);
	can_stop = true;
	host_irq_set(false);
	assert_int_equal(slate_leak_scan(&leaks), SLATE_EBUSY);
	host_irq_set(true);
	assert_int_equal(free_and_metadata(), before);
	for (size_t i = 1; i < SLATE_ROOTS; i++)
		assert_int_equal(slate_root_add(&root[i], 8), SLATE_OK);
	assert_int_equal(slate_root_add(&root[0], 8), SLATE_ENOMEM);
	for (size_t i = 1; i < SLATE_ROOTS; i++)
		assert_int_equal(slate_root_remove(&root[i]), SLATE_OK);
	assert_int_equal(slate_root_add(root, 0), SLATE_EINVAL);
	assert_int_equal(slate_root_add(root, SIZE_MAX), SLATE_EINVAL);
}

static void no_memory_for_marks(void **state)
{
	static pfn_t hog[8192];
	size_t n = 0;

	(void)state;
	while (n < 8192 && !pfn_is_none(hog[n] = slate_page_alloc(1, NULL)))
		n++;
	assert_int_equal(slate_leak_scan(&leaks), SLATE_ENOMEM);
	assert_int_equal(slate_collect(NULL), SLATE_ENOMEM);
	while (n > 0)
		slate_page_free(hog[--n], 1);
	assert_int_equal(scan(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_empty_heap_has_none),
		CASE(a_leak_of_each_class),
		CASE(groups_count_and_overflow),
		CASE(chains_and_interior_pointers),
		CASE(cycles_are_garbage),
		CASE(noscan_objects_keep_nothing),
		CASE(what_frames_hold_counts_as_a_root_only),
		CASE(used_parts_of_stacks),
		CASE(a_magazine_in_a_stopped_cpus_hands),
		CASE(a_deleted_magazine_hides_nothing),
		CASE(free_objects_outside_their_spans_are_no_leaks),
		CASE(more_than_the_mark_stack_holds),
		CASE(finalizers_run_first_once_by_address),
		CASE(a_finalizer_saves_its_object),
		CASE(a_freed_object_waits_for_its_finalizer),
		CASE(kept_objects_are_no_leaks),
		CASE(probes_tell_what_the_last_mark_saw),
		CASE(reclaim_takes_whole_spans_first),
		CASE(reclaim_stops_when_it_has_enough),
		CASE(partly_reachable_spans),
		CASE(refusals),
		CASE(no_memory_for_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
