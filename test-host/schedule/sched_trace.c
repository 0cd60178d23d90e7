/* SPDX-License-Identifier: MIT */
/* sched_trace.c - what happened in a schedule, and why it failed. */
#include <stdarg.h>
#include <stdio.h>

#include "test-host/schedule/sched_cpu.h"

#define TRACE_ENTRIES 8192u

/* ---- Trace ---- */

static const char *const kind_names[SCHED_KINDS] = {"operation", "load",   "store", "rmw",
						    "lock",      "unlock", "irq",   "read",
						    "write",     "relax",  "slot"};

struct event {
	uint8_t cpu;
	uint8_t kind;
	uint8_t chosen;
	bool interrupt; /* inside a handler */
	uintptr_t place;
	const char *name;
};

static struct event trace[TRACE_ENTRIES];
unsigned sched_points;
uint64_t sched_trace_hash;
static const char *op_name; /* of the event to come */

void sched_note(enum sched_kind kind, const volatile void *place)
{
	struct event *event = &trace[sched_points++ % TRACE_ENTRIES];

	*event = (struct event){(uint8_t)sched.current->number, (uint8_t)kind,    0,
				sched.current->in_handler,      (uintptr_t)place, op_name};
	op_name = NULL;
	sched.current->event = event;
	sched_trace_hash = (sched_trace_hash ^ (uintptr_t)place ^ (uint64_t)kind << 56 ^
			    sched.current->number) *
			   0x100000001b3u;
}

void sched_name(const char *name)
{
	op_name = name;
}

void sched_note_choice(unsigned chosen)
{
	sched.current->event->chosen = (uint8_t)chosen;
	sched_trace_hash = (sched_trace_hash ^ chosen) * 0x100000001b3u;
}

void sched_trace_begin(void)
{
	sched_points = 0;
	sched_trace_hash = 0xcbf29ce484222325u;
}

void sched_print_trace(void)
{
	unsigned first = sched_points > TRACE_ENTRIES ? sched_points - TRACE_ENTRIES : 0;

	for (unsigned i = first; i < sched_points; i++) {
		const struct event *event = &trace[i % TRACE_ENTRIES];

		printf("  %5u cpu %u%s %s", i, event->cpu, event->interrupt ? "!" : "",
		       kind_names[event->kind]);
		if (event->name)
			printf(" %s %zu", event->name, (size_t)event->place);
		else if (event->place)
			printf(" 0x%zx", (size_t)event->place);
		printf(event->chosen ? " -> %u\n" : "\n", event->chosen);
	}
	printf("  %u points, trace %016llx\n", sched_points, (unsigned long long)sched_trace_hash);
}

uint64_t sched_hash(void)
{
	return sched_trace_hash;
}

/* ---- Failing ---- */

static char failure[512];
jmp_buf sched_ending;

const char *sched_failure(void)
{
	return failure;
}

void sched_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
	_longjmp(sched_ending, 2);
}

bool sched_guard(void (*fn)(void))
{
	if (_setjmp(sched_ending) != 0)
		return false;
	fn();
	return true;
}
