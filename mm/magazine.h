/* SPDX-License-Identifier: MIT */
/*
 * magazine.h (level 4) - an aligned array of pointers, addressed by its top alone.
 *
 * The state of a magazine is one word, the address of its topmost filled slot, so that a pop or a
 * push commits by one store and pointer and array cannot tear. Empty is seen by the NULL in the
 * floor slot, full by the aligned end: a push to slot MAGAZINE_SLOTS would lie on a multiple of the
 * magazine's size. A class that may hold fewer objects has a higher floor.
 *
 *    slot  0 ............ floor | floor + 1 ................. MAGAZINE_SLOTS - 1 | (aligned)
 *          unused         NULL  | objects                ^top        free slots  |
 *
 * The dummy's last slot is NULL, so as a top it is empty and full at once: every take and every
 * give goes the slow way.
 *
 * Idea: Bonwick's magazines; the one-word state is measured in docs/adr/0001-magazines.md.
 */
#ifndef MM_MAGAZINE_H
#define MM_MAGAZINE_H

#include <slate/types.h>

#define MAGAZINE_SLOTS    ((unsigned)SLATE_MAGAZINE_SLOTS)
#define MAGAZINE_BYTES    (MAGAZINE_SLOTS * sizeof(void *))
#define MAGAZINE_CAP_MAX  (MAGAZINE_SLOTS - 1)
#define MAGAZINE_TOP_MASK (MAGAZINE_BYTES - 1)

struct magazine {
	_Alignas(SLATE_MAGAZINE_SLOTS * sizeof(void *)) void *slot[MAGAZINE_SLOTS];
};
_Static_assert(sizeof(struct magazine) == MAGAZINE_BYTES,
	       "tops are masked to find the slot number");

/* A top: where the newest object lies. */
typedef void **magtop_t;

extern struct magazine magazine_dummy;
#define MAGAZINE_DUMMY (&magazine_dummy.slot[MAGAZINE_SLOTS - 1])

static inline struct magazine *magazine_of(magtop_t top)
{
	return (struct magazine *)((uintptr_t)top & ~(uintptr_t)MAGAZINE_TOP_MASK);
}

/* Slot number of a top. */
static inline unsigned magazine_slot(magtop_t top)
{
	return (unsigned)(((uintptr_t)top & MAGAZINE_TOP_MASK) / sizeof(void *));
}

/* The top of an empty magazine that may hold cap objects, 1 <= cap <= MAGAZINE_CAP_MAX. */
static inline magtop_t magazine_empty(struct magazine *mag, unsigned cap)
{
	magtop_t floor = &mag->slot[MAGAZINE_CAP_MAX - cap];

	mag->slot[0] = NULL; /* no plant (plant.h) */
	*floor = NULL;
	return floor;
}

/* Objects in the magazine; its class may hold cap. The dummy holds none. */
static inline unsigned magazine_count(magtop_t top, unsigned cap)
{
	return top == MAGAZINE_DUMMY ? 0 : magazine_slot(top) - (MAGAZINE_CAP_MAX - cap);
}

/* Slot 0 is not the floor's NULL, nor unused: see plant.h. */
static inline bool magazine_has_plant(magtop_t top)
{
	return SLATE_PROFILE && magazine_of(top)->slot[0];
}

static inline bool magazine_is_full(magtop_t top)
{
	return (((uintptr_t)(top + 1)) & MAGAZINE_TOP_MASK) == 0;
}

#endif
