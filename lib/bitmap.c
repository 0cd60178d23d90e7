/* SPDX-License-Identifier: MIT */
/* bitmap.c - ranges of bits, a word at a time: a partial first word, whole words, a partial last
 * one. */
#include "lib/bitmap.h"

/* Where the word that holds bit ends, at most end. */
static size_t word_end(size_t bit, size_t end)
{
	size_t next = (bit | BITWORD_MASK) + 1;

	/* next wraps to 0 behind the last word of the address space; end cannot */
	return next - 1 < end - 1 ? next : end;
}

/* The ones of [start, stop), both within one word. */
static bitword_t range_mask(size_t start, size_t stop)
{
	return bitword_mask(start & BITWORD_MASK, ((stop - 1) & BITWORD_MASK) + 1);
}

void bitmap_set_range(bitword_t *map, size_t start, size_t end)
{
	while (start < end) {
		size_t stop = word_end(start, end);

		map[start >> BITWORD_SHIFT] |= range_mask(start, stop);
		start = stop;
	}
}

void bitmap_clear_range(bitword_t *map, size_t start, size_t end)
{
	while (start < end) {
		size_t stop = word_end(start, end);

		map[start >> BITWORD_SHIFT] &= ~range_mask(start, stop);
		start = stop;
	}
}

/* flip is 0 to look for ones, all ones to look for zeros. */
static size_t next_bit(const bitword_t *map, size_t start, size_t end, bitword_t flip)
{
	while (start < end) {
		size_t stop = word_end(start, end);
		bitword_t word = (map[start >> BITWORD_SHIFT] ^ flip) & range_mask(start, stop);

		if (word)
			return (start & ~BITWORD_MASK) + bitword_ctz(word);
		start = stop;
	}
	return end;
}

size_t bitmap_next_set(const bitword_t *map, size_t start, size_t end)
{
	return next_bit(map, start, end, 0);
}

size_t bitmap_next_zero(const bitword_t *map, size_t start, size_t end)
{
	return next_bit(map, start, end, ~(bitword_t)0);
}

size_t bitmap_count_set(const bitword_t *map, size_t start, size_t end)
{
	size_t count = 0;

	while (start < end) {
		size_t stop = word_end(start, end);

		count += bitword_popcount(map[start >> BITWORD_SHIFT] & range_mask(start, stop));
		start = stop;
	}
	return count;
}
