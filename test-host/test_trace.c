/* SPDX-License-Identifier: MIT */
/* test_trace.c - traces: what is recorded, in which order, what is lost, and what it costs others.
 */
#include "test-host/unit.h"

#include <slate/trace.h>

#define MOST 4096u

static struct slate_trace_event events[MOST];
static size_t count;

static bool keep(const struct slate_trace_event *event, void *arg)
{
	(void)arg;
	assert_true(count < MOST);
	events[count++] = *event;
	return true;
}

static void stop(void)
{
	count = 0;
	slate_trace_stop();
	size_t walked = slate_trace_walk(keep, NULL);

	assert_int_equal(walked, count);
	for (size_t i = 1; i < count; i++)
		assert_int_equal(events[i].number, events[0].number + i);
}

static void assert_event(size_t i, enum slate_trace_kind kind, const void *address, size_t size)
{
	assert_true(i < count);
	assert_int_equal(events[i].kind, kind);
	assert_ptr_equal((void *)(uintptr_t)events[i].address, address);
	assert_int_equal(events[i].size_bytes, size);
}

static void test_recorded(void **state)
{
	(void)state;
	assert_int_equal(slate_trace_start(100), SLATE_OK);
	void *a = (slate_alloc)(24);
	void *b = slate_alloc(40);

	slate_free(a);
	slate_free(NULL);
	slate_free_sized(b, 40);
	stop();
	assert_int_equal(count, 4);
	assert_event(0, SLATE_TRACE_ALLOC, a, 24);
	assert_event(1, SLATE_TRACE_ALLOC, b, 40);
	assert_event(2, SLATE_TRACE_FREE, a, 0);
	assert_event(3, SLATE_TRACE_FREE, b, 0);
	assert_true(events[0].caller != 0);
	/* debug builds fold nothing: then both come by slate_alloc() */
	assert_true(SLATE_DEBUG || events[0].caller != events[1].caller);
}

static void test_nothing_while_off(void **state)
{
	struct slate_trace_info info;

	(void)state;
	slate_free((slate_alloc)(24));
	assert_int_equal(slate_trace_start(100), SLATE_OK);
	slate_trace_stop();
	slate_free((slate_alloc)(24));
	slate_trace_info(&info);
	assert_int_equal(info.recorded, 0);
	assert_int_equal(slate_trace_walk(keep, NULL), 0);
}

static void test_resized(void **state)
{
	(void)state;
	void *a = (slate_alloc)(24);

	assert_int_equal(slate_trace_start(100), SLATE_OK);
	void *b = slate_realloc(a, 400);
	void *c = slate_realloc(b, slate_good_size(400)); /* the same class: it stays */

	assert_ptr_equal(b, c);
	slate_free(c);
	stop();
	assert_int_equal(count, 5);
	assert_event(0, SLATE_TRACE_REALLOC_FROM, a, 400);
	assert_event(1, SLATE_TRACE_REALLOC_TO, b, 400);
	assert_int_equal(events[1].link, events[0].number);
	assert_event(2, SLATE_TRACE_REALLOC_FROM, b, slate_good_size(400));
	assert_event(3, SLATE_TRACE_REALLOC_TO, c, slate_good_size(400));
	assert_event(4, SLATE_TRACE_FREE, c, 0);
}

static void test_overrun(void **state)
{
	struct slate_trace_info info;

	(void)state;
	assert_int_equal(slate_trace_start(100), SLATE_OK); /* 128 */
	for (size_t i = 0; i < 500; i++)
		slate_free((slate_alloc)(8 + i));
	stop();
	slate_trace_info(&info);
	assert_int_equal(info.recorded, 1000);
	assert_int_equal(info.lost, 1000 - 128);
	assert_int_equal(count, 128);
	assert_int_equal(events[0].number, 1000 - 128);
	assert_int_equal(events[126].size_bytes, 8 + 499);
}

/* The one thread is two CPUs in turn: an object's free and its next life are in order. */
static void test_two_cpus(void **state)
{
	(void)state;
	host_cpu_online(1);
	host_cpu_set(0);
	assert_int_equal(slate_trace_start(1000), SLATE_OK);
	for (unsigned i = 0; i < 200; i++) {
		void *object;

		host_cpu_set(i % 2);
		object = (slate_alloc)(64);
		host_cpu_set(!(i % 2));
		slate_free(object);
	}
	host_cpu_set(0);
	stop();
	assert_int_equal(count, 400);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(events[i].kind, i % 2 ? SLATE_TRACE_FREE : SLATE_TRACE_ALLOC);
		assert_int_equal(events[i].cpu, (i + 1) / 2 % 2);
		if (i % 2)
			assert_true(events[i].address == events[i - 1].address);
	}
}

/* Of a CPU that comes later nothing is kept, but counted. */
static void test_late_cpu(void **state)
{
	struct slate_trace_info info;

	(void)state;
	assert_int_equal(slate_trace_start(100), SLATE_OK);
	host_cpu_online(1);
	slate_free((slate_alloc)(64));
	host_cpu_set(0);
	stop();
	slate_trace_info(&info);
	assert_int_equal(count, 0);
	assert_int_equal(info.recorded, 2);
	assert_int_equal(info.lost, 2);
}

static void test_failures(void **state)
{
	(void)state;
	assert_int_equal(slate_trace_start(64), SLATE_OK);
	assert_null((slate_alloc)(64 * MIB));
	assert_true(pfn_is_none((slate_page_alloc)(100000, NULL)));
	stop();
	assert_int_equal(count, 2);
	assert_event(0, SLATE_TRACE_ALLOC, NULL, 64 * MIB);
	assert_int_equal(events[1].kind, SLATE_TRACE_PAGE_ALLOC);
	assert_true(events[1].address == ~(uint64_t)0);
}

static void test_memory_back(void **state)
{
	struct slate_stats before, after;

	(void)state;
	slate_flush();
	slate_stats(&before);
	assert_int_equal(slate_trace_start(10000), SLATE_OK);
	assert_int_equal(slate_trace_start(10000), SLATE_EBUSY);
	slate_trace_discard(); /* not while it is on */
	slate_free((slate_alloc)(64));
	slate_trace_stop();
	assert_int_equal(slate_trace_walk(keep, NULL), 2);
	slate_trace_discard();
	slate_flush();
	slate_stats(&after);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
	assert_int_equal(slate_trace_walk(keep, NULL), 0);
	assert_int_equal(slate_trace_start((size_t)1 << 20), SLATE_ENOMEM);
	assert_int_equal(slate_trace_start(0), SLATE_EINVAL);
}

/* What lies in magazines when it begins is in none while it lasts. */
static void test_no_magazines(void **state)
{
	struct slate_cpu_stats stats;

	(void)state;
	slate_free((slate_alloc)(64));
	assert_true(slate_cpu_stats(0, &stats) && stats.cached_objects > 0);
	assert_int_equal(slate_trace_start(100), SLATE_OK);
	for (unsigned i = 0; i < 20; i++)
		slate_free((slate_alloc)(64));
	assert_true(slate_cpu_stats(0, &stats));
	assert_int_equal(stats.cached_objects, 0);
	slate_trace_stop();
	slate_free((slate_alloc)(64));
	assert_true(slate_cpu_stats(0, &stats) && stats.cached_objects > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(test_recorded), SMALL(test_nothing_while_off), SMALL(test_resized),
		SMALL(test_overrun),  SMALL(test_two_cpus),          SMALL(test_late_cpu),
		SMALL(test_failures), SMALL(test_memory_back),       SMALL(test_no_magazines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
