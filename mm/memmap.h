/* SPDX-License-Identifier: MIT */
/*
 * memmap.h (level 1) - what the steps of building a memory map share; the story is told in
 * memmap.c.
 */
#ifndef MM_MEMMAP_H
#define MM_MEMMAP_H

#include <slate/memmap.h>

/* What one build carries around. */
struct memmap_build {
	struct slate_memmap *map;
	slate_lint_fn *lint;
	void *lint_arg;
};

/* Tell the caller's linter, if there is one; other may be NULL. */
void memmap_tell(struct memmap_build *build, enum slate_lint_kind kind,
		 const struct slate_range *range, const struct slate_range *other, uint64_t base,
		 uint64_t size_bytes);

/* Step 2, in memmap_lint.c: entries are normalised and sorted; duplicates are dropped. */
void memmap_lint(struct memmap_build *build);

/* Step 4, in memmap_sweep.c: entries are rounded and sorted, nodes prepared. */
void memmap_sweep(struct memmap_build *build);

/* Index of the smallest usable range, or count. */
size_t memmap_smallest_usable(const struct slate_range *ranges, size_t count);

/* By content: two files' literals are not one pointer. NULL equals NULL only. */
bool memmap_same_name(const struct slate_range *a, const struct slate_range *b);

static inline uint64_t memmap_end(const struct slate_range *range)
{
	return range->base + range->size_bytes;
}

static inline uint64_t memmap_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t memmap_page_down(uint64_t address)
{
	return address & ~(uint64_t)SLATE_PAGE_MASK;
}

static inline uint64_t memmap_page_up(uint64_t address)
{
	return memmap_page_down(address + SLATE_PAGE_MASK);
}

#endif
