/* SPDX-License-Identifier: MIT */
/*
 * buddy.h - a yardstick: the binary buddy as textbooks have it, under one spinlock, lists and
 * orders outside the frames.
 */
#ifndef BENCH_BUDDY_H
#define BENCH_BUDDY_H

#include <slate/types.h>

#define BUDDY_ORDERS 11u /* the largest block is 4 MiB */

/* frames: a multiple of the largest block. */
void buddy_init(size_t frames);

/* 2^order frames, or SLATE_PFN_NONE. */
pfn_t buddy_alloc(unsigned order);
void buddy_free(pfn_t pfn, unsigned order);

/* n single frames under one lock; returns how many. */
unsigned buddy_alloc_frames(pfn_t *out, unsigned n);
void buddy_free_frames(const pfn_t *frames, unsigned n);

size_t buddy_free_count(void);
size_t buddy_metadata_bytes(void);

#endif
