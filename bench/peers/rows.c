/* SPDX-License-Identifier: MIT */
/*
 * rows.c - one row of the table of malloc libraries: "rows ROW [SIZE]" measures whatever malloc the
 * process runs on, and prints the figures, one a line: nanoseconds, Mops, or a ratio.
 *
 * Each figure is the median of many samples, after one that warms up; each is half a millisecond
 * long, so that most of them are whole even where other programs want the cores, too. Loops and
 * calls are counted. Objects are touched where a program would have to:
 * where they change hands, and where memory is weighed.
 */
#include "bench/peers/rows.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES    61u
#define SAMPLE_NS  5e5
#define BATCH_MAX  100000u
#define CHURN_LIVE 1000u
#define CHURN_MIN  16u
#define CHURN_MAX  1024u

static void *objects[BATCH_MAX];
static uint32_t order[BATCH_MAX];

double rows_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* xorshift64*, Vigna 2016; the upper half times the bound: no division. */
uint64_t rows_random_below(uint64_t *state, uint64_t bound)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return ((*state * 2685821657736338717u) >> 32) * bound >> 32;
}

void rows_fail(const char *text)
{
	fprintf(stderr, "rows: %s\n", text);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

/* ---- Pairs ---- */

static double pairs_ns(size_t size_bytes, size_t n)
{
	double start = rows_now_ns();

	for (size_t i = 0; i < n; i++) {
		void *object = malloc(size_bytes);

		/* the compiler must not join the two calls */
		__asm__ volatile("" : "+r"(object) : : "memory");
		free(object);
	}
	return (rows_now_ns() - start) / (double)n;
}

static void row_pair(size_t size_bytes)
{
	double sample[SAMPLES];
	double ns;

	pairs_ns(size_bytes, 1000);
	ns = pairs_ns(size_bytes, 1000);

	size_t n = (size_t)(SAMPLE_NS / (ns < 1 ? 1 : ns)) + 1;

	for (unsigned i = 0; i < SAMPLES; i++)
		sample[i] = pairs_ns(size_bytes, n);
	printf("%.3f\n", median(sample, SAMPLES));
}

/* ---- Batches ---- */

static void shuffle(size_t n, bool shuffled)
{
	uint64_t random = 1;

	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	for (size_t i = n; shuffled && i > 1; i--) {
		size_t j = rows_random_below(&random, i);
		uint32_t drawn = order[j];

		order[j] = order[i - 1];
		order[i - 1] = drawn;
	}
}

static void batch_ns(size_t size_bytes, size_t n, size_t rounds, double *alloc_ns, double *free_ns)
{
	*alloc_ns = *free_ns = 0;
	for (size_t round = 0; round < rounds; round++) {
		double start = rows_now_ns();

		for (size_t i = 0; i < n; i++)
			objects[i] = malloc(size_bytes);

		double middle = rows_now_ns();

		for (size_t i = 0; i < n; i++)
			free(objects[order[i]]);
		*alloc_ns += middle - start;
		*free_ns += rows_now_ns() - middle;
	}
	*alloc_ns /= (double)(rounds * n);
	*free_ns /= (double)(rounds * n);
}

static void row_batch(size_t size_bytes, size_t n, bool shuffled)
{
	double alloc_ns[SAMPLES], free_ns[SAMPLES];
	double a, f;

	shuffle(n, shuffled);
	batch_ns(size_bytes, n, 1, &a, &f);
	batch_ns(size_bytes, n, 2, &a, &f);

	size_t rounds = (size_t)(SAMPLE_NS / ((a + f) * (double)n)) + 1;

	for (unsigned i = 0; i < SAMPLES; i++)
		batch_ns(size_bytes, n, rounds, &alloc_ns[i], &free_ns[i]);
	printf("%.3f\n%.3f\n", median(alloc_ns, SAMPLES), median(free_ns, SAMPLES));
}

/* ---- Churn: a random one of the live objects gives way to one of a random size ---- */

#define CHURN_OPERATIONS 100000u

static double churn_sample[ROWS_CPUS][SAMPLES];

static double churn_mops(void **live, uint64_t *random)
{
	double start = rows_now_ns();

	for (size_t i = 0; i < CHURN_OPERATIONS; i++) {
		size_t at = rows_random_below(random, CHURN_LIVE);

		free(live[at]);
		live[at] = malloc(CHURN_MIN + rows_random_below(random, CHURN_MAX - CHURN_MIN + 1));
	}
	return CHURN_OPERATIONS / (rows_now_ns() - start) * 1e3;
}

static void churn_thread(unsigned cpu, void *arg)
{
	uint64_t random = cpu + 1;
	void **live = calloc(CHURN_LIVE, sizeof(*live));

	(void)arg;
	if (!live)
		rows_fail("no memory");
	for (unsigned i = 0; i < SAMPLES; i++)
		churn_mops(live, &random);
	for (unsigned i = 0; i < SAMPLES; i++)
		churn_sample[cpu][i] = churn_mops(live, &random);
	for (size_t i = 0; i < CHURN_LIVE; i++)
		free(live[i]);
	free(live);
}

/* Of all threads together. */
static void row_churn(size_t threads)
{
	double mops = 0;

	rows_run((unsigned)threads, churn_thread, NULL);
	for (size_t cpu = 0; cpu < threads; cpu++)
		mops += median(churn_sample[cpu], SAMPLES);
	printf("%.3f\n", mops);
}

/* ---- One allocates, the other frees ---- */

#define PASS_OBJECTS 64u  /* of a batch */
#define PASS_DEPTH   32u  /* batches on their way, at most */
#define PASS_BATCHES 200u /* of a sample */

static struct {
	size_t size_bytes;
	_Alignas(64) _Atomic size_t filled;  /* release by CPU 0, acquire by CPU 1 */
	_Alignas(64) _Atomic size_t emptied; /* release by CPU 1, acquire by CPU 0 */
	void *batches[PASS_DEPTH][PASS_OBJECTS];
	double sample[SAMPLES];
} pass;

static void pass_give(size_t i)
{
	void **batch = pass.batches[i % PASS_DEPTH];

	while (i - atomic_load_explicit(&pass.emptied, memory_order_acquire) >= PASS_DEPTH)
		rows_relax();
	for (unsigned j = 0; j < PASS_OBJECTS; j++) {
		batch[j] = malloc(pass.size_bytes);
		*(size_t *)batch[j] = i;
	}
	atomic_store_explicit(&pass.filled, i + 1, memory_order_release);
}

static void pass_take(size_t i)
{
	void **batch = pass.batches[i % PASS_DEPTH];

	while (atomic_load_explicit(&pass.filled, memory_order_acquire) <= i)
		rows_relax();
	for (unsigned j = 0; j < PASS_OBJECTS; j++)
		free(batch[j]);
	atomic_store_explicit(&pass.emptied, i + 1, memory_order_release);
}

static void pass_thread(unsigned cpu, void *arg)
{
	size_t i = 0;

	(void)arg;
	for (unsigned sample = 0; sample < SAMPLES; sample++) {
		double start = rows_now_ns();

		for (unsigned n = 0; n < PASS_BATCHES; n++, i++)
			cpu == 0 ? pass_give(i) : pass_take(i);
		if (cpu == 0)
			pass.sample[sample] =
				(rows_now_ns() - start) / (PASS_BATCHES * PASS_OBJECTS);
	}
}

static void row_pass(size_t size_bytes)
{
	pass.size_bytes = size_bytes;
	rows_run(2, pass_thread, NULL);
	printf("%.3f\n", median(pass.sample, SAMPLES));
}

int main(int argc, char **argv)
{
	const char *row = argc > 1 ? argv[1] : "";
	size_t arg = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;

	rows_start();
	if (strcmp(row, "pair") == 0)
		row_pair(arg);
	else if (strcmp(row, "batch") == 0)
		row_batch(arg, 1000, false);
	else if (strcmp(row, "shuffled") == 0)
		row_batch(arg, arg > 4096 ? 1000 : 100000, true);
	else if (strcmp(row, "churn") == 0 && arg >= 1 && arg <= ROWS_CPUS)
		row_churn(arg);
	else if (strcmp(row, "pass") == 0 && arg >= sizeof(size_t))
		row_pass(arg);
	else if (strcmp(row, "resident") == 0 && arg > 0)
		row_resident(arg);
	else if (strcmp(row, "fragmentation") == 0)
		row_fragmentation();
	else
		rows_fail("usage: rows pair|batch|shuffled|churn|pass|resident|fragmentation [N]");
	return 0;
}
