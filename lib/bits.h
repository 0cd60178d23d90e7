/* SPDX-License-Identifier: MIT */
/*
 * bits.h - counting zeros and ones, powers of two, alignment: all without a call into libgcc, which
 * a freestanding 32-bit build does not link and which population counts would need on 64-bit too.
 */
#ifndef LIB_BITS_H
#define LIB_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits below the lowest set one; x is not 0. */
static inline unsigned bits_ctz32(uint32_t x)
{
	return (unsigned)__builtin_ctz(x);
}

/* Bits above the highest set one; x is not 0. */
static inline unsigned bits_clz32(uint32_t x)
{
	return (unsigned)__builtin_clz(x);
}

/* Two halves where the machine's word is 32 bits: the compiler would call __ctzdi2 there. */
static inline unsigned bits_ctz64(uint64_t x)
{
#if UINTPTR_MAX > UINT32_MAX
	return (unsigned)__builtin_ctzll(x);
#else
	uint32_t low = (uint32_t)x;

	return low ? bits_ctz32(low) : 32 + bits_ctz32((uint32_t)(x >> 32));
#endif
}

static inline unsigned bits_clz64(uint64_t x)
{
#if UINTPTR_MAX > UINT32_MAX
	return (unsigned)__builtin_clzll(x);
#else
	uint32_t high = (uint32_t)(x >> 32);

	return high ? bits_clz32(high) : 32 + bits_clz32((uint32_t)x);
#endif
}

/* Ones in x, added up in parallel: pairs, nibbles, bytes, then a product that sums the bytes. */
static inline unsigned bits_popcount32(uint32_t x)
{
	x = x - ((x >> 1) & 0x55555555u);
	x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
	x = (x + (x >> 4)) & 0x0f0f0f0fu;
	return (x * 0x01010101u) >> 24;
}

static inline unsigned bits_popcount64(uint64_t x)
{
	return bits_popcount32((uint32_t)x) + bits_popcount32((uint32_t)(x >> 32));
}

static inline bool bits_is_pow2(uint64_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

/* floor(log2(x)); x is not 0. */
static inline unsigned bits_log2(uint64_t x)
{
	return 63 - bits_clz64(x);
}

/* ceil(log2(x)); x is not 0. */
static inline unsigned bits_log2_ceil(uint64_t x)
{
	return x == 1 ? 0 : 64 - bits_clz64(x - 1);
}

/* align is a power of two. align_up() wraps to 0 when the result does not fit. */
static inline uintptr_t align_down(uintptr_t x, uintptr_t align)
{
	return x & ~(align - 1);
}

static inline uintptr_t align_up(uintptr_t x, uintptr_t align)
{
	return (x + (align - 1)) & ~(align - 1);
}

static inline bool is_aligned(uintptr_t x, uintptr_t align)
{
	return (x & (align - 1)) == 0;
}

#endif
