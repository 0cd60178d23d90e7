/* SPDX-License-Identifier: MIT */
/*
 * quarantine.h (level 4) - debug builds: freed objects wait here, first in, first out, before they
 * may have a new owner, so that a write after free hits memory that is nobody's.
 *
 *   bytes of a ring = sum of what its objects were pushed with <= its part of
 *   SLATE_QUARANTINE_BYTES, unless it is one object's
 */
#ifndef MM_QUARANTINE_H
#define MM_QUARANTINE_H

#include <slate/types.h>

#if SLATE_DEBUG

void quarantine_init(void);

/*
 * NULL: the object waits. Else there was no room: the oldest, which has to go home before this one
 * is tried again. Takes a lock; any context but NMI.
 */
void *quarantine_push(void *object, size_t bytes);

/* One that waits, of each ring the oldest first; NULL: none does. */
void *quarantine_pop(void);

/* All that wait. All other CPUs stand still, or the answer is a moment's. */
void quarantine_for_each(void (*fn)(void *object, void *arg), void *arg);

#endif

#endif
