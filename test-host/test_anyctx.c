/* SPDX-License-Identifier: MIT */
/*
 * test_anyctx.c - requests that cannot wait get new memory, too: spans, frames, large objects, and
 * the reserve if they say so. Whatever lock is busy, whenever it becomes busy, they come back, and
 * nothing is lost.
 */
#include "test-host/unit.h"

#include <slate/cache.h>

#include "mm/anyctx.h"
#include "mm/mcache_source.h"
#include "mm/mcentral.h"
#include "mm/mheap_span.h"
#include "mm/mmdebug.h"
#include "mm/sizeclass.h"

#define MEMORY    (16 * MIB)
#define RUN_PAGES 24u
#define LARGE     100000u
#define HELD      4096u

static bool nmi;
static size_t home;         /* free + metadata frames of the idle machine */
static size_t structs_home; /* of spans, and their bits, that it has */

bool port_in_nmi(void)
{
	return nmi;
}

static size_t free_and_metadata(void)
{
	struct slate_stats stats;

	slate_poll();
	slate_flush();
	slate_stats(&stats);
	return stats.free_pages + stats.metadata_pages;
}

static size_t structs_in_use(void)
{
	return mheap_span_structs.in_use + mheap_span_bits.in_use;
}

static int set_up(void **state)
{
	set_up_small(state);
	nmi = false;
	home = free_and_metadata();
	structs_home = structs_in_use();
	return 0;
}

#define ANYCTX(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void assert_all_home(void)
{
	struct slate_stats stats;

	assert_int_equal(free_and_metadata(), home);
	slate_stats(&stats);
	assert_int_equal(stats.objects + stats.large_objects, 0);
	assert_int_equal(stats.leaked_objects, 0);
	assert_int_equal(structs_in_use(), structs_home);
	assert_int_equal(slate_validate(), 0);
}

/* ---- The requests ---- */

static void *get_object(void)
{
	return slate_alloc_flags(64, SLATE_ANYCTX);
}

/* Its spans have their bits inside. */
static void *get_big(void)
{
	return slate_alloc_flags(2000, SLATE_ANYCTX);
}

static void *get_large(void)
{
	return slate_alloc_flags(LARGE, SLATE_ANYCTX);
}

static void *get_pages(size_t n)
{
	const struct slate_page_constraints any = {.node = SLATE_ANY_NODE, .flags = SLATE_ANYCTX};
	pfn_t pfn = (slate_page_alloc)(n, &any);

	return pfn_is_none(pfn) ? NULL : slate_virt(pfn_to_paddr(pfn));
}

static void *get_frame(void)
{
	return get_pages(1);
}

static void *get_run(void)
{
	return get_pages(RUN_PAGES);
}

static void put_frame(void *frame)
{
	slate_page_free(virt_to_pfn(frame), 1);
}

static void put_run(void *run)
{
	(slate_page_free)(virt_to_pfn(run), RUN_PAGES);
}

static const struct request {
	void *(*get)(void);
	void (*put)(void *);
	size_t bytes;
} requests[] = {
	{get_object, slate_free, 64},
	{get_big, slate_free, 2000},
	{get_large, slate_free, LARGE},
	{get_frame, put_frame, SLATE_PAGE_SIZE},
	{get_run, put_run, RUN_PAGES *SLATE_PAGE_SIZE},
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* ---- Nothing is there but free frames ---- */

static void new_memory_is_found(void **state)
{
	(void)state;
	for (unsigned in_nmi = 0; in_nmi < 2; in_nmi++) {
		for (size_t i = 0; i < REQUESTS; i++) {
			nmi = in_nmi;
			void *memory = requests[i].get();

			nmi = false;
			assert_non_null(memory);
			memset(memory, 0x5a, requests[i].bytes);
			assert_int_equal(slate_validate(), 0);
			requests[i].put(memory);
			assert_all_home();
		}
	}
}

/* More than one span, of every class, none of the objects twice. */
static void every_class_has_new_spans(void **state)
{
	static void *objects[HELD];

	(void)state;
	for (unsigned class = 1; class < SIZECLASS_COUNT; class ++) {
		size_t bytes = sizeclass_bytes[class];
		size_t n = sizeclass_elems[class] + 2;

		for (size_t i = 0; i < n; i++) {
			objects[i] = slate_alloc_flags(bytes, SLATE_ANYCTX);
			assert_non_null(objects[i]);
			assert_int_equal(slate_usable_size(objects[i]), bytes);
			memset(objects[i], (int)i, bytes);
		}
		assert_int_equal(slate_validate(), 0);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(*(unsigned char *)objects[i], i & 0xff);
			slate_free(objects[i]);
		}
		slate_flush();
	}
	assert_all_home();
}

