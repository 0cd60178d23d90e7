/* SPDX-License-Identifier: MIT */
/* quarantine.c (level 4) - rings of objects, each under a lock. */
#include "mm/quarantine.h"

#if SLATE_DEBUG

#include <slate/port.h>

#include "mm/lockrank.h"

/* CPUs that share a number share a ring: one lock for all made them wait for each other. */
#define RINGS      8u
#define SLOTS      64u
#define RING_BYTES (SLATE_QUARANTINE_BYTES / RINGS)

static struct ring {
	struct mm_lock lock;
	size_t head;  /* (lock) number of the oldest */
	size_t count; /* (lock) */
	size_t bytes; /* (lock) */
	struct {
		void *object; /* (lock) NULL where none waits: a stale one would look like a root */
		size_t bytes;
	} slots[SLOTS];
} rings[RINGS];

void quarantine_init(void)
{
	for (struct ring *ring = rings; ring < rings + RINGS; ring++) {
		mm_lock_init(&ring->lock, RANK_QUARANTINE);
		ring->head = ring->count = ring->bytes = 0;
		for (size_t i = 0; i < SLOTS; i++)
			ring->slots[i].object = NULL;
	}
}

static struct ring *ring_here(void)
{
	unsigned long irq = port_irq_save();
	unsigned cpu = mm_cpu();

	port_irq_restore(irq);
	return &rings[cpu % RINGS];
}

static bool has_room_locked(const struct ring *ring, size_t bytes)
{
	mm_lock_assert_held(&ring->lock);
	/* a larger one waits alone */
	return ring->count == 0 ||
	       (ring->count < SLOTS && bytes <= RING_BYTES && ring->bytes <= RING_BYTES - bytes);
}

static void *pop_locked(struct ring *ring)
{
	void *object = ring->slots[ring->head].object;

	mm_lock_assert_held(&ring->lock);
	ring->bytes -= ring->slots[ring->head].bytes;
	ring->slots[ring->head].object = NULL;
	ring->head = (ring->head + 1) % SLOTS;
	ring->count--;
	return object;
}

void *quarantine_push(void *object, size_t bytes)
{
	struct ring *ring = ring_here();
	unsigned long irq = mm_lock_acquire(&ring->lock);
	void *oldest = NULL;

	if (has_room_locked(ring, bytes)) {
		size_t at = (ring->head + ring->count) % SLOTS;

		ring->slots[at].object = object;
		ring->slots[at].bytes = bytes;
		ring->count++;
		ring->bytes += bytes;
	} else {
		oldest = pop_locked(ring);
	}
	mm_lock_release(&ring->lock, irq);
	return oldest;
}

void *quarantine_pop(void)
{
	void *object = NULL;

	for (struct ring *ring = rings; ring < rings + RINGS && !object; ring++) {
		unsigned long irq = mm_lock_acquire(&ring->lock);

		if (ring->count > 0)
			object = pop_locked(ring);
		mm_lock_release(&ring->lock, irq);
	}
	return object;
}

void quarantine_for_each(void (*fn)(void *object, void *arg), void *arg)
{
	for (struct ring *ring = rings; ring < rings + RINGS; ring++) {
		unsigned long irq = mm_lock_acquire(&ring->lock);

		for (size_t i = 0; i < ring->count; i++)
			fn(ring->slots[(ring->head + i) % SLOTS].object, arg);
		mm_lock_release(&ring->lock, irq);
	}
}

#endif
