/* SPDX-License-Identifier: MIT */
/* pure_printf.c - lib/printf.c: expected texts, and what happens when the buffer is short. */
#include <stdint.h>

#include "lib/printf.h"
#include "lib/string.h"
#include "test-host/pure.h"

/* Without the attribute that lets compilers check formats: some here are wrong on purpose. */
static int format(char *text, size_t size_bytes, const char *template, ...)
{
	va_list args;
	int length;

	va_start(args, template);
	length = fmt_vsnprintf(text, size_bytes, template, args);
	va_end(args);
	return length;
}

/* One format, its text and the length that is returned. */
#define FORMATS(expected, ...)                                           \
	do {                                                             \
		char text_[128];                                         \
		int length_ = format(text_, sizeof(text_), __VA_ARGS__); \
		CHECK(LIB_NAME(strcmp)(text_, expected) == 0);           \
		CHECK(length_ == (int)LIB_NAME(strlen)(expected));       \
	} while (0)

static void decimals(void)
{
	FORMATS("0", "%d", 0);
	FORMATS("-1", "%d", -1);
	FORMATS("2147483647 -2147483648", "%d %i", INT32_MAX, INT32_MIN);
	FORMATS("4294967295", "%u", UINT32_MAX);
	FORMATS("+5 -5 +0", "%+d %+d %+d", 5, -5, 0);
}

static void decimals_of_64_bits(void)
{
	FORMATS("18446744073709551615", "%llu", (unsigned long long)UINT64_MAX);
	FORMATS("-9223372036854775808", "%lld", (long long)INT64_MIN);
	FORMATS("10000000000000000000", "%llu", 10000000000000000000ull);
	FORMATS("4294967296 999999999999", "%llu %llu", 4294967296ull, 999999999999ull);
	FORMATS("655360 65535 65536", "%llu %llu %llu", 655360ull, 65535ull, 65536ull);
}

static void bases(void)
{
	FORMATS("ff FF 0xff 17", "%x %X %#x %o", 255, 255, 255, 15);
	FORMATS("deadbeefcafef00d", "%llx", 0xdeadbeefcafef00dull);
	FORMATS("1777777777777777777777", "%llo", (unsigned long long)UINT64_MAX);
}

static void sizes(void)
{
	FORMATS("44 1", "%hhu %hu", 300, 65537);
	FORMATS("-1 -1", "%hhd %hd", 255, 65535);
	FORMATS("7 -7", "%zu %td", (size_t)7, (ptrdiff_t)-7);
	FORMATS("9 a", "%lu %lx", 9ul, 10ul);
	FORMATS("18446744073709551615", "%ju", (uintmax_t)UINT64_MAX);
}

static void widths(void)
{
	FORMATS("   42|42   |00042", "%5d|%-5d|%05d", 42, 42, 42);
	FORMATS("  -42|-42  |-0042", "%5d|%-5d|%05d", -42, -42, -42);
	FORMATS("12345", "%3d", 12345);
	FORMATS("    7|7    |", "%*d|%*d|", 5, 7, -5, 7);
	FORMATS("0x00ff", "%#06x", 255);
}

static void precisions(void)
{
	FORMATS("007|  007|007  ", "%.3d|%5.3d|%-5.3d", 7, 7, 7);
	FORMATS("", "%.0d", 0);
	FORMATS("ab|   ab|ab   |", "%.2s|%5.2s|%-5.2s|", "abc", "abc", "abc");
	FORMATS("abc", "%.*s", 9, "abc");
	FORMATS("abc", "%.*s", -1, "abc");
}

static void strings_and_characters(void)
{
	FORMATS("x abc %", "%c %s %%", 'x', "abc");
	FORMATS("  abc|abc  |    x|x    |", "%5s|%-5s|%5c|%-5c|", "abc", "abc", 'x', 'x');
	FORMATS("(null)", "%s", (char *)NULL);
	FORMATS("", "%s", "");
}

/* A string that is not terminated, with a precision. */
static void bounded_string(void)
{
	static const char raw[3] = {'a', 'b', 'c'};

	FORMATS("abc", "%.3s", raw);
}

static void pointers(void)
{
	char text[32];
	int length = fmt_snprintf(text, sizeof(text), "%p", (void *)(uintptr_t)0x1f);

	CHECK(length == 2 + 2 * (int)sizeof(void *));
	CHECK(LIB_NAME(strncmp)(text, "0x0000", 6) == 0);
	CHECK(LIB_NAME(strcmp)(text + length - 3, "01f") == 0);
}

static void unknown_conversions(void)
{
	FORMATS("%q", "%q");
	FORMATS("100%", "100%");
	FORMATS("%-5y 3", "%-5y %d", 3);
}

static void short_buffers(void)
{
	char text[8] = "zzzzzzz";

	CHECK(fmt_snprintf(text, 4, "%d", 123456) == 6);
	CHECK(LIB_NAME(strcmp)(text, "123") == 0);
	CHECK(text[4] == 'z');
	CHECK(fmt_snprintf(text, 1, "abc") == 3);
	CHECK(text[0] == '\0');
	text[0] = 'q';
	CHECK(fmt_snprintf(text, 0, "abc") == 3);
	CHECK(text[0] == 'q');
	CHECK(fmt_snprintf(NULL, 0, "%5d", 1) == 5);
	CHECK(fmt_snprintf(text, 4, "abc") == 3);
	CHECK(LIB_NAME(strcmp)(text, "abc") == 0);
}

const struct pure_test pure_printf_tests[] = {
	{"printf: decimals", decimals},
	{"printf: decimals of 64 bits", decimals_of_64_bits},
	{"printf: hexadecimal and octal", bases},
	{"printf: argument sizes", sizes},
	{"printf: widths", widths},
	{"printf: precisions", precisions},
	{"printf: strings and characters", strings_and_characters},
	{"printf: a bounded string needs no end", bounded_string},
	{"printf: pointers", pointers},
	{"printf: unknown conversions are copied", unknown_conversions},
	{"printf: short buffers end in time", short_buffers},
	{0, 0},
};
