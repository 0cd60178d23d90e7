/* SPDX-License-Identifier: MIT */
/*
 * largecache.h (level 7) - large objects that this CPU freed, ready to be given out again: their
 * spans stay registered, so that a pair of calls touches neither a lock nor a page allocator.
 *
 * The span that was taken last is the hot one: it comes back to a place of its own, so that a pair
 * of calls on it touches no bin.
 *
 *   held = sum of largecache_weight() of the spans in all bins
 *   hot_held = that of the hot span while it is kept, else 0
 *   held + hot_held <= the limit, unless that just fell
 */
#ifndef MM_LARGECACHE_H
#define MM_LARGECACHE_H

#include <stdatomic.h>

#include <slate/types.h>

struct mspan;

/* Two bins for each power of two of frames. */
#define LARGECACHE_BINS 32u

/* A part of struct mcache. */
struct largecache {
	_Atomic size_t held;     /* (p) written by this CPU; (a) relaxed: others read it */
	_Atomic size_t hot_held; /* (p), (a) likewise */
	struct mspan *hot;       /* (p) taken last, and perhaps long gone while hot_held is 0 */
	size_t low;              /* (p) least of held since the last turn of slate_poll() */
	uint8_t hand;            /* (p) the bin that makes room next */
	uint8_t turn;            /* (p) calls of largecache_poll(), modulo its period */
	struct mspan
		*bins[LARGECACHE_BINS]; /* (p) by length, newest first: chained by cache_next */
};

/* What a span adds to held: its frames, and one to the number of spans below. */
#define LARGECACHE_PAGE_SHIFT 12u

static inline size_t largecache_weight(size_t pages)
{
	return (pages << LARGECACHE_PAGE_SHIFT) + 1;
}

static inline size_t largecache_held_pages(size_t held)
{
	return held >> LARGECACHE_PAGE_SHIFT;
}

static inline size_t largecache_held_spans(size_t held)
{
	return held & (((size_t)1 << LARGECACHE_PAGE_SHIFT) - 1);
}

/* The most that held may be on each CPU, in the same measure. (a) relaxed: a cache that learns of a
 * lower one late trims itself at the next give or poll. 0 before slate_init(). */
extern _Atomic size_t largecache_limit;

/* The hot span, which is kept, goes to the bins, where it ages as others do. Interrupts off. */
void largecache_cool(struct largecache *cache);

/* The slow half of largecache_give(): others go home until there is room, then it is kept; or
 * false, it is too long. */
bool largecache_make_room(struct mspan *span);

/* What a cache holds, the hot span included. Relaxed: of other CPUs a moment's answer. */
static inline size_t largecache_total(const struct largecache *cache)
{
	return atomic_load_explicit(&cache->held, memory_order_relaxed) +
	       atomic_load_explicit(&cache->hot_held, memory_order_relaxed);
}

/* Its CPU stopped for good, perhaps between two stores: make held what the bins hold. */
void largecache_recount(struct largecache *cache);

/* Everything in this CPU's cache goes home. No lock is held. */
void largecache_drain(void);

/* The same in two halves: some of this CPU's spans, chained by cache_next, NULL when there are none
 * left; and they go home, from any CPU, with interrupts as the caller has them. */
struct mspan *largecache_take_out(void);
void largecache_send_home(struct mspan *chain);

/* A tick: every so often half of what was not needed since the last time goes home. */
void largecache_poll(void);

/* Memory came or went, or a CPU did: work out the limit. */
void largecache_resize(void);

/* Keep nothing in between: memory is being removed. */
void largecache_pause(void);
void largecache_resume(void);

/* What all CPUs hold together. */
size_t largecache_sum(void);

#endif
