/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_check.c (level 3) - walks over all frames of a node: regions, free runs, and the proof
 * that bitmap, tree, hints and counts tell the same.
 *
 *   frames of a region = zeros of its bitmap (free_pages) + ones inside its bounds
 *   a released frame is a free one; released_pages = ones of that bitmap; likewise known zeroes
 *   free_pages of the node = sum over its regions
 */
#include "mm/mmdebug.h"
#include "mm/page_search.h"
#include "mm/pagealloc_node.h"

/* ---- Walks ---- */

void pagealloc_for_each_region(struct pagealloc *pa, void (*fn)(pfn_t pfn, size_t pages, void *arg),
			       void *arg)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);

	for (struct page_region *region = pagealloc_regions(pa); region;
	     region = pagealloc_next(region))
		fn((pfn_t){region->base}, region->pages, arg);
	mm_lock_release(&pa->lock, irq);
}

void pagealloc_for_each_free(struct pagealloc *pa, void (*fn)(pfn_t pfn, size_t pages, void *arg),
			     void *arg)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);

	for (struct page_region *region = pagealloc_regions(pa); region;
	     region = pagealloc_next(region)) {
		size_t end = region->end_bit;
		size_t bit = bitmap_next_zero(region->bitmap, region->first_bit, end);

		while (bit < end) {
			size_t stop = bitmap_next_set(region->bitmap, bit, end);

			fn(page_region_pfn(region, bit), stop - bit, arg);
			bit = bitmap_next_zero(region->bitmap, stop, end);
		}
	}
	mm_lock_release(&pa->lock, irq);
}

/* Add the region's part of [start, end). */
static void count_region(const struct page_region *region, size_t start, size_t end,
			 struct pagealloc_count *count)
{
	if (start < region->base)
		start = region->base;
	if (end > region->base + region->pages)
		end = region->base + region->pages;
	if (start >= end)
		return;
	count->pages += end - start;
	start -= region->origin;
	end -= region->origin;
	if (bitmap_all_zero(region->bitmap, start, end))
		count->free += end - start;
	else
		count->free += end - start - bitmap_count_set(region->bitmap, start, end);
	if (region->released_pages)
		count->released += bitmap_count_set(region->released, start, end);
}

struct pagealloc_count pagealloc_count(struct pagealloc *pa, pfn_t pfn, size_t pages)
{
	struct pagealloc_count count = {.pages = 0};
	unsigned long irq;

	MM_ASSERT(pages <= PAGE_CHUNK_PAGES);
	irq = mm_lock_acquire(&pa->lock);
	for (struct page_region *region = pagealloc_regions(pa);
	     region && region->base < pfn.v + pages; region = pagealloc_next(region))
		count_region(region, pfn.v, pfn.v + pages, &count);
	if (pa->isolated)
		count_region(pa->isolated, pfn.v, pfn.v + pages, &count);
	mm_lock_release(&pa->lock, irq);
	return count;
}

/* The region, isolated or not, that pfn lies in. */
static const struct page_region *region_at_locked(struct pagealloc *pa, pfn_t pfn)
{
	struct page_region *region = pagealloc_regions(pa);

	mm_lock_assert_held(&pa->lock);
	while (region && page_region_bit(region, pfn) == PAGE_BIT_NONE)
		region = pagealloc_next(region);
	if (!region && pa->isolated && page_region_bit(pa->isolated, pfn) != PAGE_BIT_NONE)
		region = pa->isolated;
	return region;
}

/* Where the run of equal bits that begins at bit ends. */
static size_t equal_until(const bitword_t *map, size_t bit, size_t end)
{
	return bitmap_test(map, bit) ? bitmap_next_zero(map, bit, end)
				     : bitmap_next_set(map, bit, end);
}

struct pagealloc_run pagealloc_run_at(struct pagealloc *pa, pfn_t pfn, size_t pages)
{
	struct pagealloc_run run = {.pages = 0};
	unsigned long irq;

