/* SPDX-License-Identifier: MIT */
/*
 * mheap_span.h (level 5) - what mheap.c and mheap_try.c share: the parts that spans are made of.
 */
#ifndef MM_MHEAP_SPAN_H
#define MM_MHEAP_SPAN_H

#include "mm/mheap.h"

/* Metadata keeps together, in aligned zones of so many frames. */
#define MHEAP_ZONE_PAGES ((size_t)64)

extern struct fixalloc mheap_span_structs;
extern struct fixalloc mheap_span_bits;

/* A piece of the donated memory if its lock is free at once and it has one, else NULL. */
void *mheap_try_donated(void *arg, size_t size_bytes, size_t align_bytes);

/* A span that is set up but for its node's figures: count it, tell the arena map; then the
 * registry, whose lock the caller holds. */
void mheap_map_span(struct mspan *span);
void mheap_list_span_locked(struct mheap *heap, struct mspan *span);

/* Set up and count a large object; span->node is set. */
void mheap_init_large(struct mspan *span, void *base, size_t pages, bool known_zero);

#endif
