/* SPDX-License-Identifier: MIT */
/*
 * bench_pages.c - nanoseconds for single frames, on one thread and on two: Slate, a buddy under a
 * spinlock, per-thread stacks over that buddy, and what LLFree took on the same kind of machine.
 *
 * A sample is the mean over a batch of OPS calls, a figure the median over the samples of all
 * rounds and threads. The allocators take turns within a round, so that a noisy host hits all
 * alike. With two threads both go on until the slower one has its samples, or it would be alone.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/buddy.h"
#include "bench/host.h"
#include "bench/stacks.h"

#define MEMORY_BYTES ((uint64_t)1 << 30)
#define OPS          1000u
#define BATCHES      40u
#define WARM_BATCHES 4u
#define ROUNDS       9u
#define SAMPLES      ((size_t)BATCHES * ROUNDS * BENCH_CPUS_MAX)

/* What one batch took: of a pair both together, in alloc. */
struct batch_ns {
	uint64_t alloc;
	uint64_t free;
};

/* What a thread works on. */
struct work {
	pfn_t frame[OPS];
	struct bench_random random;
};

static struct work works[BENCH_CPUS_MAX];

typedef struct batch_ns batch_fn(struct work *work);

/* ---- Batches: each allocator gets copies of its own, with its calls in them ---- */

#define INLINE static inline __attribute__((always_inline))

INLINE struct batch_ns pairs(pfn_t (*alloc)(void), void (*release)(pfn_t pfn))
{
	uint64_t start = bench_now_ns();

	for (unsigned i = 0; i < OPS; i++)
		release(alloc());
	return (struct batch_ns){.alloc = bench_now_ns() - start};
}

static void shuffle(struct work *work)
{
	for (unsigned i = OPS - 1; i > 0; i--) {
		unsigned j = (unsigned)bench_random_below(&work->random, i + 1);
		pfn_t frame = work->frame[i];

		work->frame[i] = work->frame[j];
		work->frame[j] = frame;
	}
}

INLINE struct batch_ns many(struct work *work, pfn_t (*alloc)(void), void (*release)(pfn_t pfn))
{
	struct batch_ns ns;
	uint64_t start = bench_now_ns();

	for (unsigned i = 0; i < OPS; i++)
		work->frame[i] = alloc();
	ns.alloc = bench_now_ns() - start;
	shuffle(work);
	start = bench_now_ns();
	for (unsigned i = 0; i < OPS; i++)
		release(work->frame[i]);
	ns.free = bench_now_ns() - start;
	return ns;
}

static pfn_t buddy_alloc_one(void)
{
	return buddy_alloc(0);
}

static void buddy_free_one(pfn_t pfn)
{
	buddy_free(pfn, 0);
}

static struct batch_ns slate_pairs(struct work *work)
{
	(void)work;
	return pairs(slate_frame_alloc, slate_frame_free);
}

static struct batch_ns slate_many(struct work *work)
{
	return many(work, slate_frame_alloc, slate_frame_free);
}

static struct batch_ns buddy_pairs(struct work *work)
{
	(void)work;
	return pairs(buddy_alloc_one, buddy_free_one);
}

static struct batch_ns buddy_many(struct work *work)
{
	return many(work, buddy_alloc_one, buddy_free_one);
}

static struct batch_ns stacks_pairs(struct work *work)
{
	(void)work;
	return pairs(stacks_alloc, stacks_free);
}

static struct batch_ns stacks_many(struct work *work)
{
	return many(work, stacks_alloc, stacks_free);
}

/* ---- Sampling ---- */

enum { SLATE, BUDDY, STACKS, ALLOCATORS };

struct row {
	const char *name;
	unsigned threads;
	bool one_figure; /* pairs */
	batch_fn *batch[ALLOCATORS];
	double llfree_alloc; /* 0: never measured */
	double llfree_free;
};

/* Samples of one row; each thread has its own part. */
static struct {
	double alloc[ALLOCATORS][SAMPLES];
	double free[ALLOCATORS][SAMPLES];
	size_t count[BENCH_CPUS_MAX]; /* of the current allocator */
} samples;

struct slice {
	const struct row *row;
	unsigned allocator;
	_Atomic unsigned done; /* relaxed: only how long to go on depends on it */
};

static void run_slice(unsigned cpu, void *arg)
{
	struct slice *slice = arg;
	batch_fn *batch = slice->row->batch[slice->allocator];
	size_t next = samples.count[cpu];

	for (unsigned i = 0; i < WARM_BATCHES; i++)
		batch(&works[cpu]);
	for (unsigned i = 0; i < BATCHES; i++, next++) {
		struct batch_ns ns = batch(&works[cpu]);

		samples.alloc[slice->allocator][next] = (double)ns.alloc / OPS;
		samples.free[slice->allocator][next] = (double)ns.free / OPS;
	}
	atomic_fetch_add_explicit(&slice->done, 1, memory_order_relaxed);
	while (atomic_load_explicit(&slice->done, memory_order_relaxed) < slice->row->threads)
		batch(&works[cpu]);
}

/* The cores' own caches go home, or a flush of another row would be counted in this one. */
static void flush_cpu(unsigned cpu, void *arg)
{
	(void)cpu;
	(void)arg;
	stacks_flush();
	slate_flush();
}

static void sample_row(const struct row *row)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned allocator = 0; allocator < ALLOCATORS; allocator++) {
			struct slice slice = {.row = row, .allocator = allocator};

			for (unsigned cpu = 0; cpu < row->threads; cpu++)
				samples.count[cpu] = (size_t)BATCHES * (ROUNDS * cpu + round);
			bench_run(row->threads, run_slice, &slice);
		}
	}
	bench_run(bench_cpus(), flush_cpu, NULL);
}

