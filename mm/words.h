/* SPDX-License-Identifier: MIT */
/*
 * words.h (level 0) - clearing and copying of small objects by words: a call of memset() or
 * memcpy() costs more than the work. Objects are aligned to 8 bytes and their sizes are multiples
 * of 8, so whole words may be touched.
 */
#ifndef MM_WORDS_H
#define MM_WORDS_H

#include <slate/types.h>

/* Beyond it the kernel's memset() and memcpy() win. */
#define WORDS_SMALL_BYTES 256

typedef uint64_t __attribute__((may_alias)) word_t;

/* The compiler must not turn the loop back into the call. */
#define WORDS_STEP(p) __asm__("" : "+r"(p))

static inline void words_clear(void *start, size_t size_bytes)
{
	word_t *p = start;
	size_t words = (size_bytes + 7) / 8;
	word_t *end = p + words;
	word_t *fours_end = p + (words & ~(size_t)3);

	while (p != fours_end) {
		p[0] = 0;
		p[1] = 0;
		p[2] = 0;
		p[3] = 0;
		p += 4;
		WORDS_STEP(p);
	}
	while (p != end) {
		*p++ = 0;
		WORDS_STEP(p);
	}
}

static inline void words_copy(void *to, const void *from, size_t size_bytes)
{
	word_t *p = to;
	const word_t *q = from;
	size_t words = (size_bytes + 7) / 8;
	word_t *end = p + words;
	word_t *fours_end = p + (words & ~(size_t)3);

	while (p != fours_end) {
		word_t a = q[0], b = q[1], c = q[2], d = q[3];

		p[0] = a;
		p[1] = b;
		p[2] = c;
		p[3] = d;
		p += 4;
		q += 4;
		WORDS_STEP(p);
	}
	while (p != end) {
		*p++ = *q++;
		WORDS_STEP(p);
	}
}

#endif
