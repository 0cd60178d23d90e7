/* SPDX-License-Identifier: MIT */
/*
 * bench.h - measurements inside the machine: rows "bench NAME SIZE METRIC VALUE".
 *
 * Under -icount the unit is the instruction and every figure is exact; elsewhere it is the tick of
 * arch_instructions() and tells little. A figure is the median of BENCH_ROUNDS rounds of
 * BENCH_BATCH operations, with interrupts off, less what the same loop costs around nothing. Calls,
 * arguments and returns count.
 *
 * To add a row: a struct bench in one of the tables.
 */
#ifndef KERNEL_BENCH_H
#define KERNEL_BENCH_H

#include <slate/types.h>

#define BENCH_BATCH  1000
#define BENCH_ROUNDS 15

enum bench_group {
	BENCH_OBJECT = 1,
	BENCH_PAGE = 2,
};

struct bench {
	const char *name;
	unsigned groups; /* enum bench_group, or-ed; its name is a filter, too */
	size_t size;     /* as printed; the function's argument */
	bool (*run)(const struct bench *row); /* prints; false: could not be measured */
};

/* End with a NULL name. */
extern const struct bench bench_objects[];
extern const struct bench bench_pages[];
extern const struct bench bench_tracked[];
extern const struct bench bench_memory[];
extern const struct bench bench_both[];
extern const struct bench bench_marks[];

/* Ticks of one round: BENCH_BATCH operations. 0: it failed. */
typedef uint64_t bench_round_fn(size_t size);

/* Median of the rounds, after warm-up. 0: a round failed. */
uint64_t bench_median(bench_round_fn *round, size_t size);

/* Median per operation, less the loop's control (an index counted down), as one row. */
bool bench_pair(const struct bench *row, bench_round_fn *round);

/* Does arch_instructions() count exactly that, as under -icount? Tries it out, with interrupts off.
 */
bool bench_counts_instructions(void);

/* "insn" or "ticks": the unit of this machine. */
const char *bench_unit(void);

/* Ticks of BENCH_BATCH turns of an empty loop: an index counted down, a pointer moved up or down.
 */
uint64_t bench_empty_index(void);
uint64_t bench_empty_pointer(void);

/* Print a row; value in tenths, or in hundredths. metric: the whole name, or a prefix to the unit.
 */
void bench_print(const struct bench *row, const char *prefix, uint64_t total, uint64_t empty);
void bench_print_hundredths(const struct bench *row, const char *metric, size_t value);

/* Keep the compiler from knowing a value, at no cost. */
#define OPAQUE(value) __asm__ volatile("" : "+r"(value))

/* All filters: NULL is everything. False: nothing chosen, or a row failed. */
bool bench_run(const char *filter);

#endif
