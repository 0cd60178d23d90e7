/* SPDX-License-Identifier: MIT */
/* test_spanof.c - address to span: every sort of span, every sort of address that lies in none. */
#include "test-host/unit.h"

#include "mm/directmap.h"
#include "mm/mheap.h"
#include "mm/sizeclass.h"
#include "mm/spanof.h"

static struct slate_span_info info;

static void expect_none(const void *address)
{
	memset(&info, 0x77, sizeof(info));
	assert_false(slate_span_of(address, &info));
	assert_int_equal(info.pages, (size_t)0x7777777777777777);
	assert_null(spanof(address));
	assert_null(spanof_heap(address));
	assert_false(slate_in_heap(address));
	assert_false(slate_in_heap_or_stack(address));
}

static void expect_object(const char *object, size_t object_bytes)
{
	assert_true(slate_span_of(object, &info));
	assert_int_equal(info.object, (uintptr_t)object);
	assert_int_equal(info.object_bytes, object_bytes);
	assert_true(slate_in_heap(object));
	assert_true(slate_in_heap_or_stack(object));
	assert_ptr_equal(spanof(object), spanof_heap(object));
	assert_ptr_equal(spanof(object), arena_span_unchecked(object));
	assert_int_equal(spanof(object)->base, info.base);
}

static void objects_of_every_class(void **state)
{
	(void)state;
	for (unsigned c = 1; c < SIZECLASS_COUNT; c++) {
		unsigned flags = c & 1 ? SLATE_NOSCAN : 0;
		char *object = slate_alloc_flags(sizeclass_bytes[c], flags);

		expect_object(object, sizeclass_bytes[c]);
		assert_int_equal(info.kind, SLATE_SPAN_OBJECTS);
		assert_int_equal(info.pages, sizeclass_pages[c]);
		assert_int_equal(info.objects, sizeclass_elems[c]);
		assert_int_equal(info.noscan, flags != 0);
		assert_int_equal(info.node, 0);
		assert_string_equal(info.state, "in use");
		/* any byte of it leads to its start */
		assert_true(slate_span_of(object + sizeclass_bytes[c] - 1, &info));
		assert_int_equal(info.object, (uintptr_t)object);
		slate_free(object);
	}
}

static void the_tail_is_no_objects(void **state)
{
	unsigned c = sizeclass_of(600);
	char *object = (slate_alloc)(600);
	size_t used = (size_t)sizeclass_elems[c] * sizeclass_bytes[c];

	(void)state;
	assert_true(slate_span_of(object, &info));
	if (used < info.pages << SLATE_PAGE_SHIFT) {
		assert_true(slate_span_of((void *)(info.base + used), &info));
		assert_int_equal(info.object, 0);
	}
	assert_true(slate_span_of((void *)(info.base + used - 1), &info));
	assert_int_equal(info.object, info.base + used - sizeclass_bytes[c]);
	slate_free(object);
}

static void a_large_object(void **state)
{
	size_t bytes = 300 << 10;
	char *object = (slate_alloc)(bytes);

	(void)state;
	expect_object(object, bytes);
	assert_int_equal(info.kind, SLATE_SPAN_LARGE);
	assert_int_equal(info.pages, bytes >> SLATE_PAGE_SHIFT);
	assert_true(slate_span_of(object + bytes - 1, &info));
	assert_int_equal(info.object, (uintptr_t)object);
	slate_free(object);
	expect_none(object);
	expect_none(object + bytes - 1);
}

static void a_stack_and_its_guard(void **state)
{
	(void)state;
	host_guards(true);
	char *stack = slate_stack_alloc(2);

	assert_true(slate_span_of(stack + 100, &info));
	assert_int_equal(info.kind, SLATE_SPAN_STACK);
	assert_int_equal(info.object, (uintptr_t)stack);
	assert_int_equal(info.object_bytes, 4 * SLATE_PAGE_SIZE);
	assert_int_equal(info.pages, 5);
	assert_true(slate_span_of(stack - 1, &info));
	assert_int_equal(info.object, 0);
	assert_false(slate_in_heap(stack));
	assert_false(slate_in_heap(stack + 2 * SLATE_PAGE_SIZE));
	assert_true(slate_in_heap_or_stack(stack));
	assert_true(slate_in_heap_or_stack(stack + 4 * SLATE_PAGE_SIZE - 1));
	assert_true(slate_in_heap_or_stack(stack - 1));
	assert_non_null(spanof(stack));
	assert_null(spanof_heap(stack));
	slate_stack_free(stack);
}

static void a_typed_cache(void **state)
{
	const struct slate_cache_params params = {.name = "spanof", .size_bytes = 72};
	struct slate_cache *cache = slate_cache_create(&params);
	char *object = slate_cache_alloc(cache);

	(void)state;
	assert_non_null(object);
	expect_object(object, slate_usable_size(object));
	assert_int_equal(info.kind, SLATE_SPAN_OBJECTS);
	assert_false(info.noscan);
	slate_cache_free(cache, object);
	slate_cache_destroy(cache);
}

