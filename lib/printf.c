/* SPDX-License-Identifier: MIT */
/*
 * printf.c - formatting into a buffer. One pass over the format; a struct says where output goes
 * and how much would have been written, so that a full buffer needs no special case anywhere.
 */
#include "lib/printf.h"

#include <stdbool.h>
#include <stdint.h>

/* Octal digits of 2^64 - 1. */
#define MAX_DIGITS 22

struct out {
	char *buf;
	size_t size_bytes;
	size_t length; /* of the whole text */
};

struct spec {
	bool left;
	bool zero;
	bool plus;
	bool alt;
	int width;
	int precision;  /* -1: none */
	int size_bytes; /* of the integer argument */
};

static void put(struct out *out, char c)
{
	if (out->length + 1 < out->size_bytes)
		out->buf[out->length] = c;
	out->length++;
}

static void put_many(struct out *out, char c, int count)
{
	for (; count > 0; count--)
		put(out, c);
}

/*
 * value /= 10, returning the rest. 16 bits at a time: the compiler then divides 32-bit numbers
 * only, and a 32-bit machine needs no 64-bit division from libgcc.
 */
static unsigned divide_by_10(uint64_t *value)
{
	uint64_t quotient = 0;
	uint32_t rest = 0;

	for (int shift = 48; shift >= 0; shift -= 16) {
		uint32_t part = (rest << 16) | ((uint32_t)(*value >> shift) & 0xffff);

		quotient |= (uint64_t)(part / 10) << shift;
		rest = part % 10;
	}
	*value = quotient;
	return rest;
}

/* Digits, last one first; returns their number. 0 has none: precision adds it. */
static int digits_of(uint64_t value, unsigned base, bool upper, char *digits)
{
	int count = 0;

	for (; value; count++) {
		unsigned digit;

		if (base == 10) {
			digit = divide_by_10(&value);
		} else {
			digit = (unsigned)value & (base - 1);
			value >>= base == 16 ? 4 : 3;
		}
		digits[count] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[digit];
	}
	return count;
}

static void put_number(struct out *out, const struct spec *spec, uint64_t value, unsigned base,
		       bool upper, const char *prefix)
{
	char digits[MAX_DIGITS];
	int count = digits_of(value, base, upper, digits);
	int least = spec->precision < 0 ? 1 : spec->precision;
	int zeros = count < least ? least - count : 0;
	int prefix_length = 0;
	int pad;

	while (prefix[prefix_length])
		prefix_length++;
	pad = spec->width - prefix_length - zeros - count;
	if (spec->zero && !spec->left && spec->precision < 0 && pad > 0) {
		zeros += pad;
		pad = 0;
	}
	if (!spec->left)
		put_many(out, ' ', pad);
	for (int i = 0; i < prefix_length; i++)
		put(out, prefix[i]);
	put_many(out, '0', zeros);
	while (count)
		put(out, digits[--count]);
	if (spec->left)
		put_many(out, ' ', pad);
}

static void put_string(struct out *out, const struct spec *spec, const char *s)
{
	int length = 0;

	if (!s)
		s = "(null)";
	while ((spec->precision < 0 || length < spec->precision) && s[length])
		length++;
	if (!spec->left)
		put_many(out, ' ', spec->width - length);
	for (int i = 0; i < length; i++)
		put(out, s[i]);
	if (spec->left)
		put_many(out, ' ', spec->width - length);
}

/* A number at *format, or '*' for the next argument; the result stays far from overflow. */
static int parse_number(const char **format, va_list *args)
{
	int number = 0;

	if (**format == '*') {
		(*format)++;
		return va_arg(*args, int);
	}
	for (; **format >= '0' && **format <= '9'; (*format)++)
		if (number < 100000)
			number = number * 10 + (**format - '0');
	return number;
}

static void parse_flags(const char **format, struct spec *spec)
{
	for (;; (*format)++) {
		switch (**format) {
		case '-':
			spec->left = true;
			break;
		case '0':
			spec->zero = true;
			break;
		case '+':
			spec->plus = true;
			break;
		case '#':
			spec->alt = true;
			break;
		default:
			return;
		}
	}
}

