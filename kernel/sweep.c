/* SPDX-License-Identifier: MIT */
/*
 * sweep.c - an interrupt on every instruction of an operation.
 *
 * First the operation runs once in single steps: that gives its N boundaries, each with its program
 * counter and whether interrupts are enabled there. Then it runs once more for each of them. Where
 * they are enabled, a one-shot timer lands there: under -icount a delay longer by one is an
 * interrupt one instruction later, and where they are masked it waits for the next boundary that is
 * open. Where they are masked, a step stands in for the NMI: the handler works in the debug
 * exception. A boundary counts as hit only if the interrupted program counter is the one that the
 * trace says.
 */
#include <slate/port.h>
#include <slate/slate.h>
#include <slate/stats.h>

#include "arch/arch.h"
#include "kernel/bench.h"
#include "kernel/console.h"
#include "kernel/selftest.h"
#include "kernel/selftest_sweep.h"
#include "kernel/smp.h"
#include "kernel/step.h"
#include "kernel/tap.h"
#include "lib/string.h"

#define TRACE_MAX      32768
#define HELD           3    /* by the handler */
#define DELAY_MAX      4000 /* until the first boundary of the operation */
#define VALIDATE_EVERY 512
#define START_BACK     512 /* steps that a breakpoint may save */

/* A boundary: its distance from the start of the kernel's text, and what is known of it. */
#define BOUNDARY_PC    0x0fffffffu
#define BOUNDARY_STEP  0x80000000u /* not in the shadow of the enabling instruction */
#define BOUNDARY_OPEN  0x40000000u /* interrupts are enabled */
#define BOUNDARY_HIT   0x20000000u
#define BOUNDARY_START 0x10000000u /* steps may begin here */

static uint32_t trace[TRACE_MAX];
static uint16_t times_before[TRACE_MAX]; /* that the same instruction came in this operation */
static size_t trace_count;

/* One placement. Written in the handler, read when it has run. */
static struct {
	const struct sweep_op *op;
	unsigned cpu; /* where it runs */
	size_t number;
	uint64_t *held[HELD];
	bool inside;      /* the steps are those of the operation itself */
	size_t steps;     /* of it so far */
	size_t target;    /* the step that is the NMI */
	unsigned handled; /* handlers that ran */
	uintptr_t pc;     /* where the last one fell */
	size_t wrong;
} now;

void sweep_wrong(void)
{
	now.wrong++;
}

static uint64_t token_of(const uint64_t *object)
{
	return ~(uint64_t)(uintptr_t)object;
}

uint64_t *sweep_own(uint64_t *object)
{
	if (!object || *object == token_of(object)) {
		now.wrong++;
		return NULL;
	}
	*object = token_of(object);
	return object;
}

void sweep_disown(const struct sweep_kind *kind, uint64_t *object)
{
	if (!object)
		return;
	if (*object != token_of(object))
		now.wrong++;
	*object = 0;
	kind->give(object);
}

/* ---- The operation between two marks ---- */

static __attribute__((noinline)) void end_mark(void)
{
	__asm__ volatile("" : : : "memory");
}

static __attribute__((noinline)) void bracket(void *arg)
{
	const struct sweep_op *op = arg;

	op->run(arg);
	end_mark();
}

/* Is this boundary the operation's? */
static bool is_inside(uintptr_t pc)
{
	if (pc == (uintptr_t)now.op->run)
		now.inside = true;
	else if (pc == (uintptr_t)end_mark)
		now.inside = false;
	return now.inside;
}

/* ---- The handler ---- */

/* In turns: give and take, take and give. What it gets it may not get: an NMI finds a lock taken.
 */
static void intrude(void)
{
	const struct sweep_kind *kind = now.op->kind;
	uint64_t *object = NULL;

	now.handled++;
	if (now.number % 2)
		object = kind->take();
	sweep_disown(kind, now.held[0]);
	if (!(now.number % 2))
		object = kind->take();
	now.held[0] = object ? sweep_own(object) : NULL;
}

