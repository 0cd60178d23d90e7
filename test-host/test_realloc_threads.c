/* SPDX-License-Identifier: MIT */
/*
 * test_realloc_threads.c - under TSan: CPUs resize large objects that lie beside each other, while
 * all ask which span any address lies in, and frames come and go between the objects.
 */
#include <pthread.h>

#include "test-host/unit.h"

#define CPUS    4
#define OBJECTS 6
#define OPS     1500
#define KIB     ((size_t)1 << 10)

struct worker {
	pthread_t thread;
	unsigned cpu;
	struct host_random random;
	size_t *objects[OBJECTS];
	size_t sizes[OBJECTS];
	size_t stayed;
};

static struct worker workers[CPUS];
static pthread_barrier_t start;

/* The first word of each frame tells whose it is: more would be TSan's work alone. */
static void mark(struct worker *worker, size_t i, size_t from)
{
	for (size_t at = from; at < worker->sizes[i]; at += SLATE_PAGE_SIZE)
		worker->objects[i][at / sizeof(size_t)] = at ^ (worker->cpu << 8 | i);
}

static void check(const struct worker *worker, size_t i, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += SLATE_PAGE_SIZE)
		if (worker->objects[i][at / sizeof(size_t)] != (at ^ (worker->cpu << 8 | i)))
			host_fail(__FILE__, __LINE__, "frame %zu was overwritten",
				  at >> SLATE_PAGE_SHIFT);
}

static void step_resize(struct worker *worker)
{
	size_t i = host_random_below(&worker->random, OBJECTS);
	size_t bytes = (9 + host_random_below(&worker->random, 40)) << SLATE_PAGE_SHIFT;
	size_t keep = bytes < worker->sizes[i] ? bytes : worker->sizes[i];
	size_t *now;

	if (host_random_below(&worker->random, 8) == 0)
		bytes = 0;
	now = slate_realloc(worker->objects[i], bytes);
	if (!now && bytes)
		return;
	worker->stayed += now && now == worker->objects[i];
	worker->objects[i] = now;
	worker->sizes[i] = bytes;
	if (!now)
		return;
	check(worker, i, keep);
	mark(worker, i, keep);
}

/* Whatever it says of others' memory must hold together; of our own it is exact. */
static void step_lookup(struct worker *worker)
{
	size_t i = host_random_below(&worker->random, OBJECTS);
	const char *any = host_virt(MIB + host_random_below(&worker->random, 8 * MIB));
	struct slate_span_info info;

	if (slate_span_of(any, &info) &&
	    ((uintptr_t)any - info.base >= info.pages << SLATE_PAGE_SHIFT ||
	     (info.kind == SLATE_SPAN_LARGE && info.object_bytes != info.pages
									    << SLATE_PAGE_SHIFT)))
		host_fail(__FILE__, __LINE__, "a torn span");
	slate_in_heap_or_stack(any);
	if (!worker->sizes[i])
		return;
	if (!slate_span_of((char *)worker->objects[i] + worker->sizes[i] - 1, &info) ||
	    info.object != (uintptr_t)worker->objects[i] || info.object_bytes != worker->sizes[i])
		host_fail(__FILE__, __LINE__, "a live object is not found");
}

static void step_frames(struct worker *worker)
{
	size_t n = 1 + host_random_below(&worker->random, 9);
	pfn_t pfn = slate_page_alloc(n, NULL);

	if (!pfn_is_none(pfn))
		slate_page_free(pfn, n);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	host_cpu_enter(worker->cpu);
	host_cpu_online(worker->cpu);
	pthread_barrier_wait(&start);
	for (size_t op = 0; op < host_ops(OPS); op++) {
		step_resize(worker);
		step_lookup(worker);
		step_frames(worker);
	}
	for (size_t i = 0; i < OBJECTS; i++) {
		check(worker, i, worker->sizes[i]);
		slate_free(worker->objects[i]);
	}
	host_cpu_leave();
	return NULL;
}

static void resizing_beside_each_other(void **state)
{
	struct host_random random = host_random_seed("resizing", 4);
	size_t before = host_boot(MIB, 8 * MIB);
	size_t stayed = 0;
	struct slate_stats stats;

	(void)state;
	pthread_barrier_init(&start, NULL, CPUS);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		workers[cpu] = (struct worker){.cpu = cpu + 1, .random = {host_random(&random)}};
		pthread_create(&workers[cpu].thread, NULL, work, &workers[cpu]);
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		pthread_join(workers[cpu].thread, NULL);
		stayed += workers[cpu].stayed;
	}
	slate_flush();
	assert_true(stayed > 0);
	assert_int_equal(slate_validate(), 0);
	slate_stats(&stats);
	assert_int_equal(stats.object_pages, 0);
	assert_true(stats.free_pages + stats.metadata_pages >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(resizing_beside_each_other, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
