/* SPDX-License-Identifier: MIT */
/*
 * mem.c - memcpy, memmove, memset, memcmp: a word at a time where both sides allow it. In a file of
 * their own, because the library must not contain them: a kernel that has its own keeps its own.
 */
/* gcc recognises the loops below as memcpy and memset, and would make each call itself. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#include <stdbool.h>
#include <stdint.h>

#include "lib/string.h"

/* A machine word that may overlay anything. */
typedef uintptr_t __attribute__((may_alias)) word_t;

#define WORD_BYTES sizeof(word_t)
#define WORD_MASK  (WORD_BYTES - 1)

/* Shorter than this the set-up of the word loops costs more than it saves. */
#define SHORT_BYTES (2 * WORD_BYTES)

static bool same_phase(const void *a, const void *b)
{
	return (((uintptr_t)a ^ (uintptr_t)b) & WORD_MASK) == 0;
}

static void copy_up(unsigned char *to, const unsigned char *from, size_t size_bytes)
{
	if (size_bytes >= SHORT_BYTES && same_phase(to, from)) {
		for (; (uintptr_t)to & WORD_MASK; size_bytes--)
			*to++ = *from++;
		for (; size_bytes >= 4 * WORD_BYTES; size_bytes -= 4 * WORD_BYTES) {
			word_t *t = (word_t *)to;
			const word_t *f = (const word_t *)from;
			word_t a = f[0], b = f[1], c = f[2], d = f[3];

			t[0] = a;
			t[1] = b;
			t[2] = c;
			t[3] = d;
			to += 4 * WORD_BYTES;
			from += 4 * WORD_BYTES;
		}
		for (; size_bytes >= WORD_BYTES; size_bytes -= WORD_BYTES) {
			*(word_t *)to = *(const word_t *)from;
			to += WORD_BYTES;
			from += WORD_BYTES;
		}
	}
	while (size_bytes--)
		*to++ = *from++;
}

/* From the end down; to and from point behind the last byte. */
static void copy_down(unsigned char *to, const unsigned char *from, size_t size_bytes)
{
	if (size_bytes >= SHORT_BYTES && same_phase(to, from)) {
		for (; (uintptr_t)to & WORD_MASK; size_bytes--)
			*--to = *--from;
		for (; size_bytes >= WORD_BYTES; size_bytes -= WORD_BYTES) {
			to -= WORD_BYTES;
			from -= WORD_BYTES;
			*(word_t *)to = *(const word_t *)from;
		}
	}
	while (size_bytes--)
		*--to = *--from;
}

void *LIB_NAME(memcpy)(void *restrict to, const void *restrict from, size_t size_bytes)
{
	copy_up(to, from, size_bytes);
	return to;
}

void *LIB_NAME(memmove)(void *to, const void *from, size_t size_bytes)
{
	/* Unsigned distance: below from, or beyond its end, copying upward reads before it writes.
	 */
	if ((uintptr_t)to - (uintptr_t)from >= size_bytes)
		copy_up(to, from, size_bytes);
	else
		copy_down((unsigned char *)to + size_bytes,
			  (const unsigned char *)from + size_bytes, size_bytes);
	return to;
}

void *LIB_NAME(memset)(void *to, int byte, size_t size_bytes)
{
	unsigned char *p = to;
	unsigned char fill = (unsigned char)byte;

	if (size_bytes >= SHORT_BYTES) {
		word_t word = (~(word_t)0 / 0xff) * fill;

		for (; (uintptr_t)p & WORD_MASK; size_bytes--)
			*p++ = fill;
		for (; size_bytes >= 4 * WORD_BYTES; size_bytes -= 4 * WORD_BYTES) {
			word_t *w = (word_t *)p;

			w[0] = word;
			w[1] = word;
			w[2] = word;
			w[3] = word;
			p += 4 * WORD_BYTES;
		}
		for (; size_bytes >= WORD_BYTES; size_bytes -= WORD_BYTES) {
			*(word_t *)p = word;
			p += WORD_BYTES;
		}
	}
	while (size_bytes--)
		*p++ = fill;
	return to;
}

int LIB_NAME(memcmp)(const void *a, const void *b, size_t size_bytes)
{
	const unsigned char *pa = a;
	const unsigned char *pb = b;

	if (size_bytes >= SHORT_BYTES && same_phase(a, b)) {
		while (size_bytes && ((uintptr_t)pa & WORD_MASK) && *pa == *pb) {
			pa++;
			pb++;
			size_bytes--;
		}
		while (size_bytes >= WORD_BYTES && ((uintptr_t)pa & WORD_MASK) == 0 &&
		       *(const word_t *)pa == *(const word_t *)pb) {
			pa += WORD_BYTES;
			pb += WORD_BYTES;
			size_bytes -= WORD_BYTES;
		}
	}
	for (; size_bytes; size_bytes--, pa++, pb++)
		if (*pa != *pb)
			return *pa < *pb ? -1 : 1;
	return 0;
}
