/* SPDX-License-Identifier: MIT */
/*
 * mmu.c - maps RAM, devices and the device tree with the largest blocks that fit.
 *
 * Tables come from a static pool: a level-1 table for each 512 GiB that holds RAM, and up to four
 * more for the ragged edges of a range. When the pool is empty an edge is rounded outward to the
 * next larger block instead, which maps a little that is no RAM. Nothing is ever mapped with two
 * different attributes by these functions, nor unmapped (but the device tree's window), so no entry
 * that was in use changes.
 */
#include "arch/aarch64/mmu.h"

#include "arch/aarch64/regs.h"
#include "arch/arch.h"
#include "lib/string.h"

/*
 * The lowest RAM is mapped page by page, so that single pages may change their rights later: to
 * break up a block that is in use would need all other CPUs to stand still (break before make).
 */
#define PAGED_BYTES (256ull << 20)

/*
 * The next RAM is mapped by 2 MiB, so that somebody may ask which of them were written (written.c).
 */
#define PARTS_BYTES (16ull << 30)

/* One for each 2 MiB of the first, for each GiB of the second; 192 KiB more: 16 TiB of RAM, or some
 * ten ragged ranges. */
#define POOL_TABLES (PAGED_BYTES / L2_BYTES + 48 + PARTS_BYTES / L1_BYTES)

#define PTE_ADDRESS   0x0000fffffffff000ull
#define RIGHTS_RAM    (PTE_NORMAL | PTE_INNER | PTE_AF | PTE_UXN | PTE_PXN)
#define RIGHTS_DEVICE (PTE_DEVICE | PTE_AF | PTE_UXN | PTE_PXN)
#define RIGHTS_DTB    (RIGHTS_RAM | PTE_RO)
#define L2_BYTES      (1ull << L2_SHIFT)
#define L1_BYTES      (1ull << L1_SHIFT)
#define PAGE_BYTES    ((uint64_t)SLATE_PAGE_SIZE)

extern uint64_t table_kernel_l0[TABLE_ENTRIES]; /* start.S */
/* kernel.ld */
extern const char image_start[], roots_start[], roots_end[];

static uint64_t pool[POOL_TABLES][TABLE_ENTRIES] __attribute__((aligned(TABLE_BYTES)));
static size_t pool_used;
static uint64_t paged_bytes; /* mapped page by page so far */
static uint64_t parts_bytes; /* and by 2 MiB */
static uint64_t ram_end;
static uint64_t image_base;

void mmu_init(uint64_t image_physical)
{
	image_base = image_physical;
}

uint64_t mmu_image_physical(const void *va)
{
	return (uintptr_t)va - (uintptr_t)image_start + image_base;
}

/* All tables lie in the image. */
static uint64_t *table_at(uint64_t entry)
{
	return (uint64_t *)((entry & PTE_ADDRESS) - image_base + (uintptr_t)image_start);
}

uint64_t *mmu_table(uint64_t entry)
{
	return table_at(entry);
}

uint64_t mmu_ram_end(void)
{
	return ram_end;
}

static bool is_table(uint64_t entry)
{
	return (entry & PTE_TYPE) == PTE_TABLE;
}

/* Put a fresh table into an empty entry; false when there is none left. */
static bool add_table(uint64_t *entry)
{
	if (pool_used == POOL_TABLES)
		return false;

	uint64_t *table = pool[pool_used++];

	/* the walker may see the entry at once: the table's zeroes come first */
	__asm__ volatile("dsb ishst" : : : "memory");
	*(volatile uint64_t *)entry = mmu_image_physical(table) | PTE_TABLE;
	return true;
}

/*
 * Map one block at va, as large as alignment, left and largest_shift allow. Returns by how much to
 * go on, 0 on failure.
 */
static uint64_t map_step(uint64_t va, uint64_t pa, uint64_t left, uint64_t rights,
			 unsigned largest_shift)
{
	uint64_t *table = table_kernel_l0;

	for (unsigned shift = L0_SHIFT;; shift -= L0_SHIFT - L1_SHIFT) {
		uint64_t *entry = &table[va >> shift & (TABLE_ENTRIES - 1)];
		uint64_t size = 1ull << shift;
		uint64_t inside = va & (size - 1);
		bool whole = shift <= largest_shift && inside == 0 && left >= size;

		if (shift == L3_SHIFT) {
			*(volatile uint64_t *)entry = pa | rights | PTE_PAGE;
			return size;
		}
		if ((*entry & PTE_TYPE) == PTE_BLOCK)
			return size - inside;
		if (*entry == 0 && !whole && !add_table(entry)) {
			if (shift == L0_SHIFT)
				return 0;
			whole = true;
		}
		if (*entry == 0 && whole) {
			*(volatile uint64_t *)entry = (pa - inside) | rights | PTE_BLOCK;
			return size - inside;
		}
		table = table_at(*entry);
	}
}

/* Map [pa, end) at va; returns the end of what was mapped. */
static uint64_t map(uint64_t va, uint64_t pa, uint64_t end, uint64_t rights, unsigned largest_shift)
{
	while (pa < end) {
		uint64_t step = map_step(va, pa, end - pa, rights, largest_shift);

		if (step == 0)
			break;
		va += step;
		pa += step;
	}
	__asm__ volatile("dsb ishst; isb" : : : "memory");
	return pa < end ? pa : end;
}

/* How far this CPU's physical addresses reach, and our windows and tables (48 bits) with them. */
static uint64_t physical_limit(void)
{
	static const uint8_t bits[] = {32, 36, 40, 42, 44, 48};
	uint64_t field = reg_read(id_aa64mmfr0_el1) & 15;
	uint64_t limit = 1ull << (field < sizeof(bits) ? bits[field] : 48);

	return limit < WINDOW_SIZE ? limit : WINDOW_SIZE;
}

