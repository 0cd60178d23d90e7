/* SPDX-License-Identifier: MIT */
/*
 * mspan.h (level 4) - a run of frames with one purpose: objects of one size, or one large object.
 *
 * Who may touch which field is said by the key behind it:
 *   (c) constant from mspan_init() until the span is dead
 *   (m) the lock of the span's mcentral; for a large span the mheap's
 *   (h) the lock of the span's mheap
 *   (s) the lock of its list of specials
 *   (w) whoever marks and sweeps, one at a time (marksweep.c)
 *   (a) atomic
 *
 * Span structs come from a fixalloc and never turn into anything else, so a stale pointer to one
 * can be read safely; state and base tell whether it still is what the reader looked for.
 *
 *   allocated = set bits among the first elem_count of alloc_bits
 */
#ifndef MM_MSPAN_H
#define MM_MSPAN_H

#include <stdatomic.h>

#include <slate/types.h>

#include "lib/list.h"
#include "mm/mmdebug.h"

/* Most objects of a span whose bits fit into the struct itself. */
#define MSPAN_INLINE_ELEMS 128u
#define MSPAN_WORD_BITS    (8u * sizeof(unsigned long))
#define MSPAN_INLINE_WORDS (MSPAN_INLINE_ELEMS / MSPAN_WORD_BITS)
/* Bitmap bytes of a span with more: room for SIZECLASS_MAX_ELEMS. */
#define MSPAN_BITS_BYTES 128u

enum mspan_state {
	MSPAN_DEAD,    /* the struct is free */
	MSPAN_IN_USE,  /* objects */
	MSPAN_MANUAL,  /* owned by its caller: stacks */
	MSPAN_CLAIMED, /* a large object or a stack on its way home */
	MSPAN_CACHED,  /* a large object that a CPU keeps for its next owner */
	MSPAN_STATES
};

struct special;
struct span_mark; /* mark.h */
struct witness_table;

struct mspan {
	uintptr_t base;            /* (c) first byte */
	size_t elem_bytes;         /* (c); a large object's as pages */
	unsigned long *alloc_bits; /* (m) the array is (c) */
	uint16_t elem_count;       /* (c) */
	uint16_t allocated;        /* (m) objects taken: in use, or in magazines */
	uint16_t free_word;        /* (m) no free object in words before it */
	uint32_t magic;            /* (c) offset * magic >> 32 = number of the object */
	uint8_t span_class;        /* (c) spanclass.h; PAGECLASS_LARGE for a large object */
	uint8_t page_class;        /* (c) class byte of its frames */
	bool isolated;             /* (m) being removed: gives no objects */
	_Atomic uint8_t state; /* (a) enum mspan_state: release when set up, acquire in checks */
	union {
		struct list link;         /* (m) in one of the mcentral's lists */
		struct mspan *cache_next; /* cached large objects: the owner CPU's */
	};

	size_t pages;                /* (c); a large object's: (h), read by its owner without it */
	struct special *specials;    /* (s) records on its objects, sorted */
	struct list all_link;        /* (h) in the mheap's registry */
	uint8_t node;                /* (c) NUMA node of its frames */
	bool needzero;               /* (c) a fresh large object: its frames may hold anything */
	bool noscan;                 /* (c) its objects hold no pointers */
	bool sampled;                /* (c) of small samples alone (profile.h) */
	_Atomic uint32_t generation; /* (a) relaxed: another for each span that the struct is */
	struct span_mark *mark;      /* (w) what the last mark found, in this epoch only: */
	uint32_t mark_epoch;         /* (w) */
#if SLATE_DEBUG
	struct witness_table *witnesses; /* (c) records of its objects; NULL: none */
#endif
	union {
		unsigned long inline_bits[MSPAN_INLINE_WORDS]; /* (m) */
		_Atomic uint16_t *tiny_words; /* (c) of blocks of tiny objects: a word each */
	};
};

/* What mspan_free_object() found. */
enum mspan_verdict {
	MSPAN_FREED,
	MSPAN_NOT_START, /* the address is no object's start */
	MSPAN_WAS_FREE,
};

/*
 * Set up a span of objects: all free. bits: MSPAN_BITS_BYTES for a span of more than
 * MSPAN_INLINE_ELEMS objects, else NULL. Publishing it (arena_set_span) is the caller's.
 */
