/* SPDX-License-Identifier: MIT */
/*
 * mark.h (level 8) - which objects can be reached: bits, words, the stack of what is still to be
 * scanned. In pieces, for a caller (markcycle.h) that has stopped all other CPUs during each.
 */
#ifndef MM_MARK_H
#define MM_MARK_H

#include "mm/mspan.h"

/* What a mark knows about a span that it came upon; lives as long as its epoch (gcbits.h). */
struct span_mark {
	union {
		struct span_mark *again_next; /* NULL: its objects are not to be scanned again */
		struct mspan *garbage_next;   /* afterwards: the next with unreachable objects */
	};
	struct mspan *span;
	unsigned long bits[]; /* reachable objects; after the mark, unreachable ones */
};

/* Words of mark bits, and of the mark stack, that a mark needs now. Other CPUs may run. */
size_t mark_words(void);

/* Another mark: nothing is reached yet. The room was made, and no more of it is in use. */
void mark_begin(void);

/* Was there room for all bits so far? Otherwise nothing counts. */
bool mark_fits(void);

/* Work is counted in words that are scanned; what is no word has its price in them. */
#define MARK_OBJECT_WORDS 8u
#define MARK_ASK_WORDS    64u /* what was written in an arena? */

/* Work that somebody else has done. */
void mark_pay(size_t words);

/* So much may be done from now on. SIZE_MAX: no bound. */
void mark_allow(size_t words);
bool mark_is_spent(void);

/* What was done since mark_begin(). */
size_t mark_work(void);

/* The address may be a pointer. */
void mark_reach(uintptr_t addr);

/* Each of these words may be one. */
void mark_scan(uintptr_t low, uintptr_t high);

/* Whatever was reached and not scanned yet. False: the allowance was spent before. */
bool mark_drain(void);

/* Reached objects in this frame have been written since they were scanned: these parts of them. */
void mark_scan_frame(uintptr_t frame);

/* A free object, though its span has it as taken: it counts as reached and is not scanned. And
 * back: whatever it becomes, it is to be reached anew. No object: nothing. */
void mark_free(uintptr_t object);
void mark_forget(uintptr_t object);

/* The same for the only object of a span that holds none: a stack. */
void mark_stack(struct mspan *span);
void mark_forget_stack(struct mspan *span);

bool mark_is_set(const struct mspan *span, size_t number);

/* The taken object that the address lies in; NULL: it lies in none. */
struct mspan *mark_object(uintptr_t addr, uintptr_t *object);

/*
 * Turn each span's bits over: afterwards they tell what is taken and unreachable. Returns the first
 * span that has such objects, chained through garbage_next; those that have nothing else come
 * first. Probes are told.
 */
struct mspan *mark_turn_over(void);

/* Words of the span's bitmaps. */
size_t mark_span_words(const struct mspan *span);

#endif
