/* SPDX-License-Identifier: MIT */
/*
 * markcycle.h (level 8) - one mark from begin to end: memory for its bits, the stops in which it is
 * done.
 */
#ifndef MM_MARKCYCLE_H
#define MM_MARKCYCLE_H

#include "mm/mark.h"

/*
 * Mark. On SLATE_OK *garbage is the first span with unreachable objects (mark_turn_over()), and the
 * bits live until markcycle_forget(); otherwise NULL, and SLATE_ENOMEM, SLATE_EBUSY, or
 * SLATE_EAGAIN: again and again there were more spans than room was made for. frame: the public
 * call's; what lies below are our own frames. Interrupts enabled, no lock held, one at a time.
 */
int markcycle_run(uintptr_t frame, struct mspan **garbage);

/* Give the memory back; what spans know of the mark counts no more. */
void markcycle_forget(void);

/* Words of work in one stop (mark.h), about: tests make it small. */
extern size_t markcycle_chunk_words;

/* Of the last mark, the attempt that succeeded. */
struct markcycle_figures {
	size_t stops;
	size_t chunk_most; /* words of work in one stop, the last one left out */
	size_t last;       /* in the last one */
};
extern struct markcycle_figures markcycle_figures;

#endif
