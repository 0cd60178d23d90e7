/* SPDX-License-Identifier: MIT */
/*
 * quarantine.h (level 4) - debug builds: freed objects wait here, first in, first out, before they
 * may have a new owner, so that a write after free hits memory that is nobody's.
 *
 *   bytes = sum of what the waiting objects were pushed with <= SLATE_QUARANTINE_BYTES, unless it
 * is one object's
 */
#ifndef MM_QUARANTINE_H
#define MM_QUARANTINE_H

#include <slate/types.h>

#if SLATE_DEBUG

void quarantine_init(void);

/* False: it is full. Takes the lock; any context but NMI. */
bool quarantine_push(void *object, size_t bytes);

/* The oldest, or NULL when there is room for `bytes` more. */
void *quarantine_pop(size_t bytes);

/* All that wait. All other CPUs stand still, or the answer is a moment's. */
void quarantine_for_each(void (*fn)(void *object, void *arg), void *arg);

#endif

#endif
