/* SPDX-License-Identifier: MIT */
/* test_stackcache.c - kernel stacks: orders, guard pages, caches, misuse, exhaustion, drains, and
 * how deep a stack was used. */
#include <string.h>
#include <unistd.h>

#include <slate/port.h>

#include "test-host/unit.h"

#include "mm/directmap.h"
#include "mm/mcache.h"
#include "mm/mmdebug.h"

#define MANY 4096

static void *stacks[MANY];
static size_t boot_pages; /* free and metadata, right after start */

static size_t at_rest(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats.free_pages + stats.metadata_pages;
}

static int set_up(void **state)
{
	(void)state;
	host_boot(MIB, 32 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	host_guards(true);
	boot_pages = at_rest();
	return 0;
}

#define STACK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static struct slate_stats figures(void)
{
	struct slate_stats s;

	slate_stats(&s);
	assert_int_equal(s.free_pages + s.cached_pages + s.object_pages + s.manual_pages +
				 s.stack_pages + s.metadata_pages + s.reserved_pages +
				 s.released_pages,
			 s.total_pages);
	return s;
}

static void check_at_rest(void)
{
	assert_int_equal(at_rest(), boot_pages);
	assert_int_equal(figures().stack_pages, 0);
	assert_int_equal(figures().cached_stacks, 0);
	assert_int_equal(host_guard_count(), 0);
	assert_int_equal(slate_validate(), 0);
}

static void *alloc(unsigned order)
{
	void *stack = slate_stack_alloc(order);

	assert_non_null(stack);
	return stack;
}

/* Can the kernel, and so anybody, read a byte there? */
static bool readable(const void *address)
{
	int pipes[2];
	ssize_t written;

	assert_int_equal(pipe(pipes), 0);
	written = write(pipes[1], address, 1);
	close(pipes[0]);
	close(pipes[1]);
	return written == 1;
}

static struct slate_stack_info find(const void *address)
{
	struct slate_stack_info info;

	assert_true(slate_stack_find(address, &info));
	return info;
}

/* ---- What one gets ---- */

static void every_order_is_whole_and_its_own(void **state)
{
	(void)state;
	for (unsigned order = 0; order < SLATE_STACK_ORDERS; order++) {
		for (unsigned i = 0; i < 20; i++) {
			stacks[i] = alloc(order);
			assert_int_equal((uintptr_t)stacks[i] & SLATE_PAGE_MASK, 0);
			memset(stacks[i], (int)i + 1, SLATE_PAGE_SIZE << order);
		}
		for (unsigned i = 0; i < 20; i++) {
			const unsigned char *bytes = stacks[i];

			assert_int_equal(bytes[0], i + 1);
			assert_int_equal(bytes[(SLATE_PAGE_SIZE << order) - 1], i + 1);
			slate_stack_free(stacks[i]);
		}
		assert_int_equal(slate_validate(), 0);
	}
	check_at_rest();
}

static void other_orders_are_refused(void **state)
{
	(void)state;
	assert_null(slate_stack_alloc(SLATE_STACK_ORDERS));
	assert_null(slate_stack_alloc(64));
	assert_null(slate_stack_alloc(~0u));
	check_at_rest();
}

static void before_start_is_a_report(void **state)
{
	(void)state;
	host_reset();
	expect_report(SLATE_CRIME_WRONG_STAGE);
	assert_null(slate_stack_alloc(0));
	assert_string_equal(reported()->call, "slate_stack_alloc");
}

static void the_page_below_is_gone(void **state)
{
	(void)state;
	for (unsigned order = 0; order < SLATE_STACK_ORDERS; order++) {
		char *stack = alloc(order);

		assert_true(readable(stack));
		assert_true(readable(stack + (SLATE_PAGE_SIZE << order) - 1));
		assert_false(readable(stack - 1));
		assert_false(readable(stack - SLATE_PAGE_SIZE));
		slate_stack_free(stack);
		slate_flush();
		assert_true(readable(stack - 1));
		assert_true(readable(stack - SLATE_PAGE_SIZE));
	}
	check_at_rest();
}

static void without_guards_no_frame_is_lost(void **state)
{
	(void)state;
	host_guards(false);
	char *stack = alloc(1);
	struct slate_stats s = figures();

	assert_int_equal(s.stack_pages, 2 * (s.cached_stacks + 1));
	assert_false(find(stack).guarded);
	assert_true(readable(stack - 1));
	slate_stack_free(stack);
	check_at_rest();
}

static void a_guard_is_a_frame_of_the_stack(void **state)
{
	(void)state;
	void *stack = alloc(1);
	struct slate_stats s = figures();

	assert_int_equal(s.stack_pages, 3 * (s.cached_stacks + 1));
	assert_int_equal(host_guard_count(), s.cached_stacks + 1);
	slate_stack_free(stack);
	check_at_rest();
}

/* ---- Finding ---- */

static void any_address_leads_to_its_stack(void **state)
{
	(void)state;
	for (unsigned order = 0; order < SLATE_STACK_ORDERS; order++) {
		size_t size_bytes = SLATE_PAGE_SIZE << order;
		char *stack = alloc(order);

		for (size_t at = 0; at < size_bytes; at += 509) {
			struct slate_stack_info info = find(stack + at);

			assert_ptr_equal(info.stack, stack);
			assert_int_equal(info.size_bytes, size_bytes);
			assert_true(info.guarded);
			assert_false(info.in_guard);
		}
		assert_true(find(stack - 1).in_guard);
		assert_true(find(stack - SLATE_PAGE_SIZE).in_guard);
		assert_ptr_equal(find(stack - 1).stack, stack);
		slate_stack_free(stack);
	}
}

static void other_addresses_lead_to_none(void **state)
{
	struct slate_stack_info info;
	void *object = slate_alloc(64);
	void *large = slate_alloc(MIB);
	pfn_t frame = slate_page_alloc(1, NULL);
	void *stack = alloc(2);

	(void)state;
	slate_stack_free(stack);
	slate_flush();
	assert_false(slate_stack_find(stack, &info));
	assert_false(slate_stack_find(NULL, &info));
	assert_false(slate_stack_find((void *)UINTPTR_MAX, &info));
	assert_false(slate_stack_find(&info, &info));
	assert_false(slate_stack_find(object, &info));
	assert_false(slate_stack_find(large, &info));
	assert_false(slate_stack_find(slate_virt(pfn_to_paddr(frame)), &info));
	slate_free(object);
	slate_free(large);
	slate_page_free(frame, 1);
}

/* ---- Misuse ---- */

static void expect_refused(void *pointer, enum slate_crime crime)
{
	expect_report(crime);
	slate_stack_free(pointer);
	assert_string_equal(reported()->call, "slate_stack_free");
	assert_int_equal(reported()->address, (uintptr_t)pointer);
	expect_report(crime);
	assert_int_equal(slate_stack_used(pointer), 0);
	assert_string_equal(reported()->call, "slate_stack_used");
}

static void what_is_no_stack_is_refused(void **state)
{
	char *stack = alloc(2);
	void *object = slate_alloc(8192);
	void *large = slate_alloc(MIB);
	pfn_t frame = slate_page_alloc(1, NULL);
	int local;

	(void)state;
	slate_stack_free(NULL);
	expect_refused(&local, SLATE_CRIME_FOREIGN);
	expect_refused((void *)UINTPTR_MAX, SLATE_CRIME_FOREIGN);
	expect_refused(object, SLATE_CRIME_NOT_STACK);
	expect_refused(large, SLATE_CRIME_NOT_STACK);
	expect_refused(slate_virt(pfn_to_paddr(frame)), SLATE_CRIME_NOT_STACK);
	expect_refused(mcaches[1], SLATE_CRIME_NOT_STACK);
	expect_refused(stack + 1, SLATE_CRIME_INTERIOR);
	expect_refused(stack + 8, SLATE_CRIME_INTERIOR);
	expect_refused(stack + SLATE_PAGE_SIZE, SLATE_CRIME_INTERIOR);
	expect_refused(stack + 4 * SLATE_PAGE_SIZE - 8, SLATE_CRIME_INTERIOR);
	expect_refused(stack - SLATE_PAGE_SIZE, SLATE_CRIME_INTERIOR);
	slate_free(object);
	slate_free(large);
	slate_page_free(frame, 1);
	slate_stack_free(stack);
	check_at_rest();
}

static void the_other_frees_refuse_a_stack(void **state)
{
	char *stack = alloc(1);

	(void)state;
	for (unsigned page = 0; page < 3; page++) {
		char *address = stack - SLATE_PAGE_SIZE + page * SLATE_PAGE_SIZE;

		expect_report(SLATE_CRIME_NOT_OBJECT);
		slate_free(address);
		assert_int_equal(reported()->address, (uintptr_t)address);
		expect_report(SLATE_CRIME_NOT_OBJECT);
		slate_free_sized(address, 64);
		reported();
		expect_report(SLATE_CRIME_NOT_OBJECT);
		assert_int_equal(slate_usable_size(address), 0);
		reported();
		expect_report(SLATE_CRIME_PAGE_FREE);
		(slate_page_free)(virt_to_pfn(address), 1); /* not the cached frame's */
		reported();
	}
	expect_report(SLATE_CRIME_PAGE_FREE);
	(slate_page_free)(virt_to_pfn(stack), 2);
	reported();
	slate_stack_free(stack);
	check_at_rest();
}

static void a_double_free_is_found(void **state)
{
	void *stack = alloc(2);

	(void)state;
	slate_stack_free(stack);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_stack_free(stack);
	if (SLATE_DEBUG)
		assert_int_equal(reports_seen(), 1);
	slate_flush();
	assert_int_equal(reported()->address, (uintptr_t)stack);
	check_at_rest();
}

static void a_free_after_the_flush_is_found(void **state)
{
	void *stack = alloc(2);

	(void)state;
	slate_stack_free(stack);
	slate_flush();
	expect_refused(stack, SLATE_CRIME_NOT_STACK);
	check_at_rest();
}

/* ---- Caches ---- */

static void pairs_stay_on_the_cpu(void **state)
{
	struct slate_stats before;
	unsigned guards;

	(void)state;
	slate_stack_free(alloc(2));
	before = figures();
	guards = host_guard_count();
	for (unsigned i = 0; i < 1000; i++)
		slate_stack_free(alloc(2));
	assert_int_equal(figures().free_pages, before.free_pages);
	assert_int_equal(figures().stack_pages, before.stack_pages);
	assert_int_equal(host_guard_count(), guards);
	check_at_rest();
}

static void another_cpu_may_free(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++)
		stacks[i] = alloc(i % SLATE_STACK_ORDERS);
	host_cpu_set(1);
	for (unsigned i = 0; i < 200; i++)
		slate_stack_free(stacks[i]);
	assert_int_equal(slate_validate(), 0);
	host_cpu_set(0);
	check_at_rest();
}

