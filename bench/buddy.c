/* SPDX-License-Identifier: MIT */
/* buddy.c - binary buddy: split on the way down, merge with the free buddy on the way up. */
#include "bench/buddy.h"

#include <stdatomic.h>

#include <slate/port.h>

#include "bench/host.h"

#define NONE     UINT32_MAX
#define NOT_FREE UINT8_MAX

/* Of the first frame of a block. */
struct block {
	uint32_t next; /* in the list of its order; NONE ends it */
	uint32_t prev;
	uint8_t free_order; /* NOT_FREE, also for the other frames */
};

/*
 * Whoever comes first gets it. A ticket lock would hand it to threads that have lost their core,
 * and count the host's load against the yardstick.
 */
static _Atomic bool lock;
static struct block *blocks;         /* (lock) by frame number */
static uint32_t heads[BUDDY_ORDERS]; /* (lock) */
static size_t frame_count;           /* (const) */
static size_t free_count;            /* (lock) frames */

static void lock_acquire(void)
{
	/* acquire: pairs with the release in lock_release() */
	while (atomic_exchange_explicit(&lock, true, memory_order_acquire)) {
		while (atomic_load_explicit(&lock, memory_order_relaxed))
			port_relax();
	}
}

static void lock_release(void)
{
	/* release: pairs with the acquire in lock_acquire() */
	atomic_store_explicit(&lock, false, memory_order_release);
}

static void list_push(uint32_t frame, unsigned order)
{
	struct block *block = &blocks[frame];

	*block = (struct block){heads[order], NONE, (uint8_t)order};
	if (block->next != NONE)
		blocks[block->next].prev = frame;
	heads[order] = frame;
}

static void list_remove(uint32_t frame)
{
	struct block *block = &blocks[frame];

	if (block->prev != NONE)
		blocks[block->prev].next = block->next;
	else
		heads[block->free_order] = block->next;
	if (block->next != NONE)
		blocks[block->next].prev = block->prev;
	block->free_order = NOT_FREE;
}

void buddy_init(size_t frames)
{
	const uint32_t largest = 1u << (BUDDY_ORDERS - 1);

	BENCH_CHECK(frames % largest == 0 && frames < NONE);
	blocks = bench_map(frames * sizeof(*blocks));
	frame_count = frames;
	free_count = frames;
	for (unsigned order = 0; order < BUDDY_ORDERS; order++)
		heads[order] = NONE;
	for (size_t frame = 0; frame < frames; frame++)
		blocks[frame].free_order = NOT_FREE;
	/* downwards, so that low frames are handed out first */
	for (size_t frame = frames; frame > 0; frame -= largest)
		list_push((uint32_t)frame - largest, BUDDY_ORDERS - 1);
}

static pfn_t alloc_locked(unsigned order)
{
	unsigned from = order;

	while (from < BUDDY_ORDERS && heads[from] == NONE)
		from++;
	if (from == BUDDY_ORDERS)
		return SLATE_PFN_NONE;

	uint32_t frame = heads[from];

	list_remove(frame);
	while (from > order) {
		from--;
		list_push(frame + (1u << from), from);
	}
	free_count -= (size_t)1 << order;
	return (pfn_t){frame};
}

static void free_locked(pfn_t pfn, unsigned order)
{
	uint32_t frame = (uint32_t)pfn.v;

	free_count += (size_t)1 << order;
	while (order < BUDDY_ORDERS - 1) {
		uint32_t buddy = frame ^ (1u << order);

		if (blocks[buddy].free_order != order)
			break;
		list_remove(buddy);
		frame &= ~(1u << order);
		order++;
	}
	list_push(frame, order);
}

pfn_t buddy_alloc(unsigned order)
{
	lock_acquire();
	pfn_t pfn = alloc_locked(order);
	lock_release();
	return pfn;
}

void buddy_free(pfn_t pfn, unsigned order)
{
	lock_acquire();
	free_locked(pfn, order);
	lock_release();
}

unsigned buddy_alloc_frames(pfn_t *out, unsigned n)
{
	unsigned got = 0;

	lock_acquire();
	for (; got < n; got++) {
		out[got] = alloc_locked(0);
		if (pfn_is_none(out[got]))
			break;
	}
	lock_release();
	return got;
}

void buddy_free_frames(const pfn_t *frames, unsigned n)
{
	lock_acquire();
	for (unsigned i = 0; i < n; i++)
		free_locked(frames[i], 0);
	lock_release();
}

size_t buddy_free_count(void)
{
	return free_count;
}

size_t buddy_metadata_bytes(void)
{
	return frame_count * sizeof(*blocks);
}
