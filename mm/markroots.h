/* SPDX-License-Identifier: MIT */
/*
 * markroots.h (level 8) - where a mark begins, and what counts as reached without being scanned.
 * All other CPUs stand still.
 */
#ifndef MM_MARKROOTS_H
#define MM_MARKROOTS_H

#include <slate/port.h>

/*
 * Mark what is free though its span has it as taken, in caches and other stores. live, count: as
 * the port tells them in this stop, for the calls below, too; the part that frame lies in is looked
 * at from there on.
 */
void markroots_free(const struct slate_live *live, size_t count, uintptr_t frame);

/*
 * Scan all stacks, all roots, and reach what is kept and what waits for its finalizer. Magazines
 * that a stack points into are free objects' stores, too.
 */
void markroots_scan(void);

/* The stop ends without the mark: what is free may be somebody's before the next one. */
void markroots_forget(void);

#endif
