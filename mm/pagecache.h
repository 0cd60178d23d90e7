/* SPDX-License-Identifier: MIT */
/*
 * pagecache.h (level 4) - a CPU's own frames: what was free of one aligned group of 64, as a
 * bitmap. Frames and short runs come out of it without a lock, and out of one place in memory, so
 * that a CPU pins few huge frames. Idea: Go's page cache.
 *
 *   count = ones of free;  released is a part of free: given back to the machine's owner
 *
 * No function here protects itself: the cache is a value that its holder alone has.
 */
#ifndef MM_PAGECACHE_H
#define MM_PAGECACHE_H

#include "lib/bits.h"
#include "mm/pagealloc.h"

struct pagecache {
	struct page_group group;
};

static inline bool pagecache_is_empty(const struct pagecache *cache)
{
	return cache->group.free == 0;
}

static inline size_t pagecache_count(const struct pagecache *cache)
{
	return bits_popcount64(cache->group.free);
}

/* Fill an empty cache from a node: what is free of one group. Returns how many frames that are. */
size_t pagecache_fill(struct pagecache *cache, struct pagealloc *pa);

/* The lowest frame; SLATE_PFN_NONE when the cache is empty. */
pfn_t pagecache_alloc(struct pagecache *cache);

/* The lowest run of n frames, 1 <= n <= PAGE_GROUP_PAGES; SLATE_PFN_NONE when there is none. */
pfn_t pagecache_alloc_n(struct pagecache *cache, unsigned n);

/* Up to n single frames, lowest first, ascending into out. Returns how many. */
unsigned pagecache_take(struct pagecache *cache, pfn_t *out, unsigned n);

/* All frames go back to their node, released ones as such; the cache is empty. Returns how many
 * were the cache's still: fewer than it held means that somebody else freed them. */
size_t pagecache_flush(struct pagecache *cache, struct pagealloc *pa);

#endif
