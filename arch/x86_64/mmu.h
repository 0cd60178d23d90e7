/* SPDX-License-Identifier: MIT */
/*
 * mmu.h - the kernel's page tables.
 */
#ifndef ARCH_X86_64_MMU_H
#define ARCH_X86_64_MMU_H

#include <slate/types.h>

/*
 * Once on the boot CPU, when boot_info.map is complete: build the final tables, for which free
 * frames are taken out of the map where the CPU has no 1 GiB pages, and switch to them. Sets
 * boot_info.direct_map_offset and mapped_limit.
 */
void mmu_setup(void);

/* What the other CPUs load. */
uint64_t mmu_cr3(void);

/* Virtual address of physical memory that the direct map covers; NULL where it does not (yet). */
const void *mmu_phys(uint64_t pa, uint64_t size_bytes);

/* Physical address of something in the kernel image. */
uint64_t mmu_image_phys(const void *symbol);

/* Map device registers, uncached, for ever; NULL when there is no room left (2 MiB in all). */
volatile void *mmu_map_device(uint64_t pa, size_t size_bytes);

#endif
