/* SPDX-License-Identifier: MIT */
/*
 * test_profile_estimate.c - the heap profile: what samples stand for against what was really
 * allocated.
 *
 * The random numbers of a run are always the same, so that an estimate is either right or not. That
 * the bounds are narrow enough was tried with a threshold that is always the mean, with exchanges
 * that are not counted, and with a refill whose first object cannot be a sample: 65, 331 and
 * 11 sigma.
 */
#include "test-host/unit.h"

#include <math.h>

#include <slate/profile.h>

#include "mm/sampling.h"

#define LIVE 8192u

static int set_up(void **state)
{
	(void)state;
	host_boot(MIB, 256 * MIB);
	return 0;
}

#define PROFILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* ---- Truth and estimate ---- */

/* What was allocated, of one kind: sums, and the variance of the estimates of these sums. */
struct truth {
	double objects, bytes;
	double objects_variance, bytes_variance;
};

static double chance(size_t size, size_t rate)
{
	return rate <= 1 ? 1 : 1 - exp(-(double)size / (double)rate);
}

/* n objects of that class size more (or, in use, fewer). */
static void truth_add(struct truth *truth, size_t size, double n, size_t rate)
{
	double p = chance(size, rate);

	truth->objects += n;
	truth->bytes += n * (double)size;
	truth->objects_variance += n * (1 - p) / p;
	truth->bytes_variance += n * (1 - p) / p * (double)size * (double)size;
}

static double sigmas(double estimate, double truth, double variance)
{
	return variance > 0 ? fabs(estimate - truth) / sqrt(variance) : fabs(estimate - truth);
}

static void print_estimate(const char *what, double estimate, double truth, double variance)
{
	printf("# %s: estimate %.0f, truth %.0f: %.2f sigma\n", what, estimate, truth,
	       sigmas(estimate, truth, variance));
}

static struct slate_profile_info info(void)
{
	struct slate_profile_info info;

	slate_profile_info(&info);
	return info;
}

static void assert_estimates(const struct truth *ever, const struct truth *in_use)
{
	struct slate_profile_info found = info();

	print_estimate("bytes ever", (double)found.total_bytes, ever->bytes, ever->bytes_variance);
	print_estimate("objects ever", (double)found.total_objects, ever->objects,
		       ever->objects_variance);
	print_estimate("bytes in use", (double)found.bytes, in_use->bytes, in_use->bytes_variance);
	assert_true(sigmas((double)found.total_bytes, ever->bytes, ever->bytes_variance) < 3);
	assert_true(sigmas((double)found.total_objects, ever->objects, ever->objects_variance) < 3);
	assert_true(sigmas((double)found.bytes, in_use->bytes, in_use->bytes_variance) < 3);
	assert_true(sigmas((double)found.objects, in_use->objects, in_use->objects_variance) < 3);
}

/* ---- Load ---- */

static uint64_t seed;
static void *live[LIVE];
static size_t live_size[LIVE];
static struct truth ever, in_use;
static size_t rate;

static size_t below(size_t n)
{
	return (size_t)((uint64_t)sampling_random(&seed) * n >> 32);
}

static void start(size_t new_rate)
{
	seed = 4711;
	rate = new_rate;
	memset(live, 0, sizeof(live));
	memset(&ever, 0, sizeof(ever));
	memset(&in_use, 0, sizeof(in_use));
	slate_profile_rate(rate);
}

/* Most are small, some are large. */
static size_t any_size(void)
{
	switch (below(64)) {
	case 0:
		return 1 + below(32768);
	case 1:
	case 2:
	case 3:
	case 4:
		return 1 + below(8192);
	case 5:
		return below(16) ? 1 + below(2048) : 40000 + below(200000);
	default:
		return 1 + below(300);
	}
}

/* By way of a smaller one, which counts where the object moves. */
static void *alloc_twice(size_t size)
{
	void *small = (slate_alloc)(size / 2 + 9);
	size_t small_size = slate_usable_size(small);
	void *object = slate_realloc(small, size);

	if (object != small)
		truth_add(&ever, small_size, 1, rate);
	return object;
}

static void *alloc_any(size_t size)
{
	switch (below(16)) {
	case 0:
		return slate_alloc_flags(size, SLATE_NOSCAN | (below(2) ? SLATE_ZERO : 0));
	case 1:
		return slate_alloc_aligned(size, (size_t)8 << below(8), 0);
	case 2:
		return size < 2000 ? alloc_twice(size) : (slate_alloc)(size);
	default:
		return (slate_alloc)(size);
	}
}

static void note(size_t size, double n)
{
	truth_add(&ever, size, n, rate);
	truth_add(&in_use, size, n, rate);
}

static void gone(size_t size)
{
	struct truth less = {0};

	truth_add(&less, size, 1, rate);
	in_use.objects -= less.objects;
	in_use.bytes -= less.bytes;
	in_use.objects_variance -= less.objects_variance;
	in_use.bytes_variance -= less.bytes_variance;
}

static void put(size_t at)
{
	size_t size = any_size();

	/* tiny objects are not sampled */
	if (size < 8)
		size = 8;
	live[at] = alloc_any(size);
	assert_non_null(live[at]);
	live_size[at] = slate_usable_size(live[at]);
	note(live_size[at], 1);
}

static void drop(size_t at)
{
	gone(live_size[at]);
	slate_free(live[at]);
	live[at] = NULL;
}