/* How far [base, end) is mapped in small steps, of which `left` bytes may be: to a border of larger
 * ones. */
static uint64_t fine_end(uint64_t base, uint64_t end, uint64_t left, uint64_t larger)
{
	uint64_t cut = (base + left) & ~(larger - 1);

	if (left == 0 || cut <= base)
		return base;
	return cut < end ? cut : end;
}

uint64_t mmu_map_ram(uint64_t base, uint64_t end)
{
	uint64_t limit = physical_limit();

	base &= ~(PAGE_BYTES - 1);
	end = end > limit ? limit : (end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	if (base >= end)
		return base;
	uint64_t pages = fine_end(base, end, PAGED_BYTES - paged_bytes, L2_BYTES);
	uint64_t parts = fine_end(pages, end, PARTS_BYTES - parts_bytes, L1_BYTES);

	paged_bytes += pages - base;
	parts_bytes += parts - pages;
	if (end > ram_end)
		ram_end = end;
	if (map(DIRECT_BASE + base, base, pages, RIGHTS_RAM, L3_SHIFT) < pages)
		return base;
	if (map(DIRECT_BASE + pages, pages, parts, RIGHTS_RAM, L2_SHIFT) < parts)
		return pages;
	return map(DIRECT_BASE + parts, parts, end, RIGHTS_RAM, L1_SHIFT);
}

uintptr_t mmu_map_device(uint64_t base, uint64_t size_bytes)
{
	uint64_t first = base & ~(L2_BYTES - 1);

	if (size_bytes == 0 || base >= physical_limit() || size_bytes > physical_limit() - base)
		return 0;

	uint64_t end = (base + size_bytes + L2_BYTES - 1) & ~(L2_BYTES - 1);

	if (map(DEVICE_BASE + first, first, end, RIGHTS_DEVICE, L1_SHIFT) != end)
		return 0;
	return DEVICE_BASE + base;
}

volatile void *arch_map_device(uint64_t pa, size_t size_bytes)
{
	return (volatile void *)mmu_map_device(pa, size_bytes);
}

const void *mmu_map_dtb(uint64_t pa, uint64_t size_bytes)
{
	uint64_t first = pa & ~(L2_BYTES - 1);

	if (size_bytes > DTB_MAX || pa >= physical_limit() || size_bytes > physical_limit() - pa)
		return NULL;

	uint64_t end = (pa + size_bytes + L2_BYTES - 1) & ~(L2_BYTES - 1);

	if (map(DTB_BASE, first, end, RIGHTS_DTB, L1_SHIFT) != end)
		return NULL;
	return (const void *)(DTB_BASE + (pa - first));
}

void mmu_unmap_dtb(void)
{
	uint64_t l1 = table_kernel_l0[DTB_BASE >> L0_SHIFT & (TABLE_ENTRIES - 1)];
	uint64_t l2 = table_at(l1)[DTB_BASE >> L1_SHIFT & (TABLE_ENTRIES - 1)];

	if (!is_table(l2))
		return;
	memset(table_at(l2), 0, TABLE_BYTES);
	__asm__ volatile("dsb ishst; tlbi vmalle1is; dsb ish; isb" : : : "memory");
}

bool arch_data_range(unsigned i, uintptr_t *low, uintptr_t *high)
{
	*low = (uintptr_t)roots_start;
	*high = (uintptr_t)roots_end;
	return i == 0;
}

/* ---- Rights of single pages ---- */

/* TLB maintenance is broadcast to all CPUs of the inner shareable domain. */
const bool arch_page_forget_is_shared = true;

uint64_t *mmu_part_entry(uint64_t va, bool *is_larger)
{
	uint64_t *table = table_kernel_l0;

	*is_larger = false;
	for (unsigned shift = L0_SHIFT; shift != L2_SHIFT; shift -= L0_SHIFT - L1_SHIFT) {
		uint64_t entry = table[va >> shift & (TABLE_ENTRIES - 1)];

		*is_larger = (entry & PTE_TYPE) == PTE_BLOCK;
		if (!is_table(entry))
			return NULL;
		table = table_at(entry);
	}
	return &table[va >> L2_SHIFT & (TABLE_ENTRIES - 1)];
}

/* The entry of a page that is mapped as one; NULL where a block is, or nothing. */
static uint64_t *page_entry(uint64_t va)
{
	bool is_larger;
	const uint64_t *part = mmu_part_entry(va, &is_larger);

	if (!part || !is_table(*part))
		return NULL;
	return &table_at(*part)[va >> L3_SHIFT & (TABLE_ENTRIES - 1)];
}

/* Valid to invalid and back, or other rights for the same frame: no break before make. */
bool arch_page_rights(void *page, enum arch_rights rights)
{
	uint64_t va = (uintptr_t)page;
	uint64_t pa = va - DIRECT_BASE;
	uint64_t *entry = pa < physical_limit() ? page_entry(va) : NULL;
	uint64_t value = pa | RIGHTS_RAM | PTE_PAGE;

	if (!entry)
		return false;
	if (rights == ARCH_RIGHTS_NONE)
		value = 0;
	else if (rights == ARCH_RIGHTS_READ)
		value |= PTE_RO;
	*(volatile uint64_t *)entry = value;
	arch_page_forget(page);
	return true;
}

void arch_page_forget(const void *page)
{
	/* bits 43:0 are the page's number, of all address spaces */
	__asm__ volatile("dsb ishst; tlbi vaae1is, %0; dsb ish; isb"
			 :
			 : "r"((uintptr_t)page >> L3_SHIFT & 0xfffffffffff)
			 : "memory");
}
