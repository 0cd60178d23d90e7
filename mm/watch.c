/* SPDX-License-Identifier: MIT */
/*
 * watch.c (level 8) - an object's life in a debug build: checked when it is handed out, when it
 * comes back, when it leaves quarantine, and whenever somebody asks (watch_walk.c).
 *
 * Shortcomings: what an object's owner writes further than WITNESS_ZONE_MAX bytes behind it, or
 * before the first object of a span, is seen only if it hits another's zone or poison. Of a large
 * object the first WITNESS_FILL_MAX bytes are filled.
 */
#include "mm/watch.h"

#if SLATE_DEBUG

#include <slate/port.h>
#include <slate/slate.h>

#include "lib/bits.h"
#include "mm/arena.h"
#include "mm/kcache.h"
#include "mm/mcache.h"
#include "mm/mcache_source.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/object.h"
#include "mm/onfree.h"
#include "mm/quarantine.h"
#include "mm/spanclass.h"
#include "mm/trace.h"
#include "mm/watched.h"

void watch_init(void)
{
	quarantine_init();
}

/* ---- Allocation ---- */

/* What slate_alloc(size_bytes) promises, or gives: a power of two up to a frame, or the size's own.
 */
size_t watch_align(size_t size_bytes)
{
	size_t good_bytes = size_bytes <= SIZECLASS_MAX_BYTES
				    ? sizeclass_bytes[sizeclass_of(size_bytes)]
				    : bytes_to_pages(size_bytes) << SLATE_PAGE_SHIFT;
	size_t lowest = good_bytes & (~good_bytes + 1);

	/* above a frame the promise is for powers of two only, and each is a class of its own */
	if (size_bytes <= SIZECLASS_MAX_BYTES && size_bytes != lowest && lowest > SLATE_PAGE_SIZE)
		return SLATE_PAGE_SIZE;
	return lowest;
}

/*
 * The object that the levels below gave has an owner now. False: somebody wrote to it while it had
 * none; it is given up.
 */
static bool begin(void *object, size_t size_bytes, size_t align_bytes, unsigned flags,
		  const void *caller)
{
	struct watched w;
	struct witness_damage damage = {.address = 0};

	if (!watched_find(object, &w))
		return true;
	enum witness_state state = witness_state(w.witness);

	if (state == WITNESS_NONE || state == WITNESS_HOME)
		damage = witness_freed_check(w.witness, w.object, w.span->elem_bytes);
	if (damage.address) {
		watched_report_damage(&w, &damage, SLATE_CRIME_WRITE_AFTER_FREE, "slate_alloc");
		return false;
	}
	witness_set_state(w.witness, WITNESS_COMING);
	if (!w.witness->constructed)
		witness_fill_fresh(w.object, size_bytes, flags & SLATE_ZERO);
	witness_zone_write(w.object, size_bytes, w.span->elem_bytes);
	w.witness->size_bytes = size_bytes;
	w.witness->align_log2 = (uint8_t)bits_ctz64(align_bytes);
	witness_note(&w.witness->allocated, caller);
	w.witness->freed.known = false;
	witness_set_state(w.witness, WITNESS_TAKEN);
	return true;
}

void *watch_alloc(size_t size_bytes, size_t align_bytes, unsigned flags, const void *caller)
{
	size_t natural = watch_align(size_bytes <= SIZE_MAX / 2 ? size_bytes : 0);
	void *object;

	if (size_bytes > SIZE_MAX / 2)
		return NULL;
	if (align_bytes < natural)
		align_bytes = natural;
	do {
		object = object_alloc(size_bytes + WITNESS_ZONE_MIN, align_bytes,
				      flags & ~SLATE_ZERO, caller);
	} while (object && !begin(object, size_bytes, align_bytes, flags, caller));
	trace_alloc(object, size_bytes, caller);
	return object;
}

void *watch_alloc_class(unsigned span_class, const void *caller)
{
	struct watched w;
	void *object;

	if (spanclass_is_size(span_class))
		return watch_alloc(sizeclass_bytes[span_class >> 1], 0,
				   span_class & 1 ? SLATE_NOSCAN : 0, caller);
	do {
		object = object_alloc_class(span_class, caller);
		if (object && watched_find(object, &w))
			w.witness->constructed = kcache_is_constructed(span_class);
	} while (object && spanclass_is_typed(span_class) &&
		 !begin(object, kcache_size(span_class), 1, 0, caller));
	if (mcache_is_run(span_class) && object)
		watch_frames_alloc(slot_to_frame(object), mcache_run_pages(span_class));
	return trace_is_on() ? trace_index_alloc(span_class, object, caller) : object;
}

