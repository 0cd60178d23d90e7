/* SPDX-License-Identifier: MIT */
/* cores.c - threads of the rows, pinned; they live as long as the program. */
#include "bench/peers/rows.h"

#include <pthread.h>
#include <sched.h>

/* Looks before the core is given away, in case the other thread needs it. */
#define RELAX_LOOKS 200u

static cpu_set_t cores;
static pthread_barrier_t barrier;
static bool other_runs;

/* Written by the first thread between the barriers, which order it. */
static struct {
	void (*fn)(unsigned cpu, void *arg);
	void *arg;
	unsigned cpus;
} job;

static void pin(unsigned cpu)
{
	cpu_set_t one;
	unsigned seen = 0;

	cpu %= (unsigned)CPU_COUNT(&cores);
	CPU_ZERO(&one);
	for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; core++) {
		if (CPU_ISSET(core, &cores) && seen++ == cpu)
			CPU_SET(core, &one);
	}
	if (pthread_setaffinity_np(pthread_self(), sizeof(one), &one) != 0)
		rows_fail("cannot pin a thread");
}

static void *other(void *arg)
{
	pin(1);
	for (;;) {
		pthread_barrier_wait(&barrier);
		if (job.cpus > 1)
			job.fn(1, job.arg);
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

void rows_start(void)
{
	if (sched_getaffinity(0, sizeof(cores), &cores) != 0)
		rows_fail("no affinity");
	pin(0);
}

/* Without a second thread some C libraries take no locks: the rows of one thread are so. */
void rows_run(unsigned cpus, void (*fn)(unsigned cpu, void *arg), void *arg)
{
	pthread_t thread;

	if (cpus == 1) {
		fn(0, arg);
		return;
	}
	if (!other_runs) {
		pthread_barrier_init(&barrier, NULL, ROWS_CPUS);
		if (pthread_create(&thread, NULL, other, NULL) != 0)
			rows_fail("no thread");
		other_runs = true;
	}
	job.fn = fn;
	job.arg = arg;
	job.cpus = cpus;
	pthread_barrier_wait(&barrier);
	fn(0, arg);
	pthread_barrier_wait(&barrier);
}

void rows_relax(void)
{
	static _Thread_local unsigned looks;

	if (++looks % RELAX_LOOKS == 0)
		sched_yield();
}
