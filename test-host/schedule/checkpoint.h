/* SPDX-License-Identifier: MIT */
/*
 * checkpoint.h - moments of a schedule to go back to. Depth first, a schedule differs from the last
 * one in its last few decisions; instead of beginning anew it goes on from the last moment that the
 * two have in common.
 *
 * A checkpoint is a list of copies: what they were taken of, the watched memory (state.h) and the
 * users of each place (explore.h) become again what they were then. They lie on a stack, each at a
 * decision that is later than the one below.
 */
#ifndef SCHED_CHECKPOINT_H
#define SCHED_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>

/* Begin one, before the decision of that number; false: there is no room for more. */
bool checkpoint_begin(unsigned decision);

/* It includes these bytes. */
void checkpoint_keep(void *start, size_t size_bytes);

/* Forget those later than the decision; is there one left? */
bool checkpoint_find(unsigned last);

/* All is as it was at the one that was found. The caller's own stack must not be part of it. */
void checkpoint_return(void);

void checkpoint_forget_all(void);

#endif
