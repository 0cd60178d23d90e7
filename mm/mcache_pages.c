/* SPDX-License-Identifier: MIT */
/*
 * mcache_pages.c (level 7) - the page cache of a CPU between its magazines and the nodes.
 *
 * The first refill takes all that is free of one group of 64 frames, in one lock hold; the next
 * ones take what is left of it, without any. Where groups are poor, the rest of a refill comes by
 * the batch.
 */
#include "mm/mcache_pages.h"

#include <slate/port.h>

#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/percpu.h"

/* Most that one refill of a magazine asks for. */
#define TAKE_MAX PAGE_GROUP_PAGES

/* ---- Detach, attach ---- */

static uint64_t load_mask(const _Atomic uint32_t *halves)
{
	/* relaxed, everywhere here: this CPU's own, or another's as of a moment */
	uint64_t low = atomic_load_explicit(&halves[0], memory_order_relaxed);
	uint64_t high = atomic_load_explicit(&halves[1], memory_order_relaxed);

	return low | high << 32;
}

static void store_mask(_Atomic uint32_t *halves, uint64_t mask)
{
	atomic_store_explicit(&halves[0], (uint32_t)mask, memory_order_relaxed);
	atomic_store_explicit(&halves[1], (uint32_t)(mask >> 32), memory_order_relaxed);
}

struct pagecache mcache_pages_detach(void)
{
	unsigned long irq = port_irq_save();
	struct mcache_pages *pages = &percpu_cache()->pages;
	struct pagecache cache = {
		.group = {.base = {atomic_load_explicit(&pages->base, memory_order_relaxed)},
			  .free = load_mask(pages->free),
			  .released = load_mask(pages->released)}};

	store_mask(pages->free, 0);
	port_irq_restore(irq);
	return cache;
}

/* False: another one came first. */
static bool attach(const struct pagecache *cache)
{
	unsigned long irq = port_irq_save();
	struct mcache_pages *pages = &percpu_cache()->pages;
	bool empty = load_mask(pages->free) == 0;

	if (empty) {
		atomic_store_explicit(&pages->base, cache->group.base.v, memory_order_relaxed);
		store_mask(pages->released, cache->group.released);
		store_mask(pages->free, cache->group.free);
	}
	port_irq_restore(irq);
	return empty;
}

static void put_back(struct pagecache *cache)
{
	if (!pagecache_is_empty(cache) && !attach(cache))
		mheap_flush_pages(cache, "slate_page_free");
}

/* ---- Take ---- */

unsigned mcache_pages_take(void **slots, unsigned n)
{
	struct pagecache cache = mcache_pages_detach();
	pfn_t pfns[TAKE_MAX];
	unsigned got;

	if (n > TAKE_MAX)
		n = TAKE_MAX;
	got = pagecache_take(&cache, pfns, n);
	if (got < n && mheap_fill_pages(&cache) > 0)
		got += pagecache_take(&cache, pfns + got, n - got);
	/* A take pops from the top: the lowest frame goes there. */
	for (unsigned i = 0; i < got; i++)
		slots[i] = frame_to_slot(pfns[got - 1 - i]);
	put_back(&cache);
	if (got < n)
		got += mheap_take_frames(slots + got, n - got);
	return got;
}

pfn_t mcache_pages_take_run(unsigned pages)
{
	struct pagecache cache = mcache_pages_detach();
	pfn_t pfn = SLATE_PFN_NONE;

	if (!pagecache_is_empty(&cache) || mheap_fill_pages(&cache) > 0)
		pfn = pagecache_alloc_n(&cache, pages);
	put_back(&cache);
	return pfn;
}

bool mcache_pages_flush(const char *call)
{
	struct pagecache cache = mcache_pages_detach();

	if (pagecache_is_empty(&cache))
		return false;
	mheap_flush_pages(&cache, call);
	return true;
}

void mcache_pages_send_home(struct pagecache *cache, const char *call)
{
	if (!pagecache_is_empty(cache))
		mheap_flush_pages(cache, call);
}

/* ---- From elsewhere ---- */

size_t mcache_pages_count(const struct mcache *cache)
{
	return bits_popcount64(load_mask(cache->pages.free));
}

bool mcache_pages_hold(const struct mcache *cache, pfn_t pfn)
{
	size_t at = pfn.v - atomic_load_explicit(&cache->pages.base, memory_order_relaxed);

	return at < PAGE_GROUP_PAGES && (load_mask(cache->pages.free) >> at & 1);
}
