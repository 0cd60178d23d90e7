/* SPDX-License-Identifier: MIT */
/*
 * fixalloc.h (level 2) - fixed-size metadata objects: a free list over persistent chunks. Chunks
 * never go back, so a stale pointer to a freed metadata object still points at one of its kind. An
 * empty fixalloc returns NULL; whoever can reach pages feeds it and tries again (no upcalls). Idea:
 * Go's fixalloc.
 */
#ifndef MM_FIXALLOC_H
#define MM_FIXALLOC_H

#include "mm/lockrank.h"

struct fixalloc {
	struct mm_lock lock;
	void *free_list;    /* (lock) chained through the first word */
	uintptr_t bump;     /* (lock) never used space of the newest chunk */
	uintptr_t bump_end; /* (lock) */
	size_t elem_bytes;  /* (const) rounded to align */
	size_t align_bytes; /* (const) */
	size_t kept_bytes;  /* (const) not poisoned: fixalloc_keep() */
	size_t in_use;      /* (lock) objects handed out */
	size_t chunk_bytes; /* (lock) bytes fed so far */
	const char *name;   /* (const) */
};

void fixalloc_init(struct fixalloc *fa, const char *name, size_t elem_bytes, size_t align_bytes);

/*
 * Debug builds poison what is free; not the first size_bytes of these objects, which readers
 * without a lock may look at. The first word is the free list's all the same. Before the first
 * object.
 */
void fixalloc_keep(struct fixalloc *fa, size_t size_bytes);

/* An object with undefined contents, or NULL: feed and retry. */
void *fixalloc_alloc(struct fixalloc *fa);
void fixalloc_free(struct fixalloc *fa, void *object);

/* Is it on the free list? Walks all of it under the lock: for whoever has stopped the others. */
bool fixalloc_has_free(struct fixalloc *fa, const void *object);

/*
 * Add a chunk, kept for ever. What is left of the former one goes onto the free list.
 */
void fixalloc_feed(struct fixalloc *fa, void *chunk, size_t size_bytes);

/* ---- For any context: no lock is waited for, and a busy one counts as empty ---- */

/* Has it an object? For the moment. */
bool fixalloc_try_stock(struct fixalloc *fa);

/* An object, and one of `with` in *second unless that is NULL: both, or NULL and neither. */
void *fixalloc_try_alloc(struct fixalloc *fa, struct fixalloc *with, void **second);

/* bring() makes the chunk under the lock, or returns NULL. False: busy, or no chunk. */
bool fixalloc_try_feed(struct fixalloc *fa, size_t size_bytes,
		       void *(*bring)(void *arg, size_t size_bytes, size_t align_bytes), void *arg);

#endif