static void every_run_length(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 512; n += n < 70 ? 1 : 61) {
		void *run = get_pages(n);

		assert_non_null(run);
		(slate_page_free)(virt_to_pfn(run), n);
	}
	/* in pieces: never */
	assert_null(get_pages(513));
	assert_all_home();
}

/* Alignments, limits and boundaries hold, also where most places are taken. */
static void constraints_hold(void **state)
{
	static pfn_t frames[HELD];
	size_t count = 0;

	(void)state;
	while (!pfn_is_none(frames[count] = slate_page_alloc(1, NULL)))
		count++;
	for (size_t i = 0; i < count; i++)
		if (frames[i].v % 16 >= 4)
			slate_page_free(frames[i], 1);
	for (size_t align = 1; align <= 8; align *= 2) {
		struct slate_page_constraints fit = {
			.align_bytes = align * SLATE_PAGE_SIZE,
			.boundary_bytes = 32 * SLATE_PAGE_SIZE,
			.min = 3 * MIB,
			.max = 13 * MIB,
			.node = SLATE_ANY_NODE,
			.flags = SLATE_ANYCTX,
		};
		pfn_t pfn = (slate_page_alloc)(7, &fit);

		assert_false(pfn_is_none(pfn));
		assert_int_equal(pfn.v % align, 0);
		assert_in_range(pfn.v, fit.min >> SLATE_PAGE_SHIFT,
				(fit.max >> SLATE_PAGE_SHIFT) - 7);
		assert_int_equal(pfn.v / 32, (pfn.v + 6) / 32);
		(slate_page_free)(pfn, 7);
	}
	for (size_t i = 0; i < count; i++)
		if (frames[i].v % 16 < 4)
			slate_page_free(frames[i], 1);
	assert_all_home();
}

/* Each chunk has long runs, and none that fits, but for the last: more than one lock hold sees. */
static void a_search_goes_on(void **state)
{
	const struct slate_page_constraints fit = {
		.align_bytes = 16 * SLATE_PAGE_SIZE,
		.node = SLATE_ANY_NODE,
		.flags = SLATE_ANYCTX,
	};
	static pfn_t frames[HELD];
	size_t count = 0;
	size_t last = 0;
	pfn_t pfn;

	(void)state;
	for (; !pfn_is_none(frames[count] = slate_page_alloc(1, NULL)); count++)
		if (frames[count].v % 16 == 0 && frames[count].v > last)
			last = frames[count].v;
	for (size_t i = 0; i < count; i++)
		if (frames[i].v % 16 || frames[i].v == last)
			slate_page_free(frames[i], 1);
	slate_flush();
	pfn = (slate_page_alloc)(3, &fit);
	assert_int_equal(pfn.v, last);
	(slate_page_free)(pfn, 3);
	for (size_t i = 0; i < count; i++)
		if (frames[i].v % 16 == 0 && frames[i].v != last)
			slate_page_free(frames[i], 1);
	assert_all_home();
}

static void large_objects(void **state)
{
	const size_t most = ANYCTX_LARGE_MAX_PAGES * SLATE_PAGE_SIZE;
	struct slate_stats stats;

	(void)state;
	for (unsigned zero = 0; zero < 2; zero++) {
		unsigned char *object =
			slate_alloc_flags(most, SLATE_ANYCTX | (zero ? SLATE_ZERO : 0));

		assert_non_null(object);
		assert_int_equal((uintptr_t)object % most, 0);
		assert_int_equal(slate_usable_size(object), most);
		for (size_t i = 0; zero && i < most; i++)
			assert_int_equal(object[i], 0);
		memset(object, 0x77, most);
		slate_stats(&stats);
		assert_int_equal(stats.large_objects, 1);
		assert_int_equal(slate_validate(), 0);
		slate_free(object);
	}
	assert_null(slate_alloc_flags(most + 1, SLATE_ANYCTX));
	assert_all_home();
}

