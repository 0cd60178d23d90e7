/* SPDX-License-Identifier: MIT */
/*
 * pure_page_rows.h - page allocator tests as rows: regions, what is taken before, operations with
 * their results, and the exact free runs after. Each row runs twice: with a validation after each
 * operation, and without.
 */
#ifndef TEST_PURE_PAGE_ROWS_H
#define TEST_PURE_PAGE_ROWS_H

#include "mm/pagealloc.h"
#include "test-host/pure.h"

#define ROW_REGIONS 3
#define ROW_STEPS   10
#define ROW_RUNS    8

/* First frame of a chunk of 512, counted from a base that no region needs to begin at. */
#define ROW_BASE ((size_t)0x40000)
#define C(chunk) (ROW_BASE + 512 * (size_t)(chunk))
#define NONE     SIZE_MAX

struct page_run {
	size_t pfn;
	size_t pages;
};

enum page_operation {
	PAGE_END = 0,
	PAGE_ALLOC,   /* n frames under fit, expect the first one */
	PAGE_AT,      /* n frames at pfn, expect 1 or 0 */
	PAGE_FREE,    /* n frames at pfn, expect how many */
	PAGE_TAKEN,   /* expect 1 or 0 */
	PAGE_HELD,    /* expect 1 or 0 */
	PAGE_LARGEST, /* expect frames */
};

struct page_step {
	enum page_operation operation;
	size_t pfn;
	size_t n;
	size_t expect;
	struct page_fit fit;
};

struct page_row {
	struct page_run regions[ROW_REGIONS]; /* added in this order */
	struct page_run taken[ROW_RUNS];      /* before */
	struct page_step steps[ROW_STEPS];
	struct page_run free[ROW_RUNS]; /* after: all of them, ascending */
};

/* One step: the operation's arguments, then its result. */
#define ALLOC(count, result)                                              \
	{                                                                 \
		.operation = PAGE_ALLOC, .n = (count), .expect = (result) \
	}
#define FIT(count, result, ...)                                                                   \
	{                                                                                         \
		.operation = PAGE_ALLOC, .n = (count), .expect = (result), .fit = { __VA_ARGS__ } \
	}
#define AT(frame, count, result)                                                       \
	{                                                                              \
		.operation = PAGE_AT, .pfn = (frame), .n = (count), .expect = (result) \
	}
#define FREE(frame, count, result)                                                       \
	{                                                                                \
		.operation = PAGE_FREE, .pfn = (frame), .n = (count), .expect = (result) \
	}
#define TAKEN(frame, result)                                                \
	{                                                                   \
		.operation = PAGE_TAKEN, .pfn = (frame), .expect = (result) \
	}
#define HELD(frame, result)                                                \
	{                                                                  \
		.operation = PAGE_HELD, .pfn = (frame), .expect = (result) \
	}
#define LARGEST(result)                                       \
	{                                                     \
		.operation = PAGE_LARGEST, .expect = (result) \
	}

/* A row is a function, so that each is named and counts on its own. */
#define ROW(name, ...)                                            \
	static void name(void)                                    \
	{                                                         \
		static const struct page_row row = {__VA_ARGS__}; \
		page_row_run(&row);                               \
	}

void page_row_run(const struct page_row *row);

/* The allocator of the rows, for tests that do more: empty, or with regions. */
extern struct pagealloc page_row_node;
void page_row_start(void);
bool page_row_add(unsigned slot, size_t pfn, size_t pages);
void page_row_check(const struct page_run *free);

#endif
