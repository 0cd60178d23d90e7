/* SPDX-License-Identifier: MIT */
/*
 * bench_memory.c - the rows of memory: what a million objects of one size take, and what a long
 * life of mixed sizes leaves. Frames are counted, so these figures are exact in any machine.
 */
#include <slate/slate.h>
#include <slate/stats.h>

#include "kernel/bench.h"
#include "kernel/console.h"
#include "kernel/selftest.h"

#define OBJECTS      1000000u
#define TRACE        100000u /* objects; then as many */
#define TRACE_MIN    16u
#define TRACE_MAX    2048u
#define HUGE_PAGES   ((size_t)512)
#define HUGE_AT_MOST 1024u

/* Frames that are not free, metadata among them; caches are flushed. */
static size_t used_pages(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats.total_pages - stats.free_pages - stats.reserved_pages - stats.released_pages;
}

static bool have_bytes(size_t bytes)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	if (stats.free_pages << SLATE_PAGE_SHIFT > bytes)
		return true;
	kprintf("# left out: it takes %zu MiB\n", bytes >> 20);
	return false;
}

/* part / whole in hundredths, rounded up. */
static size_t hundredths(size_t part_pages, size_t whole_bytes)
{
	return (size_t)(((uint64_t)part_pages * SLATE_PAGE_SIZE * 100 + whole_bytes - 1) /
			whole_bytes);
}

/* ---- One size ---- */

static void free_chain(void **chain)
{
	while (chain) {
		void **next = *chain;

		slate_free(chain);
		chain = next;
	}
}

/*
 * Objects of the row's size, chained through themselves. Metadata never goes back: the baseline is
 * what was in use before the first row, and rows with more spans come later, so that each counts
 * all of its own.
 */
static bool run_mem_per_object(const struct bench *row)
{
	static size_t baseline;
	size_t size = row->size;
	void **chain = NULL;
	size_t count = 0;

	if (!have_bytes(size * OBJECTS / 8 * 9))
		return true;
	if (baseline == 0)
		baseline = used_pages();
	for (; count < OBJECTS; count++) {
		void **object = slate_alloc(size);

		if (!object)
			break;
		*object = chain;
		chain = object;
	}
	if (count == OBJECTS)
		bench_print_hundredths(row, "ratio",
				       hundredths(used_pages() - baseline, size * OBJECTS));
	free_chain(chain);
	slate_flush();
	return count == OBJECTS;
}

/*
 * The same of tiny objects, which have no room for a chain: bulk calls into a table of pointers,
 * and only what lies outside of it counts.
 */
static bool run_mem_per_tiny(const struct bench *row)
{
	size_t table_pages = OBJECTS * sizeof(void *) / SLATE_PAGE_SIZE + 1;
	pfn_t table = slate_page_alloc(table_pages, NULL);

	if (pfn_is_none(table))
		return true;
	void **objects = slate_virt(pfn_to_paddr(table));
	size_t baseline = used_pages();
	size_t count = slate_alloc_bulk(row->size, OBJECTS, objects, SLATE_NOSCAN);

	if (count == OBJECTS)
		bench_print_hundredths(row, "ratio",
				       hundredths(used_pages() - baseline, row->size * OBJECTS));
	slate_free_bulk(objects, count);
	slate_page_free(table, table_pages);
	slate_flush();
	return count == OBJECTS;
}

/* ---- A long life ---- */

struct trace {
	uint32_t seed;
	void **objects; /* each holds its size in its first word */
	size_t count;
	size_t live_bytes;
};

static size_t size_even(uint32_t *seed)
{
	return TRACE_MIN + random_next(seed) % (TRACE_MAX - TRACE_MIN + 1);
}

static size_t size_by_powers(uint32_t *seed)
{
	size_t power = (size_t)TRACE_MIN << random_next(seed) % 7;

	return power + random_next(seed) % (power + 1);
}

static bool add_objects(struct trace *trace, size_t (*size)(uint32_t *seed))
{
	for (size_t i = 0; i < TRACE; i++) {
		size_t bytes = size(&trace->seed);
		size_t *object = slate_alloc(bytes);

		if (!object)
			return false;
		*object = bytes;
		trace->live_bytes += bytes;
		trace->objects[trace->count++] = object;
	}
	return true;
}

/* Free n of them, drawn at random. */
static void free_objects(struct trace *trace, size_t n)
{
	for (; n > 0; n--) {
		size_t drawn = random_next(&trace->seed) % trace->count;
		size_t *object = trace->objects[drawn];

		trace->live_bytes -= *object;
		trace->objects[drawn] = trace->objects[--trace->count];
		slate_free(object);
	}
}

/* Aligned runs of 2 MiB that can be had at once. */
static size_t count_huge(void)
{
	const struct slate_page_constraints huge = {
		.align_bytes = HUGE_PAGES * SLATE_PAGE_SIZE,
		.node = SLATE_ANY_NODE,
	};
	static pfn_t runs[HUGE_AT_MOST];
	size_t n = 0;

	slate_flush();
	while (n < HUGE_AT_MOST && !pfn_is_none(runs[n] = slate_page_alloc(HUGE_PAGES, &huge)))
		n++;
	for (size_t i = 0; i < n; i++)
		slate_page_free(runs[i], HUGE_PAGES);
	slate_flush();
	return n;
}

static void print_huge(const struct bench *row, const char *when, size_t left, size_t used)
{
	struct slate_stats stats;

	slate_stats(&stats);
	kprintf("# %s: %s: %zu runs of 2 MiB, %zu at most\n", row->name, when, left,
		(stats.total_pages - used) / HUGE_PAGES);
}

static bool run_trace(const struct bench *row, struct trace *trace, size_t baseline)
{
	if (!add_objects(trace, size_even))
		return false;
	free_objects(trace, TRACE / 10 * 9);
	/* as the host's trace does: a short one would be made of what the depots hold */
	slate_flush();
	if (!add_objects(trace, size_by_powers))
		return false;

	size_t used = used_pages();

	bench_print_hundredths(row, "ratio", hundredths(used - baseline, trace->live_bytes));
	print_huge(row, "live", count_huge(), used);
	return true;
}

/* Half even sizes, a random 90 % of them freed, then sizes by powers of two. */
static bool run_fragmentation(const struct bench *row)
{
	size_t table_pages = (2 * TRACE * sizeof(void *) + SLATE_PAGE_MASK) >> SLATE_PAGE_SHIFT;
	struct trace trace = {.seed = 1};
	size_t baseline = used_pages();

	if (!have_bytes((size_t)TRACE * TRACE_MAX))
		return true;

	pfn_t table = slate_page_alloc(table_pages, NULL);

	if (pfn_is_none(table))
		return false;
	trace.objects = slate_virt(pfn_to_paddr(table));
	bool done = run_trace(row, &trace, baseline + table_pages);

	free_objects(&trace, trace.count);
	slate_page_free(table, table_pages);
	print_huge(row, "all freed", count_huge(), used_pages());
	return done;
}

const struct bench bench_memory[] = {
	{"mem_per_object", BENCH_OBJECT, 24, run_mem_per_object},
	{"mem_per_object", BENCH_OBJECT, 40, run_mem_per_object},
	{"mem_per_object", BENCH_OBJECT, 100, run_mem_per_object},
	{"mem_per_object", BENCH_OBJECT, 200, run_mem_per_object},
	{"mem_per_object", BENCH_OBJECT, 600, run_mem_per_object},
	{"mem_per_tiny", BENCH_OBJECT, 4, run_mem_per_tiny},
	{"fragmentation", BENCH_OBJECT, TRACE, run_fragmentation},
	{0},
};
