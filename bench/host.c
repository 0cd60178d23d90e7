/* SPDX-License-Identifier: MIT */
/*
 * host.c - port.h for host benchmarks. Threads are CPUs and there are no interrupts, so the hooks
 * of interrupts are empty; the mcache is a thread-local pointer (SLATE_PROTECT_THREAD).
 */
#include "bench/host.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <slate/port.h>

#define MAP_ALIGN ((uint64_t)1 << 30)
/* Spins before the core is given away: the holder of a lock may have lost its core. */
#define RELAX_SPINS 1000u

static _Thread_local unsigned this_cpu;

unsigned port_cpu(void)
{
	return this_cpu;
}

unsigned long port_irq_save(void)
{
	return 0;
}

void port_irq_restore(unsigned long state)
{
	(void)state;
}

void port_relax(void)
{
	static _Thread_local unsigned spins;

	if (++spins % RELAX_SPINS == 0)
		sched_yield();
}

void port_panic(const struct slate_report *report)
{
	char text[512];

	slate_report_format(text, sizeof(text), report);
	fprintf(stderr, "%s\n", text);
	abort();
}

void bench_fail(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, text);
	exit(1);
}

void *bench_map(size_t size_bytes)
{
	void *start = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	BENCH_CHECK(start != MAP_FAILED);
	return start;
}

uint64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* xorshift64*, Vigna 2016: "An experimental exploration of Marsaglia's xorshift generators,
 * scrambled". The upper half times the bound: no division. */
uint64_t bench_random_below(struct bench_random *random, uint64_t bound)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return ((random->state * 2685821657736338717u) >> 32) * bound >> 32;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

/* ---- CPUs ---- */

/* What the other threads shall run. Written by CPU 0 between the barriers, which order it. */
static struct {
	void (*fn)(unsigned cpu, void *arg);
	void *arg;
	unsigned cpus;
} job;

static pthread_barrier_t barrier;
static cpu_set_t cores; /* as the program found them */
static bool others_run;

unsigned bench_cpus(void)
{
	unsigned n = (unsigned)CPU_COUNT(&cores);

	return n < BENCH_CPUS_MAX ? n : BENCH_CPUS_MAX;
}

/* The thread stays on the cpu-th core that the program may use. */
static void become_cpu(unsigned cpu)
{
	cpu_set_t one;
	unsigned seen = 0;

	this_cpu = cpu;
	CPU_ZERO(&one);
	for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; core++) {
		if (CPU_ISSET(core, &cores) && seen++ == cpu)
			CPU_SET(core, &one);
	}
	BENCH_CHECK(pthread_setaffinity_np(pthread_self(), sizeof(one), &one) == 0);
	BENCH_CHECK(slate_cpu_online() == SLATE_OK);
}

static void *other_cpu(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg;

	become_cpu(cpu);
	for (;;) {
		pthread_barrier_wait(&barrier);
		if (cpu < job.cpus)
			job.fn(cpu, job.arg);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

/* They end with the program. */
static void start_others(void)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, bench_cpus());
	for (uintptr_t cpu = 1; cpu < bench_cpus(); cpu++)
		BENCH_CHECK(pthread_create(&thread, NULL, other_cpu, (void *)cpu) == 0);
	others_run = true;
}

void bench_run(unsigned cpus, void (*fn)(unsigned cpu, void *arg), void *arg)
{
	if (!others_run)
		start_others();
	job.fn = fn;
	job.arg = arg;
	job.cpus = cpus;
	pthread_barrier_wait(&barrier);
	fn(0, arg);
	pthread_barrier_wait(&barrier);
}

/* ---- Memory ---- */

size_t bench_boot(uint64_t size_bytes)
{
	struct slate_range ranges[4];
	struct slate_memmap map = {.ranges = ranges, .capacity = 4};
	struct slate_stats stats;
	uintptr_t start = (uintptr_t)bench_map(size_bytes + MAP_ALIGN);
	uint64_t base = MAP_ALIGN;

	BENCH_CHECK(sched_getaffinity(0, sizeof(cores), &cores) == 0);
	start += -start & (MAP_ALIGN - 1);
	slate_memmap_add(&map, base, size_bytes, SLATE_RANGE_USABLE, "host");
	slate_memmap_build(&map, NULL, NULL);

	struct slate_init_params params = {.map = &map, .direct_map_offset = start - base};

	BENCH_CHECK(slate_init(&params) == SLATE_OK);
	become_cpu(0);
	slate_stats(&stats);
	return stats.free_pages;
}
