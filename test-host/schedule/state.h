/* SPDX-License-Identifier: MIT */
/*
 * state.h - the memory of the simulated machine: its snapshot, a hash of what it holds, and which
 * states of the whole machine a search has been in.
 *
 * Whoever stores announces it first (the compiler's instrumentation does for plain stores), so that
 * going back to the snapshot and hashing cost as much as was stored, whatever the memory's size.
 */
#ifndef SCHED_STATE_H
#define SCHED_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* These bytes, too, are part of it. Up to four times; start and size in eights. */
void state_watch(void *start, size_t size_bytes);

/* What is watched is now the snapshot; state_restore() goes back there. */
void state_save(void);
void state_restore(void);

/* All that is watched lies between these. */
extern uintptr_t state_low;
extern uintptr_t state_high;

static inline bool state_is_watched(const volatile void *place)
{
	return (uintptr_t)place - state_low < state_high - state_low;
}

void state_note_watched(uintptr_t at, size_t size_bytes);

/* A moment since then, to which state_return() goes back, before or after others of that kind. */
struct state_mark {
	size_t changes;
	uint64_t hash;
};
struct state_mark state_mark(void);
void state_return(struct state_mark mark);

/* About to be stored to; memory that is not watched is none of our business, stacks above all. */
static inline void state_note(const volatile void *place, size_t size_bytes)
{
	if (state_is_watched(place))
		state_note_watched((uintptr_t)place, size_bytes);
}

/* Has a store passed by state_note()? Looks at all of the memory. */
bool state_is_complete(void);

/* Of the memory as it is, relative to the snapshot. */
uint64_t state_hash(void);

/* One number into a hash. */
static inline uint64_t state_mix(uint64_t hash, uint64_t number)
{
	hash = (hash ^ number) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

/* ---- Known states ---- */

/* No state is known: the search begins. */
void state_forget(void);

/*
 * Is the state known, with at least so many preemptions to go, from a schedule before this one? If
 * not, it is known now. A state that this schedule itself comes back to is not: a loop without end
 * has to be seen as one.
 */
bool state_is_known(uint64_t hash, unsigned preemptions, unsigned schedule);

#endif
