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

/* struct mcache, as the assembler knows it; mcache.c asserts each. An index names a top: class, or
 * RSEQ_TAKE + class. */
#define RSEQ_ENTRIES         256
#define RSEQ_TAKE            RSEQ_ENTRIES
#define RSEQ_WINDOW_BASE     (2 * RSEQ_ENTRIES * 8)
#define RSEQ_WINDOW_GRANULES (RSEQ_WINDOW_BASE + 8)
#define RSEQ_WINDOW_MAP      (RSEQ_WINDOW_BASE + 16)
#define RSEQ_MAGAZINE_MASK   511  /* MAGAZINE_TOP_MASK */
#define RSEQ_SIZE_MAX        8192 /* SIZECLASS_SMALL_MAX */
#define RSEQ_DUMMY_SLOT      504  /* MAGAZINE_DUMMY within magazine_dummy */
#define RSEQ_FRAME_CLASS     136  /* PAGECLASS_FRAME */

#ifndef __ASSEMBLER__

#include <slate/types.h>

#include "mm/magazine.h"

struct mcache;

/* This CPU's mcache, kept in the per-CPU word at SLATE_PERCPU_OFFSET. Interrupts off, or the answer
 * may be stale. */
struct mcache *slate_rseq_cache(void);
void slate_rseq_set_cache(struct mcache *cache);

/* The four steps of percpu.h. index: class, or RSEQ_TAKE + class. */
void *slate_rseq_take(size_t index);
bool slate_rseq_give(size_t index, void *object);
magtop_t slate_rseq_detach(size_t index);
bool slate_rseq_attach(size_t index, magtop_t top);

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
