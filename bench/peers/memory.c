/* SPDX-License-Identifier: MIT */
/* memory.c - the rows that weigh memory: resident bytes over live ones, all of them written. */
#include "bench/peers/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RESIDENT_OBJECTS 1000000u
#define TRACE_OBJECTS    2000000u
#define TRACE_MIN        16u
#define TRACE_MAX        2048u

/* Not from malloc, and resident before the first look. */
static void *own_memory(size_t size_bytes)
{
	void *start = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (start == MAP_FAILED)
		rows_fail("no memory");
	return start;
}

/* From a file without a buffer of malloc's. */
static size_t resident_bytes(void)
{
	static char buffer[256];
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (!file || setvbuf(file, buffer, _IOFBF, sizeof(buffer)) != 0 ||
	    fscanf(file, "%*s %lu", &pages) != 1)
		rows_fail("no /proc/self/statm");
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void *filled(size_t size_bytes)
{
	void *object = malloc(size_bytes);

	if (!object)
		rows_fail("no memory");
	memset(object, 1, size_bytes);
	return object;
}

void row_resident(size_t size_bytes)
{
	void **objects = own_memory(RESIDENT_OBJECTS * sizeof(*objects));
	size_t before = resident_bytes();

	for (size_t i = 0; i < RESIDENT_OBJECTS; i++)
		objects[i] = filled(size_bytes);
	printf("%.4f\n", (double)(resident_bytes() - before) /
				 ((double)RESIDENT_OBJECTS * (double)size_bytes));
}

/* ---- The trace: 2 million of one distribution, 90 % of them freed, 2 million of another ---- */

struct object {
	void *start;
	size_t size_bytes;
};

static struct object *live;
static size_t live_count;
static size_t live_bytes;

static void add(size_t size_bytes)
{
	live[live_count++] = (struct object){filled(size_bytes), size_bytes};
	live_bytes += size_bytes;
}

static void remove_random(uint64_t *random)
{
	size_t at = rows_random_below(random, live_count);

	live_bytes -= live[at].size_bytes;
	free(live[at].start);
	live[at] = live[--live_count];
}

void row_fragmentation(void)
{
	uint64_t random = 1;

	live = own_memory(2 * TRACE_OBJECTS * sizeof(*live));

	size_t before = resident_bytes();

	/* each power of two as often as the next, evenly between; then all sizes as often */
	for (size_t i = 0; i < TRACE_OBJECTS; i++) {
		size_t power = (size_t)TRACE_MIN << rows_random_below(&random, 7);

		add(power + rows_random_below(&random, power + 1));
	}
	for (size_t i = 0; i < TRACE_OBJECTS / 10 * 9; i++)
		remove_random(&random);
	for (size_t i = 0; i < TRACE_OBJECTS; i++)
		add(TRACE_MIN + rows_random_below(&random, TRACE_MAX - TRACE_MIN + 1));
	printf("%.4f\n", (double)(resident_bytes() - before) / (double)live_bytes);
}
