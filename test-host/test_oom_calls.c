/* SPDX-License-Identifier: MIT */
/*
 * test_oom_calls.c - every public call that may need memory, while memory ends at the N-th request
 * for frames or metadata: once, and for ever from there, for every N. The call succeeds or says
 * no; what it gave holds; nothing is lost; and the same succeeds when there is memory again.
 */
#include "test-host/oom.h"
#include "test-host/unit.h"

#include "mm/mmdebug.h"

#define ADDED_AT    (128 * MIB)
#define ADDED_BYTES (2 * MIB)
#define SMALL_AT    (512 * MIB)
#define SMALL_BYTES (4 * SLATE_PAGE_SIZE)
#define INITRD      (256 * MIB)
#define HELD        300

static void *held[HELD];
static pfn_t runs[HELD];
static size_t run_pages[HELD];

/* Content that is checked when it goes back: nothing is given twice. */
static void keep(size_t i, void *object, size_t size_bytes)
{
	held[i] = object;
	if (oom_noted(object != NULL) && size_bytes)
		memset(object, (int)(i & 0xff), size_bytes);
}

static void free_held(void)
{
	for (size_t i = 0; i < HELD; i++) {
		if (held[i])
			assert_int_equal(*(unsigned char *)held[i], i & 0xff);
		slate_free(held[i]);
		held[i] = NULL;
	}
}

/* ---- Objects ---- */

static void run_flags(void)
{
	static const unsigned flags[] = {
		0, SLATE_ZERO, SLATE_NOSCAN, SLATE_RESERVE, SLATE_NOWAIT, SLATE_ANYCTX};

	for (size_t i = 0; i < 120; i++) {
		size_t size_bytes = i % 10 == 9 ? 50000 : 1 + i * 37;

		keep(i, slate_alloc_flags(size_bytes, flags[i % 6]), size_bytes);
	}
}

static void run_front_ends(void)
{
	keep(0, slate_alloc(100), 100);
	keep(1, slate_zalloc(64), 64);
	keep(2, slate_zalloc(1000), 1000);
	keep(3, slate_calloc(100, 30), 3000);
	keep(4, slate_calloc(30, 3000), 90000);
	keep(5, slate_zalloc(3), 3);
}

static void run_aligned(void)
{
	for (size_t i = 0; i < 40; i++) {
		size_t align = (size_t)64 << i % 12;
		size_t size_bytes = 1 + i * 200;

		keep(i, slate_alloc_aligned(size_bytes, align, i % 3 ? 0 : SLATE_ZERO), size_bytes);
		assert_int_equal((uintptr_t)held[i] & (align - 1), 0);
	}
}

static void prepare_realloc(void)
{
	for (size_t i = 0; i < 12; i++)
		keep(i, slate_alloc(40), 40);
}

/* On NULL the object is what it was. */
static void run_realloc(void)
{
	static const size_t sizes[] = {24, 2000, 30000, 70000, 200, 300000};

	for (size_t i = 0; i < 12; i++) {
		size_t size_bytes = sizes[i % 6];
		unsigned char *moved = slate_realloc(held[i], size_bytes);
		unsigned char *now = moved ? moved : held[i];

		oom_noted(moved != NULL);
		for (size_t at = 0; at < (moved && size_bytes < 40 ? size_bytes : 40); at++)
			assert_int_equal(now[at], i);
		held[i] = now;
	}
	keep(20, slate_realloc(NULL, 5000), 5000);
}

/* Fewer than wanted, but what came is whole. */
static void run_bulk(void)
{
	static const size_t sizes[] = {16, 500, 3000, 40000};
	size_t at = 0;

	for (size_t s = 0; s < 4; s++) {
		void *out[40];
		size_t wanted = s < 3 ? 40 : 4;
		size_t n = slate_alloc_bulk(sizes[s], wanted, out, 0);

		assert_true(n <= wanted);
		oom_noted(n == wanted);
		for (size_t i = 0; i < n; i++, at++)
			keep(at, out[i], sizes[s]);
	}
}

static void undo_bulk(void)
{
	for (size_t i = 0; i < HELD; i++) {
		if (held[i])
			assert_int_equal(*(unsigned char *)held[i], i & 0xff);
	}
	for (size_t i = 0; i < HELD; i += 30)
		slate_free_bulk(held + i, 30);
	memset(held, 0, sizeof(held));
}

/* ---- Frees: they may need a magazine, and do without ---- */

static void prepare_frees(void)
{
	for (size_t i = 0; i < HELD; i++)
		keep(i, slate_alloc(i % 3 ? 64 : 40 + i * 30), 1);
	for (size_t i = 0; i < HELD; i++) {
		run_pages[i] = i % 4 ? 1 : 2;
		runs[i] = slate_page_alloc(run_pages[i], NULL);
	}
	slate_flush();
}

static void free_runs(void)
{
	for (size_t i = 0; i < HELD; i++) {
		if (!pfn_is_none(runs[i]))
			slate_page_free(runs[i], run_pages[i]);
		runs[i] = SLATE_PFN_NONE;
	}
}

static void run_frees(void)
{
	free_held();
	free_runs();
	slate_poll();
	slate_flush();
}

