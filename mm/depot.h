/* SPDX-License-Identifier: MIT */
/*
 * depot.h (level 4) - full magazines of one class between the CPUs: a batch moves from one CPU to
 * another by one pointer, under a lock of its own, without touching an object or its span. Who
 * leaves a full one goes on with an empty one that somebody else left for it.
 *
 *   full ones + empty ones <= the most full ones that ever were here <= limit
 */
#ifndef MM_DEPOT_H
#define MM_DEPOT_H

#include <stdatomic.h>

#include "mm/lockrank.h"
#include "mm/magazine.h"

struct depot {
	struct mm_lock lock;    /* RANK_MCENTRAL */
	_Atomic unsigned count; /* (lock) magazines held; (a) relaxed: read by statistics */
	unsigned limit;         /* (lock) of count */
	unsigned low;           /* (lock) least count since the last turn */
	bool touched;           /* (lock) anything came or went since then */
	struct magazine *full;  /* (lock) newest first, chained through their slots 0 */
	struct magazine *empty; /* (lock) likewise */
};

/* Once, while nobody else looks at it. */
void depot_init(struct depot *depot, unsigned limit);

/*
 * It is another class's from now on, and empty. Its lock stays: CPUs that look through all depots
 * may hold it, or wait for it.
 */
void depot_set_limit(struct depot *depot, unsigned limit);

/*
 * Leave a full magazine; false when the depot holds its limit. *empty becomes one in return, with
 * nothing set but its place, or NULL.
 */
bool depot_push(struct depot *depot, struct magazine *mag, struct magazine **empty);

/* Take a full magazine, the one left last, or NULL; then empty, which may be NULL, stays. */
struct magazine *depot_pop(struct depot *depot, struct magazine *empty);

/*
 * What a full magazine holds, n objects, into out; its struct stays with the empty ones. For any
 * context: 0 where the lock is busy or no magazine there, else n.
 */
unsigned depot_try_unload(struct depot *depot, void **out, unsigned n);

/* Take an empty one that nobody needs. */
struct magazine *depot_pop_empty(struct depot *depot);

/* The next in the chain of full ones. The lock is held. */
static inline struct magazine *depot_next_locked(const struct magazine *mag)
{
	return mag->slot[0];
}

/* How many it holds now. */
static inline unsigned depot_count(struct depot *depot)
{
	return atomic_load_explicit(&depot->count, memory_order_relaxed);
}

/*
 * A turn of the periodic return: how many magazines should go home. Half of what was not needed
 * since the last turn where nothing moved at all, a little of it where something did; and at most
 * a quarter of the limit.
 */
unsigned depot_turn(struct depot *depot);

#endif
