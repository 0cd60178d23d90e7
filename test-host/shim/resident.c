/* SPDX-License-Identifier: MIT */
/*
 * resident.c - what a program held goes back to the system when it is freed: small, medium and
 * large objects, on one thread and on several. And threads that hold little take little.
 */
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "test-host/shim/check.h"

#define HELD_BYTES ((size_t)400 << 20)
#define LEFT_MIB   100u

static size_t resident_mib(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	CHECK(file && fscanf(file, "%*s %lu", &pages) == 1);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE) >> 20;
}

/* A list through the objects: nothing else is needed to hold them. */
static void *hold(size_t bytes, size_t size_bytes)
{
	void **first = NULL;

	for (size_t held = 0; held < bytes; held += size_bytes) {
		void **object = malloc(size_bytes);

		CHECK(object);
		memset(object, 1, size_bytes);
		*object = first;
		first = object;
	}
	return first;
}

static void drop(void **first)
{
	while (first) {
		void **next = *first;

		free(first);
		first = next;
	}
}

static void one_size(size_t size_bytes)
{
	void *held = hold(HELD_BYTES, size_bytes);
	size_t before = resident_mib();

	drop(held);
	printf("# %zu bytes: %zu MiB, %zu when freed\n", size_bytes, before, resident_mib());
	CHECK(before >= HELD_BYTES >> 20);
	CHECK(resident_mib() <= LEFT_MIB);
}

static void *hold_and_drop(void *arg)
{
	drop(hold(HELD_BYTES / 4, (uintptr_t)arg));
	return NULL;
}

/* ---- Many threads, each with a few objects of each size ---- */

#define CLERKS      48u
#define CLERK_HOLDS 200u
#define CLERK_TURNS 20u
#define CLERKS_MIB  64u

static pthread_barrier_t clerks_done;
static pthread_barrier_t clerks_may_go;

static void *clerk(void *arg)
{
	void *held[CLERK_HOLDS];
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (unsigned turn = 0; turn < CLERK_TURNS; turn++) {
		for (unsigned i = 0; i < CLERK_HOLDS; i++) {
			size_t size_bytes = 16 + (unsigned)rand_r(&seed) % 1000;

			held[i] = malloc(size_bytes);
			CHECK(held[i]);
			memset(held[i], 1, size_bytes);
		}
		for (unsigned i = 0; i < CLERK_HOLDS; i++)
			free(held[i]);
	}
	pthread_barrier_wait(&clerks_done);
	pthread_barrier_wait(&clerks_may_go);
	return NULL;
}

static void little_takes_little(void)
{
	pthread_t threads[CLERKS];
	size_t before = resident_mib();
	size_t after;

	CHECK(pthread_barrier_init(&clerks_done, NULL, CLERKS + 1) == 0);
	CHECK(pthread_barrier_init(&clerks_may_go, NULL, CLERKS + 1) == 0);
	for (uintptr_t i = 0; i < CLERKS; i++)
		CHECK(pthread_create(&threads[i], NULL, clerk, (void *)i) == 0);
	pthread_barrier_wait(&clerks_done);
	after = resident_mib();
	pthread_barrier_wait(&clerks_may_go);
	for (unsigned i = 0; i < CLERKS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	printf("# %u threads that held 100 KiB: %zu MiB\n", CLERKS, after - before);
	CHECK(after - before <= CLERKS_MIB);
}

int main(void)
{
	static const size_t sizes[] = {24, 200, 4000, 30000, 100000, 5000000};
	pthread_t threads[4];

	little_takes_little();
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		one_size(sizes[i]);
	for (uintptr_t i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, hold_and_drop,
				     (void *)((uintptr_t)64 << i)) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	printf("# four threads: %zu MiB when freed\n", resident_mib());
	CHECK(resident_mib() <= LEFT_MIB);
	printf("ok - what is freed goes back\n");
	return 0;
}
