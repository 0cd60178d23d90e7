/* SPDX-License-Identifier: MIT */
/*
 * threads.c - more threads than slots, objects that change hands, and calls from the destructors
 * of a thread's keys, after its slot went back.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "test-host/shim/check.h"

#define THREADS 300u
#define ROUNDS  2000u
#define PLACES  256u

/* An object says how long it is, and is filled with one byte. */
struct object {
	size_t size_bytes;
	unsigned char fill[];
};

static _Atomic(struct object *) places[PLACES];
static pthread_barrier_t all_there;
static pthread_key_t late_key;
static _Atomic unsigned late_calls;

static struct object *make(uint64_t *random)
{
	*random = *random * 6364136223846793005u + 1442695040888963407u;
	size_t size_bytes = 1 + (*random >> 33) % 3000;
	struct object *object = malloc(sizeof(*object) + size_bytes);

	CHECK(object);
	object->size_bytes = size_bytes;
	memset(object->fill, (int)(size_bytes & 0xff), size_bytes);
	return object;
}

static void destroy(struct object *object)
{
	for (size_t i = 0; object && i < object->size_bytes; i++)
		CHECK(object->fill[i] == (object->size_bytes & 0xff));
	free(object);
}

/* Keys that are made later are destroyed later: the library's own is gone by now. */
static void late(void *arg)
{
	char *text = malloc(100);

	CHECK(text);
	strcpy(text, "late");
	text = realloc(text, 1000);
	CHECK(text && strcmp(text, "late") == 0);
	free(text);
	free(arg);
	late_calls++;
}

static void *run(void *arg)
{
	uint64_t random = (uintptr_t)arg + 1;

	pthread_setspecific(late_key, malloc(64));
	pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct object *mine = make(&random);

		destroy(atomic_exchange(&places[(random >> 20) % PLACES], mine));
	}
	return NULL;
}

int main(void)
{
	static pthread_t threads[THREADS];

	CHECK(pthread_key_create(&late_key, late) == 0);
	for (unsigned round = 0; round < 2; round++) {
		pthread_barrier_init(&all_there, NULL, THREADS);
		for (uintptr_t i = 0; i < THREADS; i++)
			CHECK(pthread_create(&threads[i], NULL, run, (void *)i) == 0);
		for (unsigned i = 0; i < THREADS; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
	}
	for (unsigned i = 0; i < PLACES; i++)
		destroy(atomic_exchange(&places[i], NULL));
	CHECK(late_calls == 2 * THREADS);
	printf("ok - %u threads at once, twice\n", THREADS);
	return 0;
}
