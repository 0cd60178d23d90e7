/* SPDX-License-Identifier: MIT */
/*
 * spanclass.h (level 4) - what spans of one class look like. Classes are numbered as the per-CPU
 * magazines are: the span classes of the size classes first (their number is the class byte of
 * their frames), typed caches from SPANCLASS_TYPED on.
 */
#ifndef MM_SPANCLASS_H
#define MM_SPANCLASS_H

#include "mm/arena.h"
#include "mm/sizeclass.h"

/* Typed caches at a time. Numbers end at 255: a class is a byte. */
#define SPANCLASS_TYPED_COUNT (SLATE_MAX_CPUS == 1 ? 8 : 48)
#define SPANCLASS_TYPED       (256 - SPANCLASS_TYPED_COUNT)
#define SPANCLASS_COUNT       256

/*
 * The blocks of tiny objects (tiny.h): a typed cache of Slate's own, with a word out of band for
 * each block. Spans of two frames, for less of the struct and the bitmap a block.
 */
#define SPANCLASS_TINY   SPANCLASS_TYPED
#define TINY_BLOCK_BYTES 16u
#define TINY_SPAN_PAGES  2u
#define TINY_SPAN_BLOCKS (TINY_SPAN_PAGES * SLATE_PAGE_SIZE / TINY_BLOCK_BYTES)
#define TINY_WORDS_BYTES (TINY_SPAN_BLOCKS * sizeof(uint16_t))

struct spanclass {
	uint32_t elem_bytes;
	uint32_t magic;      /* offset * magic >> 32 = number of the object */
	uint16_t elems;      /* objects of a span */
	uint8_t pages;       /* frames of a span */
	uint8_t align_pages; /* power of two */
	uint8_t page_class;  /* class byte of its frames */
};

/* (c) from the creation of a typed cache to its destruction */
extern struct spanclass spanclass_typed[SPANCLASS_TYPED_COUNT];

static inline bool spanclass_is_size(unsigned class)
{
	return class >= 2 && class <= PAGECLASS_SPAN_LAST;
}

static inline bool spanclass_is_typed(unsigned class)
{
	return class >= SPANCLASS_TYPED;
}

/* class: of sizes, or of an existing typed cache. */
static inline struct spanclass spanclass_get(unsigned class)
{
	unsigned sizeclass = class >> 1;

	if (spanclass_is_typed(class))
		return spanclass_typed[class - SPANCLASS_TYPED];
	return (struct spanclass){
		.elem_bytes = sizeclass_bytes[sizeclass],
		.magic = sizeclass_magic[sizeclass],
		.elems = sizeclass_elems[sizeclass],
		.pages = sizeclass_pages[sizeclass],
		.align_pages = (uint8_t)sizeclass_align_pages(sizeclass),
		.page_class = (uint8_t) class,
	};
}

/*
 * The span that suits objects of elem_bytes: as few frames as keep its tail small. False when no
 * span of SIZECLASS_MAX_PAGES holds one. align_pages is the caller's to raise.
 */
bool spanclass_plan(size_t elem_bytes, struct spanclass *plan);

#endif
