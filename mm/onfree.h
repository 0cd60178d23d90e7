/* SPDX-License-Identifier: MIT */
/*
 * onfree.h (level 8) - what is called when an object is freed, and the other records that hang on
 * single objects.
 */
#ifndef MM_ONFREE_H
#define MM_ONFREE_H

#include "mm/profile.h"
#include "mm/special.h"

void onfree_init(void);

/*
 * The object, the start of one of the span, is being freed: run its finalizer and forget its
 * records. False: the call is over, since the finalizer waits for slate_poll(), or waits already,
 * which is reported in the name of call. Takes locks; not in an NMI.
 */
bool onfree_release(struct mspan *span, void *object, const char *call);

/*
 * Hang a sample's record on the object; it is counted as freed with it. False: there is no memory
 * at hand. No lock is held.
 */
bool onfree_sample(struct mspan *span, void *object, struct profile_bucket *bucket);

/* Whose sample the object is; NULL: it is none. */
struct profile_bucket *onfree_bucket(struct mspan *span, uintptr_t object);

/* Run finalizers that wait, at most that many, and free their objects. No lock held. */
void onfree_poll(size_t most);

/* Run the object's finalizer, if it has one, without freeing the object. Returns whether it did. */
bool onfree_finalize(struct mspan *span, uintptr_t object);

/* Objects that were freed, and whose finalizers wait; under the queue's lock. */
void onfree_for_each_queued(void (*fn)(uintptr_t object, void *arg), void *arg);

/*
 * A word on an object, of a kind that has one; 0 takes the record off, or tells that there is none.
 * Returns what slate_tag_set() does.
 */
int onfree_set_word(void *object, enum special_kind kind, uintptr_t word);
uintptr_t onfree_word(const void *object, enum special_kind kind);

#endif
