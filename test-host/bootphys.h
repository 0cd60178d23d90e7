/* SPDX-License-Identifier: MIT */
/*
 * bootphys.h - the physical memory that the loaders' parsers read in tests: pieces of exact length,
 * so that ASan sees a read beyond, and a fresh boot_info.
 */
#ifndef TEST_BOOTPHYS_H
#define TEST_BOOTPHYS_H

#include "boot/record.h"

/* Forget all pieces; a new, empty boot_info. */
struct boot_info *bootphys_reset(void);

/* Make [pa, pa + size_bytes) readable, zeroed; returns its bytes. */
uint8_t *bootphys_add(uint64_t pa, size_t size_bytes);

/* The piece at pa ends after size_bytes from now on. */
void bootphys_cut(uint64_t pa, size_t size_bytes);

/* The parsers' way in: NULL unless one piece holds all of it. */
const void *bootphys_at(uint64_t pa, uint64_t size_bytes);

void put16(uint8_t *at, uint16_t value);
void put32(uint8_t *at, uint32_t value);
void put64(uint8_t *at, uint64_t value);

/* The entries of the map that are exactly this one. */
size_t bootphys_count(const struct boot_info *info, uint64_t base, uint64_t size_bytes,
		      unsigned type);

#endif
