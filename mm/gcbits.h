/* SPDX-License-Identifier: MIT */
/*
 * gcbits.h (level 4) - memory for mark bits: arenas of words that are handed out one after another
 * and go back all at once. Each mark is an epoch of its own; what a span knows of a mark counts
 * only while its epoch is the current one.
 *
 * The caller brings the arenas before it stops the CPUs, so that marking allocates nothing; one
 * caller at a time, no lock. Idea: Go's gcBits arenas.
 */
#ifndef MM_GCBITS_H
#define MM_GCBITS_H

#include <slate/types.h>

/* Written by whoever marks; 0: nothing was ever marked. */
extern uint32_t gcbits_epoch;

/* Another epoch: what was handed out is worth nothing. */
void gcbits_next_epoch(void);

/* Frames of memory for words, mapped, contents undefined. Returns how many words fit. */
size_t gcbits_feed(void *arena, size_t pages);

/* Take an arena back, and its length; NULL: there are none. */
void *gcbits_drop(size_t *pages);

/* n words, zeroed, or NULL: more than was fed. */
unsigned long *gcbits_take(size_t n);

/* Up to n words of one arena, as one piece, contents undefined: for the mark stack. *n: how many.
 */
void *gcbits_take_some(size_t *n);

#endif
