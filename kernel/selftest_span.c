/* SPDX-License-Identifier: MIT */
/* selftest_span.c - spans: which one an address lies in; those that are resized. */
#include <slate/slate.h>

#include "kernel/selftest.h"
#include "lib/string.h"

static void check_span(const char *object, size_t at, enum slate_span_kind kind)
{
	struct slate_span_info info;

	CHECK(slate_span_of(object + at, &info));
	CHECK(info.object == (uintptr_t)object);
	CHECK(info.kind == kind);
	CHECK(at < info.object_bytes);
	CHECK((uintptr_t)object - info.base < info.pages << SLATE_PAGE_SHIFT);
	CHECK(slate_in_heap_or_stack(object + at));
	CHECK(slate_in_heap(object + at) == (kind != SLATE_SPAN_STACK));
}

static void test_span_of(void)
{
	for (size_t size_bytes = 8; size_bytes <= (size_t)1 << 20; size_bytes += size_bytes / 2) {
		char *object = slate_alloc(size_bytes);
		enum slate_span_kind kind = slate_usable_size(object) > (size_t)32 << 10
						    ? SLATE_SPAN_LARGE
						    : SLATE_SPAN_OBJECTS;

		CHECK(object);
		check_span(object, 0, kind);
		check_span(object, size_bytes / 2, kind);
		check_span(object, size_bytes - 1, kind);
		slate_free(object);
	}
}

static void test_span_of_stack(void)
{
	char *stack = slate_stack_alloc(1);

	CHECK(stack);
	check_span(stack, 0, SLATE_SPAN_STACK);
	check_span(stack, 2 * SLATE_PAGE_SIZE - 1, SLATE_SPAN_STACK);
	slate_stack_free(stack);
}

static void test_span_of_none(void)
{
	static const uintptr_t numbers[] = {0, 1, ~(uintptr_t)0, (uintptr_t)INTPTR_MAX};
	struct slate_span_info info;
	pfn_t run = slate_page_alloc(4, NULL);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		CHECK(!slate_span_of((const void *)numbers[i], &info));
		CHECK(!slate_in_heap_or_stack((const void *)numbers[i]));
	}
	CHECK(!slate_in_heap(&info));
	CHECK(!pfn_is_none(run));
	CHECK(!slate_span_of(slate_virt(pfn_to_paddr(run)), &info));
	CHECK(!slate_in_heap_or_stack(slate_virt(pfn_to_paddr(run))));
	slate_page_free(run, 4);
}

static void test_realloc_in_place(void)
{
	const size_t step_bytes = (size_t)36 << 10;
	const size_t end_bytes = (size_t)1 << 20;
	char *object = slate_alloc_aligned(end_bytes, end_bytes, 0);
	struct slate_stats before;
	struct slate_stats after;

	CHECK(object);
	pattern_fill(object, end_bytes, 5);
	slate_flush();
	slate_stats(&before);
	for (size_t size_bytes = end_bytes - step_bytes; size_bytes > step_bytes;
	     size_bytes -= step_bytes) {
		CHECK(slate_realloc(object, size_bytes) == object);
		CHECK(slate_usable_size(object) == size_bytes);
	}
	CHECK(pattern_check(object, step_bytes, 5) == step_bytes);
	slate_stats(&after);
	CHECK(before.object_pages > after.object_pages + 200);
	/* nobody has taken what lies behind it meanwhile */
	CHECK(slate_realloc(object, end_bytes) == object);
	CHECK(pattern_check(object, step_bytes, 5) == step_bytes);
	slate_stats(&after);
	CHECK(before.object_pages == after.object_pages);
	slate_free(object);
}

static void test_realloc_moves(void)
{
	const size_t bytes = (size_t)256 << 10;
	char *object = slate_alloc_aligned(bytes, bytes, 0);
	char *moved;

	CHECK(object);
	pattern_fill(object, bytes, 6);
	CHECK(slate_realloc(object, bytes / 2) == object);
	CHECK(slate_page_alloc_at(slate_phys(object + bytes - SLATE_PAGE_SIZE), 1) == SLATE_OK);
	moved = slate_realloc(object, bytes);
	CHECK(moved && moved != object);
	CHECK(pattern_check(moved, bytes / 2, 6) == bytes / 2);
	slate_page_free(paddr_to_pfn(slate_phys(object + bytes - SLATE_PAGE_SIZE)), 1);
	slate_free(moved);
}

const struct pure_test selftest_span[] = {
	{"span: any byte of an object leads to its start", test_span_of},
	{"span: a stack is found, and is no heap", test_span_of_stack},
	{"span: frames, kernel data and garbage lie in none", test_span_of_none},
	{"span: a large object shrinks and grows where it lies", test_realloc_in_place},
	{"span: and moves when a frame behind it is taken", test_realloc_moves},
	{0},
};
