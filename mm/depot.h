/* SPDX-License-Identifier: MIT */
/*
 * depot.h (level 4) - full magazines of one class between the CPUs: a batch moves from one CPU to
 * another by one pointer, under a lock of its own, without touching an object or its span.
 */
#ifndef MM_DEPOT_H
#define MM_DEPOT_H

#include "mm/lockrank.h"
#include "mm/magazine.h"

#define DEPOT_DEPTH 32u

struct depot {
	struct mm_lock lock;                /* RANK_MCENTRAL */
	unsigned count;                     /* (lock) magazines held */
	unsigned limit;                     /* (const) at most DEPOT_DEPTH */
	struct magazine *full[DEPOT_DEPTH]; /* (lock) */
};

void depot_init(struct depot *depot, unsigned limit);

/* Leave a full magazine; false when the depot holds its limit. */
bool depot_push(struct depot *depot, struct magazine *mag);

/* Take a full magazine, the one left last, or NULL. */
struct magazine *depot_pop(struct depot *depot);

/* How many it holds now. */
unsigned depot_count(struct depot *depot);

#endif
