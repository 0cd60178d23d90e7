/* SPDX-License-Identifier: MIT */
/*
 * test_pagealloc_threads.c - CPUs as threads, under TSan: no frame belongs to two of them, through
 * runs, batches and constrained searches that open the lock, while regions come, are isolated and
 * come back.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "test-host/unit.h"

#include "mm/pagealloc.h"

#define CPUS    4
#define OPS     6000
#define HELD    64
#define REGIONS 4
#define PAGES   3000 /* of a region */
#define STRIDE  4096 /* from one region to the next */

struct run {
	pfn_t pfn;
	size_t n;
};

struct worker {
	pthread_t thread;
	unsigned cpu;
	struct host_random random;
	size_t ops;
	struct run held[HELD];
};

static struct pagealloc node;
static struct worker workers[CPUS];
static pthread_barrier_t start;

/* Whose a frame is: CPU + 1. No atomics: the allocator's lock must order it, TSan sees if not. */
static uint8_t owner_of[REGIONS * STRIDE];

static void own(struct worker *worker, struct run run)
{
	for (size_t i = 0; i < run.n; i++) {
		uint8_t *owner = &owner_of[run.pfn.v + i];

		if (*owner)
			host_fail(__FILE__, __LINE__, "frame %zu of CPU %u given to CPU %u",
				  run.pfn.v + i, *owner - 1, worker->cpu);
		*owner = (uint8_t)(worker->cpu + 1);
	}
}

static void disown(struct worker *worker, struct run run)
{
	for (size_t i = 0; i < run.n; i++) {
		uint8_t *owner = &owner_of[run.pfn.v + i];

		if (*owner != worker->cpu + 1)
			host_fail(__FILE__, __LINE__, "frame %zu was CPU %u's, and is %d's",
				  run.pfn.v + i, worker->cpu, *owner - 1);
		*owner = 0;
	}
}

static struct run draw_run(struct worker *worker)
{
	size_t n = 1 + host_random_below(&worker->random, 24);
	struct page_fit fit = {.align_pages = (size_t)1 << host_random_below(&worker->random, 10)};

	if (host_random_below(&worker->random, 16) == 0)
		n *= 40;
	if (host_random_below(&worker->random, 3))
		return (struct run){pagealloc_alloc(&node, n, NULL), n};
	if (host_random_below(&worker->random, 2))
		fit.boundary_pages = 1024;
	return (struct run){pagealloc_alloc(&node, n, &fit), n};
}

static void give_back(struct worker *worker, struct run run)
{
	if (run.n == 0)
		return;
	disown(worker, run);
	if (pagealloc_free(&node, run.pfn, run.n) != run.n)
		host_fail(__FILE__, __LINE__, "frame %zu did not go back", run.pfn.v);
}

/* Out and in again, in one batch each. */
static void step_batch(struct worker *worker)
{
	pfn_t pfns[32], bad;
	size_t got = pagealloc_alloc_batch(&node, pfns, 32);

	for (size_t i = 0; i < got; i++)
		own(worker, (struct run){pfns[i], 1});
	for (size_t i = 0; i < got; i++)
		disown(worker, (struct run){pfns[i], 1});
	if (pagealloc_free_batch(&node, pfns, got, &bad) != got)
		host_fail(__FILE__, __LINE__, "frame %zu of a batch did not go back", bad.v);
}

static void step(struct worker *worker)
{
	struct run *slot = &worker->held[host_random_below(&worker->random, HELD)];

	give_back(worker, *slot);
	*slot = draw_run(worker);
	if (pfn_is_none(slot->pfn))
		slot->n = 0;
	own(worker, *slot);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	host_cpu_enter(worker->cpu);
	pthread_barrier_wait(&start);
	for (size_t op = 0; op < worker->ops; op++) {
		if (host_random_below(&worker->random, 8))
			step(worker);
		else
			step_batch(worker);
	}
	for (size_t i = 0; i < HELD; i++)
		give_back(worker, worker->held[i]);
	host_cpu_leave();
	return NULL;
}

/* The last CPU moves the regions: one comes late, each goes for a while. */
static void *rearrange(void *arg)
{
	struct worker *worker = arg;
	void *metadata = aligned_alloc(64, (pagealloc_region_bytes(PAGES) + 63) & ~(size_t)63);

	host_cpu_enter(worker->cpu);
	pthread_barrier_wait(&start);
	for (size_t op = 0; op < worker->ops / 20; op++) {
		size_t region = host_random_below(&worker->random, REGIONS);
		pfn_t where;

		if (op == worker->ops / 80 &&
		    !pagealloc_add_removable(&node, (pfn_t){(REGIONS - 1) * STRIDE}, PAGES,
					     metadata))
			host_fail(__FILE__, __LINE__, "a region was refused");
		if (pagealloc_isolate(&node, (pfn_t){region * STRIDE + 5}))
			pagealloc_restore(&node);
		const char *wrong = op % 16 == 0 ? pagealloc_validate(&node, &where) : NULL;

		if (wrong)
			host_fail(__FILE__, __LINE__, "frame %zu: %s", where.v, wrong);
		pagealloc_contains(&node, (pfn_t){host_random_below(&worker->random, STRIDE)});
	}
	host_cpu_leave();
	return metadata;
}

static void run_workers(void)
{
	struct host_random random = host_random_seed("pagealloc threads", 31);
	void *metadata = NULL;

	pthread_barrier_init(&start, NULL, CPUS);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		struct worker *worker = &workers[cpu];

		*worker = (struct worker){
			.cpu = cpu, .random = {host_random(&random)}, .ops = host_ops(OPS)};
		pthread_create(&worker->thread, NULL, cpu == CPUS - 1 ? rearrange : work, worker);
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		pthread_join(workers[cpu].thread, cpu == CPUS - 1 ? &metadata : NULL);
	pthread_barrier_destroy(&start);

	pfn_t where;

	assert_null(pagealloc_validate(&node, &where));
	assert_int_equal(node.free_pages, REGIONS * PAGES);
	assert_int_equal(node.total_pages, REGIONS * PAGES);
	free(metadata);
}

static void four_cpus_and_moving_regions(void **state)
{
	void *metadata[REGIONS - 1];

	(void)state;
	mm_cpu_ids_valid();
	pagealloc_init(&node, 0);
	for (size_t i = 0; i < REGIONS - 1; i++) {
		metadata[i] = aligned_alloc(64, (pagealloc_region_bytes(PAGES) + 63) & ~(size_t)63);
		assert_true(
			pagealloc_add_removable(&node, (pfn_t){i * STRIDE}, PAGES, metadata[i]));
	}
	run_workers();
	for (size_t i = 0; i < REGIONS - 1; i++)
		free(metadata[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(four_cpus_and_moving_regions),
	};

	return cmocka_run_group_tests_name("pagealloc threads", tests, NULL, NULL);
}
