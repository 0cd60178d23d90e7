/* SPDX-License-Identifier: MIT */
/*
 * span.h - which span an address lies in: a run of frames with one purpose, that holds objects of
 * one size, one large object, or one kernel stack.
 *
 * All of it takes any address, also garbage, and no lock, in any context. What it says of memory
 * that the caller holds is exact; what it says of other memory was true at some moment of the call
 * and may be over.
 */
#ifndef SLATE_SPAN_H
#define SLATE_SPAN_H

#include <slate/types.h>

enum slate_span_kind {
	SLATE_SPAN_OBJECTS, /* objects of one size class, or of a typed cache */
	SLATE_SPAN_LARGE,   /* one large object */
	SLATE_SPAN_STACK,   /* a kernel stack and the guard page below it */
	SLATE_SPAN_KINDS
};

struct slate_span_info {
	uintptr_t base; /* the span's first byte */
	size_t pages;
	enum slate_span_kind kind;
	const char *state;   /* "in use", "manual", "claimed", "cached": for diagnostics */
	size_t object_bytes; /* what one object holds; of a stack, without its guard page */
	uintptr_t object;    /* where the object starts that the address lies in; 0 in a span's tail
				and in a guard page */
	unsigned objects;    /* how many the span holds when it is full */
	unsigned node;
	bool noscan; /* the objects hold no pointers */
};

/* False, and nothing is written, when the address lies in no span: frame runs and Slate's own
 * metadata are none. */
bool slate_span_of(const void *address, struct slate_span_info *info);

/* Does it lie in a span that holds objects? The second one says yes for kernel stacks, too. */
bool slate_in_heap(const void *address);
bool slate_in_heap_or_stack(const void *address);

/* "objects", "large", "stack"; "unknown" for other numbers. */
const char *slate_span_kind_name(enum slate_span_kind kind);

#endif
