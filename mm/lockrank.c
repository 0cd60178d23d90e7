/* SPDX-License-Identifier: MIT */
/*
 * lockrank.c (level 0) - the allocator's locks, and in debug builds the proof of their order.
 *
 * Each CPU keeps the ranks that it holds. An acquire must be above all of them; since every CPU
 * climbs the same ladder, no cycle of waiting CPUs can form. Interrupts are off while a lock is
 * held, so a CPU's record is touched by that CPU only and needs no lock of its own; it lasts from
 * slate_init() on, because CPU 0 stands for the only one that runs before numbers exist.
 */
#include "mm/lockrank.h"

#include <slate/report.h>

#include "mm/mmdebug.h"

/* Set once, before a second CPU can be in the allocator; relaxed, because whoever starts that CPU
 * orders it. */
static _Atomic bool cpu_ids_valid;

#if SLATE_DEBUG

/* No path holds more: two, and an NMI on top of them all locks of a span and its mcentral's. */
#define MAX_HELD 8

/*
 * An NMI may come between any two stores here, and takes and leaves locks itself: it uses what lies
 * above count. So a place is counted before it is filled, and emptied before it is counted off.
 */
struct held {
	const struct mm_lock *volatile locks[MAX_HELD];
	volatile unsigned count;
};

static struct held held_by[SLATE_MAX_CPUS];

/* A lock crime is found with locks held and cannot be undone; mm_report() lets this one kind pass.
 */
static void lock_crime(const char *detail, const struct mm_lock *lock)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_LOCK,
		.call = "mm_lock",
		.detail = detail,
		.address = (uintptr_t)lock,
		.size_bytes = lock->rank,
	};

	mm_report(&report);
}

static bool is_owner(const struct mm_lock *lock)
{
	/* relaxed: only this CPU writes its own number, and it reads its own writes */
	return atomic_load_explicit(&lock->owner, memory_order_relaxed) == mm_cpu() + 1;
}

/* Before waiting, so that the report comes instead of the deadlock. */
static void check_order(const struct mm_lock *lock)
{
	const struct held *held = &held_by[mm_cpu()];

	if (is_owner(lock)) {
		lock_crime("lock taken twice by one CPU", lock);
		return;
	}
	for (unsigned i = 0; i < held->count; i++) {
		if (held->locks[i]->rank >= lock->rank) {
			lock_crime("lock taken below one that is held", lock);
			return;
		}
	}
	if (held->count == MAX_HELD)
		lock_crime("too many locks held", lock);
}

static void note_acquired(struct mm_lock *lock)
{
	struct held *held = &held_by[mm_cpu()];

	atomic_store_explicit(&lock->owner, (uint16_t)(mm_cpu() + 1), memory_order_relaxed);
	if (held->count < MAX_HELD) {
		unsigned place = held->count;

		held->count = place + 1;
		held->locks[place] = lock;
	}
}

static void note_released(struct mm_lock *lock)
{
	struct held *held = &held_by[mm_cpu()];

	if (!is_owner(lock))
		lock_crime("lock released by a CPU that does not hold it", lock);
	atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
	for (unsigned i = held->count; i-- > 0;) {
		if (held->locks[i] == lock) {
			held->locks[i] = held->locks[held->count - 1];
			held->count = held->count - 1;
			return;
		}
	}
}

void mm_lock_assert_held(const struct mm_lock *lock)
{
	if (!is_owner(lock))
		lock_crime("lock not held where it must be", lock);
}

void mm_lock_assert_none(void)
{
	unsigned long irq_state = port_irq_save();
	const struct held *held = &held_by[mm_cpu()];

	if (held->count)
		lock_crime("lock held where none may be", held->locks[0]);
	port_irq_restore(irq_state);
}

static void forget_all_held(void)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		held_by[cpu].count = 0;
}

#else

static void check_order(const struct mm_lock *lock)
{
	(void)lock;
}

static void note_acquired(struct mm_lock *lock)
{
	(void)lock;
}

static void note_released(struct mm_lock *lock)
{
	(void)lock;
}

static void forget_all_held(void)
{
}

#endif

void mm_lock_init(struct mm_lock *lock, enum lock_rank rank)
{
	spinlock_init(&lock->spin);
#if SLATE_DEBUG
	lock->rank = (uint16_t)rank;
	atomic_init(&lock->owner, 0);
#else
	(void)rank;
#endif
}

unsigned long mm_lock_acquire(struct mm_lock *lock)
{
	unsigned long irq_state = port_irq_save();

	check_order(lock);
	spinlock_acquire(&lock->spin);
	note_acquired(lock);
	return irq_state;
}

/* Trying cannot deadlock, so a rank that is out of order is no crime here; it is recorded all the
 * same. */
bool mm_lock_try(struct mm_lock *lock, unsigned long *irq_state)
{
	unsigned long state = port_irq_save();

	if (!spinlock_try(&lock->spin)) {
		port_irq_restore(state);
		return false;
	}
	note_acquired(lock);
	*irq_state = state;
	return true;
}

void mm_lock_release(struct mm_lock *lock, unsigned long irq_state)
{
	note_released(lock);
	spinlock_release(&lock->spin);
	port_irq_restore(irq_state);
}

unsigned mm_cpu(void)
{
	return atomic_load_explicit(&cpu_ids_valid, memory_order_relaxed) ? port_cpu() : 0;
}

void mm_cpu_ids_valid(void)
{
	/* A lock held now would be recorded under CPU 0 and released by another number. */
	mm_lock_assert_none();
	atomic_store_explicit(&cpu_ids_valid, true, memory_order_relaxed);
}

void mm_lock_reset(void)
{
	forget_all_held();
	atomic_store_explicit(&cpu_ids_valid, false, memory_order_relaxed);
}