void mspan_init(struct mspan *span, void *base, size_t pages, unsigned span_class,
		unsigned long *bits);

/* The same for one large object that fills the span; its owner sets noscan. */
void mspan_init_large(struct mspan *span, void *base, size_t pages);

/* A run that its caller owns: usable_bytes at its end are handed out, what lies below guards them.
 */
void mspan_init_manual(struct mspan *span, void *base, size_t pages, size_t usable_bytes);

/* Back to dead; returns the bits that mspan_init() was given. */
unsigned long *mspan_kill(struct mspan *span);

/* Does this class need bits from outside? */
bool mspan_needs_bits(unsigned span_class);

/* Take up to n free objects, lowest first, into out; returns how many. Caller holds (m). */
unsigned mspan_take(struct mspan *span, void **out, unsigned n);

/* Give back all that are taken and have their bit set; returns how many. Caller holds (m). */
unsigned mspan_sweep(struct mspan *span, const unsigned long *garbage);

/* The start of the object that holds addr, or 0 when addr lies in the tail that no object uses. */
uintptr_t mspan_object_start(const struct mspan *span, uintptr_t addr);

/* The number of the object that holds addr; elem_count or more for the unused tail. */
static inline size_t mspan_object_number(const struct mspan *span, uintptr_t addr)
{
	return (size_t)(((uint64_t)(addr - span->base) * span->magic) >> 32);
}

/* Give one back. Caller holds (m). In line: magazines come home by it, object after object. */
static inline enum mspan_verdict mspan_give(struct mspan *span, void *object)
{
	uintptr_t addr = (uintptr_t)object;
	size_t index = mspan_object_number(span, addr);
	unsigned word = (unsigned)(index / MSPAN_WORD_BITS);
	unsigned long bit = 1ul << (index % MSPAN_WORD_BITS);

	if (index >= span->elem_count || span->base + index * span->elem_bytes != addr)
		return MSPAN_NOT_START;
	if (!(span->alloc_bits[word] & bit))
		return MSPAN_WAS_FREE;
	span->alloc_bits[word] ^= bit;
	span->allocated--;
	if (word < span->free_word)
		span->free_word = (uint16_t)word;
	return MSPAN_FREED;
}

/* Is the object at this start address taken? Caller holds (m), or accepts a moment's answer. */
bool mspan_is_taken(const struct mspan *span, uintptr_t start);

static inline bool mspan_is_full(const struct mspan *span)
{
	return span->allocated == span->elem_count;
}

/* acquire: pairs with the release stores in mspan_init() and mspan_kill() */
static inline enum mspan_state mspan_state(const struct mspan *span)
{
	return (enum mspan_state)atomic_load_explicit(&span->state, memory_order_acquire);
}

/*
 * From one state to another, by one caller only; false for all others. The ways that there are:
 *
 *   dead -> in use, manual          set up (mspan_init() and its like)
 *   in use <-> manual               a stack is handed out, comes back (debug builds)
 *   in use, manual -> claimed       a large object, a stack on its way home
 *   claimed -> in use               a large object was only resized
 *   claimed -> cached               a large object stays with a CPU
 *   cached -> in use, claimed       and is taken again, or goes home
 *   in use, manual, claimed -> dead mspan_kill()
 */
bool mspan_transition(struct mspan *span, enum mspan_state from, enum mspan_state to);

/* Why its frames may not go back, in words; NULL: they may. Its mcentral holds it no more. */
const char *mspan_why_busy(const struct mspan *span);

/* Large objects: in use -> claimed. */
static inline bool mspan_claim(struct mspan *span)
{
	return mspan_transition(span, MSPAN_IN_USE, MSPAN_CLAIMED);
}

bool mspan_may_become(enum mspan_state from, enum mspan_state to);

/* The same by the one who alone may: who claimed it, or in whose cache it lies. */
static inline void mspan_set_state(struct mspan *span, enum mspan_state state)
{
	MM_ASSERT(mspan_may_become(mspan_state(span), state));
	/* release: pairs with the acquire in mspan_state() */
	atomic_store_explicit(&span->state, (uint8_t)state, memory_order_release);
}

/* "dead", "in use" ... */
const char *mspan_state_name(enum mspan_state state);

/* The equation above; NULL or the name of what is wrong. Caller holds (m). */
const char *mspan_validate(const struct mspan *span);

#endif
