/* SPDX-License-Identifier: MIT */
/*
 * host.h - the machine that host benchmarks run on: a thread pinned to a core is a CPU, one
 * reservation of address space is the direct map. Memory that nobody touches costs the host
 * nothing, so it may be larger than the host's.
 */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <slate/slate.h>

#define BENCH_CPUS_MAX 2u

/* Start Slate on so many bytes; the calling thread is CPU 0. Returns the free frames. */
size_t bench_boot(uint64_t size_bytes);

/* Cores that this program may use, at most BENCH_CPUS_MAX. */
unsigned bench_cpus(void);

/* Run fn(cpu, arg) on CPUs 0 .. cpus - 1 at once, and wait for all. */
void bench_run(unsigned cpus, void (*fn)(unsigned cpu, void *arg), void *arg);

uint64_t bench_now_ns(void);

/* Ends the program unless it holds. */
#define BENCH_CHECK(expr)                                      \
	do {                                                   \
		if (!(expr))                                   \
			bench_fail(__FILE__, __LINE__, #expr); \
	} while (0)
void bench_fail(const char *file, int line, const char *text) __attribute__((noreturn));

/* n words of zeroed memory that the host backs as they are touched. */
void *bench_map(size_t size_bytes);

/* One seed, one sequence. bound > 0. */
struct bench_random {
	uint64_t state; /* not 0 */
};
uint64_t bench_random_below(struct bench_random *random, uint64_t bound);

/* Sorts. n > 0. */
double bench_median(double *values, size_t n);

#endif
