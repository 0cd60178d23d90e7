/* SPDX-License-Identifier: MIT */
/*
 * test_profile.c - the heap profile: the records of samples, and what plants in magazines leave
 * behind. What samples stand for: test_profile_estimate.c.
 */
#include "test-host/unit.h"

#include <slate/port.h>
#include <slate/profile.h>

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/percpu.h"
#include "mm/profile.h"

static bool nmi;
static bool deaf; /* port_backtrace() knows nothing */

bool port_in_nmi(void)
{
	return nmi;
}

/* Along the frame pointers, as kernels do. */
size_t port_backtrace(uintptr_t *pcs, size_t max)
{
	const uintptr_t *frame = __builtin_frame_address(0);
	size_t n = 0;

	mm_lock_assert_none();
	while (!deaf && n < max && n < 12 && frame[0] > (uintptr_t)frame) {
		pcs[n++] = frame[1];
		frame = (const uintptr_t *)frame[0];
	}
	return n;
}

static int set_up(void **state)
{
	(void)state;
	nmi = deaf = false;
	host_boot(MIB, 256 * MIB);
	return 0;
}

#define PROFILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static struct slate_profile_info info(void)
{
	struct slate_profile_info info;

	slate_profile_info(&info);
	return info;
}

/* ---- Records ---- */

static __attribute__((noinline)) void *from_here(size_t size)
{
	void *object = (slate_alloc)(size);

	__asm__ volatile("" : "+r"(object));
	return object;
}

static __attribute__((noinline)) void *from_there(size_t size)
{
	void *object = slate_alloc_flags(size, SLATE_ZERO);

	__asm__ volatile("" : "+r"(object));
	return object;
}

/*
 * The bucket whose innermost frame lies in the function; or one of the next two, where
 * slate_alloc() and what is behind it are C functions that were not left by a jump.
 */
struct wanted {
	uintptr_t start;
	size_t size;
	struct slate_profile_bucket found;
};

static bool look(const struct slate_profile_bucket *bucket, void *arg)
{
	struct wanted *wanted = arg;

	for (size_t i = 0; i < 3 && i < bucket->depth; i++) {
		if (bucket->pcs[i] - wanted->start < 80 && bucket->size_bytes == wanted->size)
			wanted->found = *bucket;
	}
	return true;
}

static struct slate_profile_bucket bucket_of(void *(*fn)(size_t size), size_t size)
{
	struct wanted wanted = {.start = (uintptr_t)fn, .size = size};

	slate_profile_walk(look, &wanted);
	return wanted.found;
}

static void test_buckets_tell_who(void **state)
{
	void *objects[30];

	(void)state;
	slate_profile_rate(1);
	for (size_t i = 0; i < 30; i++)
		objects[i] = i % 3 ? from_here(64) : from_there(i == 0 ? 100000 : 64);
	for (size_t i = 0; i < 10; i++)
		slate_free(objects[i]);
	struct slate_profile_bucket here = bucket_of(from_here, 64);
	struct slate_profile_bucket there = bucket_of(from_there, 64);
	struct slate_profile_bucket large = bucket_of(from_there, 25 * SLATE_PAGE_SIZE);

	assert_int_equal(here.allocs, 20);
	assert_int_equal(here.frees, 6);
	assert_int_equal(there.allocs, 9);
	assert_int_equal(there.frees, 3);
	assert_int_equal(large.allocs, 1);
	assert_int_equal(large.frees, 1);
	assert_true(here.depth > 2);
	assert_int_equal(here.rate_bytes, 1);
	/* who called from_here() is the last but for the tests' own runner */
	bool called_here = false;

	for (size_t i = 1; i < 4 && i < here.depth; i++)
		called_here |= here.pcs[i] - (uintptr_t)test_buckets_tell_who < 4000;
	assert_true(called_here);
	for (size_t i = 10; i < 30; i++)
		slate_free(objects[i]);
	assert_int_equal(info().objects, 0);
}

static void test_caller_without_backtrace(void **state)
{
	(void)state;
	deaf = true;
	slate_profile_rate(1);
	slate_free(from_there(64));
	assert_int_equal(bucket_of(from_there, 64).allocs, 1);
	assert_int_equal(bucket_of(from_there, 64).depth, 1);
}

/* A sample's frames are slow, nobody else's; and they go home with it. */
static void test_samples_live_apart(void **state)
{
	void *plain = slate_alloc(64);
	void *sample, *after;

	(void)state;
	slate_profile_rate(1);
	sample = slate_alloc(64);
	slate_profile_rate(0);
	after = slate_alloc(64);
	assert_int_equal(arena_class_at(sample), PAGECLASS_SLOW);
	assert_int_equal(arena_class_at(plain), 2 * sizeclass_of(64));
	assert_int_equal(arena_class_at(after), 2 * sizeclass_of(64));
	assert_int_equal(slate_usable_size(sample), 64);
	slate_free_sized(sample, 64);
	assert_int_equal(info().samples_freed, 1);
	slate_free(plain);
	slate_free(after);
}

