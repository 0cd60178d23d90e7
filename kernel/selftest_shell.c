/* SPDX-License-Identifier: MIT */
/*
 * selftest_shell.c - the shell itself: the kernel command line, numbers, and the line editor key by
 * key.
 */
#include "kernel/command.h"
#include "kernel/line.h"
#include "kernel/selftest.h"
#include "kernel/shell.h"
#include "lib/string.h"

static void test_find_run(void)
{
	static const struct {
		const char *cmdline;
		const char *run; /* NULL: none */
	} table[] = {
		{"", NULL},
		{"quiet", NULL},
		{"rerun=mem", NULL},
		{"run=mem", "mem"},
		{"run=", ""},
		{"run=\"\"", ""},
		{"quiet  run=mem debug", "mem"},
		{"run=\"mem; selftest page\"", "mem; selftest page"},
		{"a=\"b c\" run=\"mem; stats\" d", "mem; stats"},
		/* as GRUB hands over a word with spaces */
		{"\"run=mem; stats\"", "mem; stats"},
		{"\"run=\\\"mem; stats\\\"\"", "mem; stats"},
		{"a=\"run=x\" run=y", "y"},
		{"run=\"never closed; yes", "never closed; yes"},
	};
	char value[64];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bool found = shell_find(table[i].cmdline, "run=", value, sizeof(value));

		CHECK(found == (table[i].run != NULL));
		CHECK(!found || strcmp(value, table[i].run) == 0);
	}
}

static void test_find_run_too_long(void)
{
	char value[16];

	CHECK(shell_find("run=12345678901", "run=", value, sizeof(value)));
	CHECK(strcmp(value, "12345678901") == 0);
	CHECK(!shell_find("run=123456789012", "run=", value, sizeof(value)));
}

