/* SPDX-License-Identifier: MIT */
/*
 * line.c - edits one line in place. After each byte the line from the change on is drawn again:
 * short enough for a serial line, and right on any terminal that knows backspace and "erase to the
 * end" (ESC [ K).
 */
#include "kernel/line.h"

#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/console.h"
#include "lib/string.h"

/* While nobody types: so many free frames are zeroed a tick, up to a stock of some. */
#define IDLE_ZERO_PAGES 4
#define IDLE_ZERO_GOAL  256

#define CTRL(c)   ((c) - 'A' + 1)
#define KEY_ESC   27
#define KEY_ERASE 127

static void put_back(struct line *line, size_t count)
{
	while (count-- > 0)
		line->write("\b", 1);
}

/* Draw from `from` on, and leave the terminal's cursor where ours is. */
static void draw(struct line *line, size_t from)
{
	if (line->drawn_cursor > from)
		put_back(line, line->drawn_cursor - from);
	else
		from = line->drawn_cursor;
	line->write(line->text + from, line->len - from);
	line->write("\033[K", 3);
	put_back(line, line->len - line->cursor);
	line->drawn_cursor = line->cursor;
}

static void move_to(struct line *line, size_t cursor)
{
	if (cursor > line->len)
		return;
	if (cursor < line->cursor)
		put_back(line, line->cursor - cursor);
	else
		line->write(line->text + line->cursor, cursor - line->cursor);
	line->cursor = cursor;
	line->drawn_cursor = cursor;
}

/* Take [from, to) out; the cursor ends at from. */
static void cut(struct line *line, size_t from, size_t to)
{
	memmove(line->text + from, line->text + to, line->len - to + 1);
	line->len -= to - from;
	line->cursor = from;
	draw(line, from);
}

static void insert(struct line *line, char c)
{
	size_t at = line->cursor;

	if (line->len + 1 >= LINE_SIZE)
		return;
	memmove(line->text + at + 1, line->text + at, line->len - at + 1);
	line->text[at] = c;
	line->len++;
	line->cursor++;
	if (line->cursor < line->len) {
		draw(line, at);
		return;
	}
	line->write(&c, 1);
	line->drawn_cursor = line->cursor;
}

static void cut_word(struct line *line)
{
	size_t from = line->cursor;

	while (from > 0 && line->text[from - 1] == ' ')
		from--;
	while (from > 0 && line->text[from - 1] != ' ')
		from--;
	cut(line, from, line->cursor);
}

static void replace(struct line *line, const char *text)
{
	line->len = strlen(text);
	memcpy(line->text, text, line->len + 1);
	line->cursor = line->len;
	draw(line, 0);
}

/* ---- History ---- */

static void history_show(struct line *line, unsigned pos)
{
	if (line->history_pos == line->history_count)
		memcpy(line->pending, line->text, line->len + 1);
	line->history_pos = pos;
	if (pos == line->history_count)
		replace(line, line->pending);
	else
		replace(line, line->history[pos % LINE_HISTORY]);
}

static void history_older(struct line *line)
{
	unsigned oldest =
		line->history_count > LINE_HISTORY ? line->history_count - LINE_HISTORY : 0;

	if (line->history_pos > oldest)
		history_show(line, line->history_pos - 1);
}

static void history_newer(struct line *line)
{
	if (line->history_pos < line->history_count)
		history_show(line, line->history_pos + 1);
}

/* Empty lines and repetitions are not worth a place. */
static void history_add(struct line *line)
{
	const char *newest = line->history[(line->history_count - 1) % LINE_HISTORY];

	if (line->len == 0)
		return;
	if (line->history_count > 0 && strcmp(newest, line->text) == 0)
		return;
	memcpy(line->history[line->history_count % LINE_HISTORY], line->text, line->len + 1);
	line->history_count++;
}

/* ---- Keys ---- */

