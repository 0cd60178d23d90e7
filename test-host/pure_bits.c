/* SPDX-License-Identifier: MIT */
/* pure_bits.c - lib/bits.h and lib/bitmap.h, against counting one bit at a time. */
#include "lib/bitmap.h"
#include "test-host/pure.h"

#define MAP_BITS  (5 * BITWORD_BITS)
#define MAP_WORDS (MAP_BITS / BITWORD_BITS + 2)

static unsigned naive_popcount(uint64_t x)
{
	unsigned count = 0;

	for (; x; x >>= 1)
		count += (unsigned)(x & 1);
	return count;
}

static void single_bits(void)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t x = (uint64_t)1 << bit;

		CHECK(bits_ctz64(x) == bit);
		CHECK(bits_clz64(x) == 63 - bit);
		CHECK(bits_log2(x) == bit);
		CHECK(bits_log2_ceil(x) == bit);
		CHECK(bits_popcount64(x) == 1);
		CHECK(bits_popcount64(~x) == 63);
		CHECK(bits_is_pow2(x));
		if (bit < 32) {
			CHECK(bits_ctz32((uint32_t)x) == bit);
			CHECK(bits_clz32((uint32_t)x) == 31 - bit);
		}
	}
}

static void bits_among_others(void)
{
	for (unsigned low = 0; low < 64; low++) {
		for (unsigned high = low; high < 64; high++) {
			uint64_t x = ((uint64_t)1 << low) | ((uint64_t)1 << high);

			CHECK(bits_ctz64(x) == low);
			CHECK(bits_clz64(x) == 63 - high);
			CHECK(bits_is_pow2(x) == (low == high));
			CHECK(bits_log2(x) == high);
			CHECK(bits_log2_ceil(x) == high + (low != high));
		}
	}
	CHECK(!bits_is_pow2(0));
}

static void popcount_of_many(void)
{
	uint64_t x = 1;

	for (unsigned i = 0; i < 2000; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		CHECK(bits_popcount64(x) == naive_popcount(x));
		CHECK(bits_popcount32((uint32_t)x) == naive_popcount((uint32_t)x));
	}
	CHECK(bits_popcount64(0) == 0);
	CHECK(bits_popcount64(UINT64_MAX) == 64);
}

static void alignment(void)
{
	CHECK(align_up(0, 16) == 0);
	CHECK(align_up(1, 16) == 16);
	CHECK(align_up(16, 16) == 16);
	CHECK(align_up(17, 1) == 17);
	CHECK(align_down(31, 16) == 16);
	CHECK(align_down(32, 16) == 32);
	CHECK(is_aligned(4096, 4096));
	CHECK(!is_aligned(4097, 4096));
	CHECK(align_up(UINTPTR_MAX, 4096) == 0);
	CHECK(align_down(UINTPTR_MAX, 4096) == UINTPTR_MAX - 4095);
}

/* Set or clear [start, end) in a map of the opposite, and look at every bit, neighbours included.
 */
static void check_range(size_t start, size_t end)
{
	bitword_t ones[MAP_WORDS];
	bitword_t zeros[MAP_WORDS];

	for (size_t i = 0; i < MAP_WORDS; i++) {
		ones[i] = ~(bitword_t)0;
		zeros[i] = 0;
	}
	bitmap_set_range(zeros, start, end);
	bitmap_clear_range(ones, start, end);
	for (size_t bit = 0; bit < MAP_WORDS * BITWORD_BITS; bit++) {
		bool inside = bit >= start && bit < end;

		CHECK(bitmap_test(zeros, bit) == inside);
		CHECK(bitmap_test(ones, bit) == !inside);
	}
	CHECK(bitmap_count_set(zeros, 0, MAP_WORDS * BITWORD_BITS) == end - start);
	CHECK(bitmap_count_set(ones, start, end) == 0);
	CHECK(bitmap_next_set(zeros, 0, MAP_BITS) == (start < end ? start : MAP_BITS));
	CHECK(bitmap_next_zero(zeros, start, MAP_BITS) == end);
	CHECK(bitmap_all_set(zeros, start, end));
	CHECK(bitmap_all_zero(ones, start, end));
	CHECK(start == end || !bitmap_all_zero(zeros, start, end));
}

static void ranges_of_bits(void)
{
	static const size_t edges[] = {0,
				       1,
				       2,
				       BITWORD_BITS - 1,
				       BITWORD_BITS,
				       BITWORD_BITS + 1,
				       2 * BITWORD_BITS - 1,
				       2 * BITWORD_BITS,
				       3 * BITWORD_BITS + 7,
				       MAP_BITS - 1,
				       MAP_BITS};
	size_t count = sizeof(edges) / sizeof(edges[0]);

	for (size_t i = 0; i < count; i++)
		for (size_t j = i; j < count; j++)
			check_range(edges[i], edges[j]);
}

static void masks_of_one_word(void)
{
	for (size_t lo = 0; lo < BITWORD_BITS; lo++) {
		for (size_t hi = lo + 1; hi <= BITWORD_BITS; hi++) {
			bitword_t mask = bitword_mask(lo, hi);

			CHECK(bitword_popcount(mask) == hi - lo);
			CHECK(bitword_ctz(mask) == lo);
			CHECK(bitword_clz(mask) == BITWORD_BITS - hi);
		}
	}
}

static void searching(void)
{
	bitword_t map[MAP_WORDS] = {0};
	size_t expected = 3;
	size_t seen = 0;
	size_t bit;

	for (bit = 3; bit < MAP_BITS; bit += 37)
		bitmap_set(map, bit);
	bitmap_for_each_set (bit, map, MAP_BITS) {
		CHECK(bit == expected);
		expected += 37;
		seen++;
		bitmap_clear(map, bit);
	}
	CHECK(seen == (MAP_BITS - 3 + 36) / 37);
	CHECK(bitmap_all_zero(map, 0, MAP_BITS));
	bitmap_set(map, 100);
	CHECK(bitmap_next_set(map, 0, 100) == 100);
	CHECK(bitmap_next_set(map, 0, 101) == 100);
	CHECK(bitmap_next_set(map, 101, 101) == 101);
	CHECK(bitmap_next_set(map, 101, 200) == 200);
}

static void words_for_bits(void)
{
	CHECK(BITMAP_WORDS(0) == 0);
	CHECK(BITMAP_WORDS(1) == 1);
	CHECK(BITMAP_WORDS(BITWORD_BITS) == 1);
	CHECK(BITMAP_WORDS(BITWORD_BITS + 1) == 2);
}

const struct pure_test pure_bits_tests[] = {
	{"bits: one set bit is found from both ends", single_bits},
	{"bits: two set bits, lowest and highest", bits_among_others},
	{"bits: population counts equal counting", popcount_of_many},
	{"bits: alignment up, down and wrapping", alignment},
	{"bitmap: masks of one word", masks_of_one_word},
	{"bitmap: ranges across word edges touch nothing else", ranges_of_bits},
	{"bitmap: searching for ones", searching},
	{"bitmap: words for bits", words_for_bits},
	{0, 0},
};
