/* SPDX-License-Identifier: MIT */
/*
 * mark.h (level 8) - which objects can be reached from roots and stacks. For a caller that has
 * stopped all other CPUs.
 */
#ifndef MM_MARK_H
#define MM_MARK_H

#include <slate/port.h>

#include "mm/mspan.h"

/* What a mark knows about a span; lives as long as its epoch (gcbits.h). */
struct span_mark {
	struct mspan *garbage_next; /* the next span with unreachable objects */
	uintptr_t rescan;           /* not 0: marked objects of it are still to be scanned */
	unsigned long bits[];       /* reachable objects; after the mark, unreachable ones */
};

/* Words of mark bits, and of the mark stack, that a mark needs now. Other CPUs may run. */
size_t mark_words(void);

/*
 * Mark, then turn each span's bits over: afterwards they tell what is taken and unreachable.
 * Returns the first span that has such objects, chained through garbage_next; those that have
 * nothing else come first. The live part that
 * frame lies in is looked at from there on. *fits is false when gcbits_begin() was asked for too
 * little, and nothing counts. Probes are told.
 */
struct mspan *mark_all(const struct slate_live *live, size_t count, uintptr_t frame, bool *fits);

/* Words of the span's bitmaps. */
size_t mark_span_words(const struct mspan *span);

#endif
