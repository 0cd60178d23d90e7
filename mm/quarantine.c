/* SPDX-License-Identifier: MIT */
/* quarantine.c (level 4) - a ring of objects under one lock. */
#include "mm/quarantine.h"

#if SLATE_DEBUG

#include "mm/lockrank.h"

#define SLOTS 512u

static struct {
	struct mm_lock lock;
	size_t head;  /* (lock) number of the oldest */
	size_t count; /* (lock) */
	size_t bytes; /* (lock) */
	struct {
		void *object; /* (lock) NULL where none waits: a stale one would look like a root */
		size_t bytes;
	} slots[SLOTS];
} ring;

void quarantine_init(void)
{
	mm_lock_init(&ring.lock, RANK_QUARANTINE);
	ring.head = ring.count = ring.bytes = 0;
	for (size_t i = 0; i < SLOTS; i++)
		ring.slots[i].object = NULL;
}

static bool has_room_locked(size_t bytes)
{
	mm_lock_assert_held(&ring.lock);
	/* a larger one waits alone */
	return ring.count == 0 || (ring.count < SLOTS && bytes <= SLATE_QUARANTINE_BYTES &&
				   ring.bytes <= SLATE_QUARANTINE_BYTES - bytes);
}

bool quarantine_push(void *object, size_t bytes)
{
	unsigned long irq = mm_lock_acquire(&ring.lock);
	bool room = has_room_locked(bytes);

	if (room) {
		size_t at = (ring.head + ring.count) % SLOTS;

		ring.slots[at].object = object;
		ring.slots[at].bytes = bytes;
		ring.count++;
		ring.bytes += bytes;
	}
	mm_lock_release(&ring.lock, irq);
	return room;
}

void *quarantine_pop(size_t bytes)
{
	unsigned long irq = mm_lock_acquire(&ring.lock);
	void *object = NULL;

	if (ring.count > 0 && !has_room_locked(bytes)) {
		object = ring.slots[ring.head].object;
		ring.bytes -= ring.slots[ring.head].bytes;
		ring.slots[ring.head].object = NULL;
		ring.head = (ring.head + 1) % SLOTS;
		ring.count--;
	}
	mm_lock_release(&ring.lock, irq);
	return object;
}

void quarantine_for_each(void (*fn)(void *object, void *arg), void *arg)
{
	unsigned long irq = mm_lock_acquire(&ring.lock);

	for (size_t i = 0; i < ring.count; i++)
		fn(ring.slots[(ring.head + i) % SLOTS].object, arg);
	mm_lock_release(&ring.lock, irq);
}

#endif
