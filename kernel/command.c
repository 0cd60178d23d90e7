/* SPDX-License-Identifier: MIT */
/*
 * command.c - the table of commands, and the small ones.
 */
#include "kernel/command.h"

#include <stddef.h>

#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/shell.h"
#include "lib/string.h"

const struct command commands[] = {
	{"help", "", "this list", cmd_help},
	{"mem", "", "the memory map, and who holds what", cmd_mem},
	{"stats", "", "classes, CPUs, frames, nodes", cmd_stats},
	{"frames", "", "a map of memory: who holds which frames", cmd_frames},
	{"heapmap", "", "the same run by run, for tools/slate-heapmap", cmd_heapmap},
	{"whois", "ADDRESS", "what lies there, and who has it; random COUNT: many", cmd_whois},
	{"owners", "[COUNT]", "who allocated most: call sites by bytes (make TRACK=1)", cmd_owners},
	{"held", "[COUNT]", "who has what now: callers by bytes (make DEBUG=1)", cmd_held},
	{"profile", "[rate BYTES|dump]", "the heap profile, for tools/slate-profile", cmd_profile},
	{"trace", "on [EVENTS]|off|dump|load [STEPS]",
	 "record each allocation and free, for tools/slate-replay", cmd_trace},
	{"scavenge", "[FRAMES]", "give free frames back to the hypervisor; all", cmd_scavenge},
	{"alloc", "SIZE", "allocate an object (SIZE: 64, 4k, 1m); prints its address", cmd_alloc},
	{"leak", "COUNT SIZE", "lose objects on purpose", cmd_leak},
	{"cycle", "COUNT SIZE", "the same, in pairs that point at each other", cmd_cycle},
	{"leaks", "[MOST]", "objects that nobody can reach; more than MOST are a failure",
	 cmd_leaks},
	{"collect", "", "free them", cmd_collect},
	{"free", "ADDRESS", "free an object; a wrong address gives a report", cmd_free},
	{"fault", "[KIND [SIZE]]", "a double free, an overflow ..., done on purpose", cmd_fault},
	{"selftest", "[FILTER]", "test the allocator inside this kernel (TAP)", cmd_selftest},
	{"stress", "[SECONDS [SEED [MAPS]]]",
	 "all CPUs at once, then check everything; MAPS: of the heap, meanwhile", cmd_stress},
	{"hotadd", "", "add the memory that was kept aside", cmd_hotadd},
	{"hotremove", "", "take it out again, or say who holds it", cmd_hotremove},
	{"bench", "[FILTER]", "instructions per operation", cmd_bench},
	{"overflow", "[CPU]", "run out of a stack on purpose: ends the machine, status 4",
	 cmd_overflow},
	{"echo", "[WORD]...", "print the words", cmd_echo},
	{"poweroff", "", "end the machine", cmd_poweroff},
	{NULL, NULL, NULL, NULL},
};

/* Columns for arguments in the list; help on those that need more is on a line of its own. */
#define HELP_USAGE 16

bool cmd_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (const struct command *c = commands; c->name; c++) {
		bool fits = strlen(c->usage) <= HELP_USAGE;

		kprintf("  %-9s %-*s%s", c->name, HELP_USAGE, c->usage, fits ? " " : "\n");
		kprintf("%*s%s\n", fits ? 0 : HELP_USAGE + 13, "", c->help);
	}
	kprintf("Several commands on a line: mem; stats. Keys: arrows, Home, End, Ctrl-A E U K "
		"W.\n");
	return true;
}

bool command_usage(const char *name)
{
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, name) == 0)
			kprintf("usage: %s%s%s\n", c->name, *c->usage ? " " : "", c->usage);
	}
	return false;
}

__attribute__((noinline)) void command_breakpoint(void)
{
	__asm__ volatile("" : : : "memory");
}

bool cmd_echo(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		kprintf("%s%s", argv[i], i + 1 < argc ? " " : "");
	kprintf("\n");
	return true;
}

bool cmd_poweroff(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	arch_poweroff(shell_status());
}

/* The digit's value, or 16 when c is none. */
static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

/* Digits up to the first other character, which *word then points at. False: none, or too large. */
static bool parse_digits(const char **word, uint64_t *value)
{
	unsigned base = 10;
	const char *start;
	uint64_t sum = 0;

	if ((*word)[0] == '0' && ((*word)[1] == 'x' || (*word)[1] == 'X')) {
		base = 16;
		*word += 2;
	}
	start = *word;
	while (digit_value(**word) < base) {
		unsigned digit = digit_value(**word);

		if (sum > (UINT64_MAX - digit) / base)
			return false;
		sum = sum * base + digit;
		(*word)++;
	}
	*value = sum;
	return *word != start;
}

bool parse_number(const char *word, uint64_t *value)
{
	return parse_digits(&word, value) && *word == '\0';
}

bool parse_size(const char *word, uint64_t *size_bytes)
{
	unsigned shift = 0;
	uint64_t value;

	if (!parse_digits(&word, &value))
		return false;
	switch (*word) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	default:
		break;
	}
	if (shift)
		word++;
	if (*word != '\0' || value > (UINT64_MAX >> shift))
		return false;
	*size_bytes = value << shift;
	return true;
}
