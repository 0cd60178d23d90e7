/* SPDX-License-Identifier: MIT */
/*
 * profile.h (level 7) - the heap profile's rate, and its buckets: counts of samples by call stack,
 * size, and the rate of their time.
 *
 *   in use = allocs - frees, of each bucket
 *
 * A bucket is made once and stays, so whoever looks for one needs no lock but to add it. There are
 * SLATE_PROFILE_BUCKETS at most.
 */
#ifndef MM_PROFILE_H
#define MM_PROFILE_H

#include <stdatomic.h>

#include <slate/profile.h>

struct profile_bucket {
	_Atomic(struct profile_bucket *) next; /* (c) once it is published */
	uint32_t hash;                         /* (c) */
	uint32_t depth;                        /* (c) */
	size_t size_bytes;                     /* (c) */
	size_t rate_bytes;                     /* (c) */
	_Atomic size_t allocs;                 /* (a) relaxed */
	_Atomic size_t frees;                  /* (a) relaxed */
	uintptr_t pcs[SLATE_PROFILE_DEPTH];    /* (c) */
};

/* Bytes a sample; (a) relaxed: a CPU that learns of a change late goes on for a magazine. */
extern _Atomic size_t profile_rate_bytes;

static inline size_t profile_rate(void)
{
	return SLATE_PROFILE ? atomic_load_explicit(&profile_rate_bytes, memory_order_relaxed) : 0;
}

void profile_init(void);
void profile_set_rate(size_t bytes);

/*
 * The bucket of whoever called the library, which returns to `caller`. Calls the kernel's
 * port_backtrace(): no lock is held, no NMI. NULL: there is no memory for it, or there are too
 * many.
 */
struct profile_bucket *profile_bucket(size_t size_bytes, const void *caller);

/* One sample more; one was freed. Any context. */
void profile_count_alloc(struct profile_bucket *bucket);
void profile_count_free(struct profile_bucket *bucket);

/* A sample that could not be recorded. */
void profile_count_lost(void);

#endif
