/* SPDX-License-Identifier: MIT */
/*
 * test_kcache_reuse.c - a typed cache goes, and another one gets its class, while a CPU has a
 * magazine of it in hand: an empty one, or the cache could not go.
 *
 * The other CPU is a thread that stops where it has just detached the magazine.
 */
#include "test-host/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "mm/mcache.h"

/* The second one's magazines hold fewer objects. */
#define FIRST_BYTES  64
#define SECOND_BYTES 32768

#define POLLS 1000

static unsigned class;
static _Atomic bool stopped;
static _Atomic bool go;

static magtop_t top_elsewhere(void)
{
	return mcache_top(&mcaches[1]->take[class]);
}

static int set_up(void **state)
{
	(void)state;
	atomic_store(&stopped, false);
	atomic_store(&go, false);
	host_boot(MIB, 32 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	return 0;
}

#define REUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static struct slate_cache *make(size_t size_bytes)
{
	struct slate_cache *cache = slate_cache_create(
		&(struct slate_cache_params){.name = "thing", .size_bytes = size_bytes});

	assert_non_null(cache);
	return cache;
}

static void stop_when_detached(void)
{
	if (atomic_load(&stopped) || top_elsewhere() != MAGAZINE_DUMMY)
		return;
	atomic_store(&stopped, true);
	while (!atomic_load(&go))
		sched_yield();
}

static void *run_elsewhere(void *arg)
{
	void (*work)(void) = *(void (**)(void))arg;

	host_cpu_set(1);
	host_irq_hook(stop_when_detached);
	work();
	host_irq_hook(NULL);
	return NULL;
}

/* CPU 1 has taken all that its magazine held; the objects went home by way of CPU 0. */
static struct slate_cache *make_with_an_empty_magazine(void)
{
	static void *objects[MAGAZINE_CAP_MAX];
	struct slate_cache *cache = make(FIRST_BYTES);
	unsigned n = 0;

	class = (unsigned)cache->give_index;
	host_cpu_set(1);
	do
		objects[n++] = slate_cache_alloc(cache);
	while (*top_elsewhere());
	host_cpu_set(0);
	while (n > 0)
		slate_cache_free(cache, objects[--n]);
	mcache_drain();
	assert_ptr_not_equal(top_elsewhere(), MAGAZINE_DUMMY);
	return cache;
}

/* The class changes hands while CPU 1 is in the middle of its work. */
static void change_hands_during(void (*work)(void))
{
	struct slate_cache *cache = make_with_an_empty_magazine();
	pthread_t thread;
	int status;

	assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, &work), 0);
	while (!atomic_load(&stopped))
		sched_yield();
	status = slate_cache_destroy(cache);
	cache = make(SECOND_BYTES);
	atomic_store(&go, true);
	pthread_join(thread, NULL);

	assert_int_equal(status, SLATE_OK);
	assert_int_equal(cache->give_index, class);
	assert_true(mcache_is_bare(class));
	assert_int_equal(slate_validate(), 0);

	void *object = slate_cache_alloc(cache);

	assert_non_null(object);
	slate_cache_free(cache, object);
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
}

static void during_a_drain(void **state)
{
	(void)state;
	change_hands_during(mcache_drain);
}

static void poll_until_stopped(void)
{
	for (unsigned i = 0; i < POLLS && !atomic_load(&stopped); i++)
		slate_poll();
}

static void during_a_poll(void **state)
{
	(void)state;
	change_hands_during(poll_until_stopped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REUSE(during_a_drain),
		REUSE(during_a_poll),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
