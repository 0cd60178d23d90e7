/* SPDX-License-Identifier: MIT */
/*
 * spanof.h (level 4) - address -> span, without a lock, for three sorts of callers: who has any
 * number at all, who wants a span of the heap, and who knows that there is one (arena.h's
 * arena_span_unchecked()).
 */
#ifndef MM_SPANOF_H
#define MM_SPANOF_H

#include "mm/arena.h"
#include "mm/mspan.h"

/* The live span that holds the address, or NULL. Any address. It stays live only while the caller
 * holds something in it. */
struct mspan *spanof(const void *address);

/* The same when its objects are the heap's; NULL for stacks. */
struct mspan *spanof_heap(const void *address);

#endif
