/* SPDX-License-Identifier: MIT */
/*
 * test_arena_threads.c - readers without a lock while arenas are registered and spans come and go,
 * under TSan: whoever sees a class byte sees the span pointer, and what it points at.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "test-host/unit.h"

#include "mm/arena.h"

#define READERS 2
#define ARENAS  3
#define OPS     300

/* Stands for a span; arena.h does not look into it. */
struct fake_span {
	size_t first;
	size_t pages;
	unsigned page_class;
};

static struct fake_span fakes[OPS];
static void *pieces[4 * ARENAS];
static size_t piece_count;
static pthread_barrier_t start;
static _Atomic bool done;

static void *give(void *arg, size_t size_bytes)
{
	(void)arg;
	pieces[piece_count] = aligned_alloc(64, (size_bytes + 63) & ~(size_t)63);
	memset(pieces[piece_count], 0xa5, size_bytes);
	return pieces[piece_count++];
}

/* Spans side by side, each frame in one of them only: a reader's two looks belong together. */
static void *write_spans(void *arg)
{
	struct host_random random = {*(uint64_t *)arg};
	size_t at = 0;

	pthread_barrier_wait(&start);
	for (size_t op = 0; op < OPS; op++) {
		struct fake_span *fake = &fakes[op];
		size_t registered = (at + 2000) / ARENA_PAGES + 1;

		if (!arena_register((pfn_t){0}, registered * ARENA_PAGES, give, NULL))
			host_fail(__FILE__, __LINE__, "an arena was refused");
		*fake = (struct fake_span){at, 1 + host_random_below(&random, 120), 0};
		fake->page_class = op & 1 ? PAGECLASS_LARGE : 2 + (unsigned)(op % 60);
		arena_set_span((pfn_t){at}, fake->pages, (struct mspan *)fake, fake->page_class);
		at += fake->pages + 1;
	}
	atomic_store(&done, true);
	return NULL;
}

static void *read_spans(void *arg)
{
	struct host_random random = {*(uint64_t *)arg};
	size_t seen = 0;

	pthread_barrier_wait(&start);
	do {
		size_t frame = host_random_below(&random, ARENAS * ARENA_PAGES);
		unsigned page_class = arena_class((pfn_t){frame});
		struct fake_span *fake = (struct fake_span *)arena_span((pfn_t){frame});

		if (page_class != PAGECLASS_NONE && !fake)
			host_fail(__FILE__, __LINE__, "frame %zu: a class, and no span", frame);
		if (!fake)
			continue;
		seen++;
		if (frame - fake->first >= fake->pages ||
		    (page_class != PAGECLASS_NONE && page_class != fake->page_class))
			host_fail(__FILE__, __LINE__, "frame %zu: the span of another", frame);
	} while (!atomic_load(&done) || seen == 0);
	return NULL;
}

static void readers_beside_a_writer(void **state)
{
	struct host_random random = host_random_seed("arena threads", 41);
	pthread_t threads[READERS + 1];
	uint64_t seeds[READERS + 1];

	(void)state;
	piece_count = 0;
	atomic_store(&done, false);
	pthread_barrier_init(&start, NULL, READERS + 1);
	for (unsigned i = 0; i <= READERS; i++) {
		seeds[i] = host_random(&random);
		pthread_create(&threads[i], NULL, i ? read_spans : write_spans, &seeds[i]);
	}
	for (unsigned i = 0; i <= READERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start);
	host_reset();
	while (piece_count > 0)
		free(pieces[--piece_count]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(readers_beside_a_writer),
	};

	return cmocka_run_group_tests_name("arena threads", tests, NULL, NULL);
}
