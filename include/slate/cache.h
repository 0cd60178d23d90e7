/* SPDX-License-Identifier: MIT */
/*
 * cache.h - typed caches: objects of one type, constructed once and handed out as they were freed.
 *
 * Each has magazines of its own on every CPU, so a pair costs what a pair of plain objects of a
 * known size costs. Idea: Bonwick's object caches.
 */
#ifndef SLATE_CACHE_H
#define SLATE_CACHE_H

#include <slate/types.h>

struct slate_cache {
	/* (const) for the front ends below; the rest is private */
	size_t take_index;
	size_t give_index;
};

struct slate_cache_params {
	const char *name;                  /* static text, for stats and reports */
	size_t size_bytes;                 /* of an object; at most 52 KiB */
	size_t align_bytes;                /* power of two up to a frame; 0: 8 */
	void (*constructor)(void *object); /* NULL, or run once when an object's frames are taken,
					      without locks; must not allocate from this cache */
};

/*
 * A new cache, or NULL: bad parameters, or all places taken (48, 8 on a machine of one CPU).
 * Context: any but NMI. Takes the list's lock.
 */
struct slate_cache *slate_cache_create(const struct slate_cache_params *params);

/*
 * Destroy a cache of which no object is in use. Interrupts enabled. Returns SLATE_OK, or
 * SLATE_EBUSY: objects are in use, or lie in magazines of a CPU that could not be reached; the
 * cache stays as it was.
 */
int slate_cache_destroy(struct slate_cache *cache);

/*
 * Put n objects aside: the next n allocations that would fail get them. Returns whether it could.
 * No drain takes them.
 */
bool slate_cache_prefill(struct slate_cache *cache, size_t n);

/* "" for a number that is none; for stats. */
const char *slate_cache_name(unsigned span_class);

/* Behind the front ends. */
void *slate_alloc_index(size_t take_index);
void slate_give_index(size_t give_index, void *object);

/*
 * An object in the state in which its constructor or its last owner left it; NULL: out of memory.
 * Context: any; in an NMI from this CPU's magazines and what is put aside.
 */
static inline void *slate_cache_alloc(struct slate_cache *cache)
{
	return slate_alloc_index(cache->take_index);
}

/*
 * Give an object back to its own cache, in its constructed state. NULL is nothing. Another cache's
 * object is reported when the magazine is flushed (debug builds: at once). slate_free() works, too.
 * An object that is freed in an NMI when the magazine is full is constructed again.
 */
static inline void slate_cache_free(struct slate_cache *cache, void *object)
{
	if (object)
		slate_give_index(cache->give_index, object);
}

#endif
