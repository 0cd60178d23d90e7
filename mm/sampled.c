/* SPDX-License-Identifier: MIT */
/*
 * sampled.c (level 8) - samples of the heap profile: where their memory comes from, and what is
 * recorded.
 */
#include "mm/sampled.h"

#include <slate/port.h>
#include <slate/slate.h>

#include "mm/arena.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/onfree.h"
#include "mm/percpu.h"
#include "mm/plant.h"
#include "mm/sampling.h"

#if SLATE_PROFILE

/* Hang the record on it, or count what could not be recorded. */
static bool record(struct mspan *span, void *object, struct profile_bucket *bucket)
{
	if (!onfree_sample(span, object, bucket)) {
		profile_count_lost();
		return false;
	}
	profile_count_alloc(bucket);
	return true;
}

/* A sample of the class, or NULL. */
static void *sample_new(unsigned span_class, const void *caller)
{
	struct profile_bucket *bucket =
		profile_bucket(spanclass_get(span_class).elem_bytes, caller);
	void *object = bucket ? mcentral_take_sampled(span_class) : NULL;

	if (!object) {
		profile_count_lost();
		return NULL;
	}
	if (record(arena_span_unchecked(object), object, bucket))
		return object;
	mcentral_give(span_class, &object, 1, "slate_alloc");
	return NULL;
}

void *sampled_object(unsigned span_class, const void *caller)
{
	void *object = profile_rate() > 0 ? sample_new(span_class, caller) : NULL;

	if (object)
		return object;
	return mcache_take_many(span_class, &object, 1) ? object : NULL;
}

void sampled_large_slow(struct mspan *span, const void *caller)
{
	struct profile_bucket *bucket;

	if (!plant_is_bytes_due(span->elem_bytes))
		return;
	bucket = profile_bucket(span->elem_bytes, caller);
	if (bucket)
		record(span, (void *)span->base, bucket);
	else
		profile_count_lost();
}

/* Each sample sends an object home, and takes its place. */
void sampled_bulk(unsigned span_class, void **objects, size_t n, const void *caller)
{
	size_t size_bytes = spanclass_get(span_class).elem_bytes;

	for (size_t i = plant_skip(size_bytes); i < n; i += 1 + plant_skip(size_bytes)) {
		void *object = sample_new(span_class, caller);

		if (!object)
			return;
		mcentral_give(span_class, &objects[i], 1, "slate_alloc_bulk");
		objects[i] = object;
	}
}

void slate_profile_rate(size_t bytes)
{
	profile_set_rate(bytes);
	slate_flush();
	/* and those that it could not reach */
	mcache_ask_drain();
}

#else

void slate_profile_rate(size_t bytes)
{
	(void)bytes;
}

#endif
