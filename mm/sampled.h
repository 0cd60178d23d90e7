/* SPDX-License-Identifier: MIT */
/*
 * sampled.h (level 8) - allocations that are samples of the heap profile: objects of a size class
 * come out of spans of their own, and all have a record that their free finds.
 *
 * caller: where the public call returns to. No lock is held, and it is no NMI.
 */
#ifndef MM_SAMPLED_H
#define MM_SAMPLED_H

#include "mm/mspan.h"
#include "mm/profile.h"

/* In the place of MCACHE_SAMPLE. Where there is no memory for the sample an ordinary object, or
 * NULL. */
void *sampled_object(unsigned span_class, const void *caller);

void sampled_large_slow(struct mspan *span, const void *caller);

/* A large object was allocated: it may be a sample. */
static inline void sampled_large(struct mspan *span, const void *caller)
{
	if (__builtin_expect(profile_rate() > 0, 0))
		sampled_large_slow(span, caller);
}

/* These objects of a class were taken past all magazines: replace those that are samples. */
void sampled_bulk(unsigned span_class, void **objects, size_t n, const void *caller);

#endif
