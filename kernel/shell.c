/* SPDX-License-Identifier: MIT */
/*
 * shell.c - splits lines into commands and words and calls the table's functions.
 */
#include "kernel/shell.h"

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/line.h"
#include "kernel/stack.h"
#include "lib/string.h"

#define SHELL_MAX_WORDS 32

static bool shell_failed;

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Cut the text into words in place. Returns how many; more than max are left alone. */
static int split_words(char *text, char **words, int max)
{
	int count = 0;

	for (;;) {
		while (is_space(*text))
			text++;
		if (*text == '\0' || count == max)
			return count;
		words[count++] = text;
		while (*text != '\0' && !is_space(*text))
			text++;
		if (*text != '\0')
			*text++ = '\0';
	}
}

static bool run_command(char *text)
{
	char *words[SHELL_MAX_WORDS] = {NULL}; /* no old words in it */
	int count = split_words(text, words, SHELL_MAX_WORDS);

	if (count == 0)
		return true;
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, words[0]) == 0) {
			stack_wipe();
			return c->run(count, words);
		}
	}
	kprintf("%s: no such command; try help\n", words[0]);
	return false;
}

bool shell_run_line(char *line)
{
	bool ok = true;

	while (line) {
		char *next = strchr(line, ';');

		if (next)
			*next++ = '\0';
		if (!run_command(line)) {
			ok = false;
			shell_failed = true;
		}
		line = next;
	}
	return ok;
}

int shell_status(void)
{
	return shell_failed ? 1 : 0;
}

void shell_loop(void)
{
	static struct line line;

	for (;;) {
		char *text = line_read(&line, "slate> ");

		shell_run_line(text);
		/* Who powers off by hand has seen what failed. */
		shell_failed = false;
	}
}

/* Copy one word of a command line, quotes and their backslashes removed. Returns where it ends. */
static const char *unquote_word(const char *in, char *out, size_t size_bytes, bool *fits)
{
	bool quoted = false;
	size_t len = 0;

	*fits = true;
	for (; *in != '\0' && (quoted || !is_space(*in)); in++) {
		if (*in == '"') {
			quoted = !quoted;
			continue;
		}
		if (in[0] == '\\' && (in[1] == '"' || in[1] == '\\'))
			in++;
		if (len + 1 < size_bytes)
			out[len++] = *in;
		else
			*fits = false;
	}
	out[len] = '\0';
	return in;
}

/* A loader that quotes a word with quotes of its own inside leaves one pair over: "run=\"a; b\"".
 */
static void strip_quotes(char *text)
{
	size_t len = strlen(text);

	if (len < 2 || text[0] != '"' || text[len - 1] != '"')
		return;
	memmove(text, text + 1, len - 2);
	text[len - 2] = '\0';
}

bool shell_find(const char *cmdline, const char *key, char *value, size_t size_bytes)
{
	size_t length = strlen(key);
	bool fits;

	if (size_bytes < length + 4)
		return false;
	while (*cmdline != '\0') {
		while (is_space(*cmdline))
			cmdline++;
		cmdline = unquote_word(cmdline, value, size_bytes, &fits);
		if (strncmp(value, key, length) != 0)
			continue;
		memmove(value, value + length, strlen(value + length) + 1);
		strip_quotes(value);
		return fits;
	}
	return false;
}
