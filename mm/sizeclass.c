/* SPDX-License-Identifier: MIT */
/* sizeclass.c (level 1) - the one look-up that is no table: a class whose objects are all aligned.
 */
#include "mm/sizeclass.h"

#include "lib/bits.h"

/*
 * Spans start at a frame, so every object of a class is aligned to what divides its size. At the
 * latest the next power of two fits: at most a handful of steps.
 */
unsigned sizeclass_of_aligned(size_t size_bytes, size_t align_bytes)
{
	size_t least = size_bytes < align_bytes ? align_bytes : size_bytes;

	if (!bits_is_pow2(align_bytes) || align_bytes > SLATE_PAGE_SIZE ||
	    least > SIZECLASS_MAX_BYTES)
		return 0;
	for (unsigned c = sizeclass_of(least); c < SIZECLASS_COUNT; c++)
		if (is_aligned(sizeclass_bytes[c], align_bytes))
			return c;
	return 0;
}