/* ---- Are they right? ---- */

static void check_distinct(const pfn_t *frames, unsigned n)
{
	static uint8_t seen[2 * (MEMORY_BYTES >> SLATE_PAGE_SHIFT)];

	for (unsigned i = 0; i < n; i++) {
		BENCH_CHECK(frames[i].v < sizeof(seen));
		BENCH_CHECK(!seen[frames[i].v]++);
	}
	for (unsigned i = 0; i < n; i++)
		seen[frames[i].v] = 0;
}

static void hoard(unsigned cpu, void *arg)
{
	unsigned allocator = *(unsigned *)arg;
	pfn_t (*const alloc[ALLOCATORS])(void) = {slate_frame_alloc, buddy_alloc_one, stacks_alloc};

	for (unsigned i = 0; i < OPS; i++)
		works[cpu].frame[i] = alloc[allocator]();
}

static void unhoard(unsigned cpu, void *arg)
{
	unsigned allocator = *(unsigned *)arg;
	void (*const release[ALLOCATORS])(pfn_t) = {slate_frame_free, buddy_free_one, stacks_free};

	for (unsigned i = 0; i < OPS; i++)
		release[allocator](works[cpu].frame[i]);
}

/* What all CPUs hold at once is no frame twice. */
static void check_allocators(void)
{
	static pfn_t all[BENCH_CPUS_MAX * OPS];
	unsigned cpus = bench_cpus();

	for (unsigned allocator = 0; allocator < ALLOCATORS; allocator++) {
		bench_run(cpus, hoard, &allocator);
		for (unsigned i = 0; i < cpus * OPS; i++)
			all[i] = works[i / OPS].frame[i % OPS];
		check_distinct(all, cpus * OPS);
		bench_run(cpus, unhoard, &allocator);
	}
	bench_run(cpus, flush_cpu, NULL);
}

/* ---- Output ---- */

static double median_of(double *figures, unsigned threads)
{
	return bench_median(figures, (size_t)BATCHES * ROUNDS * threads);
}

static void print_line(const struct row *row, const char *what, double (*figures)[SAMPLES],
		       double llfree, double *slate)
{
	double ns[ALLOCATORS];

	for (unsigned i = 0; i < ALLOCATORS; i++)
		ns[i] = median_of(figures[i], row->threads);
	printf("%-20s %-6s %7u %8.1f %8.1f %8.1f", row->name, what, row->threads, ns[SLATE],
	       ns[BUDDY], ns[STACKS]);
	if (llfree > 0)
		printf(" %8.0f\n", llfree);
	else
		printf(" %8s\n", "-");
	*slate = ns[SLATE];
}

static void goal(const char *what, double value, double limit)
{
	printf("goal: %-44s %6.2f <= %5.2f %s\n", what, value, limit,
	       value <= limit ? "met" : "MISSED");
}

int main(void)
{
	static const struct row rows[] = {
		{"one frame", 1, true, {slate_pairs, buddy_pairs, stacks_pairs}, 57, 0},
		{"one frame", 2, true, {slate_pairs, buddy_pairs, stacks_pairs}, 58, 0},
		{"1000, random order", 1, false, {slate_many, buddy_many, stacks_many}, 0, 0},
		{"1000, random order", 2, false, {slate_many, buddy_many, stacks_many}, 32, 25},
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	double alloc_ns[ROWS] = {0}, free_ns[ROWS] = {0};
	size_t slate_frames = bench_boot(MEMORY_BYTES);
	struct slate_stats stats;

	setvbuf(stdout, NULL, _IOLBF, 0);
	buddy_init(MEMORY_BYTES >> SLATE_PAGE_SHIFT);
	for (unsigned cpu = 0; cpu < BENCH_CPUS_MAX; cpu++)
		works[cpu].random.state = cpu + 1;
	check_allocators();
	printf("frames: ns, medians of %u batches of %u a thread, allocators in turn\n",
	       BATCHES * ROUNDS, OPS);
	printf("%-20s %-6s %7s %8s %8s %8s %8s\n", "", "", "threads", "slate", "buddy", "stacks",
	       "LLFree*");
	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];

		if (row->threads > bench_cpus())
			continue;
		sample_row(row);
		print_line(row, row->one_figure ? "pair" : "alloc", samples.alloc,
			   row->llfree_alloc, &alloc_ns[i]);
		if (!row->one_figure)
			print_line(row, "free", samples.free, row->llfree_free, &free_ns[i]);
	}
	printf("* measured elsewhere on a quiet host of this kind; all others in this run\n");
	goal("one-frame pair, 1 thread, ns", alloc_ns[0], 6);
	if (bench_cpus() > 1) {
		goal("one-frame pair, 2 threads, ns", alloc_ns[1], 6);
		goal("one-frame pair, 2 threads / 1 thread", alloc_ns[1] / alloc_ns[0], 1.15);
		goal("1000 frames, 2 threads: an allocation, ns", alloc_ns[3], 32);
		goal("1000 frames, 2 threads: a free, ns", free_ns[3], 25);
	}
	slate_stats(&stats);
	BENCH_CHECK(stats.free_pages + stats.metadata_pages >= slate_frames);
	BENCH_CHECK(stats.cached_pages == 0 && slate_validate() == 0);
	BENCH_CHECK(buddy_free_count() == MEMORY_BYTES >> SLATE_PAGE_SHIFT);
	return 0;
}
