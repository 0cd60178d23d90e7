/* SPDX-License-Identifier: MIT */
/*
 * bench_page.c - the rows of frames.
 */
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/bench.h"
#include "kernel/main.h"
#include "kernel/selftest.h"
#include "mm/pagealloc.h"
#include "mm/arena.h"
#include "mm/spanof.h"

static pfn_t frames[BENCH_BATCH];

static uint64_t round_pair(size_t size)
{
	uint64_t start = arch_instructions();

	for (size_t i = BENCH_BATCH; i > 0; i--) {
		pfn_t pfn = slate_page_alloc(size, NULL);

		OPAQUE(i);
		slate_page_free(pfn, size);
	}
	return arch_instructions() - start;
}

/* The compiler knows how many. */
#define CONST_ROUND(name, n)                                   \
	static uint64_t name(size_t size)                      \
	{                                                      \
		uint64_t start = arch_instructions();          \
                                                               \
		(void)size;                                    \
		for (size_t i = BENCH_BATCH; i > 0; i--) {     \
			pfn_t pfn = slate_page_alloc(n, NULL); \
                                                               \
			OPAQUE(i);                             \
			slate_page_free(pfn, n);               \
		}                                              \
		return arch_instructions() - start;            \
	}

CONST_ROUND(round_1, 1)
CONST_ROUND(round_2, 2)
CONST_ROUND(round_8, 8)
CONST_ROUND(round_512, 512)

static bool run_pair(const struct bench *row)
{
	pfn_t pfn = slate_page_alloc(row->size, NULL);

	if (pfn_is_none(pfn))
		return false;
	slate_page_free(pfn, row->size);
	return bench_pair(row, row->size == 1   ? round_1
			       : row->size == 2 ? round_2
			       : row->size == 8 ? round_8
						: round_512);
}

/* Past the magazines: straight from the page allocator and back. */
static bool run_uncached(const struct bench *row)
{
	pfn_t pfn = slate_page_alloc(row->size, NULL);

	if (pfn_is_none(pfn))
		return false;
	slate_page_free(pfn, row->size);
	return bench_pair(row, round_pair);
}

static struct {
	uint64_t alloc;
	uint64_t free;
} batch;

static bool batch_round(size_t size)
{
	pfn_t *end = frames + BENCH_BATCH;
	bool full = true;
	uint64_t start = arch_instructions();

	(void)size;
	for (pfn_t *frame = frames; frame != end; frame++) {
		*frame = slate_page_alloc(1, NULL);
		OPAQUE(frame);
	}
	batch.alloc = arch_instructions() - start;
	/* They come until there are none: the first missing one ends the batch. */
	for (pfn_t *frame = frames; full && frame != end; frame++) {
		full = !pfn_is_none(*frame);
		if (!full)
			end = frame;
	}
	start = arch_instructions();
	for (pfn_t *frame = frames; frame != end; frame++) {
		slate_page_free(*frame, 1);
		OPAQUE(frame);
	}
	batch.free = arch_instructions() - start;
	return full;
}

static uint64_t round_batch_alloc(size_t size)
{
	return batch_round(size) ? batch.alloc : 0;
}

static uint64_t round_batch_free(size_t size)
{
	return batch_round(size) ? batch.free : 0;
}

static bool run_batch(const struct bench *row)
{
	uint64_t empty = bench_empty_pointer();
	uint64_t alloc = bench_median(round_batch_alloc, row->size);
	uint64_t free = bench_median(round_batch_free, row->size);

	if (!alloc || !free)
		return false;
	bench_print(row, "alloc_", alloc, empty);
	bench_print(row, "free_", free, empty);
	return true;
}

/* What start-up cost: everything usable that was not free any more, all CPUs online, magazines
 * included. */
static bool run_metadata(const struct bench *row)
{
	size_t used = startup.usable_pages - startup.free_pages;

	bench_print_hundredths(row, "percent", percent_hundredths(used, startup.usable_pages));
	return true;
}

static uint64_t round_stack(size_t size)
{
	uint64_t start = arch_instructions();

	for (size_t i = BENCH_BATCH; i > 0; i--) {
		void *stack = slate_stack_alloc((unsigned)size);

		OPAQUE(i);
		slate_stack_free(stack);
	}
	return arch_instructions() - start;
}

