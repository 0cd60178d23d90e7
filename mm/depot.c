/* SPDX-License-Identifier: MIT */
/* depot.c (level 4) - full magazines of one class between the CPUs. */
#include "mm/depot.h"

struct magazine magazine_dummy;

void depot_init(struct depot *depot, unsigned limit)
{
	mm_lock_init(&depot->lock, RANK_MCENTRAL);
	depot->count = 0;
	depot->limit = limit < DEPOT_DEPTH ? limit : DEPOT_DEPTH;
}

bool depot_push(struct depot *depot, struct magazine *mag)
{
	unsigned long irq = mm_lock_acquire(&depot->lock);
	bool room = depot->count < depot->limit;

	if (room)
		depot->full[depot->count++] = mag;
	mm_lock_release(&depot->lock, irq);
	return room;
}

struct magazine *depot_pop(struct depot *depot)
{
	unsigned long irq = mm_lock_acquire(&depot->lock);
	struct magazine *mag = NULL;

	if (depot->count > 0)
		mag = depot->full[--depot->count];
	mm_lock_release(&depot->lock, irq);
	return mag;
}

unsigned depot_count(struct depot *depot)
{
	unsigned long irq = mm_lock_acquire(&depot->lock);
	unsigned count = depot->count;

	mm_lock_release(&depot->lock, irq);
	return count;
}
