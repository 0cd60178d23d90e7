/* SPDX-License-Identifier: MIT */
/*
 * malloc.c (level 8) - objects: size to class and magazine, class byte of the frame to magazine on
 * the way back. Everything above the largest class, or aligned to more than a frame, is a large
 * object with frames of its own.
 */
#include <slate/port.h>
#include <slate/slate.h>

#include "lib/string.h"
#include "mm/anyctx.h"
#include "mm/deferred.h"
#include "mm/directmap.h"
#include "mm/init.h"
#include "mm/kcache.h"
#include "mm/largepair.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/object.h"
#include "mm/onfree.h"
#include "mm/percpu.h"
#include "mm/reclaim.h"
#include "mm/sampled.h"
#include "mm/tiny.h"
#include "mm/trace.h"
#include "mm/watch.h"
#include "mm/words.h"
#include "mm/zeroer.h"

/* The last resort of a typed cache is what it has put aside. */
static void *out_of_memory(unsigned span_class)
{
	void *object = kcache_take_reserve(span_class);

	return object ? object : reclaim_failed();
}

/* caller: where the public call returns to, for the heap profile. */
static inline void *take_slow(unsigned span_class, const void *caller)
{
	void *object = mcache_take_slow(span_class);

	return SLATE_PROFILE && object == MCACHE_SAMPLE ? sampled_object(span_class, caller)
							: object;
}

/* The caches and all levels below had nothing. */
static __attribute__((noinline)) void *alloc_class_reclaim(unsigned span_class, unsigned flags,
							   const void *caller)
{
	struct reclaim reclaim = {0};

	if (!init_check("slate_alloc"))
		return out_of_memory(span_class);
	if (anyctx_is(flags)) {
		void *object = reclaim_next(&reclaim, flags)
				       ? mcache_take_anyctx_reserve(span_class)
				       : NULL;

		return object ? object : out_of_memory(span_class);
	}
	deferred_run();
	while (reclaim_next(&reclaim, flags)) {
		void *object = reclaim.reserve ? mcentral_take_reserve(span_class)
					       : take_slow(span_class, caller);

		if (object)
			return object;
	}
	return out_of_memory(span_class);
}

static inline void *alloc_class(unsigned span_class, unsigned flags, const void *caller)
{
	void *object =
		flags & SLATE_ANYCTX ? mcache_take_anyctx(span_class) : percpu_take(span_class);

	if (!object && !(flags & SLATE_ANYCTX))
		object = take_slow(span_class, caller);
	return object ? object : alloc_class_reclaim(span_class, flags, caller);
}

void *object_new_large(struct mspan *span, unsigned flags)
{
	/* the page allocator may know that it reads as zero */
	if ((flags & SLATE_ZERO) && span->needzero)
		memset((void *)span->base, 0, span->elem_bytes);
	else if (flags & SLATE_ZERO)
		zeroer_note_saved(span->pages);
	span->noscan = object_noscan(flags);
	return (void *)span->base;
}

/* This CPU's cache has none. */
static __attribute__((noinline)) void *alloc_large_slow(size_t pages, size_t align_pages,
							unsigned flags, const void *caller)
{
	struct reclaim reclaim = {.pages = pages};

	if (!init_check("slate_alloc"))
		return NULL;
	do {
		struct mspan *span = reclaim.reserve ? mheap_alloc_large_reserve(pages, align_pages)
						     : mheap_alloc_large(pages, align_pages);

		if (span) {
			sampled_large(span, caller);
			return object_new_large(span, flags);
		}
	} while (reclaim_next(&reclaim, flags));
	return reclaim_failed();
}

static void *alloc_large(size_t size_bytes, size_t align_bytes, unsigned flags, const void *caller)
{
	size_t pages = bytes_to_pages(size_bytes);
	size_t natural = pages & (~pages + 1);
	size_t align_pages = align_bytes >> SLATE_PAGE_SHIFT;

	if (size_bytes > SIZE_MAX / 2)
		return NULL;
	if (align_pages < natural)
		align_pages = natural;
	if (anyctx_is(flags))
		return anyctx_alloc_large(pages, align_pages, flags);

	struct mspan *span = largecache_take(pages, align_pages << SLATE_PAGE_SHIFT);

	if (!span)
		return alloc_large_slow(pages, align_pages, flags, caller);
	span->noscan = object_noscan(flags);
	sampled_large(span, caller);
	if (flags & SLATE_ZERO)
		memset((void *)span->base, 0, span->elem_bytes);
	return (void *)span->base;
}

/* NULL: no block to be had, or an NMI asks; an object of the smallest class serves as well. */
static void *alloc_tiny(size_t size_bytes, unsigned flags)
{
	return anyctx_is(flags) ? NULL : tiny_alloc(size_bytes);
}

