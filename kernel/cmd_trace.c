/* SPDX-License-Identifier: MIT */
/*
 * cmd_trace.c - traces switched on and off, and written as compact text for tools/slate-replay.
 *
 *   trace begin events COUNT recorded COUNT lost COUNT code ADDRESS
 *   LETTER ADDRESS SIZE CALLER TICK CPU      an event; of REALLOC_TO followed by LINK
 *   #NUMBER                                  the next event's, where it is not the former one + 1
 *   trace end events COUNT
 *
 * Letters: a f objects allocated and freed, r m reallocated from and to, A F frames, s t stacks.
 * Addresses are physical and in hexadecimal, as callers are, from the code's first address on; the
 * address of what failed is "-". All else is decimal; ticks count from the first event on.
 */
#include <slate/slate.h>
#include <slate/trace.h>

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/trace_load.h"
#include "lib/printf.h"
#include "lib/string.h"

#define DEFAULT_EVENTS 16384u
#define DEFAULT_STEPS  4000u

struct dump {
	size_t events;
	uint32_t next; /* the number that needs no line of its own */
	uint32_t first_tick;
};

static void format_address(char *text, size_t bytes, const struct slate_trace_event *event)
{
	bool frames = event->kind == SLATE_TRACE_PAGE_ALLOC || event->kind == SLATE_TRACE_PAGE_FREE;

	if (event->address == (frames ? ~(uint64_t)0 : 0))
		fmt_snprintf(text, bytes, "-");
	else if (frames)
		fmt_snprintf(text, bytes, "%llx", (unsigned long long)event->address);
	else
		fmt_snprintf(text, bytes, "%llx",
			     (unsigned long long)slate_phys((void *)(uintptr_t)event->address).v);
}

static bool print_event(const struct slate_trace_event *event, void *arg)
{
	static const char letters[SLATE_TRACE_KINDS] = {
		[SLATE_TRACE_ALLOC] = 'a',        [SLATE_TRACE_FREE] = 'f',
		[SLATE_TRACE_REALLOC_FROM] = 'r', [SLATE_TRACE_REALLOC_TO] = 'm',
		[SLATE_TRACE_PAGE_ALLOC] = 'A',   [SLATE_TRACE_PAGE_FREE] = 'F',
		[SLATE_TRACE_STACK_ALLOC] = 's',  [SLATE_TRACE_STACK_FREE] = 't'};
	struct dump *dump = arg;
	char address[24];
	char link[16] = "";

	if (dump->events++ == 0)
		dump->first_tick = event->tick;
	if (event->number != dump->next)
		kprintf("#%u\n", event->number);
	dump->next = event->number + 1;
	format_address(address, sizeof(address), event);
	if (event->kind == SLATE_TRACE_REALLOC_TO)
		fmt_snprintf(link, sizeof(link), " %u", event->link);
	kprintf("%c %s %zu %llx %u %u%s\n", letters[event->kind], address, event->size_bytes,
		(unsigned long long)(event->caller - (uintptr_t)text_start),
		event->tick - dump->first_tick, event->cpu, link);
	return true;
}

static bool trace_dump(void)
{
	struct slate_trace_info info;
	struct dump dump = {.events = 0};

	slate_trace_info(&info);
	if (info.on) {
		kprintf("trace: it is on; trace off first\n");
		return false;
	}
	kprintf("trace begin events %zu recorded %zu lost %zu code %llx\n",
		info.recorded - info.lost, info.recorded, info.lost,
		(unsigned long long)(uintptr_t)text_start);
	slate_trace_walk(print_event, &dump);
	kprintf("trace end events %zu\n", dump.events);
	return true;
}

static bool trace_on(size_t events)
{
	int status = slate_trace_start(events);

	if (status == SLATE_OK)
		return true;
	if (!SLATE_TRACE) {
		kprintf("trace: this kernel records none; one that is built with TRACE=1 does\n");
		return false;
	}
	kprintf("trace: %s\n", status == SLATE_EBUSY    ? "it is on already"
			       : status == SLATE_ENOMEM ? "no memory for the rings"
							: "not so many events");
	return false;
}

static void print_info(void)
{
	struct slate_trace_info info;

	slate_trace_info(&info);
	kprintf("trace %s recorded %zu lost %zu rings %zu KiB\n", info.on ? "on" : "off",
		info.recorded, info.lost, info.bytes >> 10);
}

static bool trace_load(size_t steps)
{
	struct trace_load load;
	bool ok = trace_load_run(steps, &load);

	kprintf("trace load allocs %zu frees %zu reallocs %zu page_allocs %zu page_frees %zu "
		"peak %zu\n",
		load.allocs, load.frees, load.reallocs, load.page_allocs, load.page_frees,
		load.peak_bytes);
	return ok;
}

bool cmd_trace(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	uint64_t number = 0;

	if (argc > 3 || (argc == 3 && (!parse_number(argv[2], &number) || number > UINT32_MAX)))
		return command_usage(argv[0]);
	if (strcmp(verb, "on") == 0)
		return trace_on(argc == 3 ? (size_t)number : DEFAULT_EVENTS);
	if (strcmp(verb, "load") == 0)
		return trace_load(argc == 3 ? (size_t)number : DEFAULT_STEPS);
	if (argc == 3)
		return command_usage(argv[0]);
	if (strcmp(verb, "dump") == 0)
		return trace_dump();
	if (strcmp(verb, "off") == 0) {
		slate_trace_stop();
		slate_poll();
	} else if (*verb) {
		return command_usage(argv[0]);
	}
	print_info();
	return true;
}
