/* SPDX-License-Identifier: MIT */
/*
 * mcentral.h (level 6) - the spans of one span class, shared by all CPUs under one spinlock.
 * Objects move between magazines and spans by the batch; the last object to come home sends its
 * span back to the mheap.
 *
 *   objects = sum of allocated over the spans on all lists
 *   a span is on full when it has no free object, else on partial[allocated >> fill_shift] of its
 *   node; or on sampled, when its objects are samples of the heap profile; or on isolated, while
 *   its frames are being removed; at least one object of it is out, unless it is a class's only one
 *   of samples
 *
 * A CPU takes from spans of its own node, and makes new ones there while that is above its high
 * watermark; then it takes from those of the other nodes, the nearest first. Node 0's lists lie in
 * the struct; those of further nodes are made when these get memory.
 *
 * Objects are taken from the fullest spans, so that the emptier ones have a chance to lose their
 * last object. Idea: Hunter et al., "Beyond malloc efficiency to fleet efficiency" (OSDI 2021),
 * who keep tcmalloc's spans on a few lists by live objects.
 */
#ifndef MM_MCENTRAL_H
#define MM_MCENTRAL_H

#include <slate/report.h>

#include "mm/arena.h"
#include "mm/depot.h"
#include "mm/mspan.h"
#include "mm/spanclass.h"

/* No two classes share a cache line, nor a pair of lines that prefetch together. */
#define MCENTRAL_ALIGN (SLATE_MAX_CPUS == 1 ? 8 : 128)

/* Lists of spans that have free objects: a small machine has no room for many. */
#define MCENTRAL_FILLS (SLATE_MAX_CPUS == 1 ? 2u : 8u)

/* The spans of one node that have a free object. */
struct mcentral_partial {
	struct list fills[MCENTRAL_FILLS]; /* (lock) newest in front */
	uint8_t some;                      /* (lock) bit i set: fills[i] may hold a span */
};

struct mcentral {
	_Alignas(MCENTRAL_ALIGN) struct mm_lock lock; /* RANK_MCENTRAL */
	uint8_t span_class;                           /* (const) */
	uint8_t page_class;                           /* (const) class byte of its spans' frames */
	uint8_t fill_shift; /* (const) allocated >> it is below MCENTRAL_FILLS, unless full */
	struct mcentral_partial partial; /* (lock) node 0's */
	struct list full;                /* (lock) spans without a free object, of all nodes */
	struct list isolated;            /* (lock) spans that take objects back, but give none */
	struct list sampled; /* (lock) spans of samples, those with a free object in front */
	void (*constructor)(
		void *object); /* (const) run on each object of a new span; NULL: none */
	size_t spans;          /* (lock) on the lists */
	size_t objects;        /* (lock) taken out of spans: in use, or in magazines */
};

/* Frames of new spans that one call brings, unless a single span is longer. */
#define MCENTRAL_FRESH_PAGES 8u

/* By span class of sizes. */
extern struct mcentral mcentrals[PAGECLASS_SPAN_LAST + 1];

/* NULL for a class without spans. */
struct mcentral *mcentral_of(unsigned span_class);

void mcentral_init_all(void);

/*
 * The node has, or is about to get, its first memory, and no spans: make its lists. Without memory
 * for them its spans stand among node 0's. The caller serialises.
 */
void mcentral_add_node(unsigned node);

/* Where the class's partial spans of a node are listed. The caller holds the lock. */
struct mcentral_partial *mcentral_partial_of(struct mcentral *central, unsigned node);

/* From now on a typed cache's; it has no spans, and its spanclass_typed[] entry is set. */
void mcentral_set_typed(unsigned span_class, void (*constructor)(void *object));

/*
 * Take up to n objects of the class; returns how many, 0 when there is no memory. When the spans
 * that are there do not suffice it makes new ones, of MCENTRAL_FRESH_PAGES together at most. Leaves
 * its lock before it enters the mheap, and looks again when that has nothing.
 */
unsigned mcentral_take(unsigned span_class, void **out, unsigned n);

/* One object for a RESERVE request, which may take the nodes' last frames; NULL: none at all. */
void *mcentral_take_reserve(unsigned span_class);

/* One object, if the lock is free at once and a span has one: for any context. NULL otherwise. */
void *mcentral_try_take(unsigned span_class);

/*
 * The first object of a new span, for any context: NULL where any of its locks is busy, too, and
 * for a typed cache with a constructor. reserve: it may take the nodes' last frames. *left: frames
 * that nothing came of, which the caller frees.
 */
struct mheap_parts;
void *mcentral_try_new(unsigned span_class, bool reserve, struct mheap_parts *left);

/* Put a span on the list where it belongs. The caller holds the lock. */
void mcentral_list_span_locked(struct mcentral *central, struct mspan *span);

/*
 * One object out of a span of samples, whose frames have the class byte PAGECLASS_SLOW, so that its
 * free goes the slow way, and no other object's does; NULL: no memory.
 */
void *mcentral_take_sampled(unsigned span_class);

/*
 * The same out of those spans that are there, for whoever would get NULL otherwise, sample or not.
 * Under the class's lock; _try_, which may find that busy, for any context. NULL: no free object.
 */
#if SLATE_PROFILE
void *mcentral_spare_locked(struct mcentral *central);
void *mcentral_try_take_spare(unsigned span_class);
#else
static inline void *mcentral_spare_locked(struct mcentral *central)
{
	(void)central;
	return NULL;
}

static inline void *mcentral_try_take_spare(unsigned span_class)
{
	(void)span_class;
	return NULL;
}
#endif

/* The last of a class's spans of samples stays when it is empty: making one costs more than the
 * rest of a sample. */
static inline bool mcentral_keeps_sampled_locked(const struct mcentral *central,
						 const struct mspan *span)
{
	return span->sampled && !span->isolated && central->sampled.next == &span->link &&
	       central->sampled.prev == &span->link;
}

/* Until this is called: empty ones go home. No lock is held. */
void mcentral_drop_sampled(void);

/*
 * Bring objects home. What is no taken object of this class is reported (after the lock is left)
 * and leaked. call: the public function that the report names.
 */
void mcentral_give(unsigned span_class, void **objects, unsigned n, const char *call);

/*
 * The span of this class that holds pfn, a frame of that node, gives no more objects. Class bytes
 * of plain objects become SLOW, so that each comes straight home; a typed cache's and blocks of
 * tiny ones come home when their magazine is flushed. Nothing happens when there is no such span,
 * or when it is on its way in or out. mcentral_restore() undoes all of the class.
 */
void mcentral_isolate(unsigned span_class, unsigned node, pfn_t pfn);
void mcentral_restore(unsigned span_class);

/*
 * The records on the objects of that frame have changed (special.h): its class byte becomes SLOW
 * if there are any, else the span's own. The frame is of a span of a size class with objects out.
 */
void mcentral_mark_special(struct mspan *span, pfn_t pfn);

/*
 * Free all objects of a span of the class whose bits are set, as far as they are taken: the bits
 * alone change, nothing is looked at. The span goes home if it was the last. Returns how many.
 */
size_t mcentral_sweep(struct mspan *span, const unsigned long *garbage);

void mcentral_counts(unsigned span_class, size_t *spans, size_t *objects);

void mcentral_reset(void);

#endif
