/* SPDX-License-Identifier: MIT */
/* pagecache.c (level 4) - frames out of a bitmap of 64. */
#include "mm/pagecache.h"

#include "mm/mmdebug.h"

size_t pagecache_fill(struct pagecache *cache, struct pagealloc *pa)
{
	MM_ASSERT(pagecache_is_empty(cache));
	return pagealloc_alloc_to_cache(pa, &cache->group);
}

/* These are handed out: ordinary frames from now on. */
static void take_mask(struct pagecache *cache, uint64_t mask)
{
	cache->group.free &= ~mask;
	cache->group.released &= ~mask;
}

pfn_t pagecache_alloc(struct pagecache *cache)
{
	uint64_t free = cache->group.free;

	if (free == 0)
		return SLATE_PFN_NONE;
	take_mask(cache, free & (~free + 1));
	return pfn_add(cache->group.base, bits_ctz64(free));
}

/* Ones where a run of n ones begins: each step doubles the length that is known to be there. */
static uint64_t run_starts(uint64_t free, unsigned n)
{
	unsigned known = 1;

	while (free && known < n) {
		unsigned more = known < n - known ? known : n - known;

		free &= free >> more;
		known += more;
	}
	return free;
}

pfn_t pagecache_alloc_n(struct pagecache *cache, unsigned n)
{
	MM_ASSERT(n - 1 < PAGE_GROUP_PAGES);
	uint64_t starts = run_starts(cache->group.free, n);

	if (starts == 0)
		return SLATE_PFN_NONE;

	unsigned bit = bits_ctz64(starts);

	take_mask(cache, ~(uint64_t)0 >> (PAGE_GROUP_PAGES - n) << bit);
	return pfn_add(cache->group.base, bit);
}

unsigned pagecache_take(struct pagecache *cache, pfn_t *out, unsigned n)
{
	uint64_t free = cache->group.free;
	size_t base = cache->group.base.v;
	unsigned got = 0;

	for (; got < n && free; free &= free - 1)
		out[got++] = (pfn_t){base + bits_ctz64(free)};
	take_mask(cache, cache->group.free ^ free);
	return got;
}

size_t pagecache_flush(struct pagecache *cache, struct pagealloc *pa)
{
	size_t given = pagecache_is_empty(cache) ? 0 : pagealloc_free_group(pa, &cache->group);

	*cache = (struct pagecache){.group = {.free = 0}};
	return given;
}
