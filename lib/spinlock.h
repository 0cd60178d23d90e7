/* SPDX-License-Identifier: MIT */
/*
 * spinlock.h - a ticket lock: first come, first served, one word. It knows nothing of interrupts,
 * ranks or owners; mm/lockrank.h adds them.
 *
 * Where CPUs are threads (SLATE_PROTECT_THREAD) who comes next may have lost its core, and all
 * behind it would wait for that: there whoever runs takes the lock.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <slate/port.h>

struct spinlock {
	_Atomic uint16_t next;  /* the ticket to draw */
	_Atomic uint16_t owner; /* the ticket being served */
};

#define SPINLOCK_INIT \
	{             \
		0, 0  \
	}

static inline void spinlock_init(struct spinlock *lock)
{
	atomic_init(&lock->next, 0);
	atomic_init(&lock->owner, 0);
}

#if SLATE_PROTECT == SLATE_PROTECT_THREAD

static inline bool spinlock_try(struct spinlock *lock)
{
	/* acquire: pairs with the release in spinlock_release() */
	return !atomic_exchange_explicit(&lock->owner, 1, memory_order_acquire);
}

static inline void spinlock_acquire(struct spinlock *lock)
{
	while (!spinlock_try(lock)) {
		/* relaxed: a look, the exchange orders */
		while (atomic_load_explicit(&lock->owner, memory_order_relaxed))
			port_relax();
	}
}

static inline void spinlock_release(struct spinlock *lock)
{
	/* release: pairs with the acquire in spinlock_try() */
	atomic_store_explicit(&lock->owner, 0, memory_order_release);
}

#else

static inline void spinlock_acquire(struct spinlock *lock)
{
	uint16_t ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);

	/* acquire: pairs with the release in spinlock_release() */
	while (atomic_load_explicit(&lock->owner, memory_order_acquire) != ticket)
		port_relax();
}

static inline bool spinlock_try(struct spinlock *lock)
{
	/* acquire: the caller's reads come after the former owner's writes (spinlock_release()) */
	uint16_t owner = atomic_load_explicit(&lock->owner, memory_order_acquire);
	uint16_t expected = owner;

	return atomic_compare_exchange_strong_explicit(&lock->next, &expected,
						       (uint16_t)(owner + 1), memory_order_acquire,
						       memory_order_relaxed);
}

static inline void spinlock_release(struct spinlock *lock)
{
	/* only the holder writes owner, so the read needs no order */
	uint16_t owner = atomic_load_explicit(&lock->owner, memory_order_relaxed);

	/* release: pairs with the acquire loads in spinlock_acquire() and spinlock_try() */
	atomic_store_explicit(&lock->owner, (uint16_t)(owner + 1), memory_order_release);
}

#endif
#endif