static void idle_stacks_go_home_by_themselves(void **state)
{
	(void)state;
	slate_stack_free(alloc(0));
	slate_stack_free(alloc(3));
	assert_true(figures().cached_stacks > 0);
	for (unsigned i = 0; i < 3000; i++)
		slate_poll();
	assert_int_equal(figures().cached_stacks, 0);
	assert_int_equal(host_guard_count(), 0);
}

static void a_cpu_that_leaves_keeps_none(void **state)
{
	(void)state;
	host_cpu_set(1);
	slate_stack_free(alloc(2));
	assert_true(figures().cached_stacks > 0);

	unsigned long irq_state = port_irq_save();

	assert_int_equal(slate_cpu_offline(), SLATE_OK);
	port_irq_restore(irq_state);
	assert_int_equal(figures().cached_stacks, 0);
	host_cpu_set(0);
	check_at_rest();
}

/* ---- Out of memory ---- */

static size_t alloc_all(unsigned order)
{
	size_t n = 0;

	while (n < MANY && (stacks[n] = slate_stack_alloc(order)) != NULL)
		n++;
	assert_true(n < MANY);
	return n;
}

static void the_end_is_null_and_comes_back(void **state)
{
	(void)state;
	for (unsigned order = 1; order < SLATE_STACK_ORDERS; order++) {
		size_t n = alloc_all(order);

		assert_true(n > (31 * MIB >> SLATE_PAGE_SHIFT >> order) / 2);
		assert_int_equal(slate_validate(), 0);
		assert_int_equal(figures().cached_stacks, 0);
		for (size_t i = 0; i < n; i++)
			slate_stack_free(stacks[i]);
		check_at_rest();
	}
}

