/* SPDX-License-Identifier: MIT */
/*
 * mcache_source.h (level 7) - where magazines are filled from and emptied to, by class: span
 * classes at their mcentral, single frames at the mheap, stacks at the stack cache.
 */
#ifndef MM_MCACHE_SOURCE_H
#define MM_MCACHE_SOURCE_H

#include "mm/depot.h"
#include "mm/mcache.h"

static inline bool mcache_is_stack(unsigned class)
{
	return class >= MCACHE_STACK && class < MCACHE_STACK_END;
}

static inline bool mcache_is_run(unsigned class)
{
	return class >= MCACHE_RUN && class < MCACHE_RUN_END;
}

/* Frames of a run. */
static inline size_t mcache_run_pages(unsigned class)
{
	return class == MCACHE_RUN_END - 1 ? 512 : (size_t)2 << (class - MCACHE_RUN);
}

/* What one of the class takes up. */
size_t mcache_object_bytes(unsigned class);

/* Up to n into out; returns how many. No lock is held. */
unsigned mcache_source_take(unsigned class, void **out, unsigned n);

/* n go home; what is free already is reported in the name of call. No lock is held. */
void mcache_source_give(unsigned class, void **objects, unsigned n, const char *call);

static inline bool mcache_has_magazines(unsigned class)
{
	return mcache_capacity(class) > 0;
}

/* Detached magazines: send home what one holds and return its empty top; give its memory back;
 * attach it, or, when an interrupt handler was faster, both. The dummy is welcome. */
magtop_t mcache_magazine_flush(unsigned class, magtop_t top, const char *call);
void mcache_magazine_delete(magtop_t top);

/* Was it deleted? What lies in its slots is old. All other CPUs stand still. */
bool mcache_magazine_is_free(const struct magazine *mag);
void mcache_put_back(enum mcache_side side, unsigned class, magtop_t top);

/* What this CPU's magazines of one class hold goes home. */
void mcache_drain_class(unsigned class);

/* A class's depot; send at most n of its magazines home. */
struct depot *mcache_depot(unsigned class);
void mcache_return_depot(unsigned class, unsigned n);

#endif