/* ---- Typed caches ---- */

static struct slate_cache *cache;

static void construct(void *object)
{
	memset(object, 0x5a, 600);
}

static void run_cache(void)
{
	static const struct slate_cache_params params = {
		.name = "oom", .size_bytes = 600, .constructor = construct};

	cache = slate_cache_create(&params);
	if (!oom_noted(cache != NULL))
		return;
	for (size_t i = 0; i < 40; i++) {
		held[i] = slate_cache_alloc(cache);
		if (oom_noted(held[i] != NULL))
			assert_int_equal(((unsigned char *)held[i])[599], 0x5a);
	}
}

static void undo_cache(void)
{
	if (!cache)
		return;
	for (size_t i = 0; i < 40; i++)
		slate_cache_free(cache, held[i]);
	memset(held, 0, sizeof(held));
	assert_int_equal(slate_cache_destroy(cache), SLATE_OK);
	cache = NULL;
}

/* What was put aside comes, whatever happens to memory. */
static void run_prefill(void)
{
	static const struct slate_cache_params params = {.name = "kept", .size_bytes = 600};
	size_t aside = 0;

	cache = slate_cache_create(&params);
	if (!oom_noted(cache != NULL))
		return;
	for (size_t n = 10; n <= 30; n += 10) {
		if (oom_noted(slate_cache_prefill(cache, n)))
			aside = n;
	}
	for (size_t i = 0; i < aside; i++) {
		held[i] = slate_cache_alloc(cache);
		assert_non_null(held[i]);
	}
}

/* ---- Frames and stacks ---- */

static void run_constraints(void)
{
	for (size_t i = 0; i < 24; i++) {
		struct slate_page_constraints fit = {
			.min = i % 2 ? 2 * MIB : 0,
			.max = i % 3 ? 0 : 5 * MIB,
			.align_bytes = SLATE_PAGE_SIZE << i % 4,
			.boundary_bytes = i % 5 ? 0 : 256 << 10,
			.node = i % 2 ? 0 : SLATE_ANY_NODE,
			.flags = (i % 4 ? 0 : SLATE_ZERO) | (i % 7 ? 0 : SLATE_RESERVE),
		};

		run_pages[i] = 1 + i;
		runs[i] = slate_page_alloc(run_pages[i], &fit);
		oom_noted(!pfn_is_none(runs[i]));
	}
	runs[24] = slate_frame_alloc();
	run_pages[24] = 1;
	oom_noted(!pfn_is_none(runs[24]));
	for (size_t i = 0; i < 4; i++) {
		static const size_t pages[] = {2, 4, 8, 512};

		run_pages[25 + i] = pages[i];
		runs[25 + i] = slate_page_alloc(pages[i], NULL);
		oom_noted(!pfn_is_none(runs[25 + i]));
	}
}

/* Asks for nothing that it could be refused. */
static void run_at(void)
{
	run_pages[0] = 3;
	runs[0] = paddr_to_pfn((paddr_t){4 * MIB});
	assert_int_equal(slate_page_alloc_at((paddr_t){4 * MIB}, 3), SLATE_OK);
	run_pages[1] = 1;
	runs[1] = slate_page_alloc(1, NULL);
	oom_noted(!pfn_is_none(runs[1]));
}

static void run_stacks(void)
{
	for (size_t i = 0; i < 20; i++) {
		held[i] = slate_stack_alloc((unsigned)i % SLATE_STACK_ORDERS);
		if (oom_noted(held[i] != NULL))
			memset(held[i], (int)i, SLATE_PAGE_SIZE);
	}
}

static void undo_stacks(void)
{
	for (size_t i = 0; i < 20; i++) {
		if (held[i])
			assert_int_equal(*(unsigned char *)held[i], i);
		slate_stack_free(held[i]);
		held[i] = NULL;
	}
}

/* ---- Memory and CPUs that come ---- */

static bool added;
static bool small_added;

/* Removed again, unless it had to carry the arenas itself: then it stays, and nothing else does. */
static void run_add(void)
{
	int status;

	if (!oom_staying_pages) {
		status = slate_add_memory((paddr_t){ADDED_AT}, ADDED_BYTES, 0);
		assert_int_equal(status, SLATE_OK);
		added = true;
	}
	/* this one has no room for arenas of its own */
	status = slate_add_memory((paddr_t){SMALL_AT}, SMALL_BYTES, 0);
	assert_true(status == SLATE_OK || status == SLATE_ENOMEM);
	small_added = oom_noted(status == SLATE_OK);
}

static void undo_add(void)
{
	struct slate_holder list[4];
	struct slate_holders holders = {.list = list, .capacity = 4};
	int status =
		added ? slate_remove_memory((paddr_t){ADDED_AT}, ADDED_BYTES, &holders) : SLATE_OK;

	if (status == SLATE_EBUSY) {
		assert_int_equal(holders.count, 1);
		assert_int_equal(list[0].kind, SLATE_HOLDER_METADATA);
		oom_staying_pages = ADDED_BYTES >> SLATE_PAGE_SHIFT;
	} else {
		assert_int_equal(status, SLATE_OK);
	}
	added = false;
	if (small_added)
		assert_int_equal(slate_remove_memory((paddr_t){SMALL_AT}, SMALL_BYTES, NULL),
				 SLATE_OK);
	small_added = false;
}

