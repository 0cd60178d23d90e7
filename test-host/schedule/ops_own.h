/* SPDX-License-Identifier: MIT */
/* ops_own.h - what operations keep between them. For ops*.c. */
#ifndef SCHEDULE_OPS_OWN_H
#define SCHEDULE_OPS_OWN_H

#include "mm/depot.h"
#include "mm/fixalloc.h"
#include "test-host/schedule/ops.h"
#include "test-host/schedule/shadow.h"

#define FIXED_BYTES    64u
#define FIXED_OBJECTS  4u
#define EATEN_MAX      32u
#define FIRST_MAGAZINE 40u /* the slot */

/* What the snapshot holds of the test itself. */
struct ops_own {
	struct depot depot;
	struct magazine magazines[4];
	struct fixalloc fixed;
	struct shadow_thing named; /* misused: freed by several */
	struct slate_cache *cache; /* typed */
	bool asked;                /* all caches shall be drained, and none was used since */
	unsigned finals;           /* finalizers that were set, ... */
	unsigned finalized;        /* ... and that have run */
	unsigned eaten_count;
	struct eaten {
		pfn_t pfn;
		size_t pages;
	} eaten[EATEN_MAX];
	_Alignas(FIXED_BYTES) char memory[FIXED_OBJECTS * FIXED_BYTES];
};
extern struct ops_own ops_own;

static inline unsigned ops_slot(unsigned argument)
{
	return argument % OP_SIZE;
}

static inline unsigned ops_size(unsigned argument)
{
	return argument / OP_SIZE % OP_SIZES;
}

/* The thing is of another kind than the operation is for: it stays in its slot. */
void ops_put_back(unsigned slot, struct shadow_thing thing);

/* Free it, as is due to its kind. */
void ops_free_thing(struct shadow_thing thing);

#endif