/* ---- Free ---- */

/* Out of quarantine, and into a magazine. */
static void go_home(void *object)
{
	struct watched w;
	struct witness_damage damage;

	if (!watched_find(object, &w) || witness_state(w.witness) != WITNESS_ASIDE)
		return;
	damage = witness_freed_check(w.witness, w.object, w.span->elem_bytes);
	if (damage.address) {
		watched_report_damage(&w, &damage, SLATE_CRIME_WRITE_AFTER_FREE, "slate_free");
		return;
	}
	witness_set_state(w.witness, WITNESS_HOME);
	object_free_bare(object);
}

static void put_aside(const struct watched *w)
{
	size_t bytes = w->span->elem_bytes;
	void *oldest;

	witness_fill_freed(w->witness, w->object, bytes);
	witness_set_state(w->witness, WITNESS_ASIDE);
	while ((oldest = quarantine_push((void *)w->object, bytes)) != NULL)
		go_home(oldest);
}

static void finish(const struct watched *w, const char *call)
{
	if (!w->span->specials || onfree_release(w->span, (void *)w->object, call))
		put_aside(w);
}

bool watch_finish(void *object)
{
	struct watched w;

	if (!watched_find(object, &w))
		return false;
	if (witness_state(w.witness) == WITNESS_FREED)
		finish(&w, "slate_free");
	return true;
}

void watch_drain(void)
{
	void *oldest;

	while ((oldest = quarantine_pop()) != NULL)
		go_home(oldest);
}

/* The size of the allocation, or of the same class. */
static bool size_fits(const struct watched *w, size_t size_bytes)
{
	size_t asked = w->witness->size_bytes;

	if (asked <= SIZECLASS_MAX_BYTES && size_bytes <= SIZECLASS_MAX_BYTES)
		return sizeclass_of(asked) == sizeclass_of(size_bytes);
	return asked > SIZECLASS_MAX_BYTES && size_bytes > SIZECLASS_MAX_BYTES &&
	       size_bytes <= SIZE_MAX / 2 && bytes_to_pages(asked) == bytes_to_pages(size_bytes);
}

static void end(const struct watched *w, const char *call, const void *caller)
{
	struct witness_damage damage;

	if (!witness_claim(w->witness)) {
		watched_report_state(w, SLATE_CRIME_DOUBLE_FREE, call);
		return;
	}
	damage = witness_zone_check(w->witness, w->object, w->span->elem_bytes);
	if (damage.address) {
		watched_report_damage(w, &damage, SLATE_CRIME_OVERFLOW, call);
		return;
	}
	witness_note(&w->witness->freed, caller);
	if (port_in_nmi())
		mcache_defer((void *)w->object);
	else
		finish(w, call);
}

void watch_free(void *object, const size_t *size_bytes, const char *call, const void *caller)
{
	struct watched w;

	if (!object)
		return;
	trace_free(object, caller);
	if (!watched_find(object, &w))
		object_free_stranger(object, call);
	else if (size_bytes && witness_state(w.witness) == WITNESS_TAKEN &&
		 !size_fits(&w, *size_bytes))
		watched_report_size(&w, *size_bytes, call);
	else
		end(&w, call, caller);
}

static void free_class(unsigned span_class, void *object, const void *caller)
{
	struct watched w;

	if (trace_is_on())
		trace_index_give(span_class, object, caller);
	if (!watched_find(object, &w))
		object_free_stranger(object, "slate_cache_free");
	else if (w.span->span_class != span_class)
		watched_report_cache(&w);
	else
		end(&w, "slate_cache_free", caller);
}

bool watch_give_class(unsigned class, void *value, const void *caller)
{
	if (mcache_is_run(class))
		return !watch_frames_free(slot_to_frame(value), mcache_run_pages(class));
	if (!spanclass_is_typed(class))
		return false;
	free_class(class, value, caller);
	return true;
}

/* ---- Sizes ---- */

bool watch_size(const void *object, const char *call, size_t *size_bytes)
{
	struct watched w;

	if (!watched_find(object, &w))
		return false;
	*size_bytes = w.witness->size_bytes;
	if (witness_state(w.witness) != WITNESS_TAKEN) {
		*size_bytes = 0;
		watched_report_state(&w, SLATE_CRIME_USE_AFTER_FREE, call);
	}
	return true;
}

#endif
