/* SPDX-License-Identifier: MIT */
/*
 * mmu.h - translation tables of the upper half, after start.S has mapped the image.
 */
#ifndef ARCH_AARCH64_MMU_H
#define ARCH_AARCH64_MMU_H

#include <slate/types.h>

#include "arch/aarch64/layout.h"

/* Once, first: where the image lies. */
void mmu_init(uint64_t image_physical);

/* Physical address of something in the image. */
uint64_t mmu_image_physical(const void *va);

/*
 * Map size_bytes at pa, read-only, and return where: always at DTB_BASE, so a later call replaces
 * nothing but adds to it, and must name the same address. NULL when size_bytes is above DTB_MAX or
 * the address is no RAM's.
 */
const void *mmu_map_dtb(uint64_t pa, uint64_t size_bytes);

/* Forget what mmu_map_dtb() mapped: it was no device tree. */
void mmu_unmap_dtb(void);

/*
 * Map RAM [base, end) into the direct map, rounded outward to pages. Returns the end of what was
 * mapped: less than end when the CPU's address space or the tables do not reach.
 */
uint64_t mmu_map_ram(uint64_t base, uint64_t end);

/*
 * For written.c: the entry that maps the 2 MiB of an address in the direct map, a block or a table
 * of pages. NULL: nothing maps it, or a larger block does (*is_larger).
 */
uint64_t *mmu_part_entry(uint64_t va, bool *is_larger);

/* The table that an entry names, which is no block. */
uint64_t *mmu_table(uint64_t entry);

/* The end of the direct map's RAM, physical. */
uint64_t mmu_ram_end(void);

/* Map device registers; returns their virtual address, 0 when that is impossible. Boot CPU only,
 * before the others start. */
uintptr_t mmu_map_device(uint64_t base, uint64_t size_bytes);

#endif
