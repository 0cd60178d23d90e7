/* SPDX-License-Identifier: MIT */
/*
 * oom.h - a call while memory ends at its N-th request for frames or metadata: once, and for ever
 * from there, for every N. The call succeeds or says no; what it gave holds; nothing is lost; and
 * the same succeeds when there is memory again.
 */
#ifndef TEST_OOM_H
#define TEST_OOM_H

#include <stdbool.h>
#include <stddef.h>

struct oom_call {
	const char *name;
	void (*prepare)(void); /* with memory; NULL: nothing */
	void (*run)(void);     /* without */
	void (*undo)(void);    /* with memory: all is given back */
	bool never_refuses;
};

/* From run(): a request was served, or refused. Returns got. */
bool oom_noted(bool got);

/* Frames that came and stay, for undo() to tell. */
extern size_t oom_staying_pages;

/* After each boot of 6 MiB at 1 MiB: what else the program's calls want. */
extern void (*oom_boot_more)(void);

/* Was the armed fault never met? Its countdown then still runs. */
bool oom_fault_left(size_t nth);

/* For cmocka: *state is the call. */
void oom_run_call(void **state);

#endif