static void cached_stacks_are_drained_before_null(void **state)
{
	size_t n;

	(void)state;
	n = alloc_all(4);
	for (size_t i = 0; i < n; i++)
		slate_stack_free(stacks[i]);
	assert_true(figures().cached_stacks > 0);
	host_cpu_set(1);
	assert_int_equal(alloc_all(1) > n, true);
	assert_int_equal(figures().cached_stacks, 0);
	host_cpu_set(0);
}

static void a_failure_anywhere_loses_nothing(void **state)
{
	(void)state;
	for (size_t nth = 1; nth < 30; nth++) {
		mm_fault_arm(nth, true);
		for (unsigned i = 0; i < 12; i++)
			stacks[i] = slate_stack_alloc(2);
		mm_fault_arm(0, false);
		for (unsigned i = 0; i < 12; i++)
			slate_stack_free(stacks[i]);
		check_at_rest();
	}
}

static void *held;

static void handler(void)
{
	if (held)
		slate_stack_free(held);
	held = held ? NULL : slate_stack_alloc(2);
}

/* A handler runs each time that the code below enables interrupts. */
static void a_handler_in_every_gap(void **state)
{
	(void)state;
	held = NULL;
	host_irq_hook(handler);
	for (int round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 40; i++) {
			stacks[i] = alloc(2);
			memset(stacks[i], 0x33, 4 * SLATE_PAGE_SIZE);
		}
		for (unsigned i = 0; i < 40; i++)
			slate_stack_free(stacks[i]);
	}
	host_irq_hook(NULL);
	slate_stack_free(held);
	check_at_rest();
}

