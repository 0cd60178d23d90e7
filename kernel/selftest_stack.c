/* SPDX-License-Identifier: MIT */
/*
 * selftest_stack.c - kernel stacks: tasks run on them, all CPUs take and give them, what lies below
 * them is gone. And the command that proves the last by running out of one.
 */
#include <stdatomic.h>

#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/stack.h"

#define TASK_ORDER 1

static _Atomic size_t wrong;

/* ---- Tasks ---- */

/* The deepest address of a call chain of that many frames of more than 256 bytes. */
static __attribute__((noinline)) uintptr_t descend(size_t frames)
{
	volatile unsigned char local[256];
	uintptr_t deepest = (uintptr_t)local;

	for (size_t i = 0; i < sizeof(local); i++)
		local[i] = (unsigned char)frames;
	if (frames > 1)
		deepest = descend(frames - 1);
	/* not a tail call: the frame is needed afterwards */
	return local[0] == (unsigned char)frames ? deepest : 0;
}

struct task {
	size_t frames;
	uintptr_t deepest; /* written by the task */
};

static void task_run(void *arg)
{
	struct task *task = arg;

	task->deepest = descend(task->frames);
}

static void test_task(void)
{
	struct task task = {.frames = 8};
	void *stack = stack_alloc(TASK_ORDER, "task", 1);
	struct slate_stack_info info;
	size_t used;

	CHECK(stack);
	CHECK(slate_stack_used(stack) == 0);
	arch_on_stack(task_run, &task, stack_top(stack, TASK_ORDER));
	CHECK(slate_stack_find((const void *)task.deepest, &info));
	CHECK(info.stack == stack && !info.in_guard);
	used = slate_stack_used(stack);
	CHECK(used >= (uintptr_t)stack_top(stack, TASK_ORDER) - task.deepest);
	CHECK(used >= 8 * 256 && used < 2 * SLATE_PAGE_SIZE);

	/* deeper shows, less deep does not */
	task.frames = 2;
	arch_on_stack(task_run, &task, stack_top(stack, TASK_ORDER));
	CHECK(slate_stack_used(stack) == used);
	task.frames = 12;
	arch_on_stack(task_run, &task, stack_top(stack, TASK_ORDER));
	CHECK(slate_stack_used(stack) >= used + 4 * 256);
	stack_free(stack);
}

static void find_own(void *arg)
{
	struct slate_stack_info info;
	int local = 0;

	(void)arg;
	if (!slate_stack_find(&local, &info) || info.in_guard)
		atomic_fetch_add(&wrong, 1);
}

/* Every CPU runs on a stack from slate_stack_alloc(). */
static void test_cpu_stacks(void)
{
	atomic_store(&wrong, 0);
	smp_run_all(find_own, NULL);
	CHECK(atomic_load(&wrong) == 0);
}

/* ---- Guard pages ---- */

static void test_guard(void)
{
	struct slate_stack_info info;
	char *stack;

	for (unsigned order = 0; order < SLATE_STACK_ORDERS; order++) {
		stack = slate_stack_alloc(order);
		CHECK(stack);
		CHECK(slate_stack_find(stack - 1, &info));
		CHECK(info.stack == stack && info.guarded && info.in_guard);
		CHECK(slate_stack_find(stack + info.size_bytes - 1, &info));
		CHECK(!info.in_guard && info.size_bytes == SLATE_PAGE_SIZE << order);
		slate_stack_free(stack);
	}
}

/* The frames of a guard are whole again when the stack has gone home. */
static void test_guard_returns(void)
{
	char *stack = slate_stack_alloc(2);
	struct slate_page_constraints fit = {.node = SLATE_ANY_NODE};
	pfn_t pfn;

	CHECK(stack);
	fit.min = slate_phys(stack - SLATE_PAGE_SIZE).v;
	fit.max = fit.min + 5 * SLATE_PAGE_SIZE;
	slate_stack_free(stack);
	slate_flush();
	pfn = slate_page_alloc(5, &fit);
	CHECK(!pfn_is_none(pfn));
	pattern_fill(slate_virt(pfn_to_paddr(pfn)), 5 * SLATE_PAGE_SIZE, 5);
	CHECK(pattern_check(slate_virt(pfn_to_paddr(pfn)), 5 * SLATE_PAGE_SIZE, 5) ==
	      5 * SLATE_PAGE_SIZE);
	slate_page_free(pfn, 5);
}

