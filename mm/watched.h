/* SPDX-License-Identifier: MIT */
/*
 * watched.h (level 8) - debug builds: from a pointer to its object's witness, and what is reported
 * of it.
 */
#ifndef MM_WATCHED_H
#define MM_WATCHED_H

#include <slate/report.h>

#include "mm/witness.h"

#if SLATE_DEBUG

struct watched {
	uintptr_t object;
	struct mspan *span;
	struct witness *witness;
};

/* The witness of an object that starts there; false: none does, or it has none. Any pointer. */
bool watched_find(const void *object, struct watched *found);

/* Somebody wrote where he may not. The object is given up, and counted. */
void watched_report_damage(const struct watched *w, const struct witness_damage *damage,
			   enum slate_crime crime, const char *call);

/* It is not taken: how that is called depends on where it is. */
void watched_report_state(const struct watched *w, enum slate_crime crime, const char *call);

/* A sized free, or one to a typed cache, that does not suit the object. */
void watched_report_size(const struct watched *w, size_t size_bytes, const char *call);
void watched_report_cache(const struct watched *w);

#endif

#endif