/* A constructor is the kernel's code: not in an NMI. */
static void typed_caches(void **state)
{
	struct slate_cache *plain = slate_cache_create(
		&(struct slate_cache_params){.name = "plain", .size_bytes = 200});
	void *object;

	(void)state;
	nmi = true;
	object = slate_cache_alloc(plain);
	nmi = false;
	assert_non_null(object);
	assert_int_equal(slate_usable_size(object), 200);
	slate_cache_free(plain, object);
	assert_int_equal(slate_cache_destroy(plain), SLATE_OK);
	assert_all_home();
}

static void construct(void *object)
{
	memset(object, 1, 200);
}

static void no_constructor_runs(void **state)
{
	struct slate_cache *made = slate_cache_create(&(struct slate_cache_params){
		.name = "made", .size_bytes = 200, .constructor = construct});
	void *pin = slate_cache_alloc(made);

	(void)state;
	/* what spans have is constructed */
	slate_flush();
	nmi = true;
	void *object = slate_cache_alloc(made);

	nmi = false;
	assert_non_null(object);
	assert_int_equal(*(char *)object, 1);
	slate_cache_free(made, object);
	slate_cache_free(made, pin);
	slate_flush();
	nmi = true;
	assert_null(slate_cache_alloc(made));
	nmi = false;
	assert_int_equal(slate_cache_destroy(made), SLATE_OK);
}

/* ---- Depots ---- */

/* All of a full magazine comes here, and its struct stays for the next one that is full. */
static void a_depot_serves(void **state)
{
	static void *objects[HELD];
	unsigned class = sizeclass_of(64) << 1;
	unsigned capacity = mcache_capacity(class);
	void *pin;

	(void)state;
	host_cpu_online(1);
	pin = slate_alloc(64);
	slate_free(slate_alloc(64));
	host_cpu_set(0);
	for (size_t i = 0; i < 6 * capacity; i++)
		objects[i] = slate_alloc(64);
	for (size_t i = 0; i < 6 * capacity; i++)
		slate_free(objects[i]);
	assert_true(mcache_depot_cached(class) > 0);
	host_cpu_set(1);
	while (mcache_cached(mcaches[1], class) > 0) {
		objects[0] = slate_alloc(64);
		mcentral_give(class, objects, 1, "test");
	}

	size_t before = mcache_depot_cached(class);
	size_t spans, taken, taken_after;

	mcentral_counts(class, &spans, &taken);
	objects[0] = get_object();
	mcentral_counts(class, &spans, &taken_after);
	assert_non_null(objects[0]);
	assert_int_equal(mcache_depot_cached(class), before - capacity);
	assert_non_null(mcache_depot(class)->empty);
	assert_int_equal(mcache_cached(mcaches[1], class), capacity - 1);
	assert_int_equal(taken_after, taken);
	slate_free(objects[0]);
	slate_free(pin);
	slate_flush();
	host_cpu_set(0);
	assert_int_equal(slate_validate(), 0);
}

/* ---- The reserve ---- */

static size_t eat(pfn_t *frames, unsigned flags)
{
	const struct slate_page_constraints any = {.node = SLATE_ANY_NODE, .flags = flags};
	size_t n = 0;

	while (n < HELD && !pfn_is_none(frames[n] = (slate_page_alloc)(1, &any)))
		n++;
	return n;
}

static void uneat(const pfn_t *frames, size_t n)
{
	while (n-- > 0)
		slate_page_free(frames[n], 1);
}

static void the_reserve_is_for_who_asks(void **state)
{
	const struct slate_page_constraints last = {.node = SLATE_ANY_NODE,
						    .flags = SLATE_ANYCTX | SLATE_RESERVE};
	static pfn_t frames[HELD];
	size_t n = eat(frames, SLATE_NOWAIT);

	(void)state;
	for (size_t i = 0; i < REQUESTS; i++)
		assert_null(requests[i].get());
	void *object = slate_alloc_flags(3000, SLATE_ANYCTX | SLATE_RESERVE);
	pfn_t frame = (slate_page_alloc)(1, &last);
	pfn_t run = (slate_page_alloc)(3, &last);

	assert_non_null(object);
	assert_false(pfn_is_none(frame));
	assert_false(pfn_is_none(run));
	slate_free(object);
	slate_page_free(frame, 1);
	(slate_page_free)(run, 3);
	slate_flush();
	/* the reserve of so small a machine is 16 frames */
	nmi = true;
	object = slate_alloc_flags(10 * SLATE_PAGE_SIZE, SLATE_RESERVE);
	nmi = false;
	assert_non_null(object);
	slate_free(object);
	uneat(frames, n);
	assert_all_home();
}

