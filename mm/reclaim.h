/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h (level 8) - what is done before a request is refused, in this order: this CPU's caches
 * and the depots go home; then, where the caller may wait, every other CPU's.
 */
#ifndef MM_RECLAIM_H
#define MM_RECLAIM_H

#include <slate/types.h>

struct reclaim {
	unsigned step; /* 0 at first */
};

/*
 * Do the next step; false when there is none left for these flags in this context. No lock is held.
 * The caller tries again after each true.
 */
bool reclaim_next(struct reclaim *reclaim, unsigned flags);

/* Every request that got NULL in spite of it passes here. Returns NULL. */
void *reclaim_failed(void);

size_t reclaim_drains(void);
size_t reclaim_failures(void);

void reclaim_reset(void);

#endif
