/* SPDX-License-Identifier: MIT */
/* pure_string.c - lib/mem.c and lib/string.c: every alignment and length against one byte at a
 * time. */
#include <stdbool.h>

#include "lib/string.h"
#include "test-host/pure.h"

/* Longer than four words and some, at every phase of two words. */
#define LENGTHS 80
#define PHASES  17
#define BUFFER  (LENGTHS + 4 * PHASES)

static unsigned char a[BUFFER];
static unsigned char b[BUFFER];
static unsigned char model[BUFFER];

static void fill(void)
{
	for (unsigned i = 0; i < BUFFER; i++) {
		a[i] = (unsigned char)(i * 7 + 1);
		b[i] = (unsigned char)(i * 13 + 5);
	}
}

static bool same(const unsigned char *x, const unsigned char *y)
{
	for (unsigned i = 0; i < BUFFER; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

static void copy_one(unsigned to, unsigned from, unsigned length)
{
	fill();
	for (unsigned i = 0; i < BUFFER; i++)
		model[i] = i >= to && i < to + length ? a[from + i - to] : b[i];
	CHECK(LIB_NAME(memcpy)(b + to, a + from, length) == b + to);
	CHECK(same(b, model));
}

static void move_one(unsigned to, unsigned from, unsigned length)
{
	fill();
	for (unsigned i = 0; i < BUFFER; i++)
		model[i] = i >= to && i < to + length ? a[from + i - to] : a[i];
	CHECK(LIB_NAME(memmove)(a + to, a + from, length) == a + to);
	CHECK(same(a, model));
}

static void copying(void)
{
	for (unsigned to = 0; to < PHASES; to++)
		for (unsigned from = 0; from < PHASES; from++)
			for (unsigned length = 0; length < LENGTHS; length += 1 + length / 16)
				copy_one(to, from, length);
}

static void moving(void)
{
	for (unsigned to = 0; to < 2 * PHASES; to++)
		for (unsigned from = 0; from < 2 * PHASES; from++)
			for (unsigned length = 0; length < LENGTHS; length += 1 + length / 8)
				move_one(to, from, length);
}

static void setting(void)
{
	for (unsigned to = 0; to < PHASES; to++) {
		for (unsigned length = 0; length < LENGTHS; length++) {
			fill();
			for (unsigned i = 0; i < BUFFER; i++)
				model[i] = i >= to && i < to + length ? 0xfe : b[i];
			CHECK(LIB_NAME(memset)(b + to, 0x1fe, length) == b + to);
			CHECK(same(b, model));
		}
	}
}

/* Equal up to one byte, which is greater or less. */
static void compare_one(unsigned at, unsigned x, unsigned y, unsigned length)
{
	fill();
	for (unsigned i = 0; i < length; i++)
		a[x + i] = b[y + i] = (unsigned char)(0x20 + i);
	CHECK(LIB_NAME(memcmp)(a + x, b + y, length) == 0);
	a[x + at] = 0xff;
	CHECK(LIB_NAME(memcmp)(a + x, b + y, length) > 0);
	a[x + at] = 1;
	CHECK(LIB_NAME(memcmp)(a + x, b + y, length) < 0);
	CHECK(LIB_NAME(memcmp)(a + x, b + y, at) == 0);
}

static void comparing(void)
{
	for (unsigned x = 0; x < PHASES; x++)
		for (unsigned y = 0; y < PHASES; y += 3)
			for (unsigned at = 0; at < LENGTHS; at++)
				compare_one(at, x, y, LENGTHS);
}

static void string_lengths(void)
{
	CHECK(LIB_NAME(strlen)("") == 0);
	CHECK(LIB_NAME(strlen)("abc") == 3);
	CHECK(LIB_NAME(strnlen)("abc", 2) == 2);
	CHECK(LIB_NAME(strnlen)("abc", 3) == 3);
	CHECK(LIB_NAME(strnlen)("abc", 9) == 3);
}

static void string_order(void)
{
	CHECK(LIB_NAME(strcmp)("", "") == 0);
	CHECK(LIB_NAME(strcmp)("abc", "abc") == 0);
	CHECK(LIB_NAME(strcmp)("abc", "abd") < 0);
	CHECK(LIB_NAME(strcmp)("abc", "ab") > 0);
	CHECK(LIB_NAME(strcmp)("", "a") < 0);
	CHECK(LIB_NAME(strcmp)("\x80", "\x7f") > 0);
	CHECK(LIB_NAME(strncmp)("abc", "abd", 2) == 0);
	CHECK(LIB_NAME(strncmp)("abc", "abd", 3) < 0);
	CHECK(LIB_NAME(strncmp)("a", "b", 0) == 0);
	CHECK(LIB_NAME(strncmp)("ab", "ab\0c", 9) == 0);
}

static void string_search(void)
{
	static const char text[] = "one two";

	CHECK(LIB_NAME(strchr)(text, 't') == text + 4);
	CHECK(LIB_NAME(strchr)(text, 'x') == NULL);
	CHECK(LIB_NAME(strchr)(text, '\0') == text + 7);
	CHECK(LIB_NAME(strstr)(text, "two") == text + 4);
	CHECK(LIB_NAME(strstr)(text, "") == text);
	CHECK(LIB_NAME(strstr)(text, "twoo") == NULL);
	CHECK(LIB_NAME(strstr)("aab", "ab") != NULL);
}

const struct pure_test pure_string_tests[] = {
	{"mem: copy at every alignment", copying},
	{"mem: move with every overlap", moving},
	{"mem: set at every alignment", setting},
	{"mem: compare finds every byte, unsigned", comparing},
	{"string: lengths", string_lengths},
	{"string: order", string_order},
	{"string: search", string_search},
	{0, 0},
};
