/* SPDX-License-Identifier: MIT */
/*
 * mcache_pages.h (level 7) - this CPU's page cache: where magazines of frames and of short runs are
 * filled from.
 *
 * Like a magazine it is detached, worked on with interrupts as the caller had them, and attached
 * again; what an interrupt handler attached meanwhile stays, and the other one goes home.
 */
#ifndef MM_MCACHE_PAGES_H
#define MM_MCACHE_PAGES_H

#include "mm/mcache.h"
#include "mm/pagecache.h"

/* Up to n frames as slots, the lowest one last: two lock holds at most. Returns how many. */
unsigned mcache_pages_take(void **slots, unsigned n);

/* The lowest run of so many frames, or SLATE_PFN_NONE: the page allocator is to be asked. */
pfn_t mcache_pages_take_run(unsigned pages);

/* This CPU's frames go home. Returns whether there were any. Or they are taken out first, and go
 * home from anywhere: an empty cache is welcome, and is what is left. */
bool mcache_pages_flush(const char *call);
struct pagecache mcache_pages_detach(void);
void mcache_pages_send_home(struct pagecache *cache, const char *call);

/* Frames in a CPU's page cache, and whether a certain one is: at a moment, without a lock. */
size_t mcache_pages_count(const struct mcache *cache);
bool mcache_pages_hold(const struct mcache *cache, pfn_t pfn);

#endif
