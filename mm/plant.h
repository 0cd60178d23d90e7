/* SPDX-License-Identifier: MIT */
/*
 * plant.h (level 7) - where the heap profile's next sample falls into a take magazine: a NULL is
 * planted there, so that the pop which would serve it goes the slow way, and no other does.
 *
 *    slot  0 ..... | objects ... NULL ... objects | free slots |
 *          ^ the object whose place that is       ^top
 *
 * Slot 0 of a magazine that has no plant holds NULL, and MAGAZINE_CAP_MAX objects leave it to be
 * the floor. Only a take magazine that is attached has a plant: it is undone when the magazine is
 * detached, and exchanges leave such a magazine to the slow paths. So all counts are what they are
 * without.
 *
 * Which take magazine has one: see sampling.h. A threshold is drawn for a class and a CPU; as so
 * many whole magazines without a sample (quiet[]), and the place in the next one. Each take
 * magazine that comes, as long as it may be, counts as one of a full magazine's length: objects
 * that it does not hold or that are not taken from it are places that no object came to.
 */
#ifndef MM_PLANT_H
#define MM_PLANT_H

#include "mm/percpu.h"

/* What a slot below the top holds, for those who walk over them. */
static inline void *plant_see(magtop_t slot)
{
	return *slot ? *slot : magazine_of(slot)->slot[0];
}

/* Put the object back in the place of the plant of a detached magazine, if it has one. */
void plant_undo_slow(magtop_t top);

static inline void plant_undo(magtop_t top)
{
	if (__builtin_expect(magazine_has_plant(top), 0))
		plant_undo_slow(top);
}

/* This CPU's take magazine, detached, its plant undone. */
static inline magtop_t plant_detach(unsigned class)
{
	magtop_t top = percpu_detach(MCACHE_TAKE, class);

	plant_undo(top);
	return top;
}

void plant_expose_slow(unsigned class, magtop_t top);

/* A magazine is about to be attached to take from: plant what falls into it. */
static inline void plant_expose(unsigned class, magtop_t top)
{
	if (SLATE_PROFILE && spanclass_is_size(class) && top != MAGAZINE_DUMMY &&
	    __builtin_expect(!percpu_count_quiet(class), 0))
		plant_expose_slow(class, top);
}

/*
 * Is this CPU's take magazine at its plant? Then undo that where it stands: for contexts that may
 * not make a sample, NMIs among them. The one store into a magazine that is attached.
 */
bool plant_give_way(unsigned class);

/* Is an object that comes from no magazine a sample? */
bool plant_is_single_due(unsigned class);

/* The same for any memory; and how many objects of a size pass until the next sample, SIZE_MAX: no
 * end of them. */
bool plant_is_bytes_due(size_t size_bytes);
size_t plant_skip(size_t size_bytes);

/* This CPU draws its thresholds anew if the rate has changed. */
void plant_forget(void);

/* Other classes than of sizes have no samples: theirs are endless, but for the counting down. */
void plant_renew_quiet(struct mcache *cache, unsigned class);

/* Of a new CPU: nothing is drawn yet. seed: another for each CPU. */
void plant_init(struct mcache *cache, unsigned seed);

#endif
