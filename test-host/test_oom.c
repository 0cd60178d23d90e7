/* SPDX-License-Identifier: MIT */
/*
 * test_oom.c - memory ends at the N-th request for frames or metadata, for every N of a scenario:
 * once, and for ever from there. Each call then succeeds or refuses cleanly; after all frees
 * nothing is missing, and the same scenario succeeds.
 */
#include "test-host/unit.h"

#include "mm/mmdebug.h"

#define OBJECTS 400
#define RUNS    40

struct scenario {
	const char *name;
	void (*run)(void);
};

/* What a scenario holds at its end. */
static void *objects[OBJECTS];
static pfn_t runs[RUNS];
static size_t run_pages[RUNS];
static size_t refused;

static void *noted(void *object)
{
	if (!object)
		refused++;
	return object;
}

static void small_objects(void)
{
	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = noted(slate_alloc(8 + i * 11));
}

static void one_class(void)
{
	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = noted(slate_alloc(2048));
}

static void large_objects(void)
{
	for (size_t i = 0; i < 30; i++)
		objects[i] = noted(slate_alloc(33000 + i * 4096));
}

static void zeroed_and_aligned(void)
{
	for (size_t i = 0; i < 60; i++) {
		objects[i] = noted(slate_calloc(i + 1, 100));
		objects[i + 60] = noted(slate_alloc_aligned(i * 50, (size_t)64 << i % 8, 0));
	}
}

/* A failed realloc leaves the object as it was. */
static void growing_by_realloc(void)
{
	for (size_t i = 0; i < 8; i++) {
		for (size_t size = 16; size < 200000; size *= 3) {
			unsigned char *moved = slate_realloc(objects[i], size);

			if (!noted(moved))
				continue;
			if (objects[i])
				assert_int_equal(moved[0], i);
			moved[0] = (unsigned char)i;
			objects[i] = moved;
		}
	}
}

static void frames_and_runs(void)
{
	for (size_t i = 0; i < RUNS; i++) {
		run_pages[i] = i % 5 ? 1 : i + 1;
		runs[i] = slate_page_alloc(run_pages[i], NULL);
		if (pfn_is_none(runs[i]))
			refused++;
	}
}

static void frees_in_between(void)
{
	for (size_t round = 0; round < 4; round++) {
		for (size_t i = round % 2; i < 200; i += 2) {
			slate_free(objects[i]);
			objects[i] = noted(slate_alloc(32 + i * 8 % 512));
		}
	}
}

static void several_cpus(void)
{
	for (unsigned cpu = 0; cpu < 3; cpu++) {
		host_cpu_set(cpu);
		for (size_t i = 0; i < 100; i++)
			objects[100 * cpu + i] = noted(slate_alloc(600 + cpu * 800));
	}
	host_cpu_set(0);
}

static const struct scenario scenarios[] = {
	{"small objects of many classes", small_objects},
	{"one class", one_class},
	{"large objects", large_objects},
	{"zeroed and aligned objects", zeroed_and_aligned},
	{"realloc", growing_by_realloc},
	{"frames and runs", frames_and_runs},
	{"frees in between", frees_in_between},
	{"several CPUs", several_cpus},
};

static void forget(void)
{
	memset(objects, 0, sizeof(objects));
	for (size_t i = 0; i < RUNS; i++)
		runs[i] = SLATE_PFN_NONE;
	refused = 0;
}

static void free_all(void)
{
	for (size_t i = 0; i < OBJECTS; i++)
		slate_free(objects[i]);
	for (size_t i = 0; i < RUNS; i++)
		if (!pfn_is_none(runs[i]))
			slate_page_free(runs[i], run_pages[i]);
	forget();
	slate_flush();
}

/* Was the armed fault never met? Its countdown then still runs. */
static bool fault_left(size_t nth)
{
	bool left = false;

	for (size_t i = 0; i < nth && !left; i++)
		left = mm_fault_now();
	mm_fault_arm(0, false);
	return left;
}

static size_t home_pages(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	assert_int_equal(stats.objects, 0);
	assert_int_equal(stats.object_pages, 0);
	return stats.free_pages + stats.metadata_pages;
}

static void boot(void)
{
	host_boot(MIB, 5 * MIB);
	host_cpu_online(1);
	host_cpu_online(2);
	host_cpu_set(0);
	forget();
}

/* Returns whether the fault was met. */
static bool run_with_fault(const struct scenario *scenario, size_t nth, bool for_ever)
{
	size_t before;
	bool met;

	boot();
	before = home_pages();
	mm_fault_arm(nth, for_ever);
	scenario->run();
	met = for_ever ? refused > 0 : !fault_left(nth);
	mm_fault_arm(0, false);
	assert_int_equal(slate_validate(), 0);
	free_all();
	assert_int_equal(home_pages(), before);
	assert_int_equal(slate_validate(), 0);
	scenario->run();
	assert_int_equal(refused, 0);
	free_all();
	assert_int_equal(home_pages(), before);
	return met;
}

static void run_scenario(void **state)
{
	const struct scenario *scenario = *state;
	size_t once = 0;
	size_t for_ever = 0;

	while (run_with_fault(scenario, once + 1, false))
		once++;
	while (run_with_fault(scenario, for_ever + 1, true))
		for_ever++;
	printf("%s: %zu faults once, %zu for ever\n", scenario->name, once, for_ever);
	/* The scenario needs memory at several places, else this test proves nothing. */
	assert_true(once >= 5 && for_ever >= 5);
}