static inline void *clear(void *object, size_t size_bytes, unsigned flags)
{
	if (object && (flags & SLATE_ZERO))
		memset(object, 0, size_bytes);
	return object;
}

static void *alloc_any(size_t size_bytes, size_t align_bytes, unsigned flags, const void *caller)
{
	unsigned sizeclass = 0;

	if (size_bytes <= SIZECLASS_MAX_BYTES && align_bytes <= OBJECT_ALIGN_MIN)
		sizeclass = sizeclass_of(size_bytes);
	else if (size_bytes <= SIZECLASS_MAX_BYTES && align_bytes <= SLATE_PAGE_SIZE)
		sizeclass = sizeclass_of_aligned(size_bytes, align_bytes);

	/* large ones are cleared there, as far as they must be */
	if (!sizeclass)
		return alloc_large(size_bytes ? size_bytes : 1, align_bytes, flags, caller);
	return clear(alloc_class(sizeclass << 1 | object_noscan(flags), flags, caller), size_bytes,
		     flags);
}

void *object_alloc(size_t size_bytes, size_t align_bytes, unsigned flags, const void *caller)
{
	void *object = NULL;

	if (object_is_tiny(size_bytes, align_bytes, flags))
		object = alloc_tiny(size_bytes, flags);
	return object ? clear(object, size_bytes, flags)
		      : alloc_any(size_bytes, align_bytes, flags, caller);
}

/* The magazine was empty. What calls it does so last, so that it returns to the public call's
 * caller.
 */
static __attribute__((noinline)) void *alloc_class_again(unsigned span_class)
{
	void *object = take_slow(span_class, TRACE_CALLER);

	return object ? object : alloc_class_reclaim(span_class, 0, TRACE_CALLER);
}

/* Classes that no sequence serves: so near to one as it can be. */
static inline void *alloc_middle(size_t size_bytes)
{
	unsigned span_class = sizeclass_of(size_bytes) << 1;
	void *object = percpu_take(span_class);

	if (!object)
		object = percpu_exchange(span_class);
	return object ? object : alloc_class_again(span_class);
}

/* Behind the sequence, or instead of it; never in line, where it would cost the fast path a stack
 * frame. */
__attribute__((noinline)) void *slate_alloc_slow(size_t size_bytes)
{
	WATCH_RETURN(watch_alloc(size_bytes, 0, 0, TRACE_CALLER));
	if (trace_is_on())
		return object_alloc_traced(size_bytes, 0, 0, TRACE_CALLER);
	if (size_bytes > SIZECLASS_SMALL_MAX)
		return size_bytes <= SIZECLASS_MAX_BYTES
			       ? alloc_middle(size_bytes)
			       : alloc_large(size_bytes, 0, 0, TRACE_CALLER);

	return alloc_class_again(sizeclass_of(size_bytes) << 1);
}

void *(slate_zalloc)(size_t size_bytes)
{
	WATCH_RETURN(watch_alloc(size_bytes, 0, SLATE_ZERO, TRACE_CALLER));
	if (size_bytes > WORDS_SMALL_BYTES)
		return slate_alloc_flags(size_bytes, SLATE_ZERO);

	void *object = (slate_alloc)(size_bytes);

	if (object)
		words_clear(object, size_bytes);
	return object;
}

void *slate_alloc_flags(size_t size_bytes, unsigned flags)
{
	WATCH_RETURN(watch_alloc(size_bytes, 0, flags, TRACE_CALLER));
	return trace_is_on() ? object_alloc_traced(size_bytes, 0, flags, TRACE_CALLER)
			     : object_alloc(size_bytes, 0, flags, TRACE_CALLER);
}

void *slate_alloc_aligned(size_t size_bytes, size_t align_bytes, unsigned flags)
{
	if (align_bytes == 0 || (align_bytes & (align_bytes - 1)))
		return NULL;
	WATCH_RETURN(watch_alloc(size_bytes, align_bytes, flags, TRACE_CALLER));
	return trace_is_on() ? object_alloc_traced(size_bytes, align_bytes, flags, TRACE_CALLER)
			     : object_alloc(size_bytes, align_bytes, flags, TRACE_CALLER);
}

/* ---- Free ---- */

void object_report(enum slate_crime crime, const char *call, const char *detail, const void *object,
		   size_t size_bytes, const struct mspan *span)
{
	struct slate_report report = {
		.crime = crime,
		.call = call,
		.detail = detail,
		.address = (uintptr_t)object,
		.size_bytes = size_bytes,
	};

	if (span) {
		report.object = mspan_object_start(span, (uintptr_t)object);
		report.object_bytes = witness_asked_bytes(span, report.object);
		report.span_base = span->base;
		report.span_pages = span->pages;
	}
	mm_report(&report);
}

