/* SPDX-License-Identifier: MIT */
/* scenario.c - programs for simulated CPUs. */
#include "test-host/schedule/scenario.h"

#include <string.h>

#include "test-host/schedule/explore.h"
#include "test-host/schedule/machine.h"

/* A step: what, and its number. */
#define S(what, argument)                    \
	{                                    \
		op_##what, (argument), #what \
	}
#define ON(cpu)                     \
	{                           \
		NULL, (cpu) + 1, "" \
	}

#define PAIR   (OP_SIZE * OP_PAIR)
#define SINGLE (OP_SIZE * OP_SINGLE)
#define SMALL  (OP_SIZE * OP_SMALL)
#define LARGE  (OP_SIZE * OP_LARGE)

/* Slots: 0 .. 9 of CPU 0, 10 .. 19 of CPU 1, 20 .. the handler's; any CPU may take from any. */
static const struct scenario table[] = {
	{
		.name = "magazines",
		.prepare = {S(warm, SMALL), ON(1), S(warm, SMALL), S(alloc, SMALL + 10)},
		.program = {{S(alloc, SMALL + 0), S(free, 0), S(free, 10)},
			    {S(alloc, SMALL + 11), S(free, 0), S(alloc, SMALL + 12)}},
		.interrupt = {{S(alloc, SMALL + 20)}},
		.buffers = true,
	},
	{
		.name = "transfer",
		.prepare = {S(take, SMALL + 0), S(take, SMALL + 1), S(take, SMALL + 10)},
		.program = {{S(give, 0), S(take, SMALL + 2), S(give, 10)},
			    {S(give, 1), S(take, SMALL + 11), S(give, 2)}},
		.interrupt = {{S(take, SMALL + 20)}},
		.buffers = true,
	},
	{
		.name = "full-span",
		.prepare = {S(take, PAIR + 0), S(take, PAIR + 1), S(take, PAIR + 2)},
		.program = {{S(give, 0), S(take, PAIR + 3), S(stats, PAIR)},
			    {S(take, PAIR + 10), S(give, 2), S(stats, PAIR)}},
		.interrupt = {{S(give, 1)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "last-object",
		.prepare = {S(take, PAIR + 0), S(take, PAIR + 1)},
		.program = {{S(give, 0), S(take, PAIR + 2)}, {S(give, 1), S(take, PAIR + 10)}},
		.plain = true,
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "refill",
		.prepare = {S(warm, SMALL), ON(1), S(warm, SMALL), S(flush, 0), S(take, SMALL + 5)},
		.program = {{S(alloc, SMALL + 0), S(free, 0), S(alloc, SMALL + 1)},
			    {S(alloc, SMALL + 10), S(free, 0), S(alloc, SMALL + 11)}},
		.interrupt = {{S(alloc, SMALL + 20)}},
		.cut = CUT_BUFFERED,
		.buffers = true,
	},
	{
		/* from nothing: no span, no magazine; too long for more preemptions */
		.name = "refill-first",
		.program = {{S(alloc, SMALL + 0), S(free, 0), S(alloc, SMALL + 1)},
			    {S(alloc, SMALL + 10), S(free, 0), S(alloc, SMALL + 11)}},
		.interrupt = {{S(alloc, SMALL + 20)}},
		.preemptions = 1,
	},
	{
		.name = "new-spans",
		.program = {{S(take, PAIR + 0)}, {S(take, PAIR + 10)}},
		.plain = true,
	},
	{
		.name = "registry",
		.prepare = {S(no_large, 0), S(span, 0), S(span, 10), S(span, 1)},
		.program = {{S(free, 0)}, {S(free, 10)}},
		.plain = true,
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "exchange",
		.prepare = {S(fill_exchange, SMALL), S(take, SMALL + 0), S(take, SMALL + 1),
			    S(take, SMALL + 2)},
		.program = {{S(alloc, SMALL + 3), S(free, 1), S(alloc, SMALL + 4)},
			    {S(alloc, SMALL + 10), S(free, 2), S(free, 10)}},
		.interrupt = {{S(free, 0)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		/* nothing but the dummy to exchange it with */
		.name = "give-full",
		.prepare = {S(fill_give, SMALL), S(take, SMALL + 0), S(take, SMALL + 1),
			    S(take, SMALL + 2)},
		.program = {{S(alloc, SMALL + 3), S(free, 1), S(alloc, SMALL + 4)},
			    {S(alloc, SMALL + 10), S(free, 2), S(free, 10)}},
		.interrupt = {{S(free, 0)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "depot",
		.prepare = {S(alloc, SMALL + 0), S(alloc, SMALL + 1), S(fill, SMALL)},
		.program = {{S(free, 0), S(alloc, SMALL + 2), S(free, 1)},
			    {S(alloc, SMALL + 10), S(free, 10), S(alloc, SMALL + 11)}},
		.interrupt = {{S(alloc, SMALL + 20)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "depot-alone",
		.prepare = {S(depot_push, 40), S(depot_push, 41)},
		.program = {{S(depot_push, 42), S(depot_pop, 0), S(depot_push, 0)},
			    {S(depot_pop, 10), S(depot_push, 43), S(depot_pop, 11)}},
		.interrupt = {{S(depot_pop, 20)}},
		.plain = true,
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "fixalloc",
		.prepare = {S(fix_alloc, 0), S(fix_alloc, 1), S(free, 0)},
		.program = {{S(fix_alloc, 0), S(free, 1), S(fix_alloc, 2)},
			    {S(fix_alloc, 10), S(free, 10), S(fix_alloc, 11)}},
		.interrupt = {{S(fix_alloc, 20)}},
		.plain = true,
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "frames",
		.program = {{S(pages, 0), S(free, 0), S(pages, 1)},
			    {S(pages, 10), S(free, 0), S(free, 10)}},
		.interrupt = {{S(pages, 20)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "spans",
		.prepare = {S(no_large, 0)},
		.program = {{S(span, 0), S(free, 0), S(span, 1)},
			    {S(probe, 0), S(probe, 1), S(probe, 2)}},
		.buffers = true,
	},
	{
		.name = "double-free",
		.prepare = {S(no_large, 0), S(span, 0), S(name, 0)},
		.program = {{S(free_named, 0)}, {S(free_named, 0)}},
		.reports = 1,
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "drain",
		.prepare = {S(warm, SMALL), S(alloc, SMALL + 0)},
		.program = {{S(drain, 0)}, {S(ask, 0)}},
		.interrupt = {{S(free, 0)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "flush",
		.prepare = {S(warm, SMALL), ON(1), S(warm, SMALL), S(alloc, SMALL + 10)},
		.program = {{S(flush, 0)}, {S(free, 10), S(alloc, SMALL + 11)}},
		.interrupt = {{S(alloc, SMALL + 20)}},
		.cut = CUT_ALL,
	},
	{
		.name = "offline",
		.prepare = {ON(1), S(warm, SMALL), S(alloc, SMALL + 10)},
		.program = {{S(free, 10), S(flush, 0)},
			    {S(offline, 0), S(online, 0), S(alloc, SMALL + 11)}},
		.cut = CUT_ALL,
	},
	{
		.name = "leave",
		.prepare = {ON(1), S(warm, SMALL), S(alloc, SMALL + 10), S(alloc, SMALL + 11)},
		.program = {{S(free, 10), S(alloc, SMALL + 0), S(flush, 0)},
			    {S(free, 11), S(offline, 0)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "online",
		.program = {{S(stats, SMALL), S(stats, SMALL), S(flush, 0)},
			    {S(online, 0), S(alloc, SMALL + 10)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
		.cpus = 1,
	},
	{
		/* one class, two lives, and somebody who looks through all depots */
		.name = "typed-depot",
		.prepare = {S(cache_make, 0)},
		.program = {{S(cache_end, 0), S(cache_make, 0)}, {S(depots, 0)}},
		.buffers = true,
		.cut = CUT_ALL,
	},
	{
		.name = "typed-stats",
		.prepare = {S(cache_make, 0)},
		.program = {{S(cache_end, 0), S(cache_make, 0)},
			    {S(cache_stats, 0), S(cache_stats, 0)}},
		.buffers = true,
		.cut = CUT_ALL,
	},
	{
		.name = "largecache",
		/* 0 and 20 go to a bin, whence 2 comes, to be the hot one */
		.prepare = {S(alloc, LARGE + 20), S(alloc, LARGE + 0)},
		.program = {{S(free, 0), S(alloc, LARGE + 2), S(free, 2)},
			    {S(alloc, LARGE + 10), S(free, 10)}},
		.interrupt = {{S(free, 20)}},
		.buffers = true,
		.cut = CUT_ALL,
	},
	{
		.name = "tiny",
		.prepare = {S(tiny, 0), S(tiny, 1), S(tiny, 2), S(drain, 0), S(tiny, 3)},
		.program = {{S(free, 0), S(tiny, 4), S(free, 3)},
			    {S(free, 1), S(free, 2), S(tiny, 10)}},
		.interrupt = {{S(tiny, 20)}},
		.buffers = true,
		.cut = CUT_ALL,
	},
	{
		.name = "finalizers",
		.prepare = {S(final, 0), S(final, 1), S(final, 10), S(free_masked, 1)},
		.program = {{S(free_masked, 0), S(finalize, 0)}, {S(finalize, 0)}},
		.plain = true,
		.buffers = true,
		.cut = CUT_ALL,
	},
	{
		/* the handler's free is queued */
		.name = "finalizers-irq",
		.prepare = {S(final, 0), S(final, 1), S(final, 10), S(free_masked, 1)},
		.program = {{S(free_masked, 0), S(finalize, 0)}, {S(free, 10)}},
		.interrupt = {{S(free, 10)}},
		.buffers = true,
		.cut = CUT_ALL,
	},
	{
		.name = "deferred",
		.prepare = {S(take, SMALL + 0), S(take, SMALL + 1), S(take, SMALL + 2),
			    S(defer, 0)},
		.program = {{S(deferred, 0), S(take, SMALL + 3)},
			    {S(take, SMALL + 10), S(give, 2)}},
		.interrupt = {{S(defer, 1)}},
		.nmi = true,
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		.name = "any-context",
		.prepare = {S(take, SMALL + 0), S(take, SMALL + 10)},
		.program = {{S(give, 0), S(take, SMALL + 1)}, {S(anyctx, SMALL + 11), S(give, 10)}},
		.interrupt = {{S(anyctx, SMALL + 20)}},
		.nmi = true,
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		/* nothing is there: new spans by locks that are tried */
		.name = "any-new",
		.program = {{S(anyctx, PAIR + 0)}, {S(take, PAIR + 10)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
	{
		/* too long for more preemptions */
		.name = "any-new-nmi",
		.program = {{S(anyctx, PAIR + 0)}, {S(take, PAIR + 10)}},
		.interrupt = {{S(anyctx, PAIR + 20)}},
		.nmi = true,
		.preemptions = 1,
		.buffers = true,
		.cut = CUT_ALL,
	},
	{
		.name = "any-large",
		.preemptions = 1,
		.prepare = {S(no_large, 0)},
		.program = {{S(anyctx, LARGE + 0), S(free, 0)},
			    {S(anyctx, LARGE + 10), S(anyctx_pages, 11)}},
		.interrupt = {{S(anyctx, LARGE + 20)}},
		.nmi = true,
		.plain = true,
		.cut = CUT_ALL,
	},
	{
		.name = "no-frames",
		.prepare = {S(take, PAIR + 0), S(take, PAIR + 10), S(eat, 0)},
		.program = {{S(look_again, PAIR + 1)}, {S(give, 10)}},
		.buffers = true,
		.cut = CUT_BUFFERED,
	},
};

const struct scenario *scenario_get(unsigned number)
{
	return number < sizeof(table) / sizeof(table[0]) ? &table[number] : NULL;
}

const struct scenario *scenario_find(const char *name)
{
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

void scenario_prepare(const struct scenario *scenario)
{
	for (unsigned i = 0; i < sizeof(scenario->prepare) / sizeof(scenario->prepare[0]); i++) {
		const struct step *step = &scenario->prepare[i];

		if (step->op)
			step->op(step->argument);
		else if (step->argument > 0)
			sched_cpu_set(step->argument - 1);
	}
	sched_cpu_set(0);
}

/* ---- Random ---- */

/* Each as often as its weight says. */
static const struct choice {
	unsigned weight;
	struct step step;
} choices[] = {
	{8, S(alloc, SMALL)},   {6, S(alloc, PAIR)},     {2, S(alloc, SINGLE)},
	{2, S(alloc, LARGE)},   {14, S(free, 0)},        {3, S(frame, 0)},
	{2, S(run, 0)},         {2, S(pages, 0)},        {1, S(stack, 0)},
	{3, S(take, PAIR)},     {2, S(take, SMALL)},     {4, S(give, 0)},
	{2, S(span, 0)},        {1, S(flush, 0)},        {1, S(drain, 0)},
	{1, S(depots, 0)},      {2, S(request, 0)},      {2, S(honour, 0)},
	{2, S(poll, 0)},        {2, S(deferred, 0)},     {3, S(defer, 0)},
	{2, S(probe, 0)},       {1, S(stats, SMALL)},    {2, S(anyctx, PAIR)},
	{1, S(bulk, SMALL)},    {1, S(fix_alloc, 0)},    {1, S(depot_pop, 0)},
	{1, S(depot_push, 40)}, {1, S(offline, 0)},      {2, S(final, 0)},
	{2, S(free_masked, 0)}, {4, S(tiny, 0)},         {1, S(anyctx, SMALL)},
	{1, S(anyctx, LARGE)},  {1, S(anyctx_pages, 0)},
};

/* What a handler does; of them the first few in an NMI, too. */
static const struct step handler_steps[] = {
	S(free_anyctx, 0), S(anyctx, SMALL),   S(anyctx, PAIR), S(anyctx, SINGLE),
	S(anyctx, LARGE),  S(anyctx_pages, 0), S(free, 0),      S(alloc, SMALL),
	S(alloc, PAIR),    S(frame, 0),        S(tiny, 0),
};
#define NMI_STEPS 6u

#define RANDOM_SLOTS 8u

static struct step random_step(void)
{
	unsigned weights = 0;
	unsigned i = 0;

	for (unsigned c = 0; c < sizeof(choices) / sizeof(choices[0]); c++)
		weights += choices[c].weight;
	for (unsigned at = (unsigned)(explore_draw() % weights); at >= choices[i].weight; i++)
		at -= choices[i].weight;

	struct step step = choices[i].step;

	step.argument += (unsigned)(explore_draw() % (step.argument == 40 ? 4 : RANDOM_SLOTS));
	return step;
}

static void random_program(struct step *program)
{
	unsigned n = 1 + (unsigned)(explore_draw() % (SCENARIO_OPS - 2));

	for (unsigned i = 0; i < n; i++) {
		program[i] = random_step();
		/* no longer than to the next operation */
		if (program[i].op == op_offline)
			program[++i] = (struct step)S(online, 0);
	}
}

static const struct scenario random_base = {
	.name = "random",
	.prepare = {S(warm, SMALL), S(warm, PAIR), S(alloc, SMALL + 0), S(alloc, PAIR + 1), ON(1),
		    S(warm, SMALL), S(alloc, SMALL + 2), ON(2), S(warm, SMALL), S(frame, 3),
		    S(fill_give, PAIR), ON(3), S(alloc, PAIR + 4), S(span, 5), S(tiny, 6),
		    S(tiny, 7)},
	.cpus = SCHED_CPUS,
};

const struct scenario *scenario_random_base(void)
{
	return &random_base;
}

const struct scenario *scenario_random(void)
{
	static struct scenario random;

	random = random_base;
	random.plain = explore_draw() % 4 == 0;
	random.nmi = explore_draw() % 2 == 0;
	for (unsigned cpu = 0; cpu < SCHED_CPUS; cpu++) {
		unsigned kinds =
			random.nmi ? NMI_STEPS : sizeof(handler_steps) / sizeof(handler_steps[0]);

		random_program(random.program[cpu]);
		if (explore_draw() % 2 == 0)
			continue;
		random.interrupt[cpu][0] = handler_steps[explore_draw() % kinds];
		random.interrupt[cpu][0].argument += (unsigned)(explore_draw() % RANDOM_SLOTS);
	}
	return &random;
}

/* ---- Running ---- */

static const struct scenario *running;

static void run_steps(const struct step *steps, unsigned n)
{
	for (unsigned i = 0; i < n && steps[i].op; i++) {
		sched_op(steps[i].name, steps[i].argument);
		steps[i].op(steps[i].argument);
	}
}

static void run_program(unsigned cpu)
{
	run_steps(running->program[cpu], SCENARIO_OPS);
}

static void run_handler(unsigned cpu)
{
	run_steps(running->interrupt[cpu], 2);
}

bool scenario_is_cut(const struct scenario *scenario, enum sched_memory memory)
{
	return scenario->cut == CUT_ALL ||
	       (scenario->cut == CUT_BUFFERED && memory != SCHED_STRONG);
}

struct sched_setting scenario_setting(const struct scenario *scenario, enum sched_memory memory)
{
	struct sched_setting setting = {
		.memory = memory,
		.preemptions = scenario->preemptions ? scenario->preemptions : 3,
		.plain = scenario->plain,
		.hash = scenario_is_cut(scenario, memory) ? machine_hash : NULL,
		.keep = machine_keep,
	};

	running = scenario;
	for (unsigned cpu = 0; cpu < SCHED_CPUS; cpu++)
		setting.program[cpu] = (struct sched_program){
			.run = scenario->program[cpu][0].op ? run_program : NULL,
			.interrupt = scenario->interrupt[cpu][0].op ? run_handler : NULL,
			.nmi = scenario->nmi,
		};
	return setting;
}
