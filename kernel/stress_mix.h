/* SPDX-License-Identifier: MIT */
/*
 * stress_mix.h - what a stress run consists of: each kind of object and frames, and what is done
 * now and then. stress.c chooses among them.
 */
#ifndef KERNEL_STRESS_MIX_H
#define KERNEL_STRESS_MIX_H

#include "kernel/hand.h"

/* ---- stress_object.c ---- */

/* The typed caches of a run. False: they could not be made, or would not go. */
bool stress_caches_make(void);
bool stress_caches_destroy(void);

/* The state in which objects of the typed caches are taken and given. */
void stress_construct(void *object);

/* An object of some kind into the empty holding, or nothing. */
void stress_object_take(struct hand *hand, struct holding *h);
void stress_object_resize(struct hand *hand, struct holding *h);

/* Several at once into empty holdings of slots, and out of filled ones. */
void stress_bulk_take(struct hand *hand, struct holding *slots, size_t count);
void stress_bulk_drop(struct hand *hand, struct holding *slots, size_t count);

/* ---- stress_page.c ---- */

/* Frames or a stack into the empty holding, or nothing; largest_run: of a single try. */
void stress_page_take(struct hand *hand, struct holding *h, size_t largest_run);

/* ---- stress_upkeep.c ---- */

/* One CPU's turn at what is done now and then; turn counts up. Boot CPU: memory comes and goes. */
void stress_upkeep(struct hand *hand, unsigned cpu, uint64_t turn);

/* No timer handler of that CPU may allocate: it is offline. */
bool stress_is_away(unsigned cpu);

/* NMIs can be sent here. */
bool stress_has_nmi(void);

/* Before the account: arenas are made the first time. After: everybody has left the range. */
void stress_plug_prepare(struct hand *hand);
void stress_plug_out(struct hand *hand);
bool stress_can_plug(void);

/* Whatever lies in the range that comes and goes is to go back. */
bool stress_must_leave(void);

#endif