/* A large object stays with this CPU or goes home: its struct is claimed under no lock but by the
 * state itself. */
static void free_large(void *object, const char *call)
{
	/* the class byte has just said that there is one */
	struct mspan *span = arena_span_unchecked(object);

	if (!span) {
		object_report(SLATE_CRIME_DOUBLE_FREE, call, "the frames are free already", object,
			      0, NULL);
	} else if (span->base != (uintptr_t)object) {
		object_report(SLATE_CRIME_INTERIOR, call,
			      "the pointer is not the start of the large object", object, 0, span);
	} else if (port_in_nmi()) {
		mcache_defer(object);
	} else if (span->specials && !onfree_release(span, object, call)) {
		return;
	} else if (!mspan_claim(span)) {
		object_report(SLATE_CRIME_DOUBLE_FREE, call,
			      "the large object is free already, or being freed", object, 0, span);
	} else if (!largecache_give(span)) {
		mheap_free_span(span);
	}
}

unsigned object_class(const void *object)
{
	unsigned class = arena_class(virt_to_pfn(object));
	const struct mspan *span = class == PAGECLASS_SLOW ? arena_span(virt_to_pfn(object)) : NULL;

	return span ? span->span_class : class;
}

static bool object_check(void *object, const char *call);

/* To this CPU's magazine. */
static void give_object(void *object, unsigned class, const char *call)
{
	if (!percpu_give(class, object))
		mcache_give_slow(class, object, call);
}

/*
 * An object on the frame has records, or the frames are being removed. In the second case, and as
 * long as others have records, past all caches: the object must not be given out again, or not so
 * that its next free comes by here for nothing.
 */
static void free_marked(void *object, const char *call)
{
	struct mspan *span = arena_span(virt_to_pfn(object));
	unsigned class = span ? span->span_class : PAGECLASS_NONE;

	if (!spanclass_is_size(class) && !spanclass_is_typed(class)) {
		object_report(SLATE_CRIME_DOUBLE_FREE, call, "the frames are free already", object,
			      0, NULL);
	} else if (!object_check(object, call)) {
		return;
	} else if (mspan_object_start(span, (uintptr_t)object) != (uintptr_t)object) {
		object_report(SLATE_CRIME_INTERIOR, call,
			      "the pointer is not the start of an object", object, 0, span);
	} else if (port_in_nmi()) {
		mcache_defer(object);
	} else if (onfree_release(span, object, call)) {
		if (arena_class_at(object) == PAGECLASS_SLOW)
			mcentral_give(class, &object, 1, call);
		else
			give_object(object, class, call);
	}
}

/* Its span knows its cache. */
static void free_typed(void *object, const char *call)
{
	struct mspan *span = arena_span(virt_to_pfn(object));

	if (!span || mspan_object_start(span, (uintptr_t)object) != (uintptr_t)object)
		object_report(SLATE_CRIME_INTERIOR, call,
			      "the pointer is not the start of a cache's object", object, 0, span);
	else
		give_object(object, span->span_class, call);
}

/* Each place of a block is known: all misuse is found at once. */
static void free_tiny(void *object, const char *call)
{
	const struct mspan *span = arena_span_unchecked(object);

	if (tiny_free(span, (uintptr_t)object, call))
		return;

	struct tiny_place place = tiny_look(span, (uintptr_t)object);
	bool interior = place.size > 0 && !place.bit;
	struct slate_report report = {
		.crime = interior ? SLATE_CRIME_INTERIOR : SLATE_CRIME_DOUBLE_FREE,
		.call = call,
		.detail = interior ? "the pointer is not the start of a tiny object"
				   : "the tiny object is free already",
		.address = (uintptr_t)object,
		.object = place.object,
		.object_bytes = place.size,
		.span_base = span->base,
		.span_pages = span->pages,
	};

	mm_report(&report);
}

/* Every class without magazines. */
static void free_special(void *object, unsigned class, const char *call)
{
	switch (class) {
	case PAGECLASS_LARGE:
		free_large(object, call);
		break;
	case PAGECLASS_SLOW:
		free_marked(object, call);
		break;
	case PAGECLASS_TYPED:
		free_typed(object, call);
		break;
	case PAGECLASS_TINY:
		free_tiny(object, call);
		break;
	case PAGECLASS_NONE:
		object_report(SLATE_CRIME_FOREIGN, call,
			      "the address lies in no memory that was added", object, 0, NULL);
		break;
	case PAGECLASS_FREE:
		object_report(SLATE_CRIME_NOT_OBJECT, call,
			      "the frame holds no objects: free, or a frame run", object, 0, NULL);
		break;
	default:
		if (class == PAGECLASS_STACK || class - PAGECLASS_STACK_HEAD < SLATE_STACK_ORDERS) {
			object_report(SLATE_CRIME_NOT_OBJECT, call,
				      "the frame is a stack's: slate_stack_free() takes it", object,
				      0, NULL);
			break;
		}
		object_report(SLATE_CRIME_NOT_OBJECT, call, "the frame is the allocator's own",
			      object, 0, NULL);
		break;
	}
}

