/* SPDX-License-Identifier: MIT */
/*
 * space.h - the memory that the allocator takes for the machine's: one long reservation of address
 * space, of which pieces become accessible, and known to the allocator, as they are needed.
 */
#ifndef HOST_SPACE_H
#define HOST_SPACE_H

#include <stdbool.h>
#include <stddef.h>

/* Reserve, and start the allocator on the first piece. False: there is no address space. */
bool space_start(void);

/* How often it has grown; read before the attempt that failed. */
size_t space_growth(void);

/*
 * An object of that size and alignment did not fit: add a piece in which it does, unless somebody
 * else has added one since `growth`. False: there is no more. Inside a slot (slot.h), without
 * locks.
 */
bool space_grow(size_t size_bytes, size_t align_bytes, size_t growth);

#endif
