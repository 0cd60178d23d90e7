/* SPDX-License-Identifier: MIT */
/*
 * heapmap.h - who holds which frames, run by run: for pictures of the heap and for post-mortems.
 */
#ifndef SLATE_HEAPMAP_H
#define SLATE_HEAPMAP_H

#include <slate/types.h>

enum slate_heap_kind {
	SLATE_HEAP_FREE,
	SLATE_HEAP_RELEASED, /* free, and given back to whoever owns the machine */
	SLATE_HEAP_FRAMES,   /* callers' frames, and free ones in per-CPU caches */
	SLATE_HEAP_OBJECTS,  /* a span of objects of one class */
	SLATE_HEAP_LARGE,    /* one large object */
	SLATE_HEAP_STACK,    /* a kernel stack, its guard page included */
	SLATE_HEAP_METADATA,
	SLATE_HEAP_KINDS
};

/* A maximal run of frames of one kind; a span is a run of its own. */
struct slate_heap_run {
	pfn_t start;
	size_t pages;
	enum slate_heap_kind kind;
	unsigned span_class; /* of OBJECTS: as in slate_class_stats; else 0 */
	size_t object_bytes; /* of OBJECTS, LARGE and STACK; else 0 */
	size_t objects;      /* of OBJECTS: how many fit */
	size_t taken;        /* of these: out, or in per-CPU magazines and depots */
};

/*
 * Call fn for each run in ascending order, until it returns false. No lock is held: fn may do
 * anything, other CPUs may run, and what moves meanwhile is told as it was or as it is. Time: some
 * hundred instructions a run, and some hundred for each 2 MiB. Context: any but NMI. Idea: Go's
 * heap dump; the block map of disk defragmenters.
 */
void slate_heap_walk(bool (*fn)(const struct slate_heap_run *run, void *arg), void *arg);

#endif
