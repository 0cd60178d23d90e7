/* SPDX-License-Identifier: MIT */
/*
 * types.h - page and address types. A frame number, a physical address and a pointer are three
 * types; only the functions here and slate_phys()/slate_virt() convert between them.
 */
#ifndef SLATE_TYPES_H
#define SLATE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slate/config.h>

#define SLATE_PAGE_SIZE ((size_t)1 << SLATE_PAGE_SHIFT)
#define SLATE_PAGE_MASK (SLATE_PAGE_SIZE - 1)

/* Kernel stacks come in orders 0 <= order < SLATE_STACK_ORDERS, of 2^order frames. */
#define SLATE_STACK_ORDERS 5u

/* A physical address, 64 bits everywhere. */
typedef struct paddr {
	uint64_t v;
} paddr_t;

/* A page frame number: physical address >> SLATE_PAGE_SHIFT. */
typedef struct pfn {
	size_t v;
} pfn_t;

/* No frame. Never a valid frame: the last frame of the address space is clipped away. */
#define SLATE_PFN_NONE ((pfn_t){SIZE_MAX})

static inline bool pfn_is_none(pfn_t pfn)
{
	return pfn.v == SIZE_MAX;
}

static inline pfn_t pfn_add(pfn_t pfn, size_t pages)
{
	return (pfn_t){pfn.v + pages};
}

/* The frame that holds pa. */
static inline pfn_t paddr_to_pfn(paddr_t pa)
{
	return (pfn_t){(size_t)(pa.v >> SLATE_PAGE_SHIFT)};
}

/* The first byte of the frame. */
static inline paddr_t pfn_to_paddr(pfn_t pfn)
{
	return (paddr_t){(uint64_t)pfn.v << SLATE_PAGE_SHIFT};
}

/* Bytes to frames, rounded up. size_bytes + SLATE_PAGE_MASK must not overflow. */
static inline size_t bytes_to_pages(size_t size_bytes)
{
	return (size_bytes + SLATE_PAGE_MASK) >> SLATE_PAGE_SHIFT;
}

#endif
