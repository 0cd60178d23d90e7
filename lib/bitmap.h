/* SPDX-License-Identifier: MIT */
/*
 * bitmap.h - bits in an array of machine words. Ranges are half-open: [start, end). Nothing here is
 * atomic; the caller's lock guards the words.
 */
#ifndef LIB_BITMAP_H
#define LIB_BITMAP_H

#include "lib/bits.h"

typedef uintptr_t bitword_t;

#define BITWORD_SHIFT ((unsigned)(sizeof(bitword_t) == 8 ? 6 : 5))
#define BITWORD_BITS  ((size_t)1 << BITWORD_SHIFT)
#define BITWORD_MASK  (BITWORD_BITS - 1)

/* Words that hold so many bits; also as an array bound. */
#define BITMAP_WORDS(bits) (((bits) + BITWORD_MASK) >> BITWORD_SHIFT)

/* Of one word; word is not 0 for the first two. */
static inline unsigned bitword_ctz(bitword_t word)
{
	return sizeof(word) == 8 ? bits_ctz64(word) : bits_ctz32((uint32_t)word);
}

static inline unsigned bitword_clz(bitword_t word)
{
	return sizeof(word) == 8 ? bits_clz64(word) : bits_clz32((uint32_t)word);
}

static inline unsigned bitword_popcount(bitword_t word)
{
	return sizeof(word) == 8 ? bits_popcount64(word) : bits_popcount32((uint32_t)word);
}

static inline bool bitmap_test(const bitword_t *map, size_t bit)
{
	return (map[bit >> BITWORD_SHIFT] >> (bit & BITWORD_MASK)) & 1;
}

static inline void bitmap_set(bitword_t *map, size_t bit)
{
	map[bit >> BITWORD_SHIFT] |= (bitword_t)1 << (bit & BITWORD_MASK);
}

static inline void bitmap_clear(bitword_t *map, size_t bit)
{
	map[bit >> BITWORD_SHIFT] &= ~((bitword_t)1 << (bit & BITWORD_MASK));
}

/* Ones of a word from bit lo up to, not including, hi; lo < hi <= BITWORD_BITS. */
static inline bitword_t bitword_mask(size_t lo, size_t hi)
{
	return (~(bitword_t)0 >> (BITWORD_BITS - (hi - lo))) << lo;
}

void bitmap_set_range(bitword_t *map, size_t start, size_t end);
void bitmap_clear_range(bitword_t *map, size_t start, size_t end);

/* The first one (zero) in [start, end), or end. */
size_t bitmap_next_set(const bitword_t *map, size_t start, size_t end);
size_t bitmap_next_zero(const bitword_t *map, size_t start, size_t end);

/* Ones in [start, end). */
size_t bitmap_count_set(const bitword_t *map, size_t start, size_t end);

/* True for an empty range, too. */
static inline bool bitmap_all_set(const bitword_t *map, size_t start, size_t end)
{
	return bitmap_next_zero(map, start, end) == end;
}

static inline bool bitmap_all_zero(const bitword_t *map, size_t start, size_t end)
{
	return bitmap_next_set(map, start, end) == end;
}

/* bit runs over the ones of [0, end), ascending. The body may clear the bit it is at. */
#define bitmap_for_each_set(bit, map, end)                            \
	for ((bit) = bitmap_next_set((map), 0, (end)); (bit) < (end); \
	     (bit) = bitmap_next_set((map), (bit) + 1, (end)))

#endif