static unsigned finalized;

static void finalizer(void *object, void *arg)
{
	(void)object;
	(void)arg;
	finalized++;
}

static void test_finalizers_of_samples(void **state)
{
	void *object;

	(void)state;
	slate_profile_rate(1);
	object = slate_alloc(96);
	assert_int_equal(slate_on_free(object, finalizer, NULL), SLATE_OK);
	assert_int_equal(slate_tag_set(object, 7), SLATE_OK);
	assert_int_equal(slate_tag_set(object, 0), SLATE_OK);
	assert_int_equal(arena_class_at(object), PAGECLASS_SLOW);
	host_irq_set(false);
	slate_free(object);
	assert_int_equal(info().samples_freed, 0);
	host_irq_set(true);
	slate_poll();
	assert_int_equal(finalized, 1);
	assert_int_equal(info().samples_freed, 1);
	assert_int_equal(slate_validate(), 0);
}

static void test_double_free(void **state)
{
	void *objects[2];

	(void)state;
	slate_profile_rate(1);
	objects[0] = slate_alloc(64);
	objects[1] = slate_alloc(64);
	slate_free(objects[0]);
	expect_report(SLATE_CRIME_DOUBLE_FREE);
	slate_free(objects[0]);
	assert_ptr_equal((void *)reported()->address, objects[0]);
	assert_int_equal(info().samples_freed, 1);
	slate_free(objects[1]);
}

/* ---- Plants ---- */

static size_t objects_cached(unsigned class)
{
	struct slate_class_stats stats;

	assert_true(slate_class_stats(class, &stats));
	return stats.cached_objects;
}

/* With a plant in it a magazine counts what it counted before, and a walk finds every object. */
static void test_counts_with_plants(void **state)
{
	unsigned class = 2 * sizeclass_of(128);
	bool seen_plant = false;

	(void)state;
	slate_profile_rate(3000);
	for (unsigned i = 0; i < 2000; i++) {
		void *object = slate_alloc(128);
		magtop_t top = mcache_top(&percpu_cache()->take[class]);
		size_t cached = objects_cached(class);

		seen_plant |= magazine_has_plant(top);
		for (unsigned k = 0; k < magazine_count(top, mcache_capacity(class)); k++)
			assert_true(
				mcache_holds(percpu_cache(), class,
					     *(top - k) ? *(top - k) : magazine_of(top)->slot[0]));
		slate_free(object);
		assert_true(objects_cached(class) >= cached);
		if (i % 64 == 0)
			assert_int_equal(slate_validate(), 0);
	}
	assert_true(seen_plant);
	slate_flush();
	assert_int_equal(objects_cached(class), 0);
}

/* A handler that allocates and frees wherever interrupts are enabled again. */
static unsigned handled;

static void handler(void)
{
	static void *kept[8];
	unsigned at = handled++ % 8;

	slate_free(kept[at]);
	kept[at] = NULL;
	if (handled < 20000)
		kept[at] = slate_alloc(64);
	else
		for (unsigned i = 0; i < 8; i++) {
			slate_free(kept[i]);
			kept[i] = NULL;
		}
}

static void test_handler_in_every_gap(void **state)
{
	void *objects[200];

	(void)state;
	handled = 0;
	slate_profile_rate(1000);
	host_irq_hook(handler);
	for (unsigned turn = 0; turn < 100; turn++) {
		for (unsigned i = 0; i < 200; i++)
			objects[i] = slate_alloc(64);
		slate_free_bulk(objects, 200);
	}
	handled = 20000;
	slate_free(slate_alloc(64));
	host_irq_hook(NULL);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
	assert_true(info().samples > 500);
	assert_int_equal(info().samples, info().samples_freed);
}

/* No context for records: plants give way. */
static void test_nmi_takes_no_sample(void **state)
{
	void *objects[40];

	(void)state;
	slate_profile_rate(0);
	for (unsigned i = 0; i < 40; i++)
		objects[i] = slate_alloc(64);
	slate_free_bulk(objects, 40);
	slate_profile_rate(1);
	slate_free(slate_alloc(64));
	size_t samples = info().samples;

	nmi = true;
	for (unsigned i = 0; i < 10; i++)
		assert_non_null(objects[i] = slate_alloc(64));
	nmi = false;
	for (unsigned i = 10; i < 20; i++)
		assert_non_null(objects[i] = slate_alloc_flags(64, SLATE_ANYCTX));
	assert_int_equal(info().samples, samples);
	slate_free_bulk(objects, 20);
	assert_int_equal(slate_validate(), 0);
}

