/* SPDX-License-Identifier: MIT */
/*
 * directmap.h (level 0) - physical address, frame number and pointer, one to another. All metadata
 * and objects lie in the direct map: virtual = physical + offset, modulo the word.
 */
#ifndef MM_DIRECTMAP_H
#define MM_DIRECTMAP_H

#include <slate/types.h>

extern uintptr_t directmap_offset; /* (const) after slate_init() */
extern pfn_t directmap_end;        /* (const) first frame that is not mapped */

static inline void *pfn_to_virt(pfn_t pfn)
{
	return (void *)((uintptr_t)pfn_to_paddr(pfn).v + directmap_offset);
}

/* Any pointer, also garbage: a pointer outside the map gives a frame number outside all arenas. */
static inline pfn_t virt_to_pfn(const void *va)
{
	return (pfn_t){(size_t)(((uintptr_t)va - directmap_offset) >> SLATE_PAGE_SHIFT)};
}

#endif
