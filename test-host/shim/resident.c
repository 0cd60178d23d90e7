/* SPDX-License-Identifier: MIT */
/*
 * resident.c - what a program held goes back to the system when it is freed: small, medium and
 * large objects, on one thread and on several.
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

int main(void)
{
	static const size_t sizes[] = {24, 200, 4000, 30000, 100000, 5000000};
	pthread_t threads[4];

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
