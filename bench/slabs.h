/* SPDX-License-Identifier: MIT */
/*
 * slabs.h - a yardstick: size classes in the simplest way over the buddy. A slab is one block of
 * it, cut into objects of one class; an empty slab goes back at once. One thread, no checks, and
 * nothing is written into objects.
 */
#ifndef BENCH_SLABS_H
#define BENCH_SLABS_H

#include <stddef.h>
#include <stdint.h>

#define SLABS_MAX_BYTES 2048u

void slabs_init(size_t frames);

/* A physical address + 1 frame, so that 0 is none. size_bytes: 1 .. SLABS_MAX_BYTES. */
uintptr_t slabs_alloc(size_t size_bytes);
void slabs_free(uintptr_t object);

/* For the slabs that are there now. */
size_t slabs_metadata_bytes(void);

#endif
