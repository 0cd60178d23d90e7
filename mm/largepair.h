/* SPDX-License-Identifier: MIT */
/*
 * largepair.h (level 7) - the common half of largecache.c, in line: a large object is taken from
 * this CPU's cache, or left there.
 *
 * The bins are the CPU's own and change with interrupts off; an NMI stays away.
 */
#ifndef MM_LARGEPAIR_H
#define MM_LARGEPAIR_H

#include <slate/port.h>

#include "lib/bits.h"
#include "mm/mspan.h"
#include "mm/percpu.h"

/* Spans of a bin that are looked at for the right length. */
#define LARGECACHE_SEARCH 4u

/* relaxed, all: the figures are this CPU's own; others read them for statistics */
static inline size_t largecache_held(const struct largecache *cache)
{
	return atomic_load_explicit(&cache->held, memory_order_relaxed);
}

static inline void largecache_set_held(struct largecache *cache, size_t held)
{
	atomic_store_explicit(&cache->held, held, memory_order_relaxed);
}

static inline size_t largecache_hot_held(const struct largecache *cache)
{
	return atomic_load_explicit(&cache->hot_held, memory_order_relaxed);
}

static inline void largecache_set_hot_held(struct largecache *cache, size_t held)
{
	atomic_store_explicit(&cache->hot_held, held, memory_order_relaxed);
}

/* The number is LARGECACHE_BINS or more for what is too long to be kept, and that is beyond every
 * limit. pages > 0. */
static inline unsigned largecache_bin(size_t pages)
{
	unsigned log2 = bits_log2((uint64_t)pages);

	return 2 * log2 + (unsigned)(2 * pages >> log2 & 1);
}

/* The place that holds a span which fits, or NULL. */
static inline struct mspan **largecache_find(struct mspan **place, size_t pages, size_t align_bytes)
{
	for (unsigned i = 0; i < LARGECACHE_SEARCH && *place; i++) {
		if ((*place)->pages == pages && is_aligned((*place)->base, align_bytes))
			return place;
		place = &(*place)->cache_next;
	}
	return NULL;
}

/* Is the hot span kept, and of so many frames? pages > 0. */
static inline bool largecache_is_hot(const struct largecache *cache, size_t pages)
{
	return largecache_hot_held(cache) == largecache_weight(pages);
}

/* The hot span, which is kept: in use again. */
static inline struct mspan *largecache_take_hot(struct largecache *cache)
{
	struct mspan *span = cache->hot;

	largecache_set_hot_held(cache, 0);
	mspan_set_state(span, MSPAN_IN_USE);
	return span;
}

/* Keep the hot span, which is claimed. */
static inline void largecache_keep_hot(struct largecache *cache, struct mspan *hot)
{
	largecache_set_hot_held(cache, largecache_weight(hot->pages));
	mspan_set_state(hot, MSPAN_CACHED);
}

/* May so much be held? relaxed: see the limit's declaration */
static inline bool largecache_may_hold(size_t held)
{
	return held <= atomic_load_explicit(&largecache_limit, memory_order_relaxed);
}

/* Out of the bins, or NULL; it is the hot one from now on. */
static inline struct mspan *largecache_take_binned(struct largecache *cache, size_t pages,
						   size_t align_bytes)
{
	if (largecache_hot_held(cache) != 0)
		largecache_cool(cache);

	struct mspan **place =
		largecache_find(&cache->bins[largecache_bin(pages)], pages, align_bytes);

	if (!place)
		return NULL;

	struct mspan *span = *place;
	size_t held = largecache_held(cache) - largecache_weight(pages);

	*place = span->cache_next;
	list_node_init(&span->link);
	largecache_set_held(cache, held);
	if (held < cache->low)
		cache->low = held;
	cache->hot = span;
	mspan_set_state(span, MSPAN_IN_USE);
	return span;
}

/*
 * A span of exactly so many frames, in use again, its base a multiple of align_bytes; NULL when
 * there is none. Its contents are what the last owner left. Any context but NMI.
 */
static inline struct mspan *largecache_take(size_t pages, size_t align_bytes)
{
	struct mspan *span;
	unsigned long irq;

	if (pages >
	    largecache_held_pages(atomic_load_explicit(&largecache_limit, memory_order_relaxed)))
		return NULL;

	struct mcache *mine = percpu_hold(&irq);
	struct largecache *cache = &mine->large;

	if (largecache_is_hot(cache, pages) && is_aligned(cache->hot->base, align_bytes))
		span = largecache_take_hot(cache);
	else
		span = largecache_take_binned(cache, pages, align_bytes);
	percpu_let_go(irq);
	return span;
}

/* Keep a claimed large span if there is room. Any context but NMI. */
static inline bool largecache_keep(struct mspan *span)
{
	unsigned long irq;
	struct mcache *mine = percpu_hold(&irq);
	struct largecache *cache = &mine->large;
	size_t weight = largecache_weight(span->pages);
	size_t held = largecache_held(cache);
	bool room = largecache_may_hold(held + largecache_hot_held(cache) + weight);

	if (room && span == cache->hot) {
		largecache_keep_hot(cache, span);
	} else if (room) {
		struct mspan **bin = &cache->bins[largecache_bin(span->pages)];

		span->cache_next = *bin;
		*bin = span;
		largecache_set_held(cache, held + weight);
		mspan_set_state(span, MSPAN_CACHED);
	}
	percpu_let_go(irq);
	return room;
}

/* The same, and others go home for it; false: it is too long. No lock is held. */
static inline bool largecache_give(struct mspan *span)
{
	return largecache_keep(span) || largecache_make_room(span);
}

#endif
