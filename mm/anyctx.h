/* SPDX-License-Identifier: MIT */
/*
 * anyctx.h (level 8) - requests that cannot wait, from NMIs or with SLATE_ANYCTX: what objects of a
 * size class do not need (mcache_take_anyctx()).
 */
#ifndef MM_ANYCTX_H
#define MM_ANYCTX_H

#include <slate/port.h>
#include <slate/slate.h>

#include "mm/pagealloc.h"

/* Large objects in frames; their map entries are made with the heap's lock held. */
#define ANYCTX_LARGE_MAX_PAGES 128u

/* Is it such a request? */
static inline bool anyctx_is(unsigned flags)
{
	return (flags & SLATE_ANYCTX) || port_in_nmi();
}

/* A large object of up to ANYCTX_LARGE_MAX_PAGES, never out of the CPU's cache of them; NULL: no
 * memory, a lock is busy, or it is too long. */
void *anyctx_alloc_large(size_t pages, size_t align_pages, unsigned flags);

/* A run of up to 512 frames; SLATE_PFN_NONE likewise. node: as for slate_page_alloc(). *fit is
 * changed; fit->known_zero is told. */
pfn_t anyctx_alloc_pages(size_t n, struct page_fit *fit, unsigned node, unsigned flags);

#endif
