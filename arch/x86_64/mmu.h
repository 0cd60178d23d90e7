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

/* ---- The direct map's tables, for written.c ---- */

#define PTE_PRESENT  0x001ull
#define PTE_WRITE    0x002ull
#define PTE_THROUGH  0x008ull
#define PTE_UNCACHED 0x010ull
#define PTE_ACCESSED 0x020ull
#define PTE_DIRTY    0x040ull
#define PTE_LARGE    0x080ull
#define PTE_NX       (1ull << 63)
#define PTE_ADDRESS  0x000ffffffffff000ull

#define TABLE_ENTRIES 512
#define SIZE_2M       (1ull << 21)
#define SIZE_1G       (1ull << 30)

struct page_table {
	uint64_t entry[TABLE_ENTRIES];
} __attribute__((aligned(4096)));

/* What is mapped, from physical 0 on: a multiple of 1 GiB. */
uint64_t mmu_direct_limit(void);

/* The entry that maps the GiB of pa, below mmu_direct_limit(): a page, or a table of 2 MiB. */
uint64_t *mmu_gib_entry(uint64_t pa);

/* The table that an entry names, which is no page. */
struct page_table *mmu_table(uint64_t entry);

/* A large page becomes that table, in the image, of the same mapping in parts of step bytes. Until
 * a CPU forgets the large translation it may use both; they say the same. */
void mmu_split(uint64_t *entry, struct page_table *table, uint64_t step);

/* Map device registers, uncached, for ever; NULL when there is no room left (2 MiB in all). */
volatile void *mmu_map_device(uint64_t pa, size_t size_bytes);

#endif
