/* SPDX-License-Identifier: MIT */
/* test_lockrank.c - the order of locks, held-by-this-CPU checks, and interrupts around them. */
#include "test-host/unit.h"

#include "mm/lockrank.h"

static struct mm_lock low;
static struct mm_lock middle;
static struct mm_lock high;

static int set_up(void **state)
{
	(void)state;
	host_reset();
	mm_lock_init(&low, RANK_MCENTRAL);
	mm_lock_init(&middle, RANK_MHEAP);
	mm_lock_init(&high, RANK_PAGEALLOC);
	return 0;
}

#define LOCKS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void interrupts_are_off_while_held(void **state)
{
	unsigned long irq;

	(void)state;
	assert_true(port_irq_enabled());
	irq = mm_lock_acquire(&low);
	assert_false(port_irq_enabled());
	mm_lock_release(&low, irq);
	assert_true(port_irq_enabled());
}

static void interrupts_stay_off_if_they_were(void **state)
{
	unsigned long irq;

	(void)state;
	host_irq_set(false);
	irq = mm_lock_acquire(&low);
	mm_lock_release(&low, irq);
	assert_false(port_irq_enabled());
}

static void ascending_order(void **state)
{
	unsigned long a = mm_lock_acquire(&low);
	unsigned long b = mm_lock_acquire(&middle);
	unsigned long c = mm_lock_acquire(&high);

	(void)state;
	mm_lock_release(&high, c);
	mm_lock_release(&middle, b);
	mm_lock_release(&low, a);
	mm_lock_assert_none();
}

/* Not the last acquired is released first. */
static void release_in_any_order(void **state)
{
	unsigned long a = mm_lock_acquire(&low);
	unsigned long b = mm_lock_acquire(&middle);

	(void)state;
	mm_lock_release(&low, b);
	b = mm_lock_acquire(&high);
	mm_lock_release(&high, b);
	mm_lock_release(&middle, a);
	mm_lock_assert_none();
}

static void nodes_in_ascending_order(void **state)
{
	struct mm_lock node0;
	struct mm_lock node1;
	unsigned long a;
	unsigned long b;

	(void)state;
	mm_lock_init(&node0, RANK_MHEAP);
	mm_lock_init(&node1, RANK_MHEAP + 1);
	a = mm_lock_acquire(&node0);
	b = mm_lock_acquire(&node1);
	mm_lock_release(&node1, b);
	mm_lock_release(&node0, a);
	a = mm_lock_acquire(&node1);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_acquire(&node0));
}

static void descending_order(void **state)
{
	(void)state;
	mm_lock_acquire(&high);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_acquire(&low));
	assert_int_equal(reported()->address, (uintptr_t)&low);
	assert_int_equal(reported()->size_bytes, RANK_MCENTRAL);
	assert_string_equal(reported()->detail, "lock taken below one that is held");
}

static void equal_ranks(void **state)
{
	struct mm_lock twin;

	(void)state;
	mm_lock_init(&twin, RANK_MCENTRAL);
	mm_lock_acquire(&low);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_acquire(&twin));
}

static void below_any_of_several(void **state)
{
	(void)state;
	mm_lock_acquire(&low);
	mm_lock_acquire(&high);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_acquire(&middle));
}

static void taken_twice(void **state)
{
	(void)state;
	mm_lock_acquire(&low);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_acquire(&low));
	assert_string_equal(reported()->detail, "lock taken twice by one CPU");
}

static void released_without_being_held(void **state)
{
	(void)state;
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_release(&low, 0));
	assert_string_equal(reported()->detail, "lock released by a CPU that does not hold it");
}

static void released_by_another_cpu(void **state)
{
	(void)state;
	mm_cpu_ids_valid();
	mm_lock_acquire(&low);
	host_cpu_set(1);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_release(&low, 0));
	assert_int_equal(reported()->cpu, 1);
}

static void assert_held(void **state)
{
	unsigned long irq = mm_lock_acquire(&low);

	(void)state;
	mm_lock_assert_held(&low);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_assert_held(&middle));
	mm_lock_release(&low, irq);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_assert_held(&low));
}

static void held_by_another_cpu_is_not_held(void **state)
{
	(void)state;
	mm_cpu_ids_valid();
	mm_lock_acquire(&low);
	host_cpu_set(1);
	mm_lock_assert_none();
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_assert_held(&low));
}

static void assert_none(void **state)
{
	(void)state;
	mm_lock_assert_none();
	assert_true(port_irq_enabled());
	mm_lock_acquire(&low);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_assert_none());
	assert_int_equal(reported()->address, (uintptr_t)&low);
}

static void try_when_free(void **state)
{
	unsigned long irq = 77;

	(void)state;
	assert_true(mm_lock_try(&low, &irq));
	assert_false(port_irq_enabled());
	mm_lock_assert_held(&low);
	mm_lock_release(&low, irq);
	assert_true(port_irq_enabled());
}

static void try_when_held(void **state)
{
	unsigned long irq;
	unsigned long other = 77;

	(void)state;
	mm_cpu_ids_valid();
	irq = mm_lock_acquire(&low);
	host_cpu_set(1);
	host_irq_set(true);
	assert_false(mm_lock_try(&low, &other));
	assert_true(port_irq_enabled());
	host_cpu_set(0);
	host_irq_set(false);
	mm_lock_release(&low, irq);
	assert_true(mm_lock_try(&low, &other));
	mm_lock_release(&low, other);
}

/* Trying cannot wait, so it cannot deadlock. */
static void try_below_a_held_one(void **state)
{
	unsigned long irq = mm_lock_acquire(&high);
	unsigned long other;

	(void)state;
	assert_true(mm_lock_try(&low, &other));
	mm_lock_release(&low, other);
	mm_lock_release(&high, irq);
}

static void cpu_is_0_before_numbers_exist(void **state)
{
	(void)state;
	host_cpu_set(5);
	assert_int_equal(mm_cpu(), 0);
	mm_cpu_ids_valid();
	assert_int_equal(mm_cpu(), 5);
}

static void numbers_begin_with_no_lock_held(void **state)
{
	(void)state;
	mm_lock_acquire(&low);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_cpu_ids_valid());
}

static void too_many_held(void **state)
{
	struct mm_lock locks[9];

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		mm_lock_init(&locks[i], (enum lock_rank)(i + 1));
	for (unsigned i = 0; i < 8; i++)
		mm_lock_acquire(&locks[i]);
	EXPECT_FATAL(SLATE_CRIME_LOCK, mm_lock_acquire(&locks[8]));
	assert_string_equal(reported()->detail, "too many locks held");
}

static void tickets_wrap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 70000; i++)
		mm_lock_release(&low, mm_lock_acquire(&low));
	mm_lock_assert_none();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCKS(interrupts_are_off_while_held),
		LOCKS(interrupts_stay_off_if_they_were),
		LOCKS(ascending_order),
		LOCKS(release_in_any_order),
		LOCKS(nodes_in_ascending_order),
		LOCKS(descending_order),
		LOCKS(equal_ranks),
		LOCKS(below_any_of_several),
		LOCKS(taken_twice),
		LOCKS(released_without_being_held),
		LOCKS(released_by_another_cpu),
		LOCKS(assert_held),
		LOCKS(held_by_another_cpu_is_not_held),
		LOCKS(assert_none),
		LOCKS(try_when_free),
		LOCKS(try_when_held),
		LOCKS(try_below_a_held_one),
		LOCKS(cpu_is_0_before_numbers_exist),
		LOCKS(numbers_begin_with_no_lock_held),
		LOCKS(too_many_held),
		LOCKS(tickets_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
