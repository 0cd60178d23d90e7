/* SPDX-License-Identifier: MIT */
/*
 * bootmem.h (level 2) - a bump allocator over one run of memory, for metadata that is never given
 * back one by one. The caller serialises.
 */
#ifndef MM_BOOTMEM_H
#define MM_BOOTMEM_H

#include <slate/types.h>

struct bootmem {
	uintptr_t next; /* first byte not handed out */
	uintptr_t end;
};

void bootmem_init(struct bootmem *bm, void *start, size_t size_bytes);

/* align_bytes: a power of two. Undefined contents. NULL when there is no room; overflow-safe. */
void *bootmem_alloc(struct bootmem *bm, size_t size_bytes, size_t align_bytes);
size_t bootmem_left(const struct bootmem *bm);

#endif
