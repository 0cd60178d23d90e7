/* SPDX-License-Identifier: MIT */
/*
 * test_malloc_threads.c - CPUs as threads, under TSan: objects and frames cross from CPU to CPU,
 * "interrupt handlers" allocate, caches are drained from afar. Contents are checked at each free;
 * in the end nothing is missing.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "test-host/unit.h"

const bool host_witnesses = true;

#include "mm/lockrank.h"

#define CPUS  4
#define SLOTS 512
#define OPS   10000

/* An object that carries its own description. */
struct tagged {
	size_t size_bytes;
	uint64_t token;
	unsigned char rest[];
};

struct worker {
	pthread_t thread;
	unsigned cpu;
	struct host_random random;
	size_t ops;
	size_t refused;
};

/* Where objects wait for any CPU. acq_rel exchanges: the content travels with the pointer. */
static _Atomic(struct tagged *) shared[SLOTS];
static _Atomic uintptr_t shared_frames[SLOTS];
static struct worker workers[CPUS];
static pthread_barrier_t start;

static _Thread_local struct host_random handler_random;
static _Thread_local void *handler_objects[8];

static struct tagged *tagged_new(struct host_random *random)
{
	size_t size_bytes = sizeof(struct tagged) + host_random_below(random, 600);
	struct tagged *tagged;

	if (host_random_below(random, 100) == 0)
		size_bytes += host_random_below(random, 60000);
	tagged = slate_alloc(size_bytes);
	if (!tagged)
		return NULL;
	tagged->size_bytes = size_bytes;
	tagged->token = host_random(random);
	memset(tagged->rest, (int)(tagged->token & 0xff), size_bytes - sizeof(*tagged));
	return tagged;
}

static void tagged_delete(struct tagged *tagged)
{
	if (!tagged)
		return;
	for (size_t i = 0; i < tagged->size_bytes - sizeof(*tagged); i++)
		if (tagged->rest[i] != (tagged->token & 0xff))
			host_fail(__FILE__, __LINE__, "object %p: byte %zu was overwritten",
				  (void *)tagged, i);
	slate_free(tagged);
}

/* Swap a fresh object for whatever waits in some slot, and free that. */
static void step_object(struct worker *worker)
{
	size_t slot = host_random_below(&worker->random, SLOTS);
	struct tagged *fresh = NULL;

	if (host_random_below(&worker->random, 8) < 5) {
		fresh = tagged_new(&worker->random);
		if (!fresh)
			worker->refused++;
	}
	tagged_delete(atomic_exchange_explicit(&shared[slot], fresh, memory_order_acq_rel));
}

static void step_frame(struct worker *worker)
{
	size_t slot = host_random_below(&worker->random, SLOTS);
	pfn_t pfn = slate_page_alloc(1, NULL);
	uintptr_t old;

	if (pfn_is_none(pfn)) {
		worker->refused++;
		return;
	}
	*(uint64_t *)slate_virt(pfn_to_paddr(pfn)) = pfn.v;
	old = atomic_exchange_explicit(&shared_frames[slot], pfn.v, memory_order_acq_rel);
	if (!old)
		return;
	pfn = (pfn_t){old};
	if (*(uint64_t *)slate_virt(pfn_to_paddr(pfn)) != pfn.v)
		host_fail(__FILE__, __LINE__, "frame %zu was overwritten", pfn.v);
	slate_page_free(pfn, 1);
}

/* Now and then, as a timer would: exchange one of a few objects. */
static void handler(void)
{
	size_t i;

	if (host_random_below(&handler_random, 64))
		return;
	i = host_random_below(&handler_random, 8);
	slate_free(handler_objects[i]);
	handler_objects[i] = slate_alloc(16 + host_random_below(&handler_random, 300));
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	host_cpu_enter(worker->cpu);
	if (worker->cpu)
		host_cpu_online(worker->cpu);
	handler_random = (struct host_random){worker->random.state ^ 0x5555};
	host_irq_hook(handler);
	pthread_barrier_wait(&start);
	for (size_t op = 0; op < worker->ops; op++) {
		if (host_random_below(&worker->random, 10) == 0)
			step_frame(worker);
		else
			step_object(worker);
		if (host_random_below(&worker->random, 4000) == 0)
			slate_flush();
		host_cpu_serve();
	}
	host_irq_hook(NULL);
	for (size_t i = 0; i < 8; i++)
		slate_free(handler_objects[i]);
	host_cpu_leave();
	return NULL;
}

