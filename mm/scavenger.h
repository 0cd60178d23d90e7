/* SPDX-License-Identifier: MIT */
/*
 * scavenger.h (level 5) - free frames go back to whoever owns the machine: at the kernel's wish
 * (slate_scavenge()), or by and by.
 */
#ifndef MM_SCAVENGER_H
#define MM_SCAVENGER_H

#include <slate/types.h>

/* One turn of the background work, from slate_poll(). Nothing while interrupts are off. */
void scavenger_poll(void);

/* Is a run on its way to the machine's owner? It looks allocated then. A hint. */
bool scavenger_busy(void);

/* Runs that the hook has taken, and has refused, so far. */
size_t scavenger_discards(void);
size_t scavenger_refused(void);

void scavenger_reset(void);

#endif
