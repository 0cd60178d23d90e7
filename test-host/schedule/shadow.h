/* SPDX-License-Identifier: MIT */
/*
 * shadow.h - who owns what while a schedule runs. Owned things lie in slots, from which any CPU may
 * take them; two that overlap end the schedule.
 */
#ifndef SCHED_SHADOW_H
#define SCHED_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHADOW_SLOTS 48u

enum shadow_kind {
	SHADOW_NONE,
	SHADOW_OBJECT,
	SHADOW_FRAMES, /* start: where the direct map has the first */
	SHADOW_PAGES,  /* likewise, past the magazines */
	SHADOW_STACK,
	SHADOW_DEPOT, /* a magazine of the test's own depot */
	SHADOW_FIXED, /* of the test's own fixalloc */
};

struct shadow_thing {
	uintptr_t start;
	size_t size_bytes;
	enum shadow_kind kind;
	unsigned class;
};

void shadow_save(void);
void shadow_restore(void);

/* Of all slots. */
uint64_t shadow_hash(void);
void shadow_keep(void);

/* Is something in the slot? */
bool shadow_has(unsigned slot);

/* Just handed out; its slot must be empty, else the first empty one is taken. */
void shadow_put(unsigned slot, struct shadow_thing thing);

/* Take it out, to free it; kind NONE: nothing was there. */
struct shadow_thing shadow_take(unsigned slot);

#endif