static void begin(const struct sweep_op *op)
{
	now.op = op;
	now.cpu = arch_cpu();
	now.number++;
	now.handled = 0;
	now.inside = false;
	now.steps = 0;
	slate_poll();
	slate_flush();
	for (size_t i = 0; i < HELD; i++)
		now.held[i] = sweep_own(op->kind->take());
	op->prepare(op);
}

static void end(void)
{
	now.op->finish(now.op);
	for (size_t i = 0; i < HELD; i++) {
		sweep_disown(now.op->kind, now.held[i]);
		now.held[i] = NULL;
	}
	if (now.number % VALIDATE_EVERY == 0)
		CHECK(slate_validate() == 0);
}

/* ---- The trace ---- */

static bool note_boundary(struct trap_frame *frame, uintptr_t pc, bool irq_enabled)
{
	bool was_closed = trace_count > 0 && !(trace[trace_count - 1] & BOUNDARY_OPEN);

	(void)frame;
	if (!is_inside(pc) || trace_count >= TRACE_MAX - 1)
		return true;
	if (irq_enabled && was_closed && arch_irq_enable_is_late)
		trace[trace_count++] = 0;
	trace[trace_count++] = ((uint32_t)(pc - (uintptr_t)text_start) & BOUNDARY_PC) |
			       BOUNDARY_STEP | (irq_enabled ? BOUNDARY_OPEN : 0) |
			       (arch_step_is_delicate() ? 0 : BOUNDARY_START);
	return true;
}

static void make_trace(const struct sweep_op *op)
{
	trace_count = 0;
	/* once before, for what happens at the first time only */
	begin(op);
	bracket((void *)(uintptr_t)op);
	end();
	begin(op);
	step_run(bracket, (void *)(uintptr_t)op, note_boundary);
	end();
	CHECK(trace_count > 0 && trace_count < TRACE_MAX - 1);
}

static bool is_boundary(size_t i, uintptr_t pc)
{
	return i < trace_count && pc - (uintptr_t)text_start == (trace[i] & BOUNDARY_PC);
}

static size_t count_with(uint32_t bits)
{
	size_t n = 0;

	for (size_t i = 0; i < trace_count; i++)
		n += (trace[i] & bits) == bits;
	return n;
}

static void account(const struct sweep_op *op, const char *name, uint32_t all, size_t least)
{
	size_t n = count_with(all);
	size_t hit = count_with(all | BOUNDARY_HIT);

	kprintf("boundaries %s hit %zu of %zu\n", name, hit, n);
	if (now.wrong)
		tap_note("%s: %zu errors", name, now.wrong);
	CHECK((hit == n || op->varies) && hit >= least);
	CHECK(now.wrong == 0);
}

/* ---- By timer ---- */

/* The other CPUs' ticks are none of ours. */
static void on_tick(unsigned cpu)
{
	if (cpu != now.cpu)
		return;
	now.pc = arch_interrupted_pc();
	intrude();
}

static void place_by_timer(const struct sweep_op *op, uint64_t delay)
{
	begin(op);
	arch_timer_oneshot(delay);
	bracket((void *)(uintptr_t)op);
	while (!*(volatile unsigned *)&now.handled)
		arch_relax();
	end();
}

/* The delay with which the interrupt comes at the operation's first instruction. */
static uint64_t first_delay(const struct sweep_op *op)
{
	for (uint64_t delay = 1; delay < DELAY_MAX; delay++) {
		place_by_timer(op, delay);
		if (is_boundary(0, now.pc))
			return delay;
	}
	CHECK(!"the operation's first instruction was met");
	return 0;
}

static void timer_on(const struct sweep_op *op)
{
	now.wrong = 0;
	arch_timer_periodic(0);
	make_trace(op);
	smp_tick_hook(on_tick);
}

static void timer_off(void)
{
	smp_tick_hook(NULL);
	arch_timer_periodic(SMP_TICK_HZ);
}

