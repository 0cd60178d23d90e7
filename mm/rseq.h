/* SPDX-License-Identifier: MIT */
/*
 * rseq.h (level 7) - restartable sequences: a few instructions on this CPU's mcache that are simply
 * begun again when an interrupt fell into them. No lock, no atomic, no masked interrupt.
 *
 * A sequence derives every address from the per-CPU base inside itself, overwrites none of its
 * inputs and ends in exactly one store. Each stands once, out of line, in arch/ARCH/rseq.S between
 * rseq_text_start and rseq_text_end, with its bounds in rseq_table. The first half of this file is
 * read by the assembler.
 *
 * Idea: Bershad's restartable atomic sequences, Linux rseq; the shape was measured, see
 * docs/adr/0001-magazines.md.
 */
#ifndef MM_RSEQ_H
#define MM_RSEQ_H

/*
 * struct mcache, as the assembler knows it; rseq.c asserts each. The per-CPU word points at the
 * give tops: an index names a top (class, or RSEQ_TAKE + class), and what a free needs besides lies
 * below.
 */
#define RSEQ_ENTRIES         256
#define RSEQ_TAKE            RSEQ_ENTRIES
#define RSEQ_DEFERRED        (2 * RSEQ_ENTRIES)
#define RSEQ_WINDOW_BASE     (-32)
#define RSEQ_WINDOW_GRANULES (-24)
#define RSEQ_WINDOW_MAP      (-16)
#define RSEQ_SIZE_INDEX      (-8)
#define RSEQ_QUIET           (8 * (RSEQ_DEFERRED + 2)) /* 32 bits each, by class */
#define RSEQ_MAGAZINE_MASK   511                       /* MAGAZINE_TOP_MASK */
#define RSEQ_SIZE_MAX        8192                      /* SIZECLASS_SMALL_MAX */
#define RSEQ_DUMMY_SLOT      504                       /* MAGAZINE_DUMMY within magazine_dummy */
#define RSEQ_FRAME_CLASS     144                       /* PAGECLASS_FRAME */
#define RSEQ_STACK_HEAD      151                       /* PAGECLASS_STACK_HEAD */
#define RSEQ_STACK_ORDERS    5 /* SLATE_STACK_ORDERS; the class in magazines is that much higher */

#ifndef __ASSEMBLER__

#include <slate/types.h>

#include "mm/magazine.h"

/* The per-CPU word at SLATE_PERCPU_OFFSET: this CPU's give tops. Interrupts off, or it may be
 * stale. */
void *slate_rseq_word(void);
void slate_rseq_set_word(void *give);

/* The four steps of percpu.h. index: class, or RSEQ_TAKE + class. */
void *slate_rseq_take(size_t index);
bool slate_rseq_give(size_t index, void *object);
magtop_t slate_rseq_detach(size_t index);
bool slate_rseq_attach(size_t index, magtop_t top);

/* Count a take magazine of the class down in mcache.quiet; false: it is not above 0. */
bool slate_rseq_quiet(size_t class);

/* Chain value onto the list at that index; the former first goes to *link. */
void slate_rseq_chain(void *link, void *value, size_t index);

/*
 * The take magazine is empty: exchange it for the give magazine if that holds enough, and pop one
 * object; else NULL. The first argument is not used: in the sequences it holds a size.
 */
void *slate_rseq_exchange(size_t unused, size_t take_index);

/*
 * The give magazine is full: exchange it for the take magazine if that is at most half full, and
 * give the object; else false.
 */
bool slate_rseq_exchange_full(void *object, size_t give_index);

/* What to do when an interrupt handler was faster in the middle of an exchange. */
void *slate_exchange_undo(size_t take_index, magtop_t give);
void *slate_exchange_leftover(size_t take_index, magtop_t empty, void *object);
bool slate_full_undo(size_t give_index, magtop_t take);
bool slate_full_leftover(size_t give_index, magtop_t full);

/* Bounds of one sequence, from rseq_text_start: the interrupted pc is in it when start < pc <=
 * commit. */
struct rseq_bounds {
	int32_t start;
	int32_t commit;
};

extern const char slate_rseq_text_start[];
extern const char slate_rseq_text_end[];
extern const struct rseq_bounds slate_rseq_table[];
extern const struct rseq_bounds slate_rseq_table_end[];

/* By (size + 7) / 8: the take index of the smallest class that holds size bytes. */
extern const uint16_t slate_rseq_size_index[RSEQ_SIZE_MAX / 8 + 1];

#endif
#endif
