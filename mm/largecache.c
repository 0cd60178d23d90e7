/* SPDX-License-Identifier: MIT */
/*
 * largecache.c (level 7) - large objects that this CPU freed: how much is kept, and what goes home.
 *
 * The span's state tells where it is: in use, claimed by who frees it, cached. Freeing claims it by
 * the one atomic of a pair, so a second free is found at once, wherever the span has gone. What
 * goes home is taken out a few at a time and freed with interrupts as the caller had them.
 *
 * All CPUs together keep at most 1/2^SLATE_LARGE_CACHE_SHIFT of the memory.
 */
#include "mm/largecache.h"

#include "mm/largepair.h"
#include "mm/mheap.h"

/* Spans that one stretch with interrupts off takes out: up to 250 instructions each, where few bins
 * are in use. */
#define EVICT_MAX 5u

/* Calls of slate_poll() between two looks, as many as the magazines of a class have; and spans
 * that one look sends home at most, for a tick's time is short. */
#define POLL_PERIOD 32u
#define POLL_MAX    4u

#define LIMIT_PAGES ((size_t)SLATE_LARGE_CACHE_BYTES >> SLATE_PAGE_SHIFT)
_Static_assert(LIMIT_PAGES < (size_t)1 << LARGECACHE_PAGE_SHIFT,
	       "no more spans than can be counted");
_Static_assert(LIMIT_PAGES >> (LARGECACHE_BINS / 2) == 0, "every length that is kept has a bin");

_Atomic size_t largecache_limit;

static _Atomic size_t pauses; /* (a) relaxed: while above 0 the limit is 0 */

static size_t read(const _Atomic size_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

/* A CPU that stops for good in between loses the span, and does not have it twice. */
void largecache_cool(struct largecache *cache)
{
	struct mspan **bin = &cache->bins[largecache_bin(cache->hot->pages)];
	size_t held = largecache_total(cache);

	largecache_set_hot_held(cache, 0);
	cache->hot->cache_next = *bin;
	*bin = cache->hot;
	largecache_set_held(cache, held);
}

/* ---- What goes home ---- */

static struct mspan *evict_one(struct largecache *cache)
{
	while (!cache->bins[cache->hand])
		cache->hand = (uint8_t)((cache->hand + 1) % LARGECACHE_BINS);

	struct mspan *span = cache->bins[cache->hand];

	/* of its length any is as good; of the lengths each in turn */
	cache->bins[cache->hand] = span->cache_next;
	cache->hand = (uint8_t)((cache->hand + 1) % LARGECACHE_BINS);
	largecache_set_held(cache, largecache_held(cache) - largecache_weight(span->pages));
	mspan_set_state(span, MSPAN_CLAIMED);
	return span;
}

/* Take out spans until no more than keep is held, n of them at most; chained. */
static struct mspan *evict(struct largecache *cache, size_t keep, unsigned n)
{
	struct mspan *chain = NULL;

	if (largecache_hot_held(cache) != 0)
		largecache_cool(cache);
	for (; n > 0 && largecache_held(cache) > keep; n--) {
		struct mspan *span = evict_one(cache);

		span->cache_next = chain;
		chain = span;
	}
	return chain;
}

void largecache_send_home(struct mspan *chain)
{
	while (chain) {
		struct mspan *span = chain;

		chain = span->cache_next;
		list_node_init(&span->link);
		mheap_free_span(span);
	}
}

bool largecache_make_room(struct mspan *span)
{
	size_t weight = largecache_weight(span->pages);

	do {
		size_t limit = read(&largecache_limit);
		unsigned long irq;

		if (weight > limit)
			return false;

		struct mcache *mine = percpu_hold(&irq);
		struct largecache *cache = &mine->large;
		struct mspan *evicted = evict(cache, limit - weight, EVICT_MAX);

		percpu_let_go(irq);
		largecache_send_home(evicted);
	} while (!largecache_keep(span));
	return true;
}

void largecache_recount(struct largecache *cache)
{
	size_t held = 0;

	for (unsigned bin = 0; bin < LARGECACHE_BINS; bin++) {
		for (struct mspan *span = cache->bins[bin]; span; span = span->cache_next)
			held += largecache_weight(span->pages);
	}
	largecache_set_held(cache, held);
}

struct mspan *largecache_take_out(void)
{
	unsigned long irq;
	struct mcache *mine = percpu_hold(&irq);
	struct mspan *evicted = evict(&mine->large, 0, EVICT_MAX);

	percpu_let_go(irq);
	return evicted;
}

void largecache_drain(void)
{
	for (struct mspan *evicted; (evicted = largecache_take_out()) != NULL;)
		largecache_send_home(evicted);
}

void largecache_poll(void)
{
	unsigned long irq;
	struct mcache *mine = percpu_hold(&irq);
	struct largecache *cache = &mine->large;
	size_t limit = read(&largecache_limit);
	struct mspan *evicted = NULL;

	if (++cache->turn % POLL_PERIOD == 0 || largecache_total(cache) > limit) {
		if (largecache_hot_held(cache) != 0)
			largecache_cool(cache);

		size_t held = largecache_held(cache);
		size_t idle = cache->low < held ? cache->low : held;
		size_t keep = held - (idle + 1) / 2;

		evicted = evict(cache, keep < limit ? keep : limit, POLL_MAX);
		cache->low = largecache_held(cache);
	}
	percpu_let_go(irq);
	largecache_send_home(evicted);
}

/* ---- The limit ---- */

/* The bootstrap cache counts as one. */
static unsigned online_cpus(void)
{
	unsigned online = 0;

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire: pairs with the release in mcache_online() */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		online += cache && atomic_load_explicit(&cache->online, memory_order_relaxed);
	}
	return online ? online : 1;
}

void largecache_resize(void)
{
	size_t pages = 0;

	for (unsigned node = 0; node < mheap_node_count(); node++)
		pages += read(&mheaps[node].pages.total_pages);
	pages = (pages >> SLATE_LARGE_CACHE_SHIFT) / online_cpus();
	if (pages > LIMIT_PAGES)
		pages = LIMIT_PAGES;
	if (read(&pauses) > 0)
		pages = 0;
	/* all spans that so many frames can be */
	atomic_store_explicit(&largecache_limit, (pages << LARGECACHE_PAGE_SHIFT) + pages,
			      memory_order_relaxed);
}

void largecache_pause(void)
{
	atomic_fetch_add_explicit(&pauses, 1, memory_order_relaxed);
	largecache_resize();
}

void largecache_resume(void)
{
	atomic_fetch_sub_explicit(&pauses, 1, memory_order_relaxed);
	largecache_resize();
}

size_t largecache_sum(void)
{
	size_t held = mcache_any_online ? 0 : largecache_total(&mcache_boot.large);

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire: pairs with the release in mcache_online() */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		if (cache)
			held += largecache_total(&cache->large);
	}
	return held;
}
