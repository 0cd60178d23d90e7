/* SPDX-License-Identifier: MIT */
/*
 * line.h - a line editor for a serial terminal: arrows, Home, End, Delete, Ctrl-A E B F U K W C L,
 * and a history.
 */
#ifndef KERNEL_LINE_H
#define KERNEL_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_SIZE    128
#define LINE_HISTORY 16

struct line {
	char text[LINE_SIZE]; /* terminated */
	size_t len;
	size_t cursor;       /* 0 .. len */
	size_t drawn_cursor; /* where the terminal's cursor stands, in characters behind the prompt
			      */
	const char *prompt;
	void (*write)(const char *text, size_t len); /* the terminal */
	unsigned escape;                             /* bytes of an escape sequence seen so far */
	char escape_arg;                             /* its number's last digit, 0: none */
	char history[LINE_HISTORY][LINE_SIZE];       /* ring */
	unsigned history_count;                      /* lines ever entered */
	unsigned history_pos;    /* the one that is shown; history_count: the new one */
	char pending[LINE_SIZE]; /* the new one, while an old one is shown */
};

/* Read one line with echo; the text may be cut up by the caller, it is valid until the next call.
 */
char *line_read(struct line *line, const char *prompt);

/* The editor's two halves, for tests: begin an empty line; take one byte. True: the line is
 * complete. */
void line_begin(struct line *line, const char *prompt);
bool line_feed(struct line *line, char c);

#endif