	MM_ASSERT(pages > 0 && pages <= PAGE_CHUNK_PAGES);
	irq = mm_lock_acquire(&pa->lock);
	const struct page_region *region = region_at_locked(pa, pfn);

	if (region) {
		size_t bit = page_region_bit(region, pfn);
		size_t left = region->end_bit - bit;
		size_t end = bit + (left < pages ? left : pages);

		run.free = !bitmap_test(region->bitmap, bit);
		end = equal_until(region->bitmap, bit, end);
		if (run.free && region->released_pages) {
			run.released = bitmap_test(region->released, bit);
			end = equal_until(region->released, bit, end);
		}
		run.pages = end - bit;
	}
	mm_lock_release(&pa->lock, irq);
	return run;
}

/* ---- Proof ---- */

static const char *check_bounds(const struct page_region *region, pfn_t *where)
{
	size_t bits = region->tree.nodes[0] << PAGE_CHUNK_SHIFT;

	*where = (pfn_t){region->base};
	if (region->first_bit > PAGE_CHUNK_MASK || region->end_bit <= region->first_bit)
		return "page region: bounds";
	if (region->end_bit > bits || bits - region->end_bit > PAGE_CHUNK_MASK)
		return "page region: number of chunks";
	if (region->first_free > region->end_bit || region->run_from > region->end_bit)
		return "page region: hint outside";
	if (!bitmap_all_set(region->bitmap, 0, region->first_bit) ||
	    !bitmap_all_set(region->bitmap, region->end_bit, bits))
		return "page region: a bit outside its bounds is free";
	if (region->free_pages != bits - bitmap_count_set(region->bitmap, 0, bits))
		return "page region: free frames are not the zeros of its bitmap";
	return NULL;
}

static const char *check_released(const struct page_region *region, pfn_t *where)
{
	size_t bits = region->tree.nodes[0] << PAGE_CHUNK_SHIFT;

	for (size_t i = 0; i < bits >> BITWORD_SHIFT; i++) {
		*where = page_region_pfn(region, i << BITWORD_SHIFT);
		if (region->released[i] & region->bitmap[i])
			return "page region: a released frame is allocated";
		if (region->zeroed[i] & region->bitmap[i])
			return "page region: a frame that is kept zero is allocated";
	}
	*where = (pfn_t){region->base};
	if (region->released_pages != bitmap_count_set(region->released, 0, bits))
		return "page region: released frames are not the ones of their bitmap";
	if (region->zero_pages != bitmap_count_set(region->zeroed, 0, bits) ||
	    region->marks != region->zero_pages + region->released_pages)
		return "page region: known zeroes are not the ones of their bitmap";
	return NULL;
}

static const char *check_leaves(const struct page_region *region, pfn_t *where)
{
	const struct page_tree *tree = &region->tree;

	for (size_t chunk = 0; chunk < tree->nodes[0]; chunk++) {
		struct page_summary sum = tree->level[0][chunk];
		bool some = page_tree_next_some(tree, chunk) == chunk;

		*where = page_region_pfn(region, chunk << PAGE_CHUNK_SHIFT);
		if (page_summary_chunk(&sum, region->bitmap + chunk * PAGE_CHUNK_WORDS))
			return "page region: summary of a chunk differs from its bitmap";
		if (some != (sum.max > 0))
			return "page region: list of chunks with free frames is wrong";
	}
	return NULL;
}

static const char *check_level(const struct page_region *region, unsigned level, pfn_t *where)
{
	const struct page_tree *tree = &region->tree;
	const struct page_summary *below = tree->level[level - 1];
	uint32_t span = (uint32_t)1 << page_level_shift(level - 1);

	for (size_t node = 0; node < tree->nodes[level]; node++) {
		struct page_summary sum = tree->level[level][node];

		*where = page_region_pfn(region, node << page_level_shift(level));
		if (page_summary_merge(&sum, &below[node << SUMMARY_FAN_SHIFT], span))
			return "page region: summary differs from those below it";
	}
	return NULL;
}

