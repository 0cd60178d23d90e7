/* SPDX-License-Identifier: MIT */
/*
 * test_flush.c - slate_flush() and other CPUs: what they send home of this one's, and this one of
 * theirs.
 *
 * The other CPU is a thread that stops with interrupts disabled as soon as it holds something, and
 * goes on when this one waits: it is then that a CPU calls port_relax().
 */
#include "test-host/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include <slate/port.h>

#include "mm/mcache.h"
#include "mm/mcentral.h"

#define BYTES 64
#define CLASS (2 * sizeclass_of(BYTES))

static bool nmi;
static _Thread_local bool is_other;
static _Atomic bool stopped;
static _Atomic bool go;

bool port_in_nmi(void)
{
	return nmi;
}

void host_relaxes(void)
{
	if (!is_other && atomic_load(&stopped))
		atomic_store(&go, true);
}

static size_t objects_out(unsigned class)
{
	size_t spans, objects;

	mcentral_counts(class, &spans, &objects);
	return objects;
}

static size_t cached(void)
{
	struct slate_stats now;

	slate_stats(&now);
	return now.cached_objects;
}

static int set_up(void **state)
{
	(void)state;
	nmi = false;
	atomic_store(&stopped, false);
	atomic_store(&go, false);
	host_boot(MIB, 32 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	return 0;
}

#define FLUSH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* ---- The other CPU ---- */

static unsigned watched_class;

static size_t deferred_here(void)
{
	return atomic_load(&mcaches[0]->deferred[0]) != MAGAZINE_DUMMY;
}

/* They lie nowhere: neither in their span nor where CPU 0 left them. */
static bool holds_them(void)
{
	return objects_out(watched_class) > cached() + deferred_here();
}

/* On top of whatever the other one does. */
static void stop_when_it_holds(void)
{
	if (atomic_load(&stopped) || !holds_them())
		return;
	atomic_store(&stopped, true);
	while (!atomic_load(&go))
		sched_yield();
}

static void *flush_elsewhere(void *arg)
{
	(void)arg;
	is_other = true;
	host_cpu_set(1);
	host_irq_hook(stop_when_it_holds);
	slate_flush();
	host_irq_hook(NULL);
	return NULL;
}

/* All that is out of the class lies with CPU 0 or in its depot; returns when the other CPU holds
 * some. */
static pthread_t begin_elsewhere(unsigned class)
{
	pthread_t thread;

	watched_class = class;
	assert_false(holds_them());
	assert_int_equal(pthread_create(&thread, NULL, flush_elsewhere, NULL), 0);
	while (!atomic_load(&stopped))
		sched_yield();
	assert_false(atomic_load(&go));
	return thread;
}

static void end_elsewhere(pthread_t thread)
{
	atomic_store(&go, true);
	pthread_join(thread, NULL);
}

/* ---- What was taken from here ---- */

static void magazines_taken_over(void **state)
{
	const struct slate_cache_params params = {"passing", BYTES, 0, NULL};
	struct slate_cache *cache = slate_cache_create(&params);
	void *object = slate_cache_alloc(cache);
	unsigned class = arena_span(virt_to_pfn(object))->span_class;
	pthread_t thread;
	int status;

	(void)state;
	slate_cache_free(cache, object);
	thread = begin_elsewhere(class);
	status = slate_cache_destroy(cache);
	end_elsewhere(thread);
	assert_int_equal(status, SLATE_OK);
	assert_int_equal(objects_out(class), 0);
}

static void a_depot_on_its_way(void **state)
{
	static void *objects[2000];
	size_t out, still_cached;
	pthread_t thread;

	(void)state;
	for (size_t i = 0; i < 2000; i++)
		objects[i] = slate_alloc(BYTES);
	for (size_t i = 0; i < 2000; i++)
		slate_free(objects[i]);
	/* with interrupts disabled nobody is drained, but depots are; what is left lies there */
	host_irq_set(false);
	mcache_drain();
	host_irq_set(true);
	thread = begin_elsewhere(CLASS);
	slate_flush();
	out = objects_out(CLASS);
	still_cached = cached();
	end_elsewhere(thread);
	assert_int_equal(out, 0);
	assert_int_equal(still_cached, 0);
}

/* The other one finishes them, into its own magazines. */
static void what_an_nmi_freed(void **state)
{
	void *object = slate_alloc(BYTES);
	size_t out;
	pthread_t thread;

	(void)state;
	slate_flush();
	assert_int_equal(objects_out(CLASS), 1);
	nmi = true;
	slate_free(object);
	nmi = false;
	thread = begin_elsewhere(CLASS);
	slate_flush();
	out = objects_out(CLASS);
	end_elsewhere(thread);
	assert_int_equal(out, 0);
}

/* ---- What is finished here ---- */

static void what_an_nmi_freed_elsewhere(void **state)
{
	void *object;

	(void)state;
	host_cpu_set(1);
	object = slate_alloc(BYTES);
	nmi = true;
	slate_free(object);
	nmi = false;
	host_cpu_set(0);
	slate_flush();
	assert_int_equal(objects_out(CLASS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLUSH(magazines_taken_over),
		FLUSH(a_depot_on_its_way),
		FLUSH(what_an_nmi_freed),
		FLUSH(what_an_nmi_freed_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
