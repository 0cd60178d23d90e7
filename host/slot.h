/* SPDX-License-Identifier: MIT */
/*
 * slot.h - which CPU a thread is. Each thread has a slot of its own while it lives, and with it an
 * mcache that only it touches. Threads beyond the number of slots, and what a thread frees after
 * its slot went back, share the last slot under a lock.
 *
 * A thread's fast paths need its mcache alone. Whatever takes a lock of the allocator stands
 * between slot_enter() and slot_leave(): fork() waits until nobody does, so that the child finds
 * all locks free and all lists whole.
 */
#ifndef HOST_SLOT_H
#define HOST_SLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "mm/mcache.h"

#define SLOT_TLS _Thread_local __attribute__((tls_model("initial-exec")))

/*
 * What fast paths look into: the thread's mcache, or one in which every magazine is the dummy and
 * no address is known, so that every call goes the slow way (no slot, or calls are counted).
 */
extern SLOT_TLS struct mcache *slot_fast;
extern struct mcache slot_none;

/* This thread's slot, chosen at the first call. The allocator may be called until slot_leave().
 * Does not nest. */
void slot_enter(void);
void slot_leave(void);

/* Inside a slot: so many bytes go back by themselves, so that upkeep comes sooner. */
void slot_note_bytes(size_t size_bytes);

/* For statistics, inside a slot. */
void slot_count_alloc(void);
void slot_count_free(void);
void slot_counts(size_t *allocs, size_t *frees);

/* Count every call (true at the start), or let fast paths be fast. */
void slot_counting(bool on);

/* Once, when the allocator runs; the caller gets the first slot. */
void slot_start(void);

/* Handlers for fork() and for the end of a thread. Once. */
void slot_hooks(void);

#endif