/* No free frame below first_free, no run of run_pages that begins below run_from. */
static const char *check_hints(const struct page_region *region, pfn_t *where)
{
	size_t end = region->end_bit;
	size_t bit = bitmap_next_zero(region->bitmap, 0, end);

	*where = page_region_pfn(region, bit);
	if (bit < region->first_free)
		return "page region: a free frame below the hint";
	while (bit < region->run_from && bit < end) {
		size_t stop = bitmap_next_set(region->bitmap, bit, end);

		*where = page_region_pfn(region, bit);
		if (stop - bit >= region->run_pages)
			return "page region: a free run below the hint";
		bit = bitmap_next_zero(region->bitmap, stop, end);
	}
	return NULL;
}

/* The run that may come back unseen: all of it is allocated. */
static const char *check_last_run(const struct page_region *region, pfn_t *where)
{
	size_t bit = region->run_callers;
	size_t n = region->run_pages;

	if (bit == PAGE_BIT_NONE || !page_region_is_last_run(region, bit, n))
		return NULL;
	*where = page_region_pfn(region, bit);
	return bitmap_all_set(region->bitmap, bit, bit + n)
		       ? NULL
		       : "page region: a frame of the run that set the hint is free";
}

const char *page_region_check(struct page_region *region, pfn_t *where)
{
	const char *wrong = check_bounds(region, where);

	if (!wrong)
		wrong = check_released(region, where);
	if (wrong)
		return wrong;
	page_region_settle(region);
	wrong = check_leaves(region, where);
	for (unsigned level = 1; !wrong && level < region->tree.levels; level++)
		wrong = check_level(region, level, where);
	if (!wrong)
		wrong = check_hints(region, where);
	return wrong ? wrong : check_last_run(region, where);
}

/* What the regions of a node sum up to. */
struct node_sum {
	size_t count;
	size_t total;
	size_t free;
	size_t end; /* of the last one */
};

static const char *add_region(struct page_region *region, struct node_sum *sum, pfn_t *where)
{
	const char *wrong = page_region_check(region, where);

	if (wrong)
		return wrong;
	*where = (pfn_t){region->base};
	if (where->v < sum->end)
		return "page allocator: regions overlap or are out of order";
	sum->end = region->base + region->pages;
	sum->count++;
	sum->total += region->pages;
	sum->free += region->free_pages;
	return NULL;
}

static const char *check_node_locked(struct pagealloc *pa, pfn_t *where)
{
	struct node_sum sum = {0};
	const char *wrong = NULL;

	mm_lock_assert_held(&pa->lock);
	for (struct page_region *region = pagealloc_regions(pa); region && !wrong;
	     region = pagealloc_next(region))
		wrong = add_region(region, &sum, where);
	sum.end = 0;
	if (pa->isolated && !wrong)
		wrong = add_region(pa->isolated, &sum, where);
	if (wrong)
		return wrong;
	for (struct page_region *region = pagealloc_regions(pa); pa->start && region != pa->start;
	     region = pagealloc_next(region)) {
		*where = SLATE_PFN_NONE;
		if (!region)
			return "page allocator: the hint's region serves no requests";
		*where = (pfn_t){region->base};
		if (page_tree_largest(&region->tree) >= pa->start_pages)
			return "page allocator: a free run below the hint's region";
	}
	*where = SLATE_PFN_NONE;
	if (sum.count != pa->region_count)
		return "page allocator: number of regions";
	/* relaxed: written under the lock */
	if (sum.total != atomic_load_explicit(&pa->total_pages, memory_order_relaxed))
		return "page allocator: frames are not the sum of its regions'";
	if (sum.free != atomic_load_explicit(&pa->free_pages, memory_order_relaxed))
		return "page allocator: free frames are not the sum of its regions'";
	return NULL;
}

const char *pagealloc_validate(struct pagealloc *pa, pfn_t *where)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	const char *wrong = check_node_locked(pa, where);

	mm_lock_release(&pa->lock, irq);
	return wrong;
}
