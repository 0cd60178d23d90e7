/* SPDX-License-Identifier: MIT */
/*
 * mheap_witness.h (level 5) - debug builds: tables of witnesses for the spans of a mheap. They
 * count as metadata, and go with their span.
 */
#ifndef MM_MHEAP_WITNESS_H
#define MM_MHEAP_WITNESS_H

#include "mm/mspan.h"
#include "mm/witness.h"

struct mheap_frames; /* mheap_try.h */

#if SLATE_DEBUG

void mheap_witness_init(void);

/* Room for the records of count objects, or NULL. Takes the locks of page allocators and fixalloc
 * one by one. */
struct witness_table *mheap_witness_new(size_t count, bool reserve);
void mheap_witness_delete(struct witness_table *table);

/* Frames that such a table fills, for who takes them himself; 0: none is wanted. And they become
 * it: no lock is taken. */
size_t mheap_witness_pages(size_t count);
struct witness_table *mheap_witness_make(const struct mheap_frames *frames, size_t count);

/* The span that was just set up has that table; its objects were never handed out. NULL: none. */
void mheap_witness_attach(struct mspan *span, struct witness_table *table);

#else

static inline void mheap_witness_init(void)
{
}

static inline struct witness_table *mheap_witness_new(size_t count, bool reserve)
{
	(void)count;
	(void)reserve;
	return NULL;
}

static inline size_t mheap_witness_pages(size_t count)
{
	(void)count;
	return 0;
}

static inline struct witness_table *mheap_witness_make(const struct mheap_frames *frames,
						       size_t count)
{
	(void)frames;
	(void)count;
	return NULL;
}

static inline void mheap_witness_delete(struct witness_table *table)
{
	(void)table;
}

static inline void mheap_witness_attach(struct mspan *span, struct witness_table *table)
{
	(void)span;
	(void)table;
}

#endif

/* Of a live span; release builds have none. */
static inline struct witness_table *mspan_witnesses(const struct mspan *span)
{
#if SLATE_DEBUG
	return span->witnesses;
#else
	(void)span;
	return NULL;
#endif
}

#endif
