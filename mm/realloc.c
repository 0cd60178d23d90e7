/* SPDX-License-Identifier: MIT */
/* realloc.c (level 8) - resizing, and zeroed arrays. */
#include <slate/slate.h>

#include "lib/string.h"
#include "mm/mheap.h"
#include "mm/object.h"
#include "mm/spanof.h"
#include "mm/trace.h"
#include "mm/watch.h"
#include "mm/words.h"

void *slate_calloc(size_t n, size_t size_bytes)
{
	size_t total_bytes;

	if (__builtin_mul_overflow(n, size_bytes, &total_bytes))
		return NULL;
	WATCH_RETURN(watch_alloc(total_bytes, 0, SLATE_ZERO, TRACE_CALLER));
	return slate_zalloc(total_bytes);
}

static size_t lowest_bit(size_t x)
{
	return x & (~x + 1);
}

/* Would slate_alloc() align an object of good_bytes as one of old_bytes is? */
static inline bool aligns_alike(size_t old_bytes, size_t good_bytes)
{
	return (good_bytes & (lowest_bit(old_bytes) - 1)) == 0;
}

/* The first keep_bytes of object; place may be NULL: then it stays. Returns place. */
static inline void *move(void *object, void *place, size_t keep_bytes, void (*free)(void *object))
{
	if (!place)
		return NULL;
	/* tiny objects are no words */
	if (keep_bytes >= sizeof(uint64_t) && keep_bytes <= WORDS_SMALL_BYTES)
		words_copy(place, object, keep_bytes);
	else
		memcpy(place, object, keep_bytes);
	free(object);
	return place;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * A large object that becomes another large one may stay where it lies, if that is aligned as one
 * of the new size is: then the frames behind it are all that it takes.
 */
static bool resize_large(void *object, size_t old_bytes, size_t good_bytes)
{
	struct mspan *span = arena_span(virt_to_pfn(object));

	if (smaller(old_bytes, good_bytes) <= SIZECLASS_MAX_BYTES || !span ||
	    span->page_class != PAGECLASS_LARGE ||
	    ((uintptr_t)object & (lowest_bit(good_bytes) - 1)))
		return false;
	return mheap_resize_large(span, good_bytes >> SLATE_PAGE_SHIFT);
}

/* Any object: what slate_realloc() says, whatever the object's class, alignment and flags are. */
static __attribute__((noinline)) void *realloc_any(void *object, size_t size_bytes,
						   const void *caller)
{
	size_t old_bytes = object_size(object, "slate_realloc");
	size_t good_bytes = slate_good_size(size_bytes);
	size_t align_bytes = lowest_bit(old_bytes);

	if (old_bytes == 0)
		return NULL;
	/* a tiny object's size is the only one that suits it */
	if (good_bytes == old_bytes || size_bytes == old_bytes ||
	    resize_large(object, old_bytes, good_bytes))
		return object;
	/* then the plain call will do, but for a tiny object in a larger one's place */
	if (aligns_alike(old_bytes, good_bytes))
		align_bytes = smaller(align_bytes, OBJECT_ALIGN_MIN);

	const struct mspan *span = spanof_heap(object);
	unsigned flags = span && span->noscan ? SLATE_NOSCAN : 0;

	return move(object, object_alloc(size_bytes, align_bytes, flags, caller),
		    smaller(old_bytes, size_bytes), object_free);
}

/* Its old place may have a new owner before it returns: that it was given up is recorded first. */
static __attribute__((noinline)) void *realloc_traced(void *object, size_t size_bytes,
						      const void *caller)
{
	uint32_t link = trace_note(SLATE_TRACE_REALLOC_FROM, (uintptr_t)object, size_bytes, caller);
	void *place = realloc_any(object, size_bytes, caller);

	trace_note_linked(SLATE_TRACE_REALLOC_TO, (uintptr_t)place, size_bytes, caller, link);
	return place;
}

void *slate_realloc(void *object, size_t size_bytes)
{
	if (!object)
		return (slate_alloc)(size_bytes);
	if (size_bytes == 0) {
		slate_free(object);
		return NULL;
	}
	WATCH_RETURN(watch_realloc(object, size_bytes, TRACE_CALLER));
	if (trace_is_on())
		return realloc_traced(object, size_bytes, TRACE_CALLER);
	unsigned class = arena_class_at(object);

	/* even classes are those of slate_alloc(): their objects may hold pointers */
	if (class - 1u >= PAGECLASS_SPAN_LAST || (class & 1))
		return realloc_any(object, size_bytes, TRACE_CALLER);

	size_t old_bytes = sizeclass_bytes[class >> 1];
	size_t good_bytes = slate_good_size(size_bytes);

	if (good_bytes == old_bytes)
		return object;
	if (!aligns_alike(old_bytes, good_bytes))
		return realloc_any(object, size_bytes, TRACE_CALLER);
	return move(object, (slate_alloc)(size_bytes), smaller(old_bytes, size_bytes), slate_free);
}
