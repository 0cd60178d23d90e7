/* SPDX-License-Identifier: MIT */
/*
 * sampling.h (level 1) - how many bytes to the next sample: random numbers with an exponential
 * distribution, by integers alone. Pure functions.
 *
 * An object of s bytes is a sample when the threshold falls into it: with the probability
 * 1 - exp(-s / rate), whatever was allocated before. So a threshold that was not reached may be
 * forgotten and drawn anew at any time, as long as nothing that was seen depends on it.
 */
#ifndef MM_SAMPLING_H
#define MM_SAMPLING_H

#include <slate/types.h>

/* Largest mean: results fit 64 bits with all their fraction bits on the way. */
#define SAMPLING_MEAN_MAX ((size_t)1 << 30)

/* The next of a stream; *state is any number but 0 at first, and is kept by the caller. */
uint32_t sampling_random(uint64_t *state);

/* Bytes to the next sample, mean_bytes <= SAMPLING_MEAN_MAX on the average. 1 or 0: none at all. */
uint64_t sampling_threshold(uint64_t *state, size_t mean_bytes);

/* 2^32 times the probability that an object of size_bytes is a sample, at least 1. */
uint64_t sampling_chance(size_t size_bytes, size_t mean_bytes);

#endif