/* ---- Real exhaustion ---- */

/* Chained through their first word, so that counting needs no memory of its own. */
static size_t take_all(size_t size_bytes, void **chain)
{
	size_t count = 0;

	for (void **object = slate_alloc(size_bytes); object; object = slate_alloc(size_bytes)) {
		*object = *chain;
		*chain = object;
		count++;
	}
	return count;
}

static void give_all(void *chain)
{
	while (chain) {
		void *next = *(void **)chain;

		slate_free(chain);
		chain = next;
	}
	slate_flush();
}

static void all_memory_in_each_class(void **state)
{
	size_t before;

	(void)state;
	host_boot(MIB, 4 * MIB);
	before = home_pages();
	for (size_t size = 8; size <= 65536; size = size * 5 / 2 + 8) {
		void *chain = NULL;
		size_t count = take_all(size, &chain);

		/* at least three quarters of the machine went into objects */
		assert_true(count * slate_good_size(size) > 3 * MIB);
		assert_null(slate_alloc(size));
		assert_int_equal(slate_validate(), 0);
		give_all(chain);
		assert_int_equal(home_pages(), before);
	}
}

static void the_last_frame(void **state)
{
	static pfn_t taken[4096];
	struct slate_stats stats;
	size_t count = 0;
	size_t free_pages;

	(void)state;
	free_pages = host_boot(MIB, 4 * MIB);
	for (pfn_t pfn = slate_page_alloc(1, NULL); !pfn_is_none(pfn);
	     pfn = slate_page_alloc(1, NULL))
		taken[count++] = pfn;
	slate_stats(&stats);
	assert_int_equal(stats.free_pages, 0);
	assert_int_equal(stats.cached_pages, 0);
	assert_true(count >= free_pages - 1);
	assert_null(slate_alloc(100000));
	slate_page_free(taken[--count], 1);
	assert_false(pfn_is_none(taken[count++] = slate_page_alloc(1, NULL)));
	while (count)
		slate_page_free(taken[--count], 1);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
	slate_stats(&stats);
	assert_true(stats.free_pages + stats.metadata_pages >= free_pages);
}

/* Memory that only this CPU's magazines and the depots hold serves even a caller that may not wait.
 */
static void memory_in_magazines_and_depots(void **state)
{
	void *chain = NULL;

	(void)state;
	host_boot(MIB, 4 * MIB);
	take_all(4096, &chain);
	for (int i = 0; i < 400; i++) {
		void *next = *(void **)chain;

		slate_free(chain);
		chain = next;
	}
	/* the newest 400 objects lie side by side, but for a magazine or two at either end */
	assert_non_null(slate_alloc_flags(250 * 4096, SLATE_NOWAIT));
	give_all(chain);
	assert_int_equal(slate_validate(), 0);
}

/* What another CPU caches is drained before a request is refused. */
static void memory_in_another_cpus_cache(void **state)
{
	void *chain = NULL;
	size_t count;

	(void)state;
	host_boot(MIB, 4 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	count = take_all(4096, &chain);
	for (int i = 0; i < 8; i++) {
		void *next = *(void **)chain;

		host_cpu_set(1);
		slate_free(chain);
		host_cpu_set(0);
		chain = next;
	}
	assert_true(take_all(4096, &chain) == 8);
	assert_true(count > 900);
	give_all(chain);
	host_cpu_set(1);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

/* The same where the other CPU cannot be reached, or the caller may not wait: refused, and nothing
 * lost. */
static void memory_out_of_reach(void **state)
{
	void *chain = NULL;
	void *object;

	(void)state;
	host_boot(MIB, 4 * MIB);
	host_cpu_online(1);
	host_cpu_set(0);
	take_all(4096, &chain);
	object = chain;
	chain = *(void **)chain;
	host_cpu_set(1);
	slate_free(object);
	host_cpu_set(0);
	assert_null(slate_alloc_flags(4096, SLATE_NOWAIT));
	host_irq_set(false);
	assert_null(slate_alloc(4096));
	host_irq_set(true);
	host_ipi_disable();
	assert_null(slate_alloc(4096));
	host_cpu_set(1);
	object = slate_alloc(4096);
	assert_non_null(object);
	slate_free(object);
	give_all(chain);
	assert_int_equal(slate_validate(), 0);
}

static int reset(void **state)
{
	(void)state;
	host_reset();
	return 0;
}

int main(void)
{
	enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };
	struct CMUnitTest tests[SCENARIOS + 5] = {
		cmocka_unit_test_teardown(all_memory_in_each_class, reset),
		cmocka_unit_test_teardown(the_last_frame, reset),
		cmocka_unit_test_teardown(memory_in_magazines_and_depots, reset),
		cmocka_unit_test_teardown(memory_in_another_cpus_cache, reset),
		cmocka_unit_test_teardown(memory_out_of_reach, reset),
	};

	for (size_t i = 0; i < SCENARIOS; i++)
		tests[5 + i] = (struct CMUnitTest){.name = scenarios[i].name,
						   .test_func = run_scenario,
						   .teardown_func = reset,
						   .initial_state = (void *)&scenarios[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
