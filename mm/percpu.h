/* SPDX-License-Identifier: MIT */
/*
 * percpu.h (level 7) - the four things that may be done to a magazine's top in this CPU's mcache.
 * Each is one indivisible step towards everything else that runs on the CPU: interrupt handlers,
 * and tasks after a migration.
 *
 * This is the protection by masked interrupts. A restartable-sequence version has the same four
 * steps and the same contract, so that the code above does not know which one it runs on: every
 * step ends in at most one store, and none reads more than one top.
 */
#ifndef MM_PERCPU_H
#define MM_PERCPU_H

#include <slate/port.h>

#include "mm/magazine.h"
#include "mm/mcache.h"

/* Pop from this CPU's take magazine; NULL when it is empty. */
static inline void *percpu_take(unsigned class)
{
	unsigned long irq = port_irq_save();
	struct mcache *cache = mcache_this();
	magtop_t top = mcache_top(&cache->take[class]);
	void *object = *top;

	if (object)
		mcache_set_top(&cache->take[class], top - 1);
	port_irq_restore(irq);
	return object;
}

/* Push onto this CPU's give magazine; false when it is full. */
static inline bool percpu_give(unsigned class, void *object)
{
	unsigned long irq = port_irq_save();
	struct mcache *cache = mcache_this();
	magtop_t top = mcache_top(&cache->give[class]);
	bool room = !magazine_is_full(top);

	if (room) {
		top[1] = object;
		mcache_set_top(&cache->give[class], top + 1);
	}
	port_irq_restore(irq);
	return room;
}

/* Put the dummy in the magazine's place and return what was there: from now on it is the caller's
 * alone. */
static inline magtop_t percpu_detach(enum mcache_side side, unsigned class)
{
	unsigned long irq = port_irq_save();
	_Atomic(magtop_t) *place = mcache_place(mcache_this(), side, class);
	magtop_t top = mcache_top(place);

	mcache_set_top(place, MAGAZINE_DUMMY);
	port_irq_restore(irq);
	return top;
}

/* Install a magazine where the dummy is; false when another one came first. */
static inline bool percpu_attach(enum mcache_side side, unsigned class, magtop_t top)
{
	unsigned long irq = port_irq_save();
	_Atomic(magtop_t) *place = mcache_place(mcache_this(), side, class);
	bool vacant = mcache_top(place) == MAGAZINE_DUMMY;

	if (vacant)
		mcache_set_top(place, top);
	port_irq_restore(irq);
	return vacant;
}

#endif
