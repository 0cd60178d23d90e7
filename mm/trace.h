/* SPDX-License-Identifier: MIT */
/*
 * trace.h (level 7) - a ring of events for each CPU, and the switch that slow paths look at.
 *
 *   events kept in a ring = min(head, capacity)
 *   recorded              = sum of the heads + homeless
 */
#ifndef MM_TRACE_H
#define MM_TRACE_H

#include <stdatomic.h>

#include <slate/trace.h>

/* Begins the frames that it lies in. */
struct trace_ring {
	_Atomic size_t head; /* (a) relaxed: events written so far; the next place is head modulo
				capacity */
	size_t capacity;     /* (c) a power of two */
	size_t pages;        /* (c) frames that it takes */
	size_t cursor;       /* of the one walk */
	uint16_t cpu;        /* (c) */
	struct slate_trace_event events[];
};

/* A part of struct mcache. */
struct trace_place {
	_Atomic(struct trace_ring *) ring; /* (a) written while nobody records; NULL: none */
	_Atomic uint32_t busy;             /* (a) who records here just now, NMIs on top included */
};

enum trace_state {
	TRACE_OFF,
	TRACE_BARE, /* magazines go home; nothing is recorded until they have */
	TRACE_ON,
};

/* (a) relaxed on slow paths; sequentially consistent where it is switched and where events are
 * written */
extern _Atomic uint8_t trace_state;

/* Events of CPUs without a ring. (a) relaxed */
extern _Atomic size_t trace_homeless;

/* Slow paths: is everything to be told to trace_note(), and no magazine to be attached? */
static inline bool trace_is_on(void)
{
	return SLATE_TRACE &&
	       __builtin_expect(
		       atomic_load_explicit(&trace_state, memory_order_relaxed) != TRACE_OFF, 0);
}

/* Write one; returns its number. caller: the return address of the public call. Any context. */
uint32_t trace_note(enum slate_trace_kind kind, uint64_t address, size_t size_bytes,
		    const void *caller);

/* The same for REALLOC_TO, which belongs to the event of that number. */
void trace_note_linked(enum slate_trace_kind kind, uint64_t address, size_t size_bytes,
		       const void *caller, uint32_t link);

/* Behind an allocation. */
static inline void trace_alloc(void *object, size_t size_bytes, const void *caller)
{
	if (trace_is_on())
		trace_note(SLATE_TRACE_ALLOC, (uintptr_t)object, size_bytes, caller);
}

/* Before a free. */
static inline void trace_free(const void *object, const void *caller)
{
	if (trace_is_on() && object)
		trace_note(SLATE_TRACE_FREE, (uintptr_t)object, 0, caller);
}

/* The same for what slate_alloc_index() and slate_give_index() serve: objects of known classes,
 * typed ones, short runs. */
void *trace_index_alloc(unsigned class, void *value, const void *caller);
void trace_index_give(unsigned class, void *value, const void *caller);

#define TRACE_CALLER __builtin_return_address(0)

/* To TRACE_BARE; then, with numbers that begin again, to TRACE_ON. */
void trace_switch_bare(void);
void trace_switch_on(void);
/* Returns when nobody writes any more. */
void trace_switch_off(void);

void trace_reset(void);

#endif
