/* SPDX-License-Identifier: MIT */
/*
 * pagealloc_release.c (level 3) - idle runs out, and back as released ones.
 *
 * Searches take the lowest frames, so the walk begins at the highest: what it gives back is needed
 * again last. A run ends at its chunk's bounds, for a chunk is a huge page, and the summary of one
 * that has no long enough run spares its bits.
 */
#include "mm/pagealloc_node.h"

/*
 * Chunks, or parts of one, that one lock hold looks at: some hundred instructions each. A chunk
 * whose summary has to be made first costs several times as much.
 */
#define LOOKS        6u
#define SETTLE_LOOKS 4u

/* The last region that begins below that frame. */
static struct page_region *region_below(struct pagealloc *pa, size_t top)
{
	struct page_region *below = NULL;

	for (struct page_region *region = pagealloc_regions(pa); region && region->base < top;
	     region = pagealloc_next(region))
		below = region;
	return below;
}

/*
 * Behind the last frame below end that is idle (flip 0) or not (flip all ones); floor, which is a
 * word's first bit, if there is none at or above it.
 */
static size_t last_before(const struct page_region *region, size_t floor, size_t end,
			  bitword_t flip, bool dirty)
{
	while (end > floor) {
		size_t word = (end - 1) >> BITWORD_SHIFT;
		bitword_t not_idle = region->bitmap[word] | region->released[word];

		if (dirty)
			not_idle |= region->zeroed[word];
		bitword_t idle = ~not_idle ^ flip;

		idle &= bitword_mask(0, ((end - 1) & BITWORD_MASK) + 1);
		if (idle)
			return ((word + 1) << BITWORD_SHIFT) - bitword_clz(idle);
		end = word << BITWORD_SHIFT;
	}
	return floor;
}

/*
 * One look below end, a bit of the region: the highest run in that chunk, if it is long enough.
 * Returns its length and where it begins in *bit; or 0, and *bit is where to look next.
 */
static size_t look(struct page_region *region, size_t end, const struct page_idle *idle,
		   size_t *bit)
{
	size_t chunk = (end - 1) >> PAGE_CHUNK_SHIFT;
	size_t floor = chunk << PAGE_CHUNK_SHIFT;
	size_t min_pages = idle->min_pages ? idle->min_pages : 1;
	size_t start;

	*bit = floor;
	if (region->tree.level[0][chunk].max < min_pages)
		return 0;
	end = last_before(region, floor, end, 0, idle->dirty);
	start = last_before(region, floor, end, ~(bitword_t)0, idle->dirty);
	if (end - start < min_pages) {
		/* is there room for one below? */
		if (start - floor >= min_pages)
			*bit = start;
		return 0;
	}
	*bit = start;
	return end - start;
}

/* How many idle frames may go: all but the reserve, which shall be at hand whatever the machine's
 * owner is short of. */
static size_t spare_locked(struct pagealloc *pa)
{
	size_t idle = pagealloc_left_locked(pa, true) - pagealloc_released_locked(pa);
	size_t keep = atomic_load_explicit(&pa->keep_pages, memory_order_relaxed);

	return idle > keep ? idle - keep : 0;
}

/* One look; spare: at most so many frames. */
static size_t take_locked(struct pagealloc *pa, struct page_idle *idle, size_t spare,
			  unsigned *looks)
{
	struct page_region *region = region_below(pa, idle->top);
	size_t end, bit, n;

	mm_lock_assert_held(&pa->lock);
	if (!region || region->free_pages == region->released_pages) {
		idle->top = region ? region->base : 0;
		return 0;
	}
	if (page_region_settle_one(region)) {
		*looks += SETTLE_LOOKS;
		return 0;
	}
	end = idle->top - region->origin;
	if (end > region->end_bit)
		end = region->end_bit;
	n = look(region, end, idle, &bit);
	if (n > spare) {
		bit += n - spare;
		n = spare;
	}
	if (n > 0) {
		page_region_take(region, bit, n);
		count_sub(&pa->free_pages, n);
	}
	idle->top = region->origin + (bit > region->first_bit ? bit : region->first_bit);
	return n;
}

size_t pagealloc_take_idle(struct pagealloc *pa, struct page_idle *idle, pfn_t *pfn)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	size_t spare = spare_locked(pa);
	size_t n = 0;

	if (idle->max_pages && spare > idle->max_pages)
		spare = idle->max_pages;
	if (spare == 0 || spare < idle->min_pages)
		idle->top = 0;
	for (unsigned looks = 0; looks < LOOKS && idle->top > 0 && n == 0; looks++)
		n = take_locked(pa, idle, spare, &looks);
	mm_lock_release(&pa->lock, irq);
	*pfn = (pfn_t){idle->top};
	return n;
}

bool pagealloc_give_marked(struct pagealloc *pa, pfn_t pfn, size_t n, unsigned marks)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	struct page_region *region = pagealloc_region_of_locked(pa, pfn);
	bool given = n > 0 && region && page_region_holds(region, pfn, n) &&
		     page_region_give(region, page_region_bit(region, pfn), n);

	if (given) {
		size_t bit = page_region_bit(region, pfn);

		count_add(&pa->free_pages, n);
		if (marks & PAGE_MARK_RELEASED) {
			bitmap_set_range(region->released, bit, bit + n);
			region->released_pages += n;
			region->marks += n;
		}
		if (marks & PAGE_MARK_ZERO)
			pagealloc_mark_zero_locked(region, bit, n);
	}
	mm_lock_release(&pa->lock, irq);
	return given;
}

bool pagealloc_give_released(struct pagealloc *pa, pfn_t pfn, size_t n)
{
	return pagealloc_give_marked(pa, pfn, n, PAGE_MARK_RELEASED);
}

size_t pagealloc_released_locked(struct pagealloc *pa)
{
	size_t released = 0;

	mm_lock_assert_held(&pa->lock);
	for (struct page_region *region = pagealloc_regions(pa); region;
	     region = pagealloc_next(region))
		released += region->released_pages;
	if (pa->isolated)
		released += pa->isolated->released_pages;
	return released;
}

size_t pagealloc_released(struct pagealloc *pa)
{
	unsigned long irq = mm_lock_acquire(&pa->lock);
	size_t released = pagealloc_released_locked(pa);

	mm_lock_release(&pa->lock, irq);
	return released;
}
