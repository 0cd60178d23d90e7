/* SPDX-License-Identifier: MIT */
/*
 * sizeclass_table.h - written by tools/mksizeclasses.py, which proves what it says; do not edit.
 *
 * 71 classes. A full span of objects of any one size from 57 bytes up loses at most 12.50 % (bound: 12.5 %),
 * rounding and tail together; the tail alone at most 1.56 %. Smaller sizes lose at most 7 bytes an object.
 */
/* clang-format off */
#ifndef MM_SIZECLASS_TABLE_H
#define MM_SIZECLASS_TABLE_H

#include <stdint.h>

#define SIZECLASS_COUNT     72 /* class 0, which is none, included */
#define SIZECLASS_MAX_BYTES 32768
#define SIZECLASS_SMALL_MAX 8192 /* by steps of 8 up to here, of 128 above */
#define SIZECLASS_MAX_ELEMS 1024
#define SIZECLASS_MAX_PAGES 13

extern const uint16_t sizeclass_bytes[SIZECLASS_COUNT]; /* of one object */
extern const uint8_t sizeclass_pages[SIZECLASS_COUNT];  /* of a span */
extern const uint16_t sizeclass_elems[SIZECLASS_COUNT]; /* objects of a span */
extern const uint32_t sizeclass_magic[SIZECLASS_COUNT]; /* offset * magic >> 32 = number of the object */
extern const uint8_t sizeclass_by_8[1025];
extern const uint8_t sizeclass_by_128[193];

#endif
