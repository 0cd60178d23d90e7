/* SPDX-License-Identifier: MIT */
/*
 * selftest_migrate.c - a task that is taken off its CPU in the middle of an allocation, and goes on
 * on another one: what a preemptive scheduler does.
 *
 * The task runs on a stack of its own, in single steps on the boot CPU. At the chosen step its trap
 * frame is kept and the CPU leaves it for good; the other CPU resumes the frame. A sequence that
 * was interrupted must begin again there, and touch that CPU's magazines alone.
 */
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/step.h"
#include "kernel/tap.h"
#include "mm/mcache.h"
#include "mm/sizeclass.h"
#include "mm/witness.h"

#define STACK_ORDER 2
#define SIZE        64
#define STEPS_MAX   1000
#define STEPS_MIN   15 /* the shortest of the operations has more */

static unsigned other;                            /* the CPU that resumes */
static struct arch_jump_buf home[SLATE_MAX_CPUS]; /* where a CPU is when it has no task */

/* One journey. Each field is written by the CPU that the task is on. */
static struct {
	void (*run)(void *arg);
	uint64_t *object;
	bool inside;
	size_t steps;
	size_t target;
	struct trap_frame *frame; /* NULL: the operation ended before */
	size_t cached_then;       /* by the boot CPU when it left the task */
	unsigned ended_on;
} task;

static size_t cached(unsigned cpu)
{
	return mcache_cached(mcaches[cpu], sizeclass_of(SIZE) << 1);
}

static void alloc_run(void *arg)
{
	(void)arg;
	task.object = (slate_alloc)(SIZE);
}

static void free_run(void *arg)
{
	(void)arg;
	slate_free(task.object);
}

/* In the debug exception, on the task's stack. */
static bool leave(struct trap_frame *frame, uintptr_t pc, bool irq_enabled)
{
	(void)irq_enabled;
	if (pc == (uintptr_t)task.run)
		task.inside = true;
	if (!task.inside || task.steps++ < task.target)
		return true;
	task.frame = frame;
	task.cached_then = cached(arch_cpu());
	arch_jump(&home[arch_cpu()]);
}

static void task_main(void *arg)
{
	step_run(task.run, arg, leave);
	task.ended_on = arch_cpu();
	arch_jump(&home[arch_cpu()]);
}

static void resume(void *arg)
{
	(void)arg;
	if (!arch_jump_set(&home[arch_cpu()]))
		arch_resume(task.frame);
	arch_irq_enable();
}

/* Both CPUs' magazines serve the next takes and gives. */
static void warm(void *arg)
{
	void *a = (slate_alloc)(SIZE);
	void *b = (slate_alloc)(SIZE);

	(void)arg;
	slate_free(a);
	slate_free(b);
}

/* False: there is no such step. */
static bool travel(void (*run)(void *arg), size_t target, void *stack_top)
{
	task.run = run;
	task.target = target;
	task.steps = 0;
	task.inside = false;
	task.frame = NULL;
	if (!arch_jump_set(&home[arch_cpu()]))
		arch_on_stack(task_main, NULL, stack_top);
	arch_irq_enable();
	if (!task.frame)
		return false;
	smp_run(other, resume, NULL);
	CHECK(task.ended_on == other);
	return true;
}

/*
 * One operation, which changes how many objects its CPU has in its magazines by one. Returns true
 * when that happened once, and where the task was.
 */
static bool changed_once(size_t here, size_t there)
{
	size_t here_now = cached(arch_cpu());
	size_t there_now = cached(other);

	if (task.cached_then != here)
		return here_now == task.cached_then && there_now == there;
	return here_now == here && there_now != there;
}

struct journey {
	size_t steps; /* how many places there were to leave from */
	size_t wrong; /* times that the wrong magazine changed */
};

static struct journey all_steps(void (*run)(void *arg), void (*before)(void), void (*after)(void))
{
	struct journey journey = {0};
	char *stack = slate_stack_alloc(STACK_ORDER);
	bool more = true;

	CHECK(stack);
	while (more && journey.steps < STEPS_MAX) {
		size_t here, there;

		smp_run(other, warm, NULL);
		warm(NULL);
		before();
		here = cached(arch_cpu());
		there = cached(other);
		more = travel(run, journey.steps, stack + (SLATE_PAGE_SIZE << STACK_ORDER));
		if (more && !changed_once(here, there))
			journey.wrong++;
		journey.steps += more;
		after();
	}
	slate_stack_free(stack);
	CHECK(journey.steps > STEPS_MIN && journey.steps < STEPS_MAX);
	return journey;
}

static void take_object(void)
{
	task.object = (slate_alloc)(SIZE);
	CHECK(task.object);
}

static void give_object(void)
{
	CHECK(task.object);
	slate_free(task.object);
}

static void nothing(void)
{
}

static bool two_cpus(void)
{
	other = smp_next(arch_cpu());
	if (other == arch_cpu())
		tap_skip("a task can go nowhere on one CPU");
	else if (witness_is_on())
		tap_skip("with witnesses nobody runs through the sequences");
	else if (SLATE_PROTECT != SLATE_PROTECT_RSEQ)
		tap_skip("there are no sequences to restart");
	else
		return true;
	return false;
}

/* A sample of the heap profile is an operation that takes another way, and other counts. */
static struct journey all_steps_unsampled(void (*run)(void *arg), void (*before)(void),
					  void (*after)(void))
{
	size_t rate = profile_rate_set(0);
	struct journey journey = all_steps(run, before, after);

	profile_rate_set(rate);
	return journey;
}

static void test_alloc(void)
{
	struct journey journey;

	if (!two_cpus())
		return;
	journey = all_steps_unsampled(alloc_run, nothing, give_object);
	tap_note("left for CPU %u at each of %zu instructions", other, journey.steps);
	CHECK(journey.wrong == 0);
}

static void test_free(void)
{
	struct journey journey;

	if (!two_cpus())
		return;
	journey = all_steps_unsampled(free_run, take_object, nothing);
	tap_note("left for CPU %u at each of %zu instructions", other, journey.steps);
	CHECK(journey.wrong == 0);
}

/* The magazine that the sequence has found is another CPU's by then. */
static void test_control(void)
{
	struct journey journey;

	if (!two_cpus())
		return;
	arch_fixup_set(false);
	journey = all_steps_unsampled(alloc_run, nothing, give_object);
	arch_fixup_set(true);
	CHECK(journey.wrong > 0);
}

const struct pure_test selftest_migrate[] = {
	{"migrate: a task leaves its CPU on every instruction of alloc", test_alloc},
	{"migrate: a task leaves its CPU on every instruction of free", test_free},
	{"migrate: without the fixup it changes the wrong magazine", test_control},
	{0},
};
