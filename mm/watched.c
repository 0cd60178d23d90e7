/* SPDX-License-Identifier: MIT */
/* watched.c (level 8) - witnesses found by address, and their reports. */
#include "mm/watched.h"

#if SLATE_DEBUG

#include "mm/arena.h"
#include "mm/mmdebug.h"

bool watched_find(const void *object, struct watched *found)
{
	unsigned class = arena_class_at(object);
	bool objects = class - 1u < PAGECLASS_SPAN_LAST || class == PAGECLASS_SLOW ||
		       class == PAGECLASS_TYPED || class == PAGECLASS_LARGE;
	struct mspan *span = objects ? arena_span(virt_to_pfn(object)) : NULL;

	if (!span || mspan_object_start(span, (uintptr_t)object) != (uintptr_t)object)
		return false;
	found->object = (uintptr_t)object;
	found->span = span;
	found->witness = witness_of(span, (uintptr_t)object);
	return found->witness != NULL;
}

static struct slate_report report_of(const struct watched *w, enum slate_crime crime,
				     const char *call, const char *detail)
{
	return (struct slate_report){
		.crime = crime,
		.call = call,
		.detail = detail,
		.address = w->object,
		.object = w->object,
		.object_bytes = w->witness->size_bytes,
		.span_base = w->span->base,
		.span_pages = w->span->pages,
	};
}

static const char *damage_detail(const struct watched *w, enum slate_crime crime, bool byte_known)
{
	if (crime == SLATE_CRIME_OVERFLOW)
		return "its red zone was written to";
	if (!byte_known)
		return "its contents changed while it was free";
	return w->witness->freed.known ? "it was written to while it was free"
				       : "it was written to before it was ever handed out";
}

void watched_report_damage(const struct watched *w, const struct witness_damage *damage,
			   enum slate_crime crime, const char *call)
{
	bool byte_known = damage->found != damage->expected;
	struct slate_report report = report_of(w, crime, call, damage_detail(w, crime, byte_known));

	if (byte_known) {
		report.damage = damage->address;
		report.damage_found = damage->found;
		report.damage_expected = damage->expected;
		report.damage_is_bit = damage->single_bit;
	}
	witness_set_state(w->witness, WITNESS_LOST);
	mm_leak_add(1);
	mm_report(&report);
}

void watched_report_state(const struct watched *w, enum slate_crime crime, const char *call)
{
	static const char *const details[WITNESS_STATES] = {
		[WITNESS_NONE] = "it was never handed out",
		[WITNESS_COMING] = "it was free, and has a new owner by now",
		[WITNESS_TAKEN] = "it was free, and has a new owner by now",
		[WITNESS_FREED] = "freed before, its finalizer has not run yet",
		[WITNESS_ASIDE] = "it is free, in quarantine",
		[WITNESS_HOME] = "it is free",
		[WITNESS_LOST] = "it was given up after a report",
	};
	struct slate_report report = report_of(w, crime, call, details[witness_state(w->witness)]);

	mm_report(&report);
}

void watched_report_size(const struct watched *w, size_t size_bytes, const char *call)
{
	struct slate_report report = report_of(w, SLATE_CRIME_WRONG_SIZE, call,
					       "the size belongs to another class than the object");

	report.size_bytes = size_bytes;
	mm_report(&report);
}

void watched_report_cache(const struct watched *w)
{
	struct slate_report report = report_of(w, SLATE_CRIME_WRONG_SIZE, "slate_cache_free",
					       "the object is not of this cache");

	mm_report(&report);
}

#endif