/* Numbers that are no pointers, memory that is nobody's, frames that are in no span. */
static void what_lies_in_none(void **state)
{
	static const uintptr_t numbers[] = {0,
					    1,
					    4096,
					    (uintptr_t)-1,
					    (uintptr_t)-4096,
					    (uintptr_t)1 << 63,
					    (uintptr_t)INTPTR_MAX,
					    (uintptr_t)0xdeadbeefdeadbeef};
	pfn_t run = slate_page_alloc(8, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		expect_none((void *)numbers[i]);
	expect_none(&info);
	expect_none(host_virt(0));
	expect_none(host_virt(20 * MIB));
	expect_none(pfn_to_virt(run));
	expect_none((char *)pfn_to_virt(run) + 5000);
	slate_page_free(run, 8);
	/* metadata: a span's own struct */
	void *object = (slate_alloc)(64);

	expect_none(spanof(object));
	slate_free(object);
}

/* Memory far from the boot map lies outside the window. */
static void outside_the_window(void **state)
{
	uint64_t far = (uint64_t)64 << 30;

	(void)state;
	host_memory(far, 4 * MIB);
	assert_int_equal(slate_add_memory((paddr_t){far}, 4 * MIB, 0), SLATE_OK);
	expect_none(host_virt(far + 3 * MIB));

	const struct page_fit fit = {.min = {far >> SLATE_PAGE_SHIFT}};
	pfn_t pfn = mheap_alloc_pages(4, &fit, SLATE_ANY_NODE);

	expect_none(pfn_to_virt(pfn));
	mheap_free_pages(pfn, 4);
	/* large objects until one lies there */
	char *list = NULL;
	char *object = NULL;

	while ((object = (slate_alloc)(1 << 20)) != NULL) {
		*(char **)object = list;
		list = object;
		if (slate_phys(object).v >= far)
			break;
	}
	assert_non_null(object);
	expect_object(object, 1 << 20);
	while (list) {
		object = list;
		list = *(char **)object;
		slate_free(object);
	}
}

/* Frames of a range that is being removed are marked: only the span tells. */
static void marked_frames(void **state)
{
	char *object = (slate_alloc)(8192);
	pfn_t pfn = virt_to_pfn(object);
	unsigned class = arena_class(pfn);

	(void)state;
	arena_set_class(pfn, 2, PAGECLASS_SLOW);
	expect_object(object, 8192);
	arena_set_class(pfn, 2, class);
	slate_free(object);
}

/* A map entry that outlived its span, and a struct that is another span's by now. */
static void stale_map_entries(void **state)
{
	static struct mspan stale;
	pfn_t run = slate_page_alloc(8, NULL);
	char *base = pfn_to_virt(run);

	(void)state;
	mspan_init_large(&stale, base, 4);
	arena_set_span(run, 8, &stale, PAGECLASS_LARGE);
	assert_non_null(spanof(base));
	/* beyond its end */
	assert_null(spanof(base + 4 * SLATE_PAGE_SIZE));
	assert_false(slate_span_of(base + 4 * SLATE_PAGE_SIZE, &info));
	mspan_kill(&stale);
	assert_null(spanof(base));
	assert_false(slate_span_of(base, &info));
	/* below its start */
	mspan_init_large(&stale, base + 2 * SLATE_PAGE_SIZE, 6);
	assert_null(spanof(base));
	assert_false(slate_span_of(base, &info));
	mspan_kill(&stale);
	arena_set_class(run, 8, PAGECLASS_FREE);
	slate_page_free(run, 8);
}

/* The last addresses of a span and of the window's arenas, by both ways. */
static void unchecked_says_the_same(void **state)
{
	static void *objects[200];
	struct host_random random = host_random_seed("spanof", 5);

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		size_t bytes = 1 + host_random_below(&random, 100000);

		objects[i] = (slate_alloc)(bytes);
		if (!objects[i])
			continue;
		for (size_t at = 0; at < bytes; at += SLATE_PAGE_SIZE / 2)
			assert_ptr_equal(arena_span_unchecked((char *)objects[i] + at),
					 spanof((char *)objects[i] + at));
	}
	for (size_t i = 0; i < 200; i++)
		slate_free(objects[i]);
}

static void names_of_kinds(void **state)
{
	(void)state;
	assert_string_equal(slate_span_kind_name(SLATE_SPAN_OBJECTS), "objects");
	assert_string_equal(slate_span_kind_name(SLATE_SPAN_LARGE), "large");
	assert_string_equal(slate_span_kind_name(SLATE_SPAN_STACK), "stack");
	assert_string_equal(slate_span_kind_name(SLATE_SPAN_KINDS), "unknown");
	assert_string_equal(slate_span_kind_name((enum slate_span_kind) - 1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(objects_of_every_class), SMALL(the_tail_is_no_objects),
		SMALL(a_large_object),         SMALL(a_stack_and_its_guard),
		SMALL(a_typed_cache),          SMALL(what_lies_in_none),
		SMALL(outside_the_window),     SMALL(marked_frames),
		SMALL(stale_map_entries),      SMALL(unchecked_says_the_same),
		SMALL(names_of_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