/* size: the order */
static bool run_stack(const struct bench *row)
{
	void *stack = slate_stack_alloc((unsigned)row->size);

	if (!stack)
		return false;
	slate_stack_free(stack);
	return bench_pair(row, round_stack);
}

/*
 * Address to span, in line as mm/ has it. The compiler may keep nothing that it loaded from one
 * turn to the next, as if each lookup stood alone.
 */
#define SPAN_ROUND(name, lookup)                                         \
	static uint64_t name(size_t size)                                \
	{                                                                \
		char *object = (slate_alloc)(64 * size);                 \
		uint64_t start = arch_instructions();                    \
                                                                         \
		for (size_t i = BENCH_BATCH; object && i; i--) {         \
			void *found = (void *)lookup(object);            \
                                                                         \
			__asm__ volatile("" : "+r"(found) : : "memory"); \
		}                                                        \
		start = arch_instructions() - start;                     \
		slate_free(object);                                      \
		return object ? start : 0;                               \
	}

#define IN_HEAP(address) (uintptr_t) slate_in_heap(address)

SPAN_ROUND(round_span_of, arena_span_unchecked)
SPAN_ROUND(round_span_of_checked, spanof)
SPAN_ROUND(round_in_heap, IN_HEAP)

static bool run_span_of(const struct bench *row)
{
	return bench_pair(row, round_span_of);
}

static bool run_span_of_checked(const struct bench *row)
{
	return bench_pair(row, round_span_of_checked);
}

static bool run_in_heap(const struct bench *row)
{
	return bench_pair(row, round_in_heap);
}

/*
 * The longest way to one frame: a node of that many GiB, made up, of which one frame at its end is
 * free. The hint points to its start, where two full chunks have changed since the tree was told.
 */
static struct pagealloc far_node;

static void free_and_take(size_t frame)
{
	pagealloc_free(&far_node, (pfn_t){frame}, 1);
	pagealloc_alloc_at(&far_node, (pfn_t){frame}, 1);
}

static uint64_t search_far(size_t pages)
{
	uint64_t start, ticks;
	pfn_t pfn;

	pagealloc_free(&far_node, (pfn_t){pages - 1}, 1);
	free_and_take(3 * 512);
	free_and_take(512);
	start = arch_instructions();
	pfn = pagealloc_alloc(&far_node, 1, NULL);
	ticks = arch_instructions() - start;
	return pfn.v == pages - 1 ? ticks : 0;
}

static bool run_search(const struct bench *row)
{
	const struct slate_page_constraints mapped = {.max = mapped_end(), .node = SLATE_ANY_NODE};
	size_t pages = row->size << (30 - SLATE_PAGE_SHIFT);
	size_t metadata = (pagealloc_region_bytes(pages) + SLATE_PAGE_SIZE - 1) >> SLATE_PAGE_SHIFT;
	pfn_t pfn = slate_page_alloc(metadata, &mapped);
	uint64_t ticks = 0;

	if (pfn_is_none(pfn))
		return false;
	pagealloc_init(&far_node, 0);
	if (pagealloc_add(&far_node, (pfn_t){0}, pages, slate_virt(pfn_to_paddr(pfn))) &&
	    pagealloc_alloc_at(&far_node, (pfn_t){0}, pages))
		ticks = bench_median(search_far, pages);
	slate_page_free(pfn, metadata);
	if (ticks)
		bench_print_hundredths(row, bench_unit(), (size_t)ticks * 100);
	return ticks != 0;
}

const struct bench bench_pages[] = {
	{"page_pair", BENCH_PAGE, 1, run_pair},
	{"page_pair", BENCH_PAGE, 2, run_pair},
	{"page_pair", BENCH_PAGE, 8, run_pair},
	{"page_pair", BENCH_PAGE, 512, run_pair},
	{"page_pair_uncached", BENCH_PAGE, 8, run_uncached},
	{"page_pair_uncached", BENCH_PAGE, 512, run_uncached},
	{"page_batch", BENCH_PAGE, 1, run_batch},
	{"page_search", BENCH_PAGE, 1024, run_search},
	{"stack_pair", BENCH_PAGE, 2, run_stack},
	{"span_of", BENCH_PAGE, 1, run_span_of},
	{"span_of_checked", BENCH_PAGE, 1, run_span_of_checked},
	{"in_heap", BENCH_PAGE, 1, run_in_heap},
	{"metadata", BENCH_PAGE, 0, run_metadata},
	{0},
};
