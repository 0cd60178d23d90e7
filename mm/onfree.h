/* SPDX-License-Identifier: MIT */
/*
 * onfree.h (level 8) - what is called when an object is freed, and the other records that hang on
 * single objects.
 */
#ifndef MM_ONFREE_H
#define MM_ONFREE_H

#include "mm/mspan.h"

void onfree_init(void);

/*
 * The object, the start of one of the span, is being freed: run its finalizer and forget its
 * records. False: the call is over, since the finalizer waits for slate_poll(), or waits already,
 * which is reported in the name of call. Takes locks; not in an NMI.
 */
bool onfree_release(struct mspan *span, void *object, const char *call);

/* Run finalizers that wait, at most that many, and free their objects. No lock held. */
void onfree_poll(size_t most);

#endif