static int parse_size(const char **format)
{
	char c = **format;

	if (c == 'z' || c == 't' || c == 'j') {
		(*format)++;
		return c == 'z' ? sizeof(size_t) : c == 't' ? sizeof(ptrdiff_t) : sizeof(intmax_t);
	}
	if (c != 'l' && c != 'h')
		return sizeof(int);
	(*format)++;
	if (**format == c) {
		(*format)++;
		return c == 'l' ? sizeof(long long) : sizeof(char);
	}
	return c == 'l' ? sizeof(long) : sizeof(short);
}

/* Everything between '%' and the letter. */
static struct spec parse_spec(const char **format, va_list *args)
{
	struct spec spec = {.precision = -1};

	parse_flags(format, &spec);
	spec.width = parse_number(format, args);
	if (spec.width < 0) {
		spec.left = true;
		spec.width = -spec.width;
	}
	if (**format == '.') {
		(*format)++;
		spec.precision = parse_number(format, args);
		if (spec.precision < 0)
			spec.precision = -1;
	}
	spec.size_bytes = parse_size(format);
	return spec;
}

/* The argument, as wide as the specification says, in the low bits. */
static uint64_t unsigned_arg(const struct spec *spec, va_list *args)
{
	uint64_t value = spec->size_bytes == 8 ? va_arg(*args, uint64_t) : va_arg(*args, uint32_t);

	if (spec->size_bytes < 4)
		value &= (1u << (8 * spec->size_bytes)) - 1;
	return value;
}

static void put_signed(struct out *out, const struct spec *spec, va_list *args)
{
	uint64_t value = unsigned_arg(spec, args);
	uint64_t sign = (uint64_t)1 << (8 * spec->size_bytes - 1);

	if (value & sign)
		put_number(out, spec, ((sign - 1) & ~value) + 1, 10, false, "-");
	else
		put_number(out, spec, value, 10, false, spec->plus ? "+" : "");
}

static void put_pointer(struct out *out, const struct spec *spec, const void *pointer)
{
	struct spec full = *spec;

	full.precision = 2 * sizeof(void *);
	put_number(out, &full, (uintptr_t)pointer, 16, false, "0x");
}

static void put_char(struct out *out, const struct spec *spec, char c)
{
	if (!spec->left)
		put_many(out, ' ', spec->width - 1);
	put(out, c);
	if (spec->left)
		put_many(out, ' ', spec->width - 1);
}

/* One conversion; false for a letter that is none. */
static bool convert(struct out *out, const struct spec *spec, char letter, va_list *args)
{
	switch (letter) {
	case 'd':
	case 'i':
		put_signed(out, spec, args);
		return true;
	case 'u':
		put_number(out, spec, unsigned_arg(spec, args), 10, false, "");
		return true;
	case 'x':
	case 'X':
		put_number(out, spec, unsigned_arg(spec, args), 16, letter == 'X',
			   spec->alt ? "0x" : "");
		return true;
	case 'o':
		put_number(out, spec, unsigned_arg(spec, args), 8, false, spec->alt ? "0" : "");
		return true;
	case 'p':
		put_pointer(out, spec, va_arg(*args, void *));
		return true;
	case 's':
		put_string(out, spec, va_arg(*args, const char *));
		return true;
	case 'c':
		put_char(out, spec, (char)va_arg(*args, int));
		return true;
	case '%':
		put(out, '%');
		return true;
	default:
		return false;
	}
}

int fmt_vsnprintf(char *buf, size_t size_bytes, const char *format, va_list args)
{
	struct out out = {.buf = buf, .size_bytes = size_bytes};
	va_list ap; /* a copy, because a va_list parameter may be an array: &args would be another
		       type */

	va_copy(ap, args);
	while (*format) {
		const char *percent = format;
		struct spec spec;

		if (*format++ != '%') {
			put(&out, *percent);
			continue;
		}
		spec = parse_spec(&format, &ap);
		if (*format && convert(&out, &spec, *format, &ap)) {
			format++;
			continue;
		}
		while (percent < format)
			put(&out, *percent++);
	}
	va_end(ap);
	if (size_bytes)
		buf[out.length < size_bytes ? out.length : size_bytes - 1] = '\0';
	return (int)out.length;
}

int fmt_snprintf(char *buf, size_t size_bytes, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = fmt_vsnprintf(buf, size_bytes, format, args);
	va_end(args);
	return length;
}
