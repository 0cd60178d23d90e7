/* SPDX-License-Identifier: MIT */
/*
 * object.h (level 8) - what the entry points of malloc.c and realloc.c share.
 */
#ifndef MM_OBJECT_H
#define MM_OBJECT_H

#include <slate/slate.h>

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/sizeclass.h"
#include "mm/tiny.h"

/* Of all objects but tiny ones. */
#define OBJECT_ALIGN_MIN 8u

/* align_bytes: a power of two, or 0. flags: SLATE_*. caller: where the public call returns to. */
void *object_alloc(size_t size_bytes, size_t align_bytes, unsigned flags, const void *caller);

/*
 * What the sequences of arch/ARCH/rseq.S fall back to, and the whole of these calls where there are
 * none.
 */
void *slate_alloc_slow(size_t size_bytes);
void *slate_alloc_index_slow(size_t take_index);
void slate_give_index_slow(size_t give_index, void *object);
void slate_free_index_slow(void *object, size_t size_and_index);
void slate_free_slow(void *object);
void slate_free_sized_slow(void *object, size_t size_bytes);
pfn_t slate_frame_alloc_slow(void);
void slate_frame_free_slow(pfn_t pfn);
void *slate_stack_alloc_slow(unsigned order);
void slate_stack_free_slow(void *stack);

/* A trace is on: the same as slate_alloc_flags() and slate_free() do, and recorded. */
void *object_alloc_traced(size_t size_bytes, size_t align_bytes, unsigned flags,
			  const void *caller);
void object_free_traced(void *object, const void *caller);

/* The class of the object's span where its frames are marked, too; else the class byte. */
unsigned object_class(const void *object);

/* What is wrong with a pointer, at most what is known of its span; span may be NULL. */
struct mspan;
void object_report(enum slate_crime crime, const char *call, const char *detail, const void *object,
		   size_t size_bytes, const struct mspan *span);

/* slate_free() and slate_frame_free() without a record in a trace; not of NULL. */
void object_free(void *object);
void object_free_frame(pfn_t pfn);

static inline unsigned object_noscan(unsigned flags)
{
	return flags & SLATE_NOSCAN ? 1 : 0;
}

/* A large object that came fresh from the page allocator, as its caller wants it. */
void *object_new_large(struct mspan *span, unsigned flags);

/* Does a request get a tiny object, where the context allows it? */
static inline bool object_is_tiny(size_t size_bytes, size_t align_bytes, unsigned flags)
{
	return SLATE_TINY && (flags & SLATE_NOSCAN) && tiny_fits(size_bytes, align_bytes);
}

#if SLATE_DEBUG
/* For watch.c: an object of a class, and a free, without witnesses. The second is of what has none:
 * it reports what slate_free() would. */
void *object_alloc_class(unsigned span_class, const void *caller);
void object_free_bare(void *object);
void object_free_stranger(void *object, const char *call);
#endif

/* Element size of an object; 0 and a report in the name of call when the pointer is none. */
size_t object_size(const void *object, const char *call);

#endif
