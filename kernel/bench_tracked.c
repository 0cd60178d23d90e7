/* SPDX-License-Identifier: MIT */
/* bench_tracked.c - what a counted call site costs: this file is always compiled with them. */
#ifndef SLATE_TRACK
#define SLATE_TRACK
#endif
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/bench.h"

/* Control: as in bench_object.c. */
static uint64_t round_const(size_t size)
{
	uint64_t start = arch_instructions();

	(void)size;
	for (size_t i = BENCH_BATCH; i > 0; i--) {
		void *object = slate_alloc(64);

		OPAQUE(i);
		slate_free(object);
	}
	return arch_instructions() - start;
}

static uint64_t round_varsize(size_t size)
{
	uint64_t start = arch_instructions();

	for (size_t i = BENCH_BATCH; i > 0; i--) {
		OPAQUE(size);
		void *object = slate_alloc(size);

		OPAQUE(i);
		slate_free(object);
	}
	return arch_instructions() - start;
}

static bool run_const(const struct bench *row)
{
	return bench_pair(row, round_const);
}

static bool run_varsize(const struct bench *row)
{
	return bench_pair(row, round_varsize);
}

const struct bench bench_tracked[] = {
	{"object_pair_tracked", BENCH_OBJECT, 64, run_const},
	{"object_pair_varsize_tracked", BENCH_OBJECT, 64, run_varsize},
	{0},
};
