/* SPDX-License-Identifier: MIT */
/*
 * special.h (level 4) - records that hang on single objects: what to call when the object is freed,
 * who allocated it, what a debugger wants to know. A span has a list of them, sorted by object and
 * kind; an object has at most one of each kind.
 *
 * Frames on which an object with a record begins have the class byte PAGECLASS_SLOW, so that a free
 * of such an object leaves the fast path, and all others pay nothing (mcentral_mark_special()).
 * Large objects need no mark, theirs is a slow class anyway.
 *
 * Records are the caller's memory: it makes them before and frees them after, with no lock held.
 * Idea: the specials of Go's mheap.
 */
#ifndef MM_SPECIAL_H
#define MM_SPECIAL_H

#include "mm/mspan.h"

enum special_kind {
	SPECIAL_FINALIZER, /* slate_on_free() */
	SPECIAL_PROFILE,   /* a sample of the heap profile */
	SPECIAL_PROBE,     /* was it reachable at the last mark? */
	SPECIAL_TAG,       /* a word of the user's */
	SPECIAL_KEEP,      /* no leak, whoever points at it */
	SPECIAL_KINDS
};

/* The word of a PROBE: before the first mark, and what the last one told. */
enum { PROBE_NEW = 1, PROBE_REACHED, PROBE_LOST };

struct profile_bucket; /* profile.h */

struct special {
	struct special
		*next;    /* (s) in the span's list, or in the chain that special_take() returns */
	uintptr_t object; /* (c) its first byte */
	uint8_t kind;     /* (c) */
	bool queued; /* (s) FINALIZER: the object was freed, its finalizer waits for slate_poll() */
	union {
		struct {
			void (*fn)(void *object, void *arg);
			void *arg;
			struct special *next; /* (q) the queue's lock: finalizer.c */
		} finalizer;                  /* (s) */
		struct {
			struct profile_bucket *bucket;
		} profile;     /* (c) */
		uintptr_t tag; /* (s) of TAG, PROBE and KEEP */
	};
};

void special_init(void);

/* Hang a record on its object. False when there is one of that kind. Takes the list's lock. */
bool special_add(struct mspan *span, struct special *special);

/* Take one record off, or NULL: there is none, or it is queued. */
struct special *special_remove(struct mspan *span, uintptr_t object, enum special_kind kind);

enum special_freed {
	SPECIAL_NONE,   /* no records: free the object */
	SPECIAL_TAKEN,  /* all taken off, *chain has them */
	SPECIAL_QUEUED, /* the object was freed before */
};

/*
 * The object is being freed. With `queue` a finalizer stays on its object, marked as queued, and
 * heads the chain as the only record; the others stay, too. Whoever runs it calls
 * special_unqueue().
 */
enum special_freed special_take(struct mspan *span, uintptr_t object, bool queue,
				struct special **chain);

/* A queued finalizer's turn has come: all records of the object are taken off. */
struct special *special_unqueue(struct mspan *span, uintptr_t object);

/* Copy a record, or change it, under the lock; false when there is none. */
bool special_get(struct mspan *span, uintptr_t object, enum special_kind kind,
		 struct special *copy);
bool special_set(struct mspan *span, const struct special *value);

/*
 * Does an object that begins in [start, end) have a record? No lock is held. The answer is still
 * right as long as special_changes() is *changes, which other spans' records move as well.
 */
bool special_in(struct mspan *span, uintptr_t start, uintptr_t end, unsigned *changes);

/* relaxed: whoever changes a record passes the span's mcentral afterwards (onfree.c), whose lock
 * orders it for who holds that */
unsigned special_changes(const struct mspan *span);

/* Call fn for each record of the span under its lock, in order, until it returns false. */
void special_for_each(struct mspan *span, bool (*fn)(const struct special *special, void *arg),
		      void *arg);

/* Sorted, on objects of the span, none twice: NULL, or what is wrong. */
const char *special_validate(struct mspan *span);

#endif
