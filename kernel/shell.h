/* SPDX-License-Identifier: MIT */
/*
 * shell.h - command lines: from the serial line, or from the kernel command line's run="...".
 */
#ifndef KERNEL_SHELL_H
#define KERNEL_SHELL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Run each command of "a; b; c" (the text is cut up in place). All of them run, whatever fails.
 * True: every one succeeded.
 */
bool shell_run_line(char *line);

/* Read and run lines for ever. */
void shell_loop(void) __attribute__((noreturn));

/* The status for poweroff: 0 as long as no command of a run="..." has failed; always 0 in the
 * interactive shell. */
int shell_status(void);

/*
 * Find KEY... in a kernel command line, key being "run=" or the like, and copy its value, quotes
 * removed, terminated. Accepts run=word, run="a; b" and "run=a; b", with \" inside quotes. False:
 * there is none, or it does not fit.
 */
bool shell_find(const char *cmdline, const char *key, char *value, size_t size_bytes);

#endif