/* ---- How deep ---- */

static void the_deepest_byte_counts(void **state)
{
	size_t size_bytes = SLATE_PAGE_SIZE << 2;
	char *stack = alloc(2);

	(void)state;
	slate_stack_fill(stack);
	assert_int_equal(slate_stack_used(stack), 0);
	stack[size_bytes - 1] = 0;
	assert_int_equal(slate_stack_used(stack), 1);
	stack[5000] = 0;
	assert_int_equal(slate_stack_used(stack), size_bytes - 5000);
	stack[0] = 0;
	assert_int_equal(slate_stack_used(stack), size_bytes);
	slate_stack_fill(stack);
	assert_int_equal(slate_stack_used(stack), 0);
	slate_stack_free(stack);
#if SLATE_DEBUG
	/* what comes is filled */
	for (unsigned i = 0; i < 20; i++) {
		stacks[i] = alloc(2);
		assert_int_equal(slate_stack_used(stacks[i]), 0);
	}
	for (unsigned i = 0; i < 20; i++)
		slate_stack_free(stacks[i]);
#endif
	check_at_rest();
}

/* ---- All of it, by chance ---- */

static void random_stacks_never_overlap(void **state)
{
	struct host_random random = host_random_seed("stacks", 20260917);
	static unsigned orders[256];
	size_t ops = host_ops(20000);

	(void)state;
	memset(stacks, 0, sizeof(stacks));
	for (size_t op = 0; op < ops; op++) {
		size_t slot = host_random_below(&random, 256);
		unsigned char *stack = stacks[slot];

		host_cpu_set((unsigned)host_random_below(&random, 2));
		if (stack) {
			size_t last = (SLATE_PAGE_SIZE << orders[slot]) - 1;

			assert_int_equal(stack[0], slot);
			assert_int_equal(stack[last], slot);
			slate_stack_free(stack);
			stacks[slot] = NULL;
			continue;
		}
		orders[slot] = (unsigned)host_random_below(&random, SLATE_STACK_ORDERS);
		stack = slate_stack_alloc(orders[slot]);
		stacks[slot] = stack;
		if (stack) {
			stack[0] = (unsigned char)slot;
			stack[(SLATE_PAGE_SIZE << orders[slot]) - 1] = (unsigned char)slot;
		}
		if (op % 1024 == 0)
			assert_int_equal(slate_validate(), 0);
	}
	for (size_t slot = 0; slot < 256; slot++)
		slate_stack_free(stacks[slot]);
	host_cpu_set(0);
	check_at_rest();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STACK(every_order_is_whole_and_its_own),
		STACK(other_orders_are_refused),
		STACK(before_start_is_a_report),
		STACK(the_page_below_is_gone),
		STACK(without_guards_no_frame_is_lost),
		STACK(a_guard_is_a_frame_of_the_stack),
		STACK(any_address_leads_to_its_stack),
		STACK(other_addresses_lead_to_none),
		STACK(what_is_no_stack_is_refused),
		STACK(the_other_frees_refuse_a_stack),
		STACK(a_double_free_is_found),
		STACK(a_free_after_the_flush_is_found),
		STACK(pairs_stay_on_the_cpu),
		STACK(another_cpu_may_free),
		STACK(idle_stacks_go_home_by_themselves),
		STACK(a_cpu_that_leaves_keeps_none),
		STACK(the_end_is_null_and_comes_back),
		STACK(cached_stacks_are_drained_before_null),
		STACK(a_failure_anywhere_loses_nothing),
		STACK(a_handler_in_every_gap),
		STACK(the_deepest_byte_counts),
		STACK(random_stacks_never_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
