/* SPDX-License-Identifier: MIT */
/*
 * memrange.h (level 8) - the registry of memory that was added: by the boot map, or later.
 */
#ifndef MM_MEMRANGE_H
#define MM_MEMRANGE_H

#include <slate/types.h>

#include "lib/list.h"

enum memrange_kind {
	MEMRANGE_BOOT,  /* of the boot map: stays */
	MEMRANGE_ADDED, /* can be removed */
	MEMRANGE_STAYS, /* was added, but holds metadata that others need */
};

/* One range, metadata and all. The record lies in the range's metadata. */
struct memrange {
	struct list link;      /* (turn) in order of arrival */
	pfn_t start;           /* (c) */
	size_t pages;          /* (c) */
	size_t metadata_pages; /* (c) at its start: the page allocator's begin behind them */
	uint8_t node;          /* (c) */
	uint8_t kind;          /* (c) enum memrange_kind */
};

/*
 * Adding and removing memory is one caller's turn at a time; who comes second is refused, not kept
 * waiting, since he may be an interrupt handler of the first. slate_init() needs no turn.
 */
bool memrange_begin(void);
void memrange_end(void);

/*
 * The frames that lie wholly in [base, base + size_bytes). Returns SLATE_OK, SLATE_ERANGE (beyond
 * SLATE_PADDR_BITS) or SLATE_EINVAL (there are none).
 */
int memrange_frames(paddr_t base, uint64_t size_bytes, pfn_t *start, size_t *pages);

/* Record [start, start + pages); the record comes from *metadata. False without room. */
struct bootmem;
bool memrange_record(pfn_t start, size_t pages, unsigned node, struct bootmem *metadata);

/*
 * Bytes of metadata for a range at most, record and all; the arena that holds the former range's
 * last frame, *arenas_end, is counted already.
 */
size_t memrange_metadata(pfn_t start, size_t pages, size_t *arenas_end);

/* Metadata frames say what they are. */
void memrange_mark_metadata(pfn_t start, size_t pages);

/* The range with exactly these bounds, or NULL. Needs the turn. */
struct memrange *memrange_find(pfn_t start, size_t pages);

/* It was removed. Needs the turn. */
void memrange_forget(struct memrange *range);

void memrange_reset(void);

#endif
