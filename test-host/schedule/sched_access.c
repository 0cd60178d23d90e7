/* SPDX-License-Identifier: MIT */
/* sched_access.c - what the allocator does to memory, and to locks: each access is a point. */
#include <string.h>

#include "mm/mcache.h"
#include "test-host/schedule/sched_cpu.h"
#include "test-host/schedule/state.h"

/* the names are the allocator's here */
#undef memset
#undef memcpy
#undef memmove

/* ---- Atomic operations ---- */

static uint64_t value_of(const void *value, unsigned size_bytes)
{
	uint64_t number = 0;

	memcpy(&number, value, size_bytes);
	return number;
}

/*
 * Of mcache.c: every drain looks at it, for each class, and only a typed cache that comes or goes
 * writes it. That a look is old by the time it matters is tried at the next point as well.
 */
extern uint16_t capacity[MCACHE_ENTRIES];

static bool is_no_point(const volatile void *place)
{
	return (uintptr_t)place - (uintptr_t)capacity < sizeof(capacity);
}

void sched_load(const volatile void *place, void *value, unsigned size_bytes, memory_order order)
{
	if (!is_no_point(place))
		sched_point(SCHED_AT_LOAD, place, size_bytes, EXPLORE_READ);
	if (sched.current->buffer.count == 0) {
		memcpy(value, (const void *)(uintptr_t)place, size_bytes);
		return;
	}
	if (order == memory_order_seq_cst)
		buffer_drain(&sched.current->buffer);
	uint64_t number = buffer_load(&sched.current->buffer, place, size_bytes);

	memcpy(value, &number, size_bytes);
}

/* A store that no other CPU can see yet, or that needs no order, is made at once. */
static bool is_held_back(const volatile void *place, unsigned size_bytes, memory_order order)
{
	if (!sched.active || sched.setting->memory == SCHED_STRONG)
		return false;
	if (order == memory_order_seq_cst) {
		buffer_drain(&sched.current->buffer);
		return false;
	}
	return explore_is_random() ||
	       explore_shared(place, size_bytes, sched.current->number, EXPLORE_WRITE);
}

void sched_store(volatile void *place, const void *value, unsigned size_bytes, memory_order order)
{
	sched_point(SCHED_AT_STORE, place, size_bytes, EXPLORE_WRITE);
	sched.steps++;
	if (is_held_back(place, size_bytes, order)) {
		buffer_store(&sched.current->buffer, place, value_of(value, size_bytes), size_bytes,
			     order != memory_order_relaxed);
		return;
	}
	state_note(place, size_bytes);
	memcpy((void *)(uintptr_t)place, value, size_bytes);
}

/* What a read-modify-write makes visible first. */
static void drain_for_rmw(volatile void *place, unsigned size_bytes, memory_order order)
{
	if (sched.current->buffer.count == 0)
		return;
	if (sched.setting->memory == SCHED_WEAK &&
	    (order == memory_order_relaxed || order == memory_order_acquire))
		buffer_drain_place(&sched.current->buffer, place, size_bytes);
	else
		buffer_drain(&sched.current->buffer);
}

uint64_t sched_rmw(volatile void *place, uint64_t operand, unsigned size_bytes, enum sched_rmw what,
		   memory_order order)
{
	uint64_t old;
	uint64_t new;

	sched_point(SCHED_AT_RMW, place, size_bytes,
		    what <= SCHED_SUB && order == memory_order_relaxed ? EXPLORE_ADD
								       : EXPLORE_WRITE);
	drain_for_rmw(place, size_bytes, order);
	old = value_of((const void *)(uintptr_t)place, size_bytes);
	new = what == SCHED_ADD   ? old + operand
	      : what == SCHED_SUB ? old - operand
	      : what == SCHED_OR  ? old | operand
	      : what == SCHED_AND ? old &operand
				  : operand;
	state_note(place, size_bytes);
	memcpy((void *)(uintptr_t)place, &new, size_bytes);
	sched.steps++;
	return old;
}

bool sched_cas(volatile void *place, void *expected, const void *desired, unsigned size_bytes,
	       memory_order order)
{
	sched_point(SCHED_AT_RMW, place, size_bytes, EXPLORE_WRITE);
	drain_for_rmw(place, size_bytes, order);
	if (memcmp((const void *)(uintptr_t)place, expected, size_bytes) != 0) {
		memcpy(expected, (const void *)(uintptr_t)place, size_bytes);
		return false;
	}
	state_note(place, size_bytes);
	memcpy((void *)(uintptr_t)place, desired, size_bytes);
	sched.steps++;
	return true;
}

/* Coarser than what a release fence promises: all is visible. Loads are never early here. */
void sched_fence(memory_order order)
{
	if (sched.active && order != memory_order_acquire && order != memory_order_relaxed)
		buffer_drain(&sched.current->buffer);
}

/* ---- Locks ---- */

static void lock_taken(struct spinlock *lock)
{
	state_note(lock, sizeof(*lock));
	lock->held = 1;
	sched.current->locks++;
	sched.current->marked = sched.marked;
	sched.steps++;
	if (sched.active)
		buffer_drain(&sched.current->buffer);
}