/*
 * At once: misaligned pointers, and in debug builds whatever the flush would find. Returns false
 * when the call is void.
 */
static bool object_check(void *object, const char *call)
{
	if ((uintptr_t)object & (OBJECT_ALIGN_MIN - 1)) {
		object_report(SLATE_CRIME_MISALIGNED, call, "objects are aligned to 8 bytes",
			      object, 0, arena_span(virt_to_pfn(object)));
		return false;
	}
#if SLATE_DEBUG
	const struct mspan *span = arena_span(virt_to_pfn(object));

	if (span && mspan_object_start(span, (uintptr_t)object) != (uintptr_t)object) {
		object_report(SLATE_CRIME_INTERIOR, call,
			      "the pointer is not the start of an object", object, 0, span);
		return false;
	}
#endif
	return true;
}

static void free_object(void *object, unsigned class, const char *call)
{
	if (class - 1u >= PAGECLASS_SPAN_LAST) {
		free_special(object, class, call);
	} else if (object_check(object, call)) {
		give_object(object, class, call);
	}
}

#if SLATE_DEBUG
void *object_alloc_class(unsigned span_class, const void *caller)
{
	return alloc_class(span_class, 0, caller);
}

void object_free_bare(void *object)
{
	free_object(object, arena_class_at(object), "slate_free");
}

void object_free_stranger(void *object, const char *call)
{
	free_object(object, arena_class_at(object), call);
}
#endif

void object_free(void *object)
{
#if SLATE_DEBUG
	if (witness_is_on() && watch_finish(object))
		return;
#endif
	free_object(object, arena_class_at(object), "slate_free");
}

void slate_free_slow(void *object)
{
	WATCH_INSTEAD(watch_free(object, NULL, "slate_free", TRACE_CALLER));
	if (trace_is_on())
		object_free_traced(object, TRACE_CALLER);
	else if (object)
		free_object(object, arena_class_at(object), "slate_free");
}

void slate_free_sized_slow(void *object, size_t size_bytes)
{
	WATCH_INSTEAD(watch_free(object, &size_bytes, "slate_free_sized", TRACE_CALLER));
	if (!object)
		return;
	trace_free(object, TRACE_CALLER);
	unsigned class = object_class(object);
	bool fits = true;

	if (class - 1u < PAGECLASS_SPAN_LAST) {
		fits = size_bytes <= SIZECLASS_MAX_BYTES && sizeclass_of(size_bytes) == class >> 1;
	} else if (class == PAGECLASS_TINY) {
		unsigned size = tiny_look(arena_span_unchecked(object), (uintptr_t)object).size;

		fits = size == 0 || size == size_bytes;
	} else if (class == PAGECLASS_LARGE) {
		const struct mspan *span = arena_span(virt_to_pfn(object));

		fits = span && size_bytes <= span->elem_bytes &&
		       bytes_to_pages(size_bytes) == span->pages;
	}
	if (!fits) {
		object_report(SLATE_CRIME_WRONG_SIZE, "slate_free_sized",
			      "the size belongs to another class than the object", object,
			      size_bytes, arena_span(virt_to_pfn(object)));
		return;
	}
	free_object(object, arena_class(virt_to_pfn(object)), "slate_free_sized");
}

__attribute__((noinline)) void *slate_alloc_index_slow(size_t take_index)
{
	unsigned span_class = (unsigned)take_index - MCACHE_TAKE;

	WATCH_RETURN(watch_alloc_class(span_class, TRACE_CALLER));
	void *object = take_slow(span_class, TRACE_CALLER);

	if (!object)
		object = alloc_class_reclaim(span_class, 0, TRACE_CALLER);
	return trace_is_on() ? trace_index_alloc(span_class, object, TRACE_CALLER) : object;
}

/* The object may be of the class's noscan twin, outside the window, no object at all, or one too
 * many. */
void slate_free_index_slow(void *object, size_t size_and_index)
{
	slate_free_sized_slow(object, size_and_index >> 8);
}

void slate_give_index_slow(size_t give_index, void *object)
{
	unsigned class = (unsigned)give_index - MCACHE_GIVE;

#if SLATE_DEBUG
	if (witness_is_on() && watch_give_class(class, object, TRACE_CALLER))
		return;
#endif
	if (trace_is_on())
		trace_index_give(class, object, TRACE_CALLER);
	mcache_give_slow(class, object,
			 spanclass_is_typed(class) ? "slate_cache_free" : "slate_page_free");
}