/* A sample that is freed in an NMI is counted when it is really freed. */
static void test_nmi_frees_sample(void **state)
{
	void *object;

	(void)state;
	slate_profile_rate(1);
	object = slate_alloc(64);
	nmi = true;
	slate_free(object);
	nmi = false;
	assert_int_equal(info().samples_freed, 0);
	slate_poll();
	assert_int_equal(info().samples_freed, 1);
}

/* Memory runs out: what there is is given out, sample or not; then all is as before. */
static void test_out_of_memory(void **state)
{
	static void *objects[1 << 16];
	size_t first = 0, n = 0;

	(void)state;
	host_boot(MIB, 4 * MIB);
	for (unsigned round = 0; round < 2; round++) {
		slate_profile_rate(round ? 1 : 0);
		for (n = 0; n < 1 << 16 && (objects[n] = slate_alloc(512)) != NULL;)
			n++;
		slate_free_bulk(objects, n);
		first = round ? first : n;
	}
	/* records take memory, too */
	assert_true(n > first * 3 / 4);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
	assert_int_equal(info().samples, info().samples_freed);
}

/* A span of samples has room beside its one sample: that is given out before anybody gets NULL. */
static void test_room_beside_samples(void **state)
{
	static void *objects[1 << 13];
	size_t spans, taken, n = 0;
	void *sample;

	(void)state;
	host_boot(MIB, 4 * MIB);
	slate_profile_rate(1);
	sample = slate_alloc(1024);
	slate_profile_rate(0);
	assert_true(arena_span(virt_to_pfn(sample))->sampled);
	while (n < 1 << 13 && (objects[n] = slate_alloc(1024)) != NULL)
		n++;
	mcentral_counts(2 * sizeclass_of(1024), &spans, &taken);
	assert_int_equal(taken, spans * arena_span(virt_to_pfn(sample))->elem_count);
	assert_int_equal(info().samples, 1);

	/* the same in an NMI, which takes no samples */
	while (!arena_span(virt_to_pfn(objects[n - 1]))->sampled)
		slate_free(objects[--n]);
	slate_free(objects[n - 1]);
	nmi = true;
	for (n--; n < 1 << 13 && (objects[n] = slate_alloc(1024)) != NULL;)
		n++;
	nmi = false;
	mcentral_counts(2 * sizeclass_of(1024), &spans, &taken);
	assert_int_equal(taken, spans * arena_span(virt_to_pfn(sample))->elem_count);

	slate_free_bulk(objects, n);
	slate_free(sample);
	slate_flush();
	assert_int_equal(slate_validate(), 0);
}

/* ---- Text ---- */

struct text {
	size_t lines;
	char first[200];
	char here[600];
};

static void keep_line(const char *line, void *arg)
{
	struct text *text = arg;

	if (text->lines++ == 0)
		snprintf(text->first, sizeof(text->first), "%s", line);
	else if (strstr(line, "3: 1536 [5: 2560] @ 0x"))
		snprintf(text->here, sizeof(text->here), "%s", line);
}

static void test_dump(void **state)
{
	struct text text = {0};
	void *objects[5];
	char expected[40];

	(void)state;
	slate_profile_rate(1);
	for (unsigned i = 0; i < 5; i++)
		objects[i] = from_here(512);
	slate_free(objects[0]);
	slate_free(objects[1]);
	slate_profile_dump(keep_line, &text);
	assert_string_equal(text.first, "heap profile: 3: 1536 [5: 2560] @ heap_v2/1");
	assert_int_equal(text.lines, 2);
	snprintf(expected, sizeof(expected), "@ 0x%zx", (size_t)bucket_of(from_here, 512).pcs[0]);
	assert_non_null(strstr(text.here, expected));
	/* the same samples, by another rate: fewer would have been taken */
	slate_profile_rate(1024);
	slate_profile_dump(keep_line, &(struct text){0});
	memset(&text, 0, sizeof(text));
	slate_profile_dump(keep_line, &text);
	assert_string_equal(text.first, "heap profile: 1: 512 [2: 1024] @ heap_v2/1024");
	for (unsigned i = 2; i < 5; i++)
		slate_free(objects[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROFILE(test_buckets_tell_who),     PROFILE(test_caller_without_backtrace),
		PROFILE(test_samples_live_apart),   PROFILE(test_finalizers_of_samples),
		PROFILE(test_double_free),          PROFILE(test_counts_with_plants),
		PROFILE(test_handler_in_every_gap), PROFILE(test_nmi_takes_no_sample),
		PROFILE(test_nmi_frees_sample),     PROFILE(test_out_of_memory),
		PROFILE(test_room_beside_samples),  PROFILE(test_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
