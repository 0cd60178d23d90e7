/* SPDX-License-Identifier: MIT */
/*
 * printf.h - formatting into a buffer, without allocation, locale or floating point.
 *
 * Conversions: %s %c %d %i %u %x %X %o %p %%; sizes hh h l ll z t j; flags '-' (left), '0' (zero
 * pad), '+' and '#' (0x); a width, also '*'; a precision, also '*': the most bytes of a string, the
 * least digits of a number. Anything else is copied as it stands, so that a mistake is seen.
 */
#ifndef LIB_PRINTF_H
#define LIB_PRINTF_H

#include <stdarg.h>
#include <stddef.h>

/*
 * As C's vsnprintf: the buffer is terminated whenever size_bytes > 0, the result is the length that
 * the whole text needs. %p is 0x and all digits of a pointer; %s of NULL is "(null)".
 */
int fmt_vsnprintf(char *buf, size_t size_bytes, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));
int fmt_snprintf(char *buf, size_t size_bytes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
