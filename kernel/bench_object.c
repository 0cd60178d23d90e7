/* SPDX-License-Identifier: MIT */
/*
 * bench_object.c - the rows of objects.
 */
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/bench.h"
#include "kernel/selftest.h"

static void *slots[BENCH_BATCH];

/* ---- Pairs ---- */

/*
 * A round of pairs: the loop's control is an index counted down, the rest is what is measured. The
 * result is not tested: free of NULL is nothing, and a round without memory is caught by
 * have_memory().
 */
#define PAIR_ROUND(name, alloc)                            \
	static uint64_t name(size_t size)                  \
	{                                                  \
		uint64_t start = arch_instructions();      \
                                                           \
		(void)size;                                \
		for (size_t i = BENCH_BATCH; i > 0; i--) { \
			void *object = alloc;              \
                                                           \
			OPAQUE(i);                         \
			slate_free(object);                \
		}                                          \
		return arch_instructions() - start;        \
	}

/* The compiler knows the size. */
PAIR_ROUND(round_8, slate_alloc(8))
PAIR_ROUND(round_16, slate_alloc(16))
PAIR_ROUND(round_32, slate_alloc(32))
PAIR_ROUND(round_64, slate_alloc(64))
PAIR_ROUND(round_128, slate_alloc(128))
PAIR_ROUND(round_256, slate_alloc(256))
PAIR_ROUND(round_512, slate_alloc(512))
PAIR_ROUND(round_1024, slate_alloc(1024))
PAIR_ROUND(round_2048, slate_alloc(2048))
PAIR_ROUND(round_4096, slate_alloc(4096))
PAIR_ROUND(round_8192, slate_alloc(8192))

/* It does not: size is the function's argument, and may change from turn to turn. */
PAIR_ROUND(round_varsize, ({
		   OPAQUE(size);
		   slate_alloc(size);
	   }))
static struct slate_cache *bench_cache;

static uint64_t round_typed(size_t size)
{
	uint64_t start = arch_instructions();

	(void)size;
	for (size_t i = BENCH_BATCH; i > 0; i--) {
		void *object = slate_cache_alloc(bench_cache);

		OPAQUE(i);
		slate_cache_free(bench_cache, object);
	}
	return arch_instructions() - start;
}

/* The size is known to the compiler at both ends. */
static uint64_t round_sized(size_t size)
{
	uint64_t start = arch_instructions();

	(void)size;
	for (size_t i = BENCH_BATCH; i > 0; i--) {
		void *object = slate_alloc(64);

		OPAQUE(i);
		slate_free_sized(object, 64);
	}
	return arch_instructions() - start;
}

PAIR_ROUND(round_tiny, slate_alloc_flags(size, SLATE_NOSCAN))
PAIR_ROUND(round_zalloc, slate_zalloc(64))
PAIR_ROUND(round_large, slate_alloc(size))

static bool have_memory(size_t size)
{
	void *object = slate_alloc(size);

	slate_free(object);
	return object;
}

static bool run_pair(const struct bench *row)
{
	static const struct {
		size_t size;
		bench_round_fn *round;
	} rounds[] = {
		{8, round_8},       {16, round_16},     {32, round_32},     {64, round_64},
		{128, round_128},   {256, round_256},   {512, round_512},   {1024, round_1024},
		{2048, round_2048}, {4096, round_4096}, {8192, round_8192},
	};

	for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
		if (rounds[i].size == row->size)
			return have_memory(row->size) && bench_pair(row, rounds[i].round);
	}
	return false;
}

/* The same without a heap profile, and with one of which each object is a sample. */
static bool run_pair_by(const struct bench *row, size_t profile_rate)
{
	size_t former = profile_rate_set(profile_rate);
	bool ok = run_pair(row);

	profile_rate_set(former);
	return ok;
}

static bool run_unsampled(const struct bench *row)
{
	return run_pair_by(row, 0);
}

static bool run_sampled(const struct bench *row)
{
	return run_pair_by(row, 1);
}

static bool run_varsize(const struct bench *row)
{
	return have_memory(row->size) && bench_pair(row, round_varsize);
}

static bool run_sized(const struct bench *row)
{
	return have_memory(row->size) && bench_pair(row, round_sized);
}

static bool run_typed(const struct bench *row)
{
	bench_cache = slate_cache_create(
		&(struct slate_cache_params){.name = "bench", .size_bytes = row->size});
	if (!bench_cache)
		return false;
	bool done = bench_pair(row, round_typed);

	return slate_cache_destroy(bench_cache) == SLATE_OK && done;
}

static bool run_tiny(const struct bench *row)
{
	return have_memory(row->size) && bench_pair(row, round_tiny);
}

static bool run_zalloc(const struct bench *row)
{
	return have_memory(row->size) && bench_pair(row, round_zalloc);
}

static bool run_large(const struct bench *row)
{
	return have_memory(row->size) && bench_pair(row, round_large);
}

/* ---- Batches: 1000 allocs, then 1000 frees ---- */

static uint64_t batch_alloc(size_t size)
{
	void **end = slots + BENCH_BATCH;
	uint64_t start = arch_instructions();

	for (void **slot = slots; slot != end; slot++) {
		*slot = slate_alloc(size);
		OPAQUE(slot);
	}
	return arch_instructions() - start;
}

static uint64_t batch_free_up(void)
{
	void **end = slots + BENCH_BATCH;
	uint64_t start = arch_instructions();

	for (void **slot = slots; slot != end; slot++) {
		slate_free(*slot);
		OPAQUE(slot);
	}
	return arch_instructions() - start;
}

