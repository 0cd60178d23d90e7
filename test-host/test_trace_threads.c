/* SPDX-License-Identifier: MIT */
/*
 * test_trace_threads.c - under TSan: CPUs pass objects to each other while another one switches
 * traces on and off, reads them and frees them. What a trace holds is true: no object is allocated
 * twice without a free in between, wherever that came from.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <slate/trace.h>

#include "test-host/unit.h"

#define CPUS    3
#define SLOTS   16
#define OPS     4000
#define OBJECTS 4096 /* places of a hash by address */

static pthread_t threads[CPUS];
static pthread_barrier_t start;
static _Atomic(void *) slots[SLOTS];
static _Atomic unsigned running;

static void *work(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg;
	struct host_random random = {cpu * 77 + 1};

	host_cpu_enter(cpu);
	host_cpu_online(cpu);
	pthread_barrier_wait(&start);
	for (size_t op = 0; op < host_ops(OPS); op++) {
		size_t size = 8 + host_random_below(&random, 200);
		void *object = (slate_alloc)(size);

		slate_free(atomic_exchange(&slots[host_random_below(&random, SLOTS)], object));
	}
	host_cpu_leave();
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* The last thing that happened at an address. */
static struct life {
	uint64_t address;
	uint8_t kind;
} lives[OBJECTS];

static size_t seen;
static uint32_t last_number;

static bool check(const struct slate_trace_event *event, void *arg)
{
	size_t at = (size_t)(event->address / 8 * 2654435761u) % OBJECTS;

	(void)arg;
	while (lives[at].address && lives[at].address != event->address)
		at = (at + 1) % OBJECTS;
	if (lives[at].address && lives[at].kind == event->kind)
		host_fail(__FILE__, __LINE__, "event %u: twice the same on one object",
			  event->number);
	if (seen > 0 && event->number != last_number + 1)
		host_fail(__FILE__, __LINE__, "event %u follows %u", event->number, last_number);
	lives[at] = (struct life){event->address, event->kind};
	last_number = event->number;
	seen++;
	return true;
}

static void on_and_off(void **state)
{
	struct slate_trace_info info;
	size_t rounds = 0;
	size_t all = 0;

	(void)state;
	host_boot(MIB, 32 * MIB);
	host_cpu_enter(0);
	pthread_barrier_init(&start, NULL, CPUS + 1);
	atomic_store(&running, CPUS);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		pthread_create(&threads[cpu], NULL, work, (void *)(uintptr_t)(cpu + 1));
	pthread_barrier_wait(&start);
	while (atomic_load(&running) > 0) {
		assert_int_equal(slate_trace_start(4096), SLATE_OK);
		do {
			host_cpu_serve();
			slate_trace_info(&info);
		} while (info.recorded < 500 && atomic_load(&running) > 0);
		slate_trace_stop();
		slate_trace_info(&info);
		memset(lives, 0, sizeof(lives));
		seen = 0;
		if (info.lost == 0)
			slate_trace_walk(check, NULL);
		all += seen;
		slate_trace_discard();
		rounds++;
		host_cpu_serve();
	}
	host_cpu_leave();
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		pthread_join(threads[cpu], NULL);
	assert_true(rounds > 0);
	printf("%zu events in %zu traces\n", all, rounds);
	assert_true(all > 0);
	for (unsigned i = 0; i < SLOTS; i++)
		slate_free(atomic_load(&slots[i]));
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(on_and_off, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
