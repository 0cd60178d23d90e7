/* SPDX-License-Identifier: MIT */
/*
 * depot.c (level 4) - full magazines of one class between the CPUs. A chain's links lie in slots 0,
 * which are unused or hold the NULL that ends a magazine: it is put back.
 */
#include "mm/depot.h"

/* Of idle magazines: half, or where the class is in use a part that does not show. */
#define IDLE_SHIFT 1u
#define BUSY_SHIFT 6u

struct magazine magazine_dummy;

static void set_count(struct depot *depot, unsigned count)
{
	atomic_store_explicit(&depot->count, count, memory_order_relaxed);
	depot->touched = true;
	if (count < depot->low)
		depot->low = count;
}

static void chain(struct magazine **first, struct magazine *mag)
{
	mag->slot[0] = *first;
	*first = mag;
}

static struct magazine *unchain(struct magazine **first)
{
	struct magazine *mag = *first;

	if (mag) {
		*first = mag->slot[0];
		mag->slot[0] = NULL;
	}
	return mag;
}

void depot_init(struct depot *depot, unsigned limit)
{
	mm_lock_init(&depot->lock, RANK_MCENTRAL);
	depot->full = NULL;
	depot->empty = NULL;
	depot->limit = limit;
	depot->low = 0;
	set_count(depot, 0);
}

void depot_set_limit(struct depot *depot, unsigned limit)
{
	unsigned long irq = mm_lock_acquire(&depot->lock);

	depot->limit = limit;
	mm_lock_release(&depot->lock, irq);
}

bool depot_push(struct depot *depot, struct magazine *mag, struct magazine **empty)
{
	unsigned long irq = mm_lock_acquire(&depot->lock);
	bool room = depot_count(depot) < depot->limit;

	*empty = NULL;
	if (room) {
		chain(&depot->full, mag);
		*empty = unchain(&depot->empty);
		set_count(depot, depot_count(depot) + 1);
	}
	mm_lock_release(&depot->lock, irq);
	return room;
}

struct magazine *depot_pop(struct depot *depot, struct magazine *empty)
{
	unsigned long irq = mm_lock_acquire(&depot->lock);
	struct magazine *mag = unchain(&depot->full);

	if (mag) {
		set_count(depot, depot_count(depot) - 1);
		if (empty)
			chain(&depot->empty, empty);
	}
	mm_lock_release(&depot->lock, irq);
	return mag;
}

unsigned depot_try_unload(struct depot *depot, void **out, unsigned n)
{
	struct magazine *mag;
	unsigned long irq;

	if (!mm_lock_try(&depot->lock, &irq))
		return 0;
	mag = unchain(&depot->full);
	if (mag) {
		for (unsigned i = 0; i < n; i++)
			out[i] = mag->slot[MAGAZINE_CAP_MAX - i];
		set_count(depot, depot_count(depot) - 1);
		chain(&depot->empty, mag);
	}
	mm_lock_release(&depot->lock, irq);
	return mag ? n : 0;
}

struct magazine *depot_pop_empty(struct depot *depot)
{
	unsigned long irq = mm_lock_acquire(&depot->lock);
	struct magazine *mag = unchain(&depot->empty);

	mm_lock_release(&depot->lock, irq);
	return mag;
}

unsigned depot_turn(struct depot *depot)
{
	unsigned long irq = mm_lock_acquire(&depot->lock);
	unsigned n = depot->touched ? depot->low >> BUSY_SHIFT : (depot->low + 1) >> IDLE_SHIFT;
	unsigned most = depot->limit / 4 + 1;

	depot->touched = false;
	depot->low = depot_count(depot);
	mm_lock_release(&depot->lock, irq);
	return n < most ? n : most;
}
