/* SPDX-License-Identifier: MIT */
/* random_host.c - random numbers that a seed repeats, and how many operations a test makes. */
#include <stdio.h>
#include <stdlib.h>

#include "test-host/host.h"

struct host_random host_random_seed(const char *test, uint64_t seed)
{
	const char *text = getenv("SEED");

	if (text)
		seed = strtoull(text, NULL, 0);
	printf("%s: SEED=%llu\n", test, (unsigned long long)seed);
	return (struct host_random){seed ? seed : 1};
}

/* xorshift64*, Vigna 2016: "An experimental exploration of Marsaglia's xorshift generators,
 * scrambled". */
uint64_t host_random(struct host_random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * 2685821657736338717u;
}

uint64_t host_random_below(struct host_random *random, uint64_t bound)
{
	return (host_random(random) >> 11) % bound;
}

size_t host_ops(size_t ops)
{
	const char *text = getenv("OPS");

	return text ? strtoull(text, NULL, 0) : ops;
}
