/* SPDX-License-Identifier: MIT */
/*
 * hand.h - who acts in a stress run: a CPU's main line, its timer handler or its NMI, what it
 * holds, and what it has done.
 *
 * Every holding begins and ends with bytes that depend on its seed, so that memory given twice, or
 * written by the allocator while it is out, is noticed.
 */
#ifndef KERNEL_HAND_H
#define KERNEL_HAND_H

#include <slate/slate.h>

/* What a run consists of. Each must occur in a run of some seconds (stress_account.c). */
enum stress_kind {
	STRESS_OBJECT,
	STRESS_ZEROED,
	STRESS_ALIGNED,
	STRESS_NOSCAN,
	STRESS_TINY,
	STRESS_LARGE,
	STRESS_TYPED,
	STRESS_BULK,
	STRESS_REALLOC,
	STRESS_FRAME,
	STRESS_RUN,
	STRESS_FITTED, /* a run with constraints */
	STRESS_AT,     /* these frames and no others */
	STRESS_STACK,
	STRESS_SENT, /* to another CPU, which frees it */
	STRESS_POLL,
	STRESS_FLUSH,
	STRESS_SCAVENGE,
	STRESS_CACHE,   /* a typed cache from its creation to its end */
	STRESS_OFFLINE, /* and online again */
	STRESS_NMI,     /* operations in one */
	STRESS_ADD,
	STRESS_REMOVE,
	STRESS_HELD, /* a removal that somebody's frames prevented */
	STRESS_KINDS,
};

enum holding_kind {
	HOLDING_NONE,
	HOLDING_OBJECT,
	HOLDING_TYPED,
	HOLDING_FRAMES,
	HOLDING_STACK,
};

struct holding {
	unsigned char *start;
	size_t size_bytes;
	struct slate_cache *cache; /* a typed object's */
	uint32_t seed;
	enum holding_kind kind;
	bool own_class; /* the size alone tells its class: it may go back by a sized free */
};

struct hand {
	uint32_t random;
	unsigned flags; /* of its allocations: SLATE_NOWAIT in a handler, _ANYCTX in an NMI */
	uint64_t ops;
	uint64_t refused; /* NULL came: memory was short */
	uint64_t wrong;   /* contents, alignment or an answer that cannot be */
	uint64_t did[STRESS_KINDS];
};

static inline bool hand_is_handler(const struct hand *hand)
{
	return hand->flags & (SLATE_NOWAIT | SLATE_ANYCTX);
}

/* ---- One holding ---- */

/* Stamp what was just taken. */
void holding_begin(struct hand *hand, struct holding *h);

/* Write the stamp, and does it still stand there? */
void holding_stamp(struct holding *h);
bool holding_is_intact(const struct holding *h);

/* Check it and give it back. */
void holding_drop(struct hand *hand, struct holding *h);

#endif