static void test_rights(void)
{
	struct slate_page_constraints fit = {.max = mapped_end(), .node = SLATE_ANY_NODE};
	pfn_t pfn = slate_page_alloc(1, &fit);
	volatile char *page;

	CHECK(!pfn_is_none(pfn));
	page = slate_virt(pfn_to_paddr(pfn));
	page[1] = 7;
	if (arch_page_rights((void *)page, ARCH_RIGHTS_READ)) {
		CHECK(page[1] == 7);
		CHECK(arch_page_rights((void *)page, ARCH_RIGHTS_NONE));
		CHECK(arch_page_rights((void *)page, ARCH_RIGHTS_WRITE));
		CHECK(page[1] == 7);
		page[1] = 8;
		CHECK(page[1] == 8);
	}
	slate_page_free(pfn, 1);
}

/* ---- Caches ---- */

static void churn(void *arg)
{
	uint32_t seed = 99 + arch_cpu();
	void *held[4] = {NULL};

	(void)arg;
	for (size_t i = 0; i < 1500; i++) {
		void **slot = &held[random_next(&seed) % 4];
		unsigned order = random_next(&seed) % 3;
		uint32_t *words = slate_stack_alloc(order);
		struct slate_stack_info info;

		if (!words) {
			atomic_fetch_add(&wrong, 1);
			continue;
		}
		words[0] = seed;
		words[(SLATE_PAGE_SIZE << order) / 4 - 1] = seed;
		if (!slate_stack_find(words, &info) || info.stack != words || words[0] != seed)
			atomic_fetch_add(&wrong, 1);
		slate_stack_free(*slot);
		*slot = words;
	}
	for (size_t i = 0; i < 4; i++)
		slate_stack_free(held[i]);
}

static void test_all_cpus(void)
{
	atomic_store(&wrong, 0);
	smp_run_all(churn, NULL);
	CHECK(atomic_load(&wrong) == 0);
	CHECK(slate_validate() == 0);
}

static void test_misuse(void)
{
	char *stack = slate_stack_alloc(1);
	void *object = slate_alloc(64);

	CHECK(stack && object);
	report_begin(SLATE_CRIME_NOT_OBJECT);
	slate_free(stack);
	CHECK(report_end() == 1);
	report_begin(SLATE_CRIME_INTERIOR);
	slate_stack_free(stack + SLATE_PAGE_SIZE);
	slate_stack_free(stack - SLATE_PAGE_SIZE);
	slate_stack_free(stack + 8);
	CHECK(report_end() == 3);
	report_begin(SLATE_CRIME_NOT_STACK);
	slate_stack_free(object);
	CHECK(report_end() == 1);
	report_begin(SLATE_CRIME_FOREIGN);
	slate_stack_free((void *)(uintptr_t)&wrong);
	slate_stack_free((void *)0x1000);
	CHECK(report_end() == 2);
	report_begin(SLATE_CRIME_DOUBLE_FREE);
	slate_stack_free(stack);
	slate_stack_free(stack);
	slate_flush();
	CHECK(report_end() == 1);
	slate_free(object);
}

const struct pure_test selftest_stack[] = {
	{"stack: a task, and how deep it went", test_task},
	{"stack: every CPU runs on one", test_cpu_stacks},
	{"stack: a guard page below each order", test_guard},
	{"stack: a guard page is memory again afterwards", test_guard_returns},
	{"stack: rights of a single page", test_rights},
	{"stack: all CPUs take and give", test_all_cpus},
	{"stack: misuse is reported", test_misuse},
	{0},
};

/* ---- The command ---- */

static void overflow_run(void *arg)
{
	struct task *task = arg;

	task->deepest = descend(SIZE_MAX);
}

/* On that CPU, on a stack of its own. Returns only when there was no guard page. */
static void overflow_on_cpu(void *arg)
{
	struct task task = {0};
	struct slate_stack_info info;
	void *stack = stack_alloc(TASK_ORDER, "overflow task", *(unsigned *)arg);

	if (!stack)
		return;
	if (slate_stack_find(stack, &info) && info.guarded)
		arch_on_stack(overflow_run, &task, stack_top(stack, TASK_ORDER));
	stack_free(stack);
}

bool cmd_overflow(int argc, char **argv)
{
	uint64_t number = 0;
	unsigned cpu;

	if (argc > 2 || (argc == 2 && !parse_number(argv[1], &number)))
		return command_usage(argv[0]);
	if (number >= SLATE_MAX_CPUS || !smp_is_online((unsigned)number)) {
		kprintf("CPU %s is not online\n", argv[1]);
		return false;
	}
	cpu = (unsigned)number;
	smp_run(cpu, overflow_on_cpu, &cpu);
	kprintf("no guard page could be had\n");
	return false;
}