/* Another CPU that comes to it may hold it, or wait for it, in some schedule. */
static bool is_used_elsewhere(const struct spinlock *lock)
{
	return lock->held || (!explore_is_random() &&
			      explore_shared(lock, 1, sched.current->number, EXPLORE_WRITE));
}

void sched_lock_init(struct spinlock *lock)
{
	sched_point(SCHED_AT_STORE, lock, 1, EXPLORE_WRITE);
	if (sched.active && is_used_elsewhere(lock))
		sched_fail("a lock that another CPU uses is initialised");
	state_note(lock, sizeof(*lock));
	lock->held = 0;
}

void sched_lock(struct spinlock *lock)
{
	sched_point(SCHED_AT_LOCK, lock, 1, EXPLORE_WRITE);
	if (lock->held && !sched.active)
		sched_fail("a lock is held that nobody can hold");
	while (lock->held) {
		sched.current->lock = lock;
		sched_wait(STATE_LOCK);
	}
	lock_taken(lock);
}

bool sched_try(struct spinlock *lock)
{
	sched_point(SCHED_AT_LOCK, lock, 1, EXPLORE_WRITE);
	if (lock->held)
		return false;
	lock_taken(lock);
	return true;
}

void sched_unlock(struct spinlock *lock)
{
	sched_point(SCHED_AT_UNLOCK, lock, 1, EXPLORE_WRITE);
	if (!lock->held)
		sched_fail("a lock is released that is not held");
	buffer_drain(&sched.current->buffer);
	state_note(lock, sizeof(*lock));
	lock->held = 0;
	sched.current->locks--;
	sched.steps++;
}

/* ---- Plain accesses, as the compiler's instrumentation for TSan announces them ---- */

/* Under a lock nothing shared can be touched by others, and stacks nowhere: there a plain access is
 * no point. */
static inline void plain(const volatile void *place, unsigned size_bytes, bool write)
{
	if (sched.plain_points && sched.current->locks == 0 && state_is_watched(place))
		sched_point(write ? SCHED_AT_WRITE : SCHED_AT_READ, place, size_bytes,
			    write ? EXPLORE_WRITE : EXPLORE_READ);
}

/* A store that was announced comes after the points of the same statement, in which others may have
 * hashed the memory: it is announced again, where there are hashes. */
static inline void announce(void *place, size_t size_bytes)
{
	sched.current->stored = place;
	sched.current->stored_bytes = size_bytes;
	state_note(place, size_bytes);
}

static inline void read_plain(const void *place, unsigned size_bytes)
{
	/* most are reads of which nothing depends */
	if (!sched.reads_count)
		return;
	plain(place, size_bytes, false);
	if (sched.hashing && sched.current->stored_bytes > 0)
		state_note(sched.current->stored, sched.current->stored_bytes);
}

static inline void write_plain(void *place, unsigned size_bytes)
{
	plain(place, size_bytes, true);
	announce(place, size_bytes);
}

#define PLAIN_SIZE(size)                           \
	void __tsan_read##size(const void *place); \
	void __tsan_write##size(void *place);      \
	void __tsan_read##size(const void *place)  \
	{                                          \
		read_plain(place, size);           \
	}                                          \
	void __tsan_write##size(void *place)       \
	{                                          \
		write_plain(place, size);          \
	}
PLAIN_SIZE(1)
PLAIN_SIZE(2)
PLAIN_SIZE(4)
PLAIN_SIZE(8)
PLAIN_SIZE(16)

void __tsan_read_range(const void *place, size_t size_bytes);
void __tsan_read_range(const void *place, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes; at += 8)
		read_plain((const char *)place + at, 8);
}

void __tsan_write_range(void *place, size_t size_bytes);
void __tsan_write_range(void *place, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes; at += 8)
		plain((char *)place + at, 8, true);
	announce(place, size_bytes);
}

void *sched_memset(void *to, int byte, size_t size_bytes)
{
	state_note(to, size_bytes);
	return memset(to, byte, size_bytes);
}

void *sched_memcpy(void *to, const void *from, size_t size_bytes)
{
	state_note(to, size_bytes);
	return memcpy(to, from, size_bytes);
}

void *sched_memmove(void *to, const void *from, size_t size_bytes)
{
	state_note(to, size_bytes);
	return memmove(to, from, size_bytes);
}

void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
	(void)caller;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}
void __tsan_init(void);
void __tsan_init(void)
{
}

/* _Atomic variables that are read by their name alone. */
#define NAMED_LOAD(bits)                                                         \
	uint##bits##_t __tsan_atomic##bits##_load(const void *place, int order); \
	uint##bits##_t __tsan_atomic##bits##_load(const void *place, int order)  \
	{                                                                        \
		uint##bits##_t value;                                            \
                                                                                 \
		sched_load(place, &value, sizeof(value), (memory_order)order);   \
		return value;                                                    \
	}
NAMED_LOAD(8)
NAMED_LOAD(16)
NAMED_LOAD(32)
NAMED_LOAD(64)
