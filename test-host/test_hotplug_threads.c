/* SPDX-License-Identifier: MIT */
/*
 * test_hotplug_threads.c - memory comes and goes under TSan while CPUs allocate. The thread that
 * plugs wipes what it got back, so that whoever still holds a part of it finds out.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "test-host/unit.h"

#define CPUS     3
#define PLUGS    3          /* ranges that come and go, next to each other, in one arena */
#define LOW      (16 * MIB) /* below the boot memory: first fit prefers it */
#define SIZE     (2 * MIB)
#define PLUG_OPS 200
#define LONGEST  100 /* times as many */
#define SLOTS    64
#define ROUNDS   60

/* What a slot holds: an object or a run of frames, filled with a byte. */
struct holding {
	unsigned char *start;
	size_t size_bytes;
	unsigned char fill;
	bool frames;
};

struct worker {
	pthread_t thread;
	unsigned cpu;
	struct host_random random;
	struct holding slots[SLOTS];
};

static struct worker workers[CPUS];
static _Atomic bool enough; /* the ranges came and went often enough */
static unsigned added, removed, held;

static void drop(struct holding *h)
{
	if (!h->start)
		return;
	for (size_t i = 0; i < h->size_bytes; i += 97)
		if (h->start[i] != h->fill)
			host_fail(__FILE__, __LINE__, "%p: byte %zu was overwritten",
				  (void *)h->start, i);
	if (h->frames)
		slate_page_free(paddr_to_pfn(slate_phys(h->start)), h->size_bytes / 4096);
	else
		slate_free(h->start);
	h->start = NULL;
}

static void fill(struct worker *worker, struct holding *h)
{
	size_t r = host_random_below(&worker->random, 16);

	h->frames = r < 3;
	h->fill = (unsigned char)host_random(&worker->random);
	if (h->frames) {
		size_t n = r ? 1 : 1 + host_random_below(&worker->random, 20);
		pfn_t pfn = slate_page_alloc(n, NULL);

		h->size_bytes = n * 4096;
		h->start = pfn_is_none(pfn) ? NULL : slate_virt(pfn_to_paddr(pfn));
	} else {
		h->size_bytes = 8 + host_random_below(&worker->random, r == 4 ? 60000 : 2500);
		h->start = slate_alloc(h->size_bytes);
	}
	if (h->start)
		memset(h->start, h->fill, h->size_bytes);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	host_cpu_enter(worker->cpu);
	host_cpu_online(worker->cpu);
	for (size_t op = 0; !atomic_load_explicit(&enough, memory_order_relaxed); op++) {
		struct holding *h = &worker->slots[host_random_below(&worker->random, SLOTS)];

		if (h->start)
			drop(h);
		else
			fill(worker, h);
		/* now and then nothing is held, so that ranges can go */
		for (size_t i = 0; op % 1000 == 0 && i < SLOTS; i++)
			drop(&worker->slots[i]);
		host_cpu_serve();
	}
	for (size_t i = 0; i < SLOTS; i++)
		drop(&worker->slots[i]);
	host_cpu_leave();
	return NULL;
}

/* One range: in if it is out, else out if it can. */
static void plug(size_t range)
{
	static bool in[PLUGS];
	paddr_t base = {LOW + range * SIZE};
	int status =
		in[range] ? slate_remove_memory(base, SIZE, NULL) : slate_add_memory(base, SIZE, 0);

	if (status == SLATE_OK) {
		in[range] = !in[range];
		added += in[range];
		removed += !in[range];
		if (!in[range])
			memset(host_virt(base.v), 0x77, SIZE);
	} else if (status == SLATE_EBUSY && in[range]) {
		held++;
	} else {
		host_fail(__FILE__, __LINE__, "range %zu: status %d", range, status);
	}
}

static void plug_all_out(void)
{
	for (size_t range = 0; range < PLUGS; range++)
		slate_remove_memory((paddr_t){LOW + range * SIZE}, SIZE, NULL);
}

static void ranges_come_and_go(void **state)
{
	struct host_random random = host_random_seed("hotplug", 5);
	struct slate_stats before;
	struct slate_stats after;

	(void)state;
	host_boot(512 * MIB, 16 * MIB);
	host_memory(LOW, PLUGS * SIZE);
	slate_stats(&before);
	host_cpu_enter(0);
	atomic_store(&enough, false);
	for (unsigned i = 0; i < CPUS; i++) {
		workers[i] = (struct worker){.cpu = i + 1, .random = {host_random(&random) | 1}};
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	/* where the host gave the others no time it takes longer until one holds a range */
	for (size_t i = 0; i < host_ops(PLUG_OPS) ||
			   (i < LONGEST * host_ops(PLUG_OPS) && (removed == 0 || held == 0));
	     i++) {
		plug(host_random_below(&random, PLUGS));
		host_cpu_serve();
		sched_yield();
	}
	atomic_store_explicit(&enough, true, memory_order_relaxed);
	host_cpu_leave();
	for (unsigned i = 0; i < CPUS; i++)
		pthread_join(workers[i].thread, NULL);
	plug_all_out();
	slate_flush();
	slate_stats(&after);
	printf("added %u, removed %u, held %u\n", added, removed, held);
	assert_true(removed > 0 && held > 0);
	assert_int_equal(after.total_pages, before.total_pages);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
	assert_int_equal(slate_validate(), 0);
}

/* ---- Two that plug at once ---- */

static void *plug_alone(void *arg)
{
	unsigned cpu = *(unsigned *)arg;
	paddr_t base = {LOW + cpu * SIZE};

	host_cpu_enter(cpu);
	host_cpu_online(cpu);
	for (int i = 0; i < ROUNDS; i++) {
		int status;

		while ((status = slate_add_memory(base, SIZE, 0)) == SLATE_EAGAIN)
			host_cpu_serve();
		if (status != SLATE_OK)
			host_fail(__FILE__, __LINE__, "adding: %d", status);
		while ((status = slate_remove_memory(base, SIZE, NULL)) == SLATE_EAGAIN)
			host_cpu_serve();
		if (status != SLATE_OK)
			host_fail(__FILE__, __LINE__, "removing: %d", status);
	}
	host_cpu_leave();
	return NULL;
}

static void two_at_once(void **state)
{
	pthread_t threads[2];
	unsigned cpus[2] = {1, 2};

	(void)state;
	host_boot(512 * MIB, 8 * MIB);
	host_memory(LOW, 4 * SIZE);
	host_cpu_enter(0);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, plug_alone, &cpus[i]);
	host_cpu_leave();
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(ranges_come_and_go, tear_down),
		cmocka_unit_test_teardown(two_at_once, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