static void place_all_by_timer(const struct sweep_op *op)
{
	uint64_t first = first_delay(op);

	for (size_t i = 0; i < trace_count; i++) {
		size_t at = i;

		place_by_timer(op, first + i);
		while (at < trace_count && !(trace[at] & BOUNDARY_OPEN))
			at++;
		if (is_boundary(at, now.pc))
			trace[at] |= BOUNDARY_HIT;
	}
}

void sweep_by_timer(const struct sweep_op *op, size_t least)
{
	timer_on(op);
	place_all_by_timer(op);
	timer_off();
	account(op, op->by_timer, BOUNDARY_OPEN, least);
}

size_t sweep_without_fixup(const struct sweep_op *op)
{
	size_t found;

	timer_on(op);
	arch_fixup_set(false);
	place_all_by_timer(op);
	arch_fixup_set(true);
	timer_off();
	found = now.wrong;
	now.wrong = 0;
	return found;
}

/* ---- By step ---- */

#define PLACES 4096 /* different instructions of an operation, at most half */

/* Fill times_before. */
static void count_times(void)
{
	static struct {
		uint32_t pc;
		uint32_t times;
	} places[PLACES];

	memset(places, 0, sizeof(places));
	for (size_t i = 0; i < trace_count; i++) {
		uint32_t pc = trace[i] & BOUNDARY_PC;
		size_t at = pc % PLACES;

		while (places[at].times && places[at].pc != pc)
			at = (at + 1) % PLACES;
		places[at].pc = pc;
		times_before[i] = (uint16_t)places[at].times++;
	}
}

/*
 * Where to begin with the steps to boundary i: each costs one exception, and so does each time that
 * the breakpoint comes without being meant.
 */
static size_t best_start(size_t i)
{
	size_t best = i;
	size_t cost_best = SIZE_MAX;

	for (size_t back = 0; back < START_BACK && back <= i; back++) {
		size_t cost = back + 2 * (size_t)times_before[i - back];

		if ((trace[i - back] & BOUNDARY_START) && cost < cost_best) {
			best = i - back;
			cost_best = cost;
		}
	}
	return best;
}

static bool at_target(struct trap_frame *frame, uintptr_t pc, bool irq_enabled)
{
	(void)frame;
	(void)irq_enabled;
	if (now.steps++ < now.target)
		return true;
	now.pc = pc;
	arch_nmi_enter();
	intrude();
	arch_nmi_leave();
	return false;
}

static void place_by_step(const struct sweep_op *op, size_t i)
{
	size_t start = best_start(i);
	uintptr_t from = (uintptr_t)text_start + (trace[start] & BOUNDARY_PC);

	begin(op);
	now.target = 0;
	for (size_t j = start; j < i; j++)
		now.target += trace[j] & BOUNDARY_STEP ? 1 : 0;
	step_run_from(from, times_before[start], bracket, (void *)(uintptr_t)op, at_target);
	end();
	if (now.handled == 1 && is_boundary(i, now.pc))
		trace[i] |= BOUNDARY_HIT;
}

void sweep_by_step(const struct sweep_op *op, size_t least)
{
	now.wrong = 0;
	arch_timer_periodic(0);
	make_trace(op);
	count_times();
	for (size_t i = 0; i < trace_count; i++) {
		if (trace[i] & BOUNDARY_STEP)
			place_by_step(op, i);
	}
	arch_timer_periodic(SMP_TICK_HZ);
	account(op, op->by_step, BOUNDARY_STEP, least);
}

bool sweep_can_run(void)
{
	/* what other CPUs run counts as well */
	if (smp_count() == 1 && bench_counts_instructions())
		return true;
	tap_skip("instructions are counted with --icount and one CPU only");
	return false;
}

void selftest_sweep_clean_up(void)
{
	arch_fixup_set(true);
	arch_timer_periodic(SMP_TICK_HZ);
}
