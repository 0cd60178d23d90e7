/* SPDX-License-Identifier: MIT */
/*
 * percpu.h (level 7) - the four things that may be done to a magazine's top in this CPU's mcache.
 * Each is one indivisible step towards everything else that runs on the CPU: interrupt handlers,
 * and tasks after a migration. SLATE_PROTECT chooses how; the code above does not know.
 */
#ifndef MM_PERCPU_H
#define MM_PERCPU_H

#include <slate/port.h>

#include "mm/lockrank.h"
#include "mm/magazine.h"
#include "mm/mcache.h"

#if SLATE_PROTECT == SLATE_PROTECT_RSEQ

#include "mm/rseq.h"

/* This CPU's mcache. Interrupts off, or it may be another's by now. */
static inline struct mcache *percpu_cache(void)
{
	return (struct mcache *)((char *)slate_rseq_word() - offsetof(struct mcache, give));
}

static inline void percpu_set_cache(struct mcache *cache)
{
	cache->size_index = slate_rseq_size_index;
	slate_rseq_set_word(cache->give);
}

/* Pop from this CPU's take magazine; NULL when it is empty. */
static inline void *percpu_take(size_t class)
{
	return slate_rseq_take(MCACHE_TAKE + class);
}

/* Push onto this CPU's give magazine; false when it is full. */
static inline bool percpu_give(size_t class, void *object)
{
	return slate_rseq_give(MCACHE_GIVE + class, object);
}

/* Put the dummy in the magazine's place and return what was there: from now on it is the caller's
 * alone. */
static inline magtop_t percpu_detach(enum mcache_side side, unsigned class)
{
	return slate_rseq_detach(side + class);
}

/* Install a magazine where the dummy is; false when another one came first. */
static inline bool percpu_attach(enum mcache_side side, unsigned class, magtop_t top)
{
	return slate_rseq_attach(side + class, top);
}

/*
 * The take magazine is empty: let take and give change places if give holds enough
 * (mcache_exchange_offset), and pop one object; else NULL. Neither exchange touches a magazine with
 * a plant, nor makes one the take magazine that is to get one (plant.h).
 */
static inline void *percpu_exchange(unsigned class)
{
	return slate_rseq_exchange(0, MCACHE_TAKE + class);
}

/*
 * The give magazine is full: let take and give change places if take is at most half full
 * (mcache_half_offset), and give the object; else false.
 */
static inline bool percpu_exchange_full(unsigned class, void *object)
{
	return slate_rseq_exchange_full(object, MCACHE_GIVE + class);
}

/* A take magazine comes: false when a sample falls into it (plant.h), else it is counted. */
static inline bool percpu_count_quiet(unsigned class)
{
	return slate_rseq_quiet(class);
}

/* Chain value onto this CPU's deferred frees; the former first goes to *link. */
static inline void percpu_chain(void *link, void *value, enum mcache_deferred chain)
{
	slate_rseq_chain(link, value, chain);
}

/* Take the whole chain; the dummy: there is none. */
static inline magtop_t percpu_detach_chain(enum mcache_deferred chain)
{
	return slate_rseq_detach(chain);
}

#else /* plain loads and stores, between two calls that keep everything else off this CPU */

#if SLATE_PROTECT == SLATE_PROTECT_THREAD

/* The mcache of the CPU that this thread is. Stored by the thread itself. */
extern _Thread_local struct mcache *percpu_thread_cache;

static inline struct mcache *percpu_cache(void)
{
	return percpu_thread_cache;
}

static inline void percpu_set_cache(struct mcache *cache)
{
	percpu_thread_cache = cache;
}

/* A thread is never interrupted by another one of its CPU: there is none. */
static inline unsigned long percpu_begin(void)
{
	return 0;
}

static inline void percpu_end(unsigned long state)
{
	(void)state;
}

#else

/* What the fast paths call: the kernel's hooks, or their bodies in line (port.h). */
#ifndef SLATE_PORT_INLINE
static inline unsigned long port_irq_save_inline(void)
{
	return port_irq_save();
}

static inline void port_irq_restore_inline(unsigned long state)
{
	port_irq_restore(state);
}

static inline unsigned long port_cpu_inline(void)
{
	return port_cpu();
}
#endif

static inline struct mcache *percpu_cache(void)
{
	if (__builtin_expect(!mcache_any_online, 0))
		return &mcache_boot;
	/* relaxed: the entry is this CPU's own, stored by itself */
	return atomic_load_explicit(&mcaches[port_cpu_inline()], memory_order_relaxed);
}

/* The number is enough to find it. */
static inline void percpu_set_cache(struct mcache *cache)
{
	(void)cache;
}

static inline unsigned long percpu_begin(void)
{
	return port_irq_save_inline();
}

static inline void percpu_end(unsigned long state)
{
	port_irq_restore_inline(state);
}

#endif

static inline void *percpu_take(size_t class)
{
	unsigned long irq = percpu_begin();
	struct mcache *cache = percpu_cache();
	magtop_t top = mcache_top(&cache->take[class]);
	void *object = *top;

	if (object)
		mcache_set_top(&cache->take[class], top - 1);
	percpu_end(irq);
	return object;
}