/* To the last frame, by NMIs alone; then there is none, for anybody. */
static void all_memory_can_be_had(void **state)
{
	static pfn_t frames[HELD];
	size_t n = eat(frames, SLATE_ANYCTX | SLATE_RESERVE);
	struct slate_stats stats;

	(void)state;
	slate_stats(&stats);
	assert_int_equal(stats.free_pages, 0);
	assert_null(slate_alloc_flags(3000, SLATE_ANYCTX | SLATE_RESERVE));
	uneat(frames, n);
	assert_all_home();
}

/* ---- Busy locks ---- */

/* Another CPU takes the lock when this one enables interrupts for the nth time, and keeps it. */
static struct {
	struct mm_lock *lock;
	unsigned left;
	bool taken;
} intruder;

static void intrude(void)
{
	if (intruder.left == 0 || --intruder.left > 0)
		return;
	intruder.taken = spinlock_try(&intruder.lock->spin);
	assert_true(intruder.taken);
}

/* Returns whether the lock was taken at all. */
static bool get_with_intruder(const struct request *request, struct mm_lock *lock, unsigned nth,
			      bool *served)
{
	void *memory;

	intruder.lock = lock;
	intruder.left = nth;
	intruder.taken = nth == 0 && spinlock_try(&lock->spin);
	host_irq_hook(intrude);
	memory = request->get();
	host_irq_hook(NULL);
	if (intruder.taken)
		spinlock_release(&lock->spin);
	*served = memory != NULL;
	if (memory)
		memset(memory, 0xa5, request->bytes);
	assert_int_equal(slate_validate(), 0);
	if (memory)
		request->put(memory);
	return intruder.taken;
}

static void a_lock_becomes_busy_anywhere(void **state)
{
	struct mm_lock *const locks[] = {
		&mcentrals[sizeclass_of(64) << 1].lock,
		&mcentrals[sizeclass_of(2000) << 1].lock,
		&mheaps[0].lock,
		&mheaps[0].pages.lock,
		&mheap_span_structs.lock,
		&mheap_span_bits.lock,
	};
	unsigned refused = 0;
	unsigned cases = 0;

	(void)state;
	for (size_t r = 0; r < REQUESTS; r++) {
		for (size_t l = 0; l < sizeof(locks) / sizeof(locks[0]); l++) {
			bool busy = true;

			for (unsigned nth = 0; busy; nth++, cases++) {
				bool served;

				busy = get_with_intruder(&requests[r], locks[l], nth, &served);
				refused += !served;
				assert_true(served || busy);
				assert_all_home();
			}
		}
	}
	/* some of them were in the way */
	assert_true(refused > 10);
	printf("a busy lock: %u cases, %u refused\n", cases, refused);
}

/* The same with metadata that has run out, so that it must be fed. */
static void a_lock_becomes_busy_while_metadata_is_fed(void **state)
{
	struct fixalloc *const fed[] = {&mheap_span_structs, &mheap_span_bits};

	(void)state;
	for (size_t f = 0; f < 2; f++) {
		bool busy = true;

		for (unsigned nth = 0; busy; nth++) {
			static void *structs[HELD];
			size_t n = 0;
			bool served;

			while (fixalloc_try_stock(fed[f]))
				structs[n++] = fixalloc_alloc(fed[f]);
			busy = get_with_intruder(&requests[0], &fed[f]->lock, nth, &served);
			while (n > 0)
				fixalloc_free(fed[f], structs[--n]);
			assert_all_home();
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ANYCTX(new_memory_is_found),
		ANYCTX(every_class_has_new_spans),
		ANYCTX(every_run_length),
		ANYCTX(constraints_hold),
		ANYCTX(a_search_goes_on),
		ANYCTX(large_objects),
		ANYCTX(typed_caches),
		ANYCTX(no_constructor_runs),
		ANYCTX(a_depot_serves),
		ANYCTX(the_reserve_is_for_who_asks),
		ANYCTX(all_memory_can_be_had),
		ANYCTX(a_lock_becomes_busy_anywhere),
		ANYCTX(a_lock_becomes_busy_while_metadata_is_fed),
	};

	return cmocka_run_group_tests_name("anyctx", tests, NULL, NULL);
}
