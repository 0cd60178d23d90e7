/* SPDX-License-Identifier: MIT */
/* watch_realloc.c (level 8) - debug builds: slate_realloc(), with a red zone that moves along. */
#include "mm/watch.h"

#if SLATE_DEBUG

#include <slate/slate.h>

#include "lib/string.h"
#include "mm/arena.h"
#include "mm/mheap.h"
#include "mm/object.h"
#include "mm/watched.h"

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* May the object be one of that size where it lies? As in release builds: of the same class, or
 * large and resized. */
static bool stays(const struct watched *w, size_t size_bytes)
{
	size_t old_bytes = w->witness->size_bytes;
	size_t needed = size_bytes + WITNESS_ZONE_MIN;

	if (w->object & (watch_align(size_bytes) - 1))
		return false;
	if (w->span->span_class == PAGECLASS_LARGE)
		return smaller(old_bytes, size_bytes) > SIZECLASS_MAX_BYTES &&
		       mheap_resize_large(w->span, bytes_to_pages(needed));
	return needed <= w->span->elem_bytes && size_bytes <= SIZECLASS_MAX_BYTES &&
	       sizeclass_of(size_bytes) == sizeclass_of(old_bytes);
}

/* What was red zone becomes the owner's, or the other way round. */
static void move_zone(const struct watched *w, size_t size_bytes)
{
	size_t old_bytes = w->witness->size_bytes;

	/* whoever walks over all objects looks away meanwhile */
	witness_set_state(w->witness, WITNESS_COMING);
	if (size_bytes > old_bytes)
		witness_fill_fresh(w->object + old_bytes, size_bytes - old_bytes, false);
	w->witness->size_bytes = size_bytes;
	witness_zone_write(w->object, size_bytes, w->span->elem_bytes);
	witness_set_state(w->witness, WITNESS_TAKEN);
}

static void *move(const struct watched *w, size_t size_bytes, const void *caller)
{
	size_t old_bytes = w->witness->size_bytes;
	void *place = watch_alloc(size_bytes, (size_t)1 << w->witness->align_log2,
				  w->span->noscan ? SLATE_NOSCAN : 0, caller);

	if (place) {
		memcpy(place, (void *)w->object, smaller(old_bytes, size_bytes));
		watch_free((void *)w->object, NULL, "slate_realloc", caller);
	}
	return place;
}

void *watch_realloc(void *object, size_t size_bytes, const void *caller)
{
	struct watched w;
	struct witness_damage damage;

	if (size_bytes > SIZE_MAX / 2)
		return NULL;
	if (!watched_find(object, &w)) {
		object_size(object, "slate_realloc");
		return NULL;
	}
	if (witness_state(w.witness) != WITNESS_TAKEN) {
		watched_report_state(&w, SLATE_CRIME_USE_AFTER_FREE, "slate_realloc");
		return NULL;
	}
	damage = witness_zone_check(w.witness, w.object, w.span->elem_bytes);
	if (damage.address) {
		watched_report_damage(&w, &damage, SLATE_CRIME_OVERFLOW, "slate_realloc");
		return NULL;
	}
	if (!stays(&w, size_bytes))
		return move(&w, size_bytes, caller);
	move_zone(&w, size_bytes);
	return object;
}

#endif
