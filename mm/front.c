/* SPDX-License-Identifier: MIT */
/*
 * front.c (level 8) - the fast paths in C: size to magazine, class byte to magazine. With
 * restartable sequences arch/ARCH/rseq.S defines these.
 */
#include <slate/port.h>
#include <slate/slate.h>

#include "mm/mcache.h"
#include "mm/object.h"
#include "mm/percpu.h"
#include "mm/trace.h"
#include "mm/watch.h"

#if SLATE_PROTECT != SLATE_PROTECT_RSEQ

void *(slate_alloc)(size_t size_bytes)
{
	WATCH_RETURN(watch_alloc(size_bytes, 0, 0, TRACE_CALLER));
	if (size_bytes > SIZECLASS_SMALL_MAX)
		return slate_alloc_slow(size_bytes);

	void *object = percpu_take(sizeclass_of(size_bytes) << 1);

	return object ? object : slate_alloc_slow(size_bytes);
}

void *slate_alloc_index(size_t take_index)
{
	WATCH_RETURN(watch_alloc_class((unsigned)take_index - MCACHE_TAKE, TRACE_CALLER));
	void *object = percpu_take(take_index - MCACHE_TAKE);

	return object ? object : slate_alloc_index_slow(take_index);
}

void slate_give_index(size_t give_index, void *object)
{
#if SLATE_DEBUG
	unsigned class = (unsigned)give_index - MCACHE_GIVE;

	if (witness_is_on()) {
		if (!watch_give_class(class, object, TRACE_CALLER))
			mcache_give_slow(class, object, "slate_page_free");
		return;
	}
#endif
	if (!percpu_give(give_index - MCACHE_GIVE, object))
		slate_give_index_slow(give_index, object);
}

/*
 * The class byte of an object in the window, else PAGECLASS_NONE. The rotation carries the low
 * three bits to the top, so one compare refuses foreign, unmapped and misaligned pointers, and
 * NULL.
 */
static inline unsigned window_class(const void *object)
{
	size_t at = (uintptr_t)object - arena_window.base;

	at = at >> 3 | at << (8 * sizeof(at) - 3);
	if (SLATE_DEBUG || at >= arena_window.bytes >> 3)
		return PAGECLASS_NONE;
	/* acquire: as in arena_class() */
	return atomic_load_explicit(&arena_window.class_of[at >> (SLATE_PAGE_SHIFT - 3)],
				    memory_order_acquire);
}

/* Classes without magazines have a give top that always looks full. */
void slate_free(void *object)
{
	WATCH_INSTEAD(watch_free(object, NULL, "slate_free", TRACE_CALLER));
	if (!percpu_give(window_class(object), object))
		slate_free_slow(object);
}

void slate_free_index(void *object, size_t size_and_index)
{
	unsigned class = window_class(object);

	if (class != (size_and_index & 0xff) || !percpu_give(class, object))
		slate_free_index_slow(object, size_and_index);
}

void(slate_free_sized)(void *object, size_t size_bytes)
{
	unsigned class = window_class(object);

	WATCH_INSTEAD(watch_free(object, &size_bytes, "slate_free_sized", TRACE_CALLER));
	if (size_bytes > SIZECLASS_SMALL_MAX || sizeclass_of(size_bytes) != class >> 1 ||
	    !percpu_give(class, object))
		slate_free_sized_slow(object, size_bytes);
}

#endif
