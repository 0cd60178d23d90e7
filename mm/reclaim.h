/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h (level 8) - what is done before a request is refused, step by step; after each the
 * request is tried again:
 *
 *   1. this CPU's caches go home
 *   2. the depots go home
 *   3. the caches of all other CPUs go home; who cannot wait for them only asks
 *   4. shrinkers give back, round after round while they do
 *   5. a run that is on its way to the machine's owner arrives
 *   6. a RESERVE request may take the nodes' last frames
 *
 * Steps 3 to 5 are for callers that may wait: interrupts enabled, neither NOWAIT nor ANYCTX. ANYCTX
 * and NMIs have the last one only: they ask all CPUs to drain, but wait for no lock to do so.
 */
#ifndef MM_RECLAIM_H
#define MM_RECLAIM_H

#include <slate/types.h>

struct reclaim {
	size_t pages;    /* frames that the request needs; 0: one */
	unsigned step;   /* 0 at first */
	unsigned rounds; /* of shrinkers */
	bool reserve;    /* from now on the request may take the reserve */
};

/*
 * Do the next step; false when there is none left for these flags in this context. No lock is held.
 * The caller tries again after each true.
 */
bool reclaim_next(struct reclaim *reclaim, unsigned flags);

/*
 * From slate_poll(): when a node has fallen below its low watermark, begin with the same before
 * anybody waits for it; once, until the node has reached its high one.
 */
void reclaim_poll(void);

/* Every request that got NULL in spite of it passes here. Returns NULL. */
void *reclaim_failed(void);

/* How often each step was done, and how many requests failed in spite of all. */
struct reclaim_counts {
	size_t drains;
	size_t depot_drains;
	size_t remote_drains; /* CPUs, not times */
	size_t scavenge_waits;
	size_t reserve_uses;
	size_t low_nodes; /* times that a node fell below its low watermark */
	size_t failures;
};

struct reclaim_counts reclaim_counts(void);

void reclaim_reset(void);

#endif
