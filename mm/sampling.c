/* SPDX-License-Identifier: MIT */
/*
 * sampling.c (level 1) - thresholds for samples.
 *
 * With u uniform in (0, 1], -ln u has the exponential distribution of mean 1. log2 u comes from
 * the leading zeros and a table of 32 steps, between which it is taken for a straight line: that
 * makes the mean 0.004 % larger.
 */
#include "mm/sampling.h"

#if SLATE_PROFILE

/* Fixed point: so many bits behind the point. */
#define FRACTION 24

/* log2(1 + i / STEPS) */
#define STEPS_SHIFT 5
#define STEPS       (1u << STEPS_SHIFT)
/* clang-format off */
static const uint32_t log2_of[STEPS + 1] = {
	0, 744810, 1467383, 2169009, 2850868, 3514044, 4159533, 4788255,
	5401057, 5998727, 6581994, 7151536, 7707984, 8251926, 8783912, 9304457,
	9814042, 10313120, 10802114, 11281425, 11751428, 12212479, 12664911, 13109041,
	13545168, 13973576, 14394532, 14808293, 15215099, 15615181, 16008758, 16396036,
	16777216,
};
/* clang-format on */

#define LN2 11629080u /* ln 2 */

/* xorshift64*, the upper half: Marsaglia 2003, Vigna 2016 */
uint32_t sampling_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1dull) >> 32);
}

/* -log2(u / 2^32) */
static uint32_t minus_log2(uint32_t u)
{
	unsigned zeros = (unsigned)__builtin_clz(u);
	uint32_t mantissa = u << zeros; /* 1.xxx, the 1 in bit 31 */
	unsigned step = mantissa >> (31 - STEPS_SHIFT) & (STEPS - 1);
	uint32_t rest = mantissa & ((1u << (31 - STEPS_SHIFT)) - 1);
	uint64_t slope = log2_of[step + 1] - log2_of[step];
	uint32_t fraction = log2_of[step] + (uint32_t)(slope * rest >> (31 - STEPS_SHIFT));

	return ((zeros + 1) << FRACTION) - fraction;
}

uint64_t sampling_threshold(uint64_t *state, size_t mean_bytes)
{
	uint32_t random = sampling_random(state);

	if (mean_bytes <= 1)
		return 0;
	/* at most 32 * 2^24, times ln 2, times 2^30: 60 bits */
	return ((uint64_t)minus_log2(random ? random : 1) * LN2 >> FRACTION) * mean_bytes >>
	       FRACTION;
}

/* size / mean with 32 bits behind the point, and no long division. size < 16 * mean */
static uint64_t ratio(size_t size_bytes, size_t mean_bytes)
{
	uint64_t quotient = size_bytes / mean_bytes;
	size_t rest = size_bytes % mean_bytes;

	for (unsigned bit = 0; bit < 32; bit++) {
		rest <<= 1;
		quotient = quotient << 1 | (rest >= mean_bytes);
		if (rest >= mean_bytes)
			rest -= mean_bytes;
	}
	return quotient;
}

/* The series of 1 - exp(-x) where x is small; from there by doubling: 1 - exp(-2x) = 2p - pp. */
uint64_t sampling_chance(size_t size_bytes, size_t mean_bytes)
{
	const uint64_t one = (uint64_t)1 << 32;
	unsigned doublings = 0;

	/* 1 - exp(-16) is 1 but for a part in nine million */
	if (mean_bytes <= 1 || size_bytes / mean_bytes >= 16)
		return one;
	uint64_t x = ratio(size_bytes, mean_bytes);

	for (; x >= one >> 6; doublings++)
		x >>= 1;
	uint64_t square = x * x >> 32;
	uint64_t p = x - (square >> 1) + (square * x >> 32) / 6;

	for (; doublings > 0; doublings--)
		p = 2 * p - (p * p >> 32);
	return p > 0 ? p : 1;
}

#endif
