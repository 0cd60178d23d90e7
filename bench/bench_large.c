/* SPDX-License-Identifier: MIT */
/*
 * bench_large.c - nanoseconds for a pair of large objects, whose spans stay with their CPU, beside
 * the host's own malloc. A sample is the mean over a batch, a figure the median over all rounds;
 * the two take turns within a round.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/host.h"

#define MEMORY_BYTES ((uint64_t)1 << 30)
#define OPS          1000u
#define ROUNDS       101u

/* So that the compiler cannot leave the pair out. */
#define OPAQUE(x) __asm__ volatile("" : "+r"(x) : : "memory")

static double slate_pairs(size_t size_bytes)
{
	uint64_t start = bench_now_ns();

	for (unsigned i = 0; i < OPS; i++) {
		void *object = slate_alloc(size_bytes);

		OPAQUE(object);
		slate_free(object);
	}
	return (double)(bench_now_ns() - start) / OPS;
}

static double malloc_pairs(size_t size_bytes)
{
	uint64_t start = bench_now_ns();

	for (unsigned i = 0; i < OPS; i++) {
		void *object = malloc(size_bytes);

		OPAQUE(object);
		free(object);
	}
	return (double)(bench_now_ns() - start) / OPS;
}

static void print_row(size_t size_bytes)
{
	static double slate[ROUNDS];
	static double host[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		slate[i] = slate_pairs(size_bytes);
		host[i] = malloc_pairs(size_bytes);
	}
	printf("large_pair %zu slate %.1f malloc %.1f ns\n", size_bytes,
	       bench_median(slate, ROUNDS), bench_median(host, ROUNDS));
}

int main(void)
{
	static const size_t sizes[] = {65536, 131072, 1048576};
	void *warm;

	bench_boot(MEMORY_BYTES);
	/* the host's malloc maps what it has not seen freed before */
	warm = malloc(sizes[2]);
	BENCH_CHECK(warm);
	free(warm);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		print_row(sizes[i]);
	return 0;
}
