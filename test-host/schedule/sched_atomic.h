/* SPDX-License-Identifier: MIT */
/*
 * sched_atomic.h - forced in front of every file of mm/ and lib/ in the scheduler's build: each
 * operation of <stdatomic.h> and each spinlock operation becomes a call that may hand the turn to
 * another CPU first. The allocator's sources do not know.
 */
#ifndef SCHED_ATOMIC_H
#define SCHED_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Plain accesses are instrumented by the compiler's option for TSan; this is no TSan. */
#undef __SANITIZE_THREAD__

enum sched_rmw {
	SCHED_ADD,
	SCHED_SUB,
	SCHED_OR,
	SCHED_AND,
	SCHED_EXCHANGE,
};

/* size_bytes: 1, 2, 4 or 8. Values are passed in as many bytes at value. */
void sched_load(const volatile void *place, void *value, unsigned size_bytes, memory_order order);
void sched_store(volatile void *place, const void *value, unsigned size_bytes, memory_order order);
/* The old value. */
uint64_t sched_rmw(volatile void *place, uint64_t operand, unsigned size_bytes, enum sched_rmw what,
		   memory_order order);
bool sched_cas(volatile void *place, void *expected, const void *desired, unsigned size_bytes,
	       memory_order order);
void sched_fence(memory_order order);

#define SCHED_VALUE(place) __typeof__((void)0, *(place))

#undef atomic_load_explicit
#define atomic_load_explicit(place, order)                                \
	__extension__({                                                   \
		__auto_type sched_lp = (place);                           \
		SCHED_VALUE(sched_lp) sched_lv;                           \
		sched_load(sched_lp, &sched_lv, sizeof(sched_lv), order); \
		sched_lv;                                                 \
	})

#undef atomic_store_explicit
#define atomic_store_explicit(place, value, order)                      \
	__extension__({                                                 \
		__auto_type sched_p = (place);                          \
		SCHED_VALUE(sched_p) sched_v = (value);                 \
		sched_store(sched_p, &sched_v, sizeof(sched_v), order); \
	})

/* The object is not published yet; but what publishes it may be seen before its first value. */
#undef atomic_init
#define atomic_init(place, value) atomic_store_explicit(place, value, memory_order_relaxed)

#define SCHED_RMW(place, operand, what, order)                                                  \
	__extension__({                                                                         \
		__auto_type sched_rp = (place);                                                 \
		SCHED_VALUE(sched_rp) sched_rv = (operand);                                     \
		(SCHED_VALUE(sched_rp))                                                         \
			sched_rmw(sched_rp, (uint64_t)sched_rv, sizeof(sched_rv), what, order); \
	})

#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(place, operand, order) SCHED_RMW(place, operand, SCHED_ADD, order)
#undef atomic_fetch_sub_explicit
#define atomic_fetch_sub_explicit(place, operand, order) SCHED_RMW(place, operand, SCHED_SUB, order)
#undef atomic_fetch_or_explicit
#define atomic_fetch_or_explicit(place, operand, order) SCHED_RMW(place, operand, SCHED_OR, order)
#undef atomic_fetch_and_explicit
#define atomic_fetch_and_explicit(place, operand, order) SCHED_RMW(place, operand, SCHED_AND, order)
#undef atomic_exchange_explicit
#define atomic_exchange_explicit(place, operand, order) \
	SCHED_RMW(place, operand, SCHED_EXCHANGE, order)

#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(place, expected, desired, success, failure) \
	__extension__({                                                                     \
		__auto_type sched_cp = (place);                                             \
		SCHED_VALUE(sched_cp) sched_cv = (desired);                                 \
		(void)(failure);                                                            \
		sched_cas(sched_cp, expected, &sched_cv, sizeof(sched_cv), success);        \
	})
#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#undef atomic_thread_fence
#define atomic_thread_fence(order) sched_fence(order)

/* What the allocator does not use today must not slip past. */
#undef atomic_signal_fence
#undef atomic_fetch_xor_explicit
#undef atomic_flag_test_and_set_explicit

/* ---- What stores without the compiler's instrumentation ---- */

void *sched_memset(void *to, int byte, size_t size_bytes);
void *sched_memcpy(void *to, const void *from, size_t size_bytes);
void *sched_memmove(void *to, const void *from, size_t size_bytes);

#define memset(...)  sched_memset(__VA_ARGS__)
#define memcpy(...)  sched_memcpy(__VA_ARGS__)
#define memmove(...) sched_memmove(__VA_ARGS__)

/* ---- lib/spinlock.h: the same names. A CPU that waits is not run until the lock is free. ---- */

#define LIB_SPINLOCK_H

#include <slate/port.h>

struct spinlock {
	uint16_t held;
	uint16_t unused;
};

#define SPINLOCK_INIT \
	{             \
		0, 0  \
	}

void sched_lock_init(struct spinlock *lock);
void sched_lock(struct spinlock *lock);
bool sched_try(struct spinlock *lock);
void sched_unlock(struct spinlock *lock);

static inline void spinlock_init(struct spinlock *lock)
{
	sched_lock_init(lock);
}

static inline void spinlock_acquire(struct spinlock *lock)
{
	sched_lock(lock);
}

static inline bool spinlock_try(struct spinlock *lock)
{
	return sched_try(lock);
}

static inline void spinlock_release(struct spinlock *lock)
{
	sched_unlock(lock);
}

#endif