static void test_numbers(void)
{
	static const struct {
		const char *word;
		bool number;
		bool size;
		uint64_t value;
	} table[] = {
		{"0", true, true, 0},
		{"64", true, true, 64},
		{"0x40", true, true, 64},
		{"0XfF", true, true, 255},
		{"4k", false, true, 4096},
		{"3M", false, true, 3u << 20},
		{"2g", false, true, (uint64_t)2 << 30},
		{"18446744073709551615", true, true, UINT64_MAX},
		{"18446744073709551616", false, false, 0},
		{"0x10000000000000000", false, false, 0},
		{"18446744073709551615k", false, false, 0},
		{"", false, false, 0},
		{"0x", false, false, 0},
		{"k", false, false, 0},
		{"12x", false, false, 0},
		{"4kk", false, false, 0},
		{"-1", false, false, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t value = 0;

		CHECK(parse_number(table[i].word, &value) == table[i].number);
		CHECK(!table[i].number || value == table[i].value);
		CHECK(parse_size(table[i].word, &value) == table[i].size);
		CHECK(!table[i].size || value == table[i].value);
	}
}

/* A terminal of one row: what the user would see. */
static struct {
	char cells[LINE_SIZE + 8];
	size_t cursor;
	size_t escape;
} screen;

static void screen_put(char c)
{
	if (screen.escape == 1) {
		screen.escape = 2; /* the [ */
	} else if (screen.escape == 2) {
		screen.escape = 0;
		/* K is the only sequence of these tests */
		screen.cells[screen.cursor] = '\0';
	} else if (c == 27) {
		screen.escape = 1;
	} else if (c == '\b') {
		screen.cursor -= screen.cursor > 0;
	} else if (c >= ' ' && screen.cursor < LINE_SIZE) {
		if (screen.cells[screen.cursor] == '\0')
			screen.cells[screen.cursor + 1] = '\0';
		screen.cells[screen.cursor++] = c;
	}
}

static void screen_write(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		screen_put(text[i]);
}

static struct line editor;

/* Type keys into a new line; the text, the screen and its cursor must agree. True: the line was
 * completed. */
static bool type(const char *keys)
{
	bool done = false;

	screen.cells[0] = '\0';
	screen.cursor = 0;
	screen.escape = 0;
	editor.write = screen_write;
	line_begin(&editor, "");
	for (; *keys; keys++)
		done = line_feed(&editor, *keys);
	CHECK(strcmp(screen.cells, editor.text) == 0);
	CHECK(screen.cursor == editor.cursor || done);
	return done;
}

#define LEFT  "\033[D"
#define RIGHT "\033[C"
#define UP    "\033[A"
#define DOWN  "\033[B"

static void test_line_editing(void)
{
	static const struct {
		const char *keys;
		const char *text;
		size_t cursor;
	} table[] = {
		{"abc", "abc", 3},
		{"ac" LEFT "b", "abc", 2},
		{"abc" LEFT LEFT LEFT LEFT "x", "xabc", 1},
		{"abc" RIGHT "d", "abcd", 4},
		{"abc" LEFT LEFT RIGHT "x", "abxc", 3},
		{"abc\177", "ab", 2},
		{"abc\010\010", "a", 1},
		{"\177", "", 0},
		{"abc" LEFT "\177", "ac", 1},
		{"abc\001x", "xabc", 1},
		{"abc\033[Hx\033[Fy", "xabcy", 5},
		{"abc\033[1~x\033[4~y", "xabcy", 5},
		{"abc\033OHx\033OFy", "xabcy", 5},
		{"abc\001\033[3~", "bc", 0},
		{"abc\033[3~", "abc", 3},
		{"abc\001\005d", "abcd", 4},
		{"abcdef" LEFT LEFT "\025", "ef", 0},
		{"abcdef" LEFT LEFT "\013", "abcd", 4},
		{"one two  \027", "one ", 4},
		{"one two\027\027\027x", "x", 1},
		{"abc\003d", "d", 1},
		{"a\033[99Zb", "ab", 2},
		{"a\002\004", "", 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CHECK(!type(table[i].keys));
		CHECK(strcmp(editor.text, table[i].text) == 0);
		CHECK(editor.cursor == table[i].cursor);
	}
}

static void test_line_full(void)
{
	char keys[LINE_SIZE + 20];

	memset(keys, 'x', sizeof(keys));
	keys[sizeof(keys) - 1] = '\0';
	CHECK(!type(keys));
	CHECK(editor.len == LINE_SIZE - 1);
	CHECK(strlen(editor.text) == LINE_SIZE - 1);
}

static void test_line_history(void)
{
	editor.history_count = 0;
	CHECK(type("first\r"));
	CHECK(type("second\r"));
	CHECK(type("second\r"));
	CHECK(type("\r"));
	CHECK(editor.history_count == 2);
	type(UP);
	CHECK(strcmp(editor.text, "second") == 0);
	type(UP UP);
	CHECK(strcmp(editor.text, "first") == 0);
	type(UP UP UP UP);
	CHECK(strcmp(editor.text, "first") == 0);
	type("new" UP DOWN);
	CHECK(strcmp(editor.text, "new") == 0);
	type(UP UP DOWN " line");
	CHECK(strcmp(editor.text, "second line") == 0);
}

static void test_line_history_full(void)
{
	editor.history_count = 0;
	for (char c = 'a'; c <= 'z'; c++) {
		char keys[3] = {c, '\r', '\0'};

		CHECK(type(keys));
	}
	for (size_t i = 0; i < LINE_HISTORY; i++) {
		char keys[3 * LINE_HISTORY + 1] = "";

		for (size_t k = 0; k <= i; k++)
			memcpy(keys + 3 * k, UP, 4);
		type(keys);
		CHECK(editor.text[0] == (char)('z' - i));
	}
}

const struct pure_test selftest_shell[] = {
	{"shell: run= is found on a kernel command line", test_find_run},
	{"shell: a run= that does not fit is refused", test_find_run_too_long},
	{"shell: numbers and sizes", test_numbers},
	{"shell: each key edits the line, and the screen follows", test_line_editing},
	{"shell: a full line takes no more", test_line_full},
	{"shell: history up and down", test_line_history},
	{"shell: history forgets the oldest", test_line_history_full},
	{0},
};