/* Objects come and go in no order. */
static void churn(size_t allocs)
{
	while (allocs > 0) {
		size_t at = below(LIVE);

		if (live[at])
			drop(at);
		else {
			put(at);
			allocs--;
		}
	}
}

/* The same object again and again: nothing but exchanges of two magazines. */
static void pairs(size_t allocs)
{
	size_t size = slate_good_size(below(2000) + 8);

	for (size_t i = 0; i < allocs; i++) {
		void *object = (slate_alloc)(size);

		__asm__ volatile("" : "+r"(object));
		slate_free(object);
	}
	truth_add(&ever, size, (double)allocs, rate);
}

/* Many, then none: refills, depots. */
static void tide(size_t allocs)
{
	static void *objects[1000];
	size_t size = slate_good_size(below(1500) + 8);

	for (; allocs >= 1000; allocs -= 1000) {
		if (below(4) == 0) {
			assert_int_equal(slate_alloc_bulk(size, 1000, objects, 0), 1000);
		} else {
			for (size_t i = 0; i < 1000; i++)
				objects[i] = (slate_alloc)(size);
		}
		slate_free_bulk(objects, 1000);
		truth_add(&ever, size, 1000, rate);
		if (below(50) == 0)
			slate_poll();
		if (below(100) == 0)
			slate_flush();
	}
}

static void run(size_t new_rate, size_t allocs)
{
	start(new_rate);
	for (size_t done = 0; done < allocs; done += 100000) {
		churn(20000);
		pairs(40000);
		tide(40000);
	}
	assert_int_equal(slate_validate(), 0);
}

static void drop_all(void)
{
	for (size_t i = 0; i < LIVE; i++) {
		if (live[i])
			drop(i);
	}
}

/* ---- Estimates ---- */

/* Exponential: the mean, and the share above it, are what they must be. */
static void test_thresholds(void **state)
{
	const size_t mean = 524288, n = 1000000;
	uint64_t random = 1;
	double sum = 0, above = 0, tiny = 0;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		uint64_t bytes = sampling_threshold(&random, mean);

		sum += (double)bytes;
		above += bytes > mean;
		tiny += bytes < mean / 64;
	}
	/* the deviation of the distribution is its mean */
	assert_true(fabs(sum / n - (double)mean) < 3 * (double)mean / sqrt(n));
	assert_true(sigmas(above, n * exp(-1), n * exp(-1) * (1 - exp(-1))) < 3);
	assert_true(sigmas(tiny, n * (1 - exp(-1. / 64)), n * (1 - exp(-1. / 64))) < 3);
	assert_int_equal(sampling_threshold(&random, 1), 0);
}

static void test_chances(void **state)
{
	(void)state;
	for (size_t mean = 2; mean <= SAMPLING_MEAN_MAX; mean *= 8) {
		for (size_t size = 8; size <= 64 * mean && size < (size_t)1 << 33; size *= 2) {
			double expected = -expm1(-(double)size / (double)mean);
			double found = (double)sampling_chance(size, mean) / 4294967296.;

			/* a unit of the last place, or a part in 100000 */
			assert_true(fabs(found - expected) < expected / 1e5 + 2. / 4294967296.);
		}
	}
	assert_true(sampling_chance(8, 1) == (uint64_t)1 << 32);
}

static void test_estimate_512k(void **state)
{
	(void)state;
	run(524288, 6000000);
	assert_estimates(&ever, &in_use);
	drop_all();
	assert_int_equal(info().bytes, 0);
}

static void test_estimate_16k(void **state)
{
	(void)state;
	run(16384, 4000000);
	assert_estimates(&ever, &in_use);
	drop_all();
	assert_int_equal(info().samples, info().samples_freed);
}

/* Other rates in between, on several CPUs: what each sample stands for is its own rate's. */
static void test_rates_change(void **state)
{
	struct truth sum = {0};
	static const size_t rates[] = {1, 100000, 3000, 0, 524288};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		if (i < 3)
			host_cpu_online(i + 1);
		run(rates[i], 300000);
		drop_all();
		if (rates[i] == 0)
			continue;
		sum.objects += ever.objects;
		sum.bytes += ever.bytes;
		sum.objects_variance += ever.objects_variance;
		sum.bytes_variance += ever.bytes_variance;
	}
	memset(&in_use, 0, sizeof(in_use));
	assert_estimates(&sum, &in_use);
}

static void test_rate_1_is_exact(void **state)
{
	(void)state;
	run(1, 200000);
	assert_int_equal(info().total_bytes, ever.bytes);
	assert_int_equal(info().total_objects, ever.objects);
	assert_int_equal(info().objects, in_use.objects);
	assert_int_equal(info().bytes, in_use.bytes);
	drop_all();
	assert_int_equal(info().objects, 0);
}

static void test_rate_0_takes_none(void **state)
{
	(void)state;
	run(0, 300000);
	drop_all();
	assert_int_equal(info().samples, 0);
	assert_int_equal(info().buckets, 0);
}

static void test_everything_comes_home(void **state)
{
	struct slate_stats before, after;

	(void)state;
	slate_flush();
	slate_stats(&before);
	run(2000, 300000);
	drop_all();
	slate_flush();
	slate_stats(&after);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.free_pages + after.metadata_pages,
			 before.free_pages + before.metadata_pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROFILE(test_thresholds),        PROFILE(test_chances),
		PROFILE(test_estimate_512k),     PROFILE(test_estimate_16k),
		PROFILE(test_rates_change),      PROFILE(test_rate_1_is_exact),
		PROFILE(test_rate_0_takes_none), PROFILE(test_everything_comes_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
