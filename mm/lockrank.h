/* SPDX-License-Identifier: MIT */
/*
 * lockrank.h (level 0) - spinlocks of the allocator: interrupts off while held, and a rank each. A
 * CPU acquires ranks in ascending order only; debug builds check it, and know each lock's owner.
 */
#ifndef MM_LOCKRANK_H
#define MM_LOCKRANK_H

#include "lib/spinlock.h"

/* The order in which locks nest. RANK_MHEAP + node: page heaps by ascending node. */
enum lock_rank {
	RANK_NONE = 0,
	RANK_HOTPLUG, /* adding, removing memory and CPUs */
	RANK_KCACHE_LIST,
	RANK_MCENTRAL, /* one at a time */
	RANK_MHEAP,
	RANK_MHEAP_LAST = RANK_MHEAP + SLATE_MAX_NODES - 1,
	RANK_PAGEALLOC,
	RANK_SPECIALS,
	RANK_PROFILE,
	RANK_STACK_POOL,
	RANK_FIXALLOC,
	RANK_QUARANTINE, /* debug builds: objects that wait for their next owner */
	RANK_SHRINKER,   /* the list of shrinkers */
	RANK_CONSOLE,
	RANK_COUNT
};

struct mm_lock {
	struct spinlock spin;
#if SLATE_DEBUG
	uint16_t rank;
	_Atomic uint16_t owner; /* CPU + 1 of the holder, 0: free. Written by the holder only. */
#endif
};

void mm_lock_init(struct mm_lock *lock, enum lock_rank rank);

/* Mask interrupts, take the lock, return what mm_lock_release() restores. */
unsigned long mm_lock_acquire(struct mm_lock *lock);

/* The same without waiting: false, with interrupts as before, when the lock is held. */
bool mm_lock_try(struct mm_lock *lock, unsigned long *irq_state);
void mm_lock_release(struct mm_lock *lock, unsigned long irq_state);

/*
 * The CPU number for the allocator's own use: port_cpu(), or 0 before the first slate_cpu_online().
 * Meaningful with interrupts off.
 */
unsigned mm_cpu(void);

/* slate_cpu_online() calls it once, before the first use of port_cpu(). */
void mm_cpu_ids_valid(void);

#if SLATE_DEBUG
void mm_lock_assert_held(const struct mm_lock *lock);
/* This CPU holds no ranked lock: stands before every hook of the kernel. */
void mm_lock_assert_none(void);
#else
static inline void mm_lock_assert_held(const struct mm_lock *lock)
{
	(void)lock;
}
static inline void mm_lock_assert_none(void)
{
}
#endif

/*
 * The same as mm_lock_try() and mm_lock_release(), inline: for the few callers whose work is no
 * longer than the two calls.
 */
static inline bool mm_lock_try_inline(struct mm_lock *lock, unsigned long *irq_state)
{
#if SLATE_DEBUG
	return mm_lock_try(lock, irq_state);
#else
	*irq_state = port_irq_save();
	if (__builtin_expect(spinlock_try(&lock->spin), true))
		return true;
	port_irq_restore(*irq_state);
	return false;
#endif
}

static inline void mm_lock_release_inline(struct mm_lock *lock, unsigned long irq_state)
{
#if SLATE_DEBUG
	mm_lock_release(lock, irq_state);
#else
	spinlock_release(&lock->spin);
	port_irq_restore(irq_state);
#endif
}

/* Tests start over. */
void mm_lock_reset(void);

#endif