static bool came;

static void run_online(void)
{
	int status;

	host_cpu_set(2);
	status = slate_cpu_online();
	assert_true(status == SLATE_OK || status == SLATE_ENOMEM);
	came = oom_noted(status == SLATE_OK);
	if (came) {
		keep(0, slate_alloc(64), 64);
		keep(1, slate_alloc(3000), 3000);
	}
	host_cpu_set(0);
}

static void undo_online(void)
{
	free_held();
	host_cpu_set(2);
	assert_int_equal(slate_cpu_offline(), came ? SLATE_OK : SLATE_ESTAGE);
	host_cpu_set(0);
}

/* ---- The table ---- */

static const struct oom_call calls[] = {
	{"slate_alloc_flags", NULL, run_flags, free_held, false},
	{"slate_alloc, _zalloc, _calloc", NULL, run_front_ends, free_held, false},
	{"slate_alloc_aligned", NULL, run_aligned, free_held, false},
	{"slate_realloc", prepare_realloc, run_realloc, free_held, false},
	{"slate_alloc_bulk", NULL, run_bulk, undo_bulk, false},
	{"slate_free, _page_free, _poll, _flush", prepare_frees, run_frees, free_held, true},
	{"slate_cache_create, _alloc", NULL, run_cache, undo_cache, false},
	{"slate_cache_prefill", NULL, run_prefill, undo_cache, false},
	{"slate_page_alloc, _frame_alloc", NULL, run_constraints, free_runs, false},
	{"slate_page_alloc_at", NULL, run_at, free_runs, false},
	{"slate_stack_alloc", NULL, run_stacks, undo_stacks, false},
	{"slate_add_memory", NULL, run_add, undo_add, false},
	{"slate_cpu_online", NULL, run_online, undo_online, false},
};

static void boot_more(void)
{
	host_memory(ADDED_AT, ADDED_BYTES);
	host_memory(SMALL_AT, SMALL_BYTES);
	memset(held, 0, sizeof(held));
	for (size_t i = 0; i < HELD; i++)
		runs[i] = SLATE_PFN_NONE;
	cache = NULL;
	added = came = false;
	oom_staying_pages = 0;
}

/* ---- Reserved memory that is released: not twice in a machine's life ---- */

static size_t free_and_own(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	assert_int_equal(slate_validate(), 0);
	return stats.free_pages + stats.reserved_pages + stats.metadata_pages;
}

/* Returns what the call said while memory was gone; *met: there was a request at all. */
static int release_once(size_t pages, size_t nth, bool for_ever, bool *met)
{
	static struct slate_range space[8];
	struct slate_memmap map = {.ranges = space, .capacity = 8};
	struct slate_range initrd = {.base = INITRD,
				     .size_bytes = pages << SLATE_PAGE_SHIFT,
				     .type = SLATE_RANGE_MODULE,
				     .name = "initrd"};
	size_t before;
	int status;

	slate_memmap_add(&map, MIB, 12 * MIB, SLATE_RANGE_USABLE, "memory");
	slate_memmap_add(&map, initrd.base, initrd.size_bytes, initrd.type, initrd.name);
	host_boot_map(&map);
	host_memory(initrd.base, initrd.size_bytes);
	before = free_and_own();
	mm_fault_arm(nth, for_ever);
	status = slate_reserve_release(&initrd);
	*met = !oom_fault_left(nth);
	if (status != SLATE_OK) {
		assert_int_equal(status, SLATE_ENOMEM);
		assert_int_equal(free_and_own(), before);
		assert_int_equal(slate_reserve_release(&initrd), SLATE_OK);
	}
	assert_int_equal(free_and_own(), before + pages);
	assert_int_equal(slate_reserve_release(&initrd), SLATE_EEXIST);
	return status;
}

/* A long range carries its own metadata where there is no other place; one frame cannot. */
static void reserve_release(void **state)
{
	bool met = true;
	size_t nth;

	(void)state;
	for (nth = 1; met; nth++)
		assert_int_equal(release_once(512, nth, false, &met), SLATE_OK);
	assert_true(nth > 2);
	assert_int_equal(release_once(512, 1, true, &met), SLATE_OK);
	assert_int_equal(release_once(1, 1, true, &met), SLATE_ENOMEM);
	assert_int_equal(release_once(1, 2, true, &met), SLATE_OK);
}

static int reset(void **state)
{
	(void)state;
	host_reset();
	return 0;
}

int main(void)
{
	enum { CALLS = sizeof(calls) / sizeof(calls[0]) };
	struct CMUnitTest tests[CALLS + 1] = {cmocka_unit_test_teardown(reserve_release, reset)};

	oom_boot_more = boot_more;

	for (size_t i = 0; i < CALLS; i++)
		tests[1 + i] = (struct CMUnitTest){.name = calls[i].name,
						   .test_func = oom_run_call,
						   .teardown_func = reset,
						   .initial_state = (void *)&calls[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