/* ESC [ number ~ is the same key as ESC [ letter. */
static char escape_number(char number)
{
	switch (number) {
	case '1':
	case '7':
		return 'H'; /* Home */
	case '4':
	case '8':
		return 'F'; /* End */
	case '3':
		return 'P'; /* Delete */
	default:
		return 0;
	}
}

/* The last byte of ESC [ ... or ESC O ... */
static void escape_end(struct line *line, char c)
{
	if (c == '~') {
		c = escape_number(line->escape_arg);
	}
	switch (c) {
	case 'A':
		history_older(line);
		break;
	case 'B':
		history_newer(line);
		break;
	case 'C':
		move_to(line, line->cursor + 1);
		break;
	case 'D':
		if (line->cursor > 0)
			move_to(line, line->cursor - 1);
		break;
	case 'H':
		move_to(line, 0);
		break;
	case 'F':
		move_to(line, line->len);
		break;
	case 'P':
		if (line->cursor < line->len)
			cut(line, line->cursor, line->cursor + 1);
		break;
	default:
		break;
	}
}

static void escape_feed(struct line *line, char c)
{
	if (line->escape == 1) {
		line->escape = c == '[' || c == 'O' ? 2 : 0;
		line->escape_arg = 0;
		return;
	}
	if ((c >= '0' && c <= '9') || c == ';') {
		line->escape_arg = c;
		return;
	}
	line->escape = 0;
	escape_end(line, c);
}

static void line_clear_screen(struct line *line)
{
	line->write("\033[H\033[2J", 7);
	line->write(line->prompt, strlen(line->prompt));
	line->drawn_cursor = 0;
	draw(line, 0);
}

static void control_feed(struct line *line, char c)
{
	switch (c) {
	case CTRL('A'):
		move_to(line, 0);
		break;
	case CTRL('E'):
		move_to(line, line->len);
		break;
	case CTRL('B'):
		escape_end(line, 'D');
		break;
	case CTRL('F'):
		escape_end(line, 'C');
		break;
	case CTRL('P'):
		history_older(line);
		break;
	case CTRL('N'):
		history_newer(line);
		break;
	case CTRL('D'):
		escape_end(line, 'P');
		break;
	case CTRL('H'):
	case KEY_ERASE:
		if (line->cursor > 0)
			cut(line, line->cursor - 1, line->cursor);
		break;
	case CTRL('U'):
		cut(line, 0, line->cursor);
		break;
	case CTRL('K'):
		cut(line, line->cursor, line->len);
		break;
	case CTRL('W'):
		cut_word(line);
		break;
	case CTRL('C'):
		cut(line, 0, line->len);
		break;
	case CTRL('L'):
		line_clear_screen(line);
		break;
	case KEY_ESC:
		line->escape = 1;
		break;
	default:
		break;
	}
}

void line_begin(struct line *line, const char *prompt)
{
	line->prompt = prompt;
	line->text[0] = '\0';
	line->len = 0;
	line->cursor = 0;
	line->drawn_cursor = 0;
	line->escape = 0;
	line->history_pos = line->history_count;
	line->write(prompt, strlen(prompt));
}

bool line_feed(struct line *line, char c)
{
	if (line->escape) {
		escape_feed(line, c);
		return false;
	}
	if (c == '\r' || c == '\n') {
		line->write("\n", 1);
		history_add(line);
		return true;
	}
	if (c >= ' ' && c < KEY_ERASE)
		insert(line, c);
	else
		control_feed(line, c);
	return false;
}

char *line_read(struct line *line, const char *prompt)
{
	line->write = console_write;
	line_begin(line, prompt);
	for (;;) {
		int c = arch_getc();

		if (c < 0) {
			slate_poll();
			slate_idle_zero(IDLE_ZERO_PAGES, IDLE_ZERO_GOAL);
			arch_idle();
		} else if (line_feed(line, (char)c))
			return line->text;
	}
}