static void run_workers(struct host_random random, size_t ops)
{
	pthread_barrier_init(&start, NULL, CPUS);
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		workers[cpu] =
			(struct worker){.cpu = cpu, .random = {host_random(&random)}, .ops = ops};
		pthread_create(&workers[cpu].thread, NULL, work, &workers[cpu]);
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		pthread_join(workers[cpu].thread, NULL);
	pthread_barrier_destroy(&start);
}

static void drain_slots(void)
{
	for (size_t i = 0; i < SLOTS; i++) {
		uintptr_t frame = atomic_exchange(&shared_frames[i], 0);

		tagged_delete(atomic_exchange(&shared[i], NULL));
		if (frame)
			slate_page_free((pfn_t){frame}, 1);
	}
	slate_flush();
}

static size_t refusals(void)
{
	size_t refused = 0;

	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		refused += workers[cpu].refused;
	return refused;
}

static void run_all(const char *name, uint64_t memory_bytes, size_t ops, uint64_t seed)
{
	struct host_random random = host_random_seed(name, seed);
	struct slate_stats before;
	struct slate_stats after;

	host_boot(MIB, memory_bytes);
	slate_stats(&before);
	run_workers(random, ops);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
	drain_slots();
	slate_stats(&after);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
	assert_int_equal(after.objects, 0);
	assert_int_equal(after.reports, 0);
	assert_int_equal(slate_validate(), 0);
}

static void four_cpus(void **state)
{
	(void)state;
	run_all("four CPUs", 64 * MIB, host_ops(OPS), 1);
	assert_int_equal(refusals(), 0);
}

static void four_cpus_without_memory(void **state)
{
	(void)state;
	/* each operation drains all caches: a tenth is as much work */
	run_all("four CPUs without memory", MIB, host_ops(OPS) / 10 + 100, 2);
	assert_true(refusals() > 0);
}

/* ---- The lock alone ---- */

static struct mm_lock lock;
static size_t counted; /* (lock) */

static void *count(void *arg)
{
	host_cpu_enter(*(unsigned *)arg);
	for (int i = 0; i < 20000; i++) {
		unsigned long irq;

		if (i % 3 == 0) {
			if (!mm_lock_try(&lock, &irq))
				irq = mm_lock_acquire(&lock);
		} else {
			irq = mm_lock_acquire(&lock);
		}
		counted++;
		mm_lock_release(&lock, irq);
	}
	host_cpu_leave();
	return NULL;
}

static void a_lock_excludes(void **state)
{
	pthread_t threads[CPUS];
	unsigned cpus[CPUS];

	(void)state;
	host_reset();
	mm_cpu_ids_valid();
	mm_lock_init(&lock, RANK_MCENTRAL);
	counted = 0;
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		cpus[cpu] = cpu;
		pthread_create(&threads[cpu], NULL, count, &cpus[cpu]);
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		pthread_join(threads[cpu], NULL);
	assert_int_equal(counted, CPUS * 20000);
}

/* Statistics and validation while the others run. */
static void *watch(void *arg)
{
	struct slate_stats stats;

	host_cpu_enter(CPUS);
	host_cpu_online(CPUS);
	for (int i = 0; i < 30; i++) {
		slate_stats(&stats);
		if (slate_validate() != 0)
			host_fail(__FILE__, __LINE__, "contradictions while CPUs run");
		host_cpu_serve();
	}
	host_cpu_leave();
	return arg;
}

static void watching_while_they_run(void **state)
{
	struct host_random random = host_random_seed("watching", 3);
	pthread_t watcher;

	(void)state;
	host_boot(MIB, 64 * MIB);
	pthread_create(&watcher, NULL, watch, NULL);
	run_workers(random, host_ops(OPS) / 2);
	pthread_join(watcher, NULL);
	drain_slots();
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_lock_excludes, tear_down),
		cmocka_unit_test_teardown(four_cpus, tear_down),
		cmocka_unit_test_teardown(four_cpus_without_memory, tear_down),
		cmocka_unit_test_teardown(watching_while_they_run, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
