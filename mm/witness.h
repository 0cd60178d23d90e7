/* SPDX-License-Identifier: MIT */
/*
 * witness.h (level 4) - debug builds: what is known of each object, out of band, and the patterns
 * that fill what nobody may write to.
 *
 * Every span of objects has a table of records, one an object, in frames of metadata that come and
 * go with it. An object's life, as its record tells it:
 *
 *   none --> coming --> taken --> freed --> aside --> home --> coming ...
 *                  \        \                  \------\--> lost
 *
 *   none    never handed out
 *   coming  being made ready for an owner
 *   taken   its owner's; behind its last byte lies the red zone
 *   freed   given back, on its way: a finalizer, or an NMI's free, is not done with it
 *   aside   in quarantine (quarantine.h), filled with POISON_FREED
 *   home    in a magazine or its span, still filled
 *   lost    a report was made about it; it is never handed out again
 *
 * The step from taken to freed is one atomic, so the second of two frees is always found. Objects
 * of a typed cache with a constructor keep what is in them; a checksum stands for the pattern.
 *
 * Cost: 136 bytes an object on 64-bit machines, and a red zone of 8 bytes or more, which moves
 * objects whose size is a class's to the next class.
 */
#ifndef MM_WITNESS_H
#define MM_WITNESS_H

#include <stdatomic.h>

#include "mm/mspan.h"

/* Return addresses that are kept of an allocation and of a free. */
#define WITNESS_DEPTH 6u

/* The red zone: at least so many bytes; of what the class leaves over so many are looked at. */
#define WITNESS_ZONE_MIN 8u
#define WITNESS_ZONE_MAX 256u

/* Of a longer object only so many bytes are filled and looked at. */
#define WITNESS_FILL_MAX 4096u

enum witness_state {
	WITNESS_NONE,
	WITNESS_COMING,
	WITNESS_TAKEN,
	WITNESS_FREED,
	WITNESS_ASIDE,
	WITNESS_HOME,
	WITNESS_LOST,
	WITNESS_STATES
};

/* What fills the object while nobody owns it. */
enum witness_fill {
	WITNESS_UNKNOWN, /* nothing is known: constructed, or fresh and large */
	WITNESS_POISON,  /* POISON_FREED, up to WITNESS_FILL_MAX bytes of it */
	WITNESS_SUMMED,  /* a constructed object: the record has its checksum */
};

struct witness_event {
	uint32_t tick; /* port_tick() */
	uint16_t cpu;
	uint8_t depth; /* of pcs */
	bool known;    /* it happened */
	uintptr_t pcs[WITNESS_DEPTH];
};

/* Written by the object's owner, or by whoever takes it from a magazine or gives it there. */
struct witness {
	_Atomic uint8_t state;    /* (a) enum witness_state: release when all else is written */
	uint8_t fill;             /* enum witness_fill */
	bool constructed;         /* its contents are its cache's constructor's */
	uint8_t align_log2;       /* as its owner asked for, or as its size alone is aligned */
	_Atomic uint32_t changes; /* (a) release: so that a walk knows what it looked at */
	uint32_t sum;             /* of WITNESS_SUMMED */
	size_t size_bytes;        /* as its owner asked for */
	struct witness_event allocated;
	struct witness_event freed;
};

struct witness_table {
	size_t pages;
	unsigned node; /* of these pages */
	size_t count;
	struct witness list[];
};

static inline size_t witness_table_bytes(size_t count)
{
	return sizeof(struct witness_table) + count * sizeof(struct witness);
}

/* (c) from slate_init() on. Always false in release builds, where nothing of this is called. */
extern bool witness_on;

static inline bool witness_is_on(void)
{
	return SLATE_DEBUG && witness_on;
}

/* Before slate_init(): do without, for tests of what lies below. */
void witness_enable(bool on);

/* The first byte that is not what it should be. */
struct witness_damage {
	uintptr_t address; /* 0: none, all is well */
	uint8_t found;
	uint8_t expected;
	bool single_bit; /* and it is the only one, by one bit */
};

#if SLATE_DEBUG

/* Of the object that starts there, or NULL: its span has no table. */
struct witness *witness_of(const struct mspan *span, uintptr_t object);

/* A new span's table: no object was handed out; fill: theirs, POISON or UNKNOWN. */
void witness_table_init(struct witness_table *table, const struct mspan *span,
			enum witness_fill fill);

static inline enum witness_state witness_state(const struct witness *witness)
{
	/* acquire: pairs with the release in witness_set_state() */
	return (enum witness_state)atomic_load_explicit(&witness->state, memory_order_acquire);
}

void witness_set_state(struct witness *witness, enum witness_state state);

/* Taken -> freed; false for all but one of several callers, and where it is not taken. */
bool witness_claim(struct witness *witness);

/* Now, on this CPU, by that caller. An allocation makes the former free forgotten. */
void witness_note(struct witness_event *event, const void *caller);

/* The red zone of an object of size_bytes in elem_bytes, written and checked. */
void witness_zone_write(uintptr_t object, size_t size_bytes, size_t elem_bytes);
struct witness_damage witness_zone_check(const struct witness *witness, uintptr_t object,
					 size_t elem_bytes);

/* What a new owner finds: zeroes, or POISON_FRESH. */
void witness_fill_fresh(uintptr_t object, size_t size_bytes, bool zero);

/* Nobody owns the object any more: fill it, or sum it up. And: was it written to since? */
void witness_fill_freed(struct witness *witness, uintptr_t object, size_t elem_bytes);
struct witness_damage witness_freed_check(const struct witness *witness, uintptr_t object,
					  size_t elem_bytes);

#endif

/* What the owner of an object asked for, where it is known; else its element's size. object 0:
 * none.
 */
static inline size_t witness_asked_bytes(const struct mspan *span, uintptr_t object)
{
#if SLATE_DEBUG
	const struct witness *witness = object ? witness_of(span, object) : NULL;

	if (witness && witness_state(witness) != WITNESS_NONE)
		return witness->size_bytes;
#else
	(void)object;
#endif
	return span->elem_bytes;
}

#endif