static void reverse(void)
{
	for (size_t i = 0; i < BENCH_BATCH / 2; i++) {
		void *object = slots[i];

		slots[i] = slots[BENCH_BATCH - 1 - i];
		slots[BENCH_BATCH - 1 - i] = object;
	}
}

static void shuffle(void)
{
	uint32_t seed = 12345;

	for (size_t i = BENCH_BATCH - 1; i > 0; i--) {
		size_t other = random_next(&seed) % (i + 1);
		void *object = slots[i];

		slots[i] = slots[other];
		slots[other] = object;
	}
}

static void keep_order(void)
{
}

/* Both halves of a round; each median takes its own. */
struct batch {
	void (*reorder)(void);
	uint64_t alloc;
	uint64_t free;
};

static struct batch batch;

static bool batch_round(size_t size)
{
	bool full = true;

	batch.alloc = batch_alloc(size);
	for (size_t i = 0; i < BENCH_BATCH; i++)
		full = full && slots[i];
	batch.reorder();
	batch.free = batch_free_up();
	return full;
}

static uint64_t round_batch_alloc(size_t size)
{
	return batch_round(size) ? batch.alloc : 0;
}

static uint64_t round_batch_free(size_t size)
{
	return batch_round(size) ? batch.free : 0;
}

static bool run_batch(const struct bench *row, void (*reorder)(void))
{
	uint64_t empty = bench_empty_pointer();
	uint64_t alloc;
	uint64_t free;

	batch.reorder = reorder;
	alloc = bench_median(round_batch_alloc, row->size);
	free = bench_median(round_batch_free, row->size);
	if (!alloc || !free)
		return false;
	bench_print(row, "alloc_", alloc, empty);
	bench_print(row, "free_", free, empty);
	return true;
}

static bool run_fifo(const struct bench *row)
{
	return run_batch(row, keep_order);
}

static bool run_lifo(const struct bench *row)
{
	return run_batch(row, reverse);
}

static bool run_shuffled(const struct bench *row)
{
	return run_batch(row, shuffle);
}

/* ---- Realloc of 1000 objects to twice their size ---- */

static uint64_t round_realloc(size_t size)
{
	void **end = slots + BENCH_BATCH;
	uint64_t cost;
	bool full = true;

	batch_alloc(size / 2);
	cost = arch_instructions();
	for (void **slot = slots; slot != end; slot++) {
		*slot = slate_realloc(*slot, size);
		OPAQUE(slot);
	}
	cost = arch_instructions() - cost;
	for (size_t i = 0; i < BENCH_BATCH; i++)
		full = full && slots[i];
	batch_free_up();
	return full ? cost : 0;
}

static bool run_realloc(const struct bench *row)
{
	uint64_t total = bench_median(round_realloc, row->size);

	if (!total)
		return false;
	bench_print(row, "", total, bench_empty_pointer());
	return true;
}

const struct bench bench_objects[] = {
	{"object_pair", BENCH_OBJECT, 8, run_pair},
	{"object_pair", BENCH_OBJECT, 16, run_pair},
	{"object_pair", BENCH_OBJECT, 32, run_pair},
	{"object_pair", BENCH_OBJECT, 64, run_pair},
	{"object_pair", BENCH_OBJECT, 128, run_pair},
	{"object_pair", BENCH_OBJECT, 256, run_pair},
	{"object_pair", BENCH_OBJECT, 512, run_pair},
	{"object_pair", BENCH_OBJECT, 1024, run_pair},
	{"object_pair", BENCH_OBJECT, 2048, run_pair},
	{"object_pair", BENCH_OBJECT, 4096, run_pair},
	{"object_pair", BENCH_OBJECT, 8192, run_pair},
	{"object_pair_varsize", BENCH_OBJECT, 64, run_varsize},
	{"object_pair_const", BENCH_OBJECT, 64, run_pair},
	{"object_pair_unsampled", BENCH_OBJECT, 64, run_unsampled},
	{"object_pair_sampled", BENCH_OBJECT, 64, run_sampled},
	{"object_batch_lifo", BENCH_OBJECT, 64, run_lifo},
	{"object_batch_lifo", BENCH_OBJECT, 1024, run_lifo},
	{"object_batch_fifo", BENCH_OBJECT, 64, run_fifo},
	{"object_batch_fifo", BENCH_OBJECT, 1024, run_fifo},
	{"object_batch_shuffled", BENCH_OBJECT, 64, run_shuffled},
	{"object_batch_shuffled", BENCH_OBJECT, 1024, run_shuffled},
	{"sized_pair", BENCH_OBJECT, 64, run_sized},
	{"typed_pair", BENCH_OBJECT, 64, run_typed},
	{"tiny_pair", BENCH_OBJECT, 4, run_tiny},
	{"tiny_pair", BENCH_OBJECT, 8, run_tiny},
	{"zalloc_pair", BENCH_OBJECT, 64, run_zalloc},
	{"large_pair", BENCH_OBJECT, 16384, run_large},
	{"large_pair", BENCH_OBJECT, 32768, run_large},
	{"large_pair", BENCH_OBJECT, 65536, run_large},
	{"large_pair", BENCH_OBJECT, 131072, run_large},
	{"large_pair", BENCH_OBJECT, 1048576, run_large},
	{"realloc_copy", BENCH_OBJECT, 128, run_realloc},
#if SLATE_PROTECT == SLATE_PROTECT_IRQOFF
	{"object_pair_irqoff", BENCH_OBJECT, 64, run_pair},
#endif
	{0},
};