static inline bool percpu_give(size_t class, void *object)
{
	unsigned long irq = percpu_begin();
	struct mcache *cache = percpu_cache();
	magtop_t top = mcache_top(&cache->give[class]);
	bool room = !magazine_is_full(top);

	if (room) {
		top[1] = object;
		mcache_set_top(&cache->give[class], top + 1);
	}
	percpu_end(irq);
	return room;
}

static inline magtop_t percpu_detach(enum mcache_side side, unsigned class)
{
	unsigned long irq = percpu_begin();
	_Atomic(magtop_t) *place = mcache_place(percpu_cache(), side, class);
	magtop_t top = mcache_top(place);

	mcache_set_top(place, MAGAZINE_DUMMY);
	percpu_end(irq);
	return top;
}

static inline bool percpu_attach(enum mcache_side side, unsigned class, magtop_t top)
{
	unsigned long irq = percpu_begin();
	_Atomic(magtop_t) *place = mcache_place(percpu_cache(), side, class);
	bool vacant = mcache_top(place) == MAGAZINE_DUMMY;

	if (vacant)
		mcache_set_top(place, top);
	percpu_end(irq);
	return vacant;
}

static inline int32_t percpu_quiet(struct mcache *cache, unsigned class)
{
	return SLATE_PROFILE ? atomic_load_explicit(&cache->quiet[class], memory_order_relaxed) : 1;
}

/* No sample falls into the next take magazine, and none is planted in this one. */
static inline bool percpu_is_quiet(struct mcache *cache, unsigned class, magtop_t take)
{
	return !magazine_has_plant(take) && percpu_quiet(cache, class) > 0;
}

static inline void percpu_less_quiet(struct mcache *cache, unsigned class)
{
	if (SLATE_PROFILE)
		atomic_store_explicit(&cache->quiet[class], percpu_quiet(cache, class) - 1,
				      memory_order_relaxed);
}

static inline bool percpu_count_quiet(unsigned class)
{
	unsigned long irq = percpu_begin();
	struct mcache *cache = percpu_cache();
	bool quiet = percpu_quiet(cache, class) > 0;

	if (quiet)
		percpu_less_quiet(cache, class);
	percpu_end(irq);
	return quiet;
}

static inline void *percpu_exchange(unsigned class)
{
	unsigned long irq = percpu_begin();
	struct mcache *cache = percpu_cache();
	magtop_t take = mcache_top(&cache->take[class]);
	magtop_t give = mcache_top(&cache->give[class]);
	void *object = NULL;

	if (((uintptr_t)take & MAGAZINE_TOP_MASK) == mcache_empty_offset[class] && *give &&
	    percpu_quiet(cache, class) > 0 &&
	    ((uintptr_t)give & MAGAZINE_TOP_MASK) >= mcache_exchange_offset[class]) {
		object = *give;
		percpu_less_quiet(cache, class);
		mcache_set_top(&cache->take[class], give - 1);
		mcache_set_top(&cache->give[class], take);
	}
	percpu_end(irq);
	return object;
}

static inline bool percpu_exchange_full(unsigned class, void *object)
{
	unsigned long irq = percpu_begin();
	struct mcache *cache = percpu_cache();
	magtop_t take = mcache_top(&cache->take[class]);
	magtop_t give = mcache_top(&cache->give[class]);
	bool exchange = give != MAGAZINE_DUMMY && magazine_is_full(give) &&
			((uintptr_t)take & MAGAZINE_TOP_MASK) <= mcache_half_offset[class] &&
			percpu_is_quiet(cache, class, take);

	if (exchange) {
		percpu_less_quiet(cache, class);
		take[1] = object;
		mcache_set_top(&cache->take[class], give);
		mcache_set_top(&cache->give[class], take + 1);
	}
	percpu_end(irq);
	return exchange;
}

static inline void percpu_chain(void *link, void *value, enum mcache_deferred chain)
{
	unsigned long irq = percpu_begin();
	_Atomic(magtop_t) *first = &percpu_cache()->deferred[chain - MCACHE_DEFERRED_OBJECTS];

	*(magtop_t *)link = mcache_top(first);
	mcache_set_top(first, value);
	percpu_end(irq);
}

static inline magtop_t percpu_detach_chain(enum mcache_deferred chain)
{
	unsigned long irq = percpu_begin();
	_Atomic(magtop_t) *first = &percpu_cache()->deferred[chain - MCACHE_DEFERRED_OBJECTS];
	magtop_t top = mcache_top(first);

	mcache_set_top(first, MAGAZINE_DUMMY);
	percpu_end(irq);
	return top;
}

#endif

/*
 * This CPU's mcache for as long as it takes to change what no sequence touches; an NMI stays away.
 * The other one ends it.
 */
static inline struct mcache *percpu_hold(unsigned long *irq)
{
#if SLATE_PROTECT == SLATE_PROTECT_THREAD
	*irq = 0;
#else
	*irq = port_irq_save();
#endif
	return percpu_cache();
}

static inline void percpu_let_go(unsigned long irq)
{
#if SLATE_PROTECT == SLATE_PROTECT_THREAD
	(void)irq;
#else
	port_irq_restore(irq);
#endif
}

#endif
