/* SPDX-License-Identifier: MIT */
/*
 * sizeclass.h (level 1) - bytes to size class and back, by tables that tools/mksizeclasses.py
 * generates and proves. Size class 0 is none; span class = size class << 1 | noscan.
 */
#ifndef MM_SIZECLASS_H
#define MM_SIZECLASS_H

#include <slate/types.h>

#include "mm/sizeclass_table.h" /* SIZECLASS_COUNT, SIZECLASS_MAX_BYTES, tables; generated */

/*
 * The generated header declares, sizeclass_table.c defines:
 *   #define SIZECLASS_COUNT 68            classes, 0 included
 *   #define SIZECLASS_MAX_BYTES 32768
 *   #define SIZECLASS_SMALL_MAX 8192      table by 8 bytes up to here, by 128 above
 *   extern const uint16_t sizeclass_bytes[SIZECLASS_COUNT];
 *   extern const uint8_t sizeclass_pages[SIZECLASS_COUNT];      span length in frames
 *   extern const uint16_t sizeclass_elems[SIZECLASS_COUNT];     objects per span, at most
 * SIZECLASS_MAX_ELEMS extern const uint32_t sizeclass_magic[SIZECLASS_COUNT];     offset * magic >>
 * 32 = object index extern const uint8_t sizeclass_by_8[SIZECLASS_SMALL_MAX / 8 + 1]; extern const
 * uint8_t sizeclass_by_128[(SIZECLASS_MAX_BYTES - SIZECLASS_SMALL_MAX) / 128 + 1];
 */

/* size_bytes <= SIZECLASS_MAX_BYTES; 0 counts as 1. */
static inline unsigned sizeclass_of(size_t size_bytes)
{
	if (size_bytes <= SIZECLASS_SMALL_MAX)
		return sizeclass_by_8[(size_bytes + 7) / 8];
	return sizeclass_by_128[(size_bytes - SIZECLASS_SMALL_MAX + 127) / 128];
}

/*
 * The smallest class whose objects are all aligned to align_bytes (a power of two, at most
 * SLATE_PAGE_SIZE) and hold size_bytes; 0 when there is none.
 */
unsigned sizeclass_of_aligned(size_t size_bytes, size_t align_bytes);

/*
 * What the first frame of a span must be aligned to, in frames, so that the objects of a
 * power-of-two class are naturally aligned: more than one frame for 8, 16 and 32 KiB only.
 */
static inline size_t sizeclass_align_pages(unsigned sizeclass)
{
	size_t elem_bytes = sizeclass_bytes[sizeclass];

	if ((elem_bytes & (elem_bytes - 1)) || elem_bytes <= SLATE_PAGE_SIZE)
		return 1;
	return elem_bytes >> SLATE_PAGE_SHIFT;
}

/* Index of the object at offset_bytes into its span, without a division. offset_bytes < span
 * length. */
static inline size_t sizeclass_index(unsigned sizeclass, size_t offset_bytes)
{
	return (size_t)(((uint64_t)offset_bytes * sizeclass_magic[sizeclass]) >> 32);
}

#endif
