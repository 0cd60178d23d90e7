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
#include "mm/mcentral.h"
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

static unsigned class(void)
{
	return sizeclass_of(SIZE) << 1;
}

static size_t cached(unsigned cpu)
{
	return mcache_cached(mcaches[cpu], class());
}

/* Objects that are neither in their spans nor with one of the two CPUs. */
static size_t held(void)
{
	size_t spans, objects;

	mcentral_counts(class(), &spans, &objects);
	return objects - cached(arch_cpu()) - cached(other);
}

/* What the boot CPU takes from before it exchanges magazines. */
static size_t at_hand(void)
{
	return magazine_count(mcache_top(&mcaches[arch_cpu()]->take[class()]),
			      mcache_capacity(class()));
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

/* Once the task was gone, its first CPU's magazines stayed as they were. */
static bool left_alone(void)
{
	return cached(arch_cpu()) == task.cached_then;
}

/*
 * One operation, which changes how many objects its CPU has in its magazines by one. Returns true
 * when that happened once, and where the task was.
 */
static bool changed_once(size_t here, size_t there)
{
	return (task.cached_then != here) != (cached(other) != there);
}

/* An operation, and what surrounds each journey through it. */
struct route {
	void (*run)(void *arg);
	void (*before)(void);
	void (*after)(void);
	bool exchanges; /* a magazine that is left on the way goes home, where it was going is full
			 */
};

struct journey {
	size_t steps; /* how many places there were to leave from */
	size_t wrong; /* times that the wrong CPU's magazines changed, or both */
	size_t lost;  /* times that there was an object more or less */
};

/* Returns whether there was such a step. Both CPUs begin with full magazines to take from. */
static bool journey_on(struct journey *journey, const struct route *route, void *stack_top)
{
	size_t here, there, out;
	bool is_one;

	slate_flush();
	smp_run(other, warm, NULL);
	warm(NULL);
	route->before();
	here = cached(arch_cpu());
	there = cached(other);
	out = held();
	is_one = travel(route->run, journey->steps, stack_top);
	if (is_one) {
		journey->wrong += !left_alone();
		if (!route->exchanges)
			journey->wrong += !changed_once(here, there);
		journey->lost += held() != (route->run == free_run ? out - 1 : out + 1);
		journey->steps++;
	}
	route->after();
	return is_one;
}

static struct journey all_steps(const struct route *route)
{
	struct journey journey = {0};
	char *stack = slate_stack_alloc(STACK_ORDER);

	CHECK(stack);
	while (journey.steps < STEPS_MAX &&
	       journey_on(&journey, route, stack + (SLATE_PAGE_SIZE << STACK_ORDER))) {
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

static void something_at_hand(void)
{
	CHECK(at_hand() > 0);
}

static void *taken[4 * MAGAZINE_CAP_MAX];
static size_t taken_count;

/* Much to give, nothing to take: the next alloc exchanges the magazines. */
static void nothing_at_hand(void)
{
	size_t full = mcache_capacity(class());

	taken_count = 0;
	do {
		taken[taken_count++] = (slate_alloc)(SIZE);
	} while ((cached(arch_cpu()) > 0 || taken_count < full) &&
		 taken_count < 4 * MAGAZINE_CAP_MAX);
	for (size_t i = 1; i < full; i++)
		slate_free(taken[--taken_count]);
	CHECK(at_hand() == 0 && cached(arch_cpu()) == full - 1);
}

static void give_all(void)
{
	give_object();
	while (taken_count > 0)
		slate_free(taken[--taken_count]);
}

static const struct route alloc_route = {alloc_run, something_at_hand, give_object, false};
static const struct route free_route = {free_run, take_object, something_at_hand, false};
static const struct route exchange_route = {alloc_run, nothing_at_hand, give_all, true};

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
static struct journey all_steps_unsampled(const struct route *route)
{
	size_t rate = profile_rate_set(0);
	struct journey journey = all_steps(route);

	profile_rate_set(rate);
	return journey;
}

static void test_route(const struct route *route)
{
	struct journey journey;

	if (!two_cpus())
		return;
	journey = all_steps_unsampled(route);
	tap_note("left for CPU %u at each of %zu instructions", other, journey.steps);
	CHECK(journey.wrong == 0);
	CHECK(journey.lost == 0);
}

static void test_alloc(void)
{
	test_route(&alloc_route);
}

static void test_free(void)
{
	test_route(&free_route);
}

static void test_exchange(void)
{
	test_route(&exchange_route);
}

/* The magazine that the sequence has found is another CPU's by then. */
static void test_control(void)
{
	struct journey alloc, exchange;

	if (!two_cpus())
		return;
	arch_fixup_set(false);
	alloc = all_steps_unsampled(&alloc_route);
	exchange = all_steps_unsampled(&exchange_route);
	arch_fixup_set(true);
	CHECK(alloc.wrong > 0);
	CHECK(exchange.wrong > 0);
}

const struct pure_test selftest_migrate[] = {
	{"migrate: a task leaves its CPU on every instruction of alloc", test_alloc},
	{"migrate: a task leaves its CPU on every instruction of free", test_free},
	{"migrate: a task leaves its CPU on every instruction of an exchange", test_exchange},
	{"migrate: without the fixup it changes the wrong magazine", test_control},
	{0},
};
