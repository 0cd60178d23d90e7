/* SPDX-License-Identifier: MIT */
/*
 * command.h - the shell's commands: one table, one function each.
 */
#ifndef KERNEL_COMMAND_H
#define KERNEL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

struct command {
	const char *name;
	const char *usage;                  /* its arguments, or "" */
	const char *help;                   /* one line */
	bool (*run)(int argc, char **argv); /* argv[0] is the name; false: failed, and said why */
};

/* Ends with a NULL name. */
extern const struct command commands[];

bool cmd_help(int argc, char **argv);
bool cmd_mem(int argc, char **argv);
bool cmd_stats(int argc, char **argv);
bool cmd_frames(int argc, char **argv);
bool cmd_heapmap(int argc, char **argv);
bool cmd_whois(int argc, char **argv);
bool cmd_owners(int argc, char **argv);
bool cmd_held(int argc, char **argv);
bool cmd_trace(int argc, char **argv);
bool cmd_profile(int argc, char **argv);
bool cmd_leak(int argc, char **argv);
bool cmd_cycle(int argc, char **argv);
bool cmd_leaks(int argc, char **argv);
bool cmd_collect(int argc, char **argv);
bool cmd_scavenge(int argc, char **argv);
bool cmd_alloc(int argc, char **argv);
bool cmd_free(int argc, char **argv);
bool cmd_fault(int argc, char **argv);
bool cmd_selftest(int argc, char **argv);
bool cmd_stress(int argc, char **argv);
bool cmd_hotadd(int argc, char **argv);
bool cmd_hotremove(int argc, char **argv);
bool cmd_bench(int argc, char **argv);
bool cmd_overflow(int argc, char **argv);
bool cmd_echo(int argc, char **argv);
bool cmd_poweroff(int argc, char **argv);

/* Print "usage: ..." of the command of that name. Returns false, for `return
 * command_usage(argv[0])`. */
bool command_usage(const char *name);

/* Does nothing: a place for a debugger to stop at, with the state that a command has just told. */
void command_breakpoint(void);

/* What heapmap prints, at any time. */
void heapmap_print(void);

/* The whole word as a number: decimal or 0x...; parse_size() also takes an ending k, m or g. */
bool parse_number(const char *word, uint64_t *value);
bool parse_size(const char *word, uint64_t *size_bytes);

#endif
