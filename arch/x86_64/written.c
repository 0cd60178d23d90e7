/* SPDX-License-Identifier: MIT */
/*
 * written.c - which memory was written, by the dirty bits of the direct map.
 *
 * The map is in parts of 2 MiB while anybody asks; a part that was written is told, and from then
 * on has a table of pages, as long as there are tables, so that the next answer is finer. These
 * tables are taken back when somebody begins anew, those of 2 MiB parts stay. Bits are cleared
 * while all CPUs stand still; each forgets its translations before it runs on.
 *
 * Shortcomings: no more than GIB_TABLES GiB; then arch_written_begin() says no.
 */
#include <slate/port.h>

#include "arch/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/mmu.h"
#include "arch/x86_64/regs.h"

/* Where the CPU maps by 1 GiB: 64 KiB of tables for 16 GiB. */
#define GIB_TABLES 16

/* Parts that are told apart page by page, 128 MiB in all: 256 KiB of tables. */
#define PAGE_TABLES 64

static struct page_table gib_table[GIB_TABLES];
static size_t gib_used;

static struct {
	struct page_table table[PAGE_TABLES];
	uint64_t *entry[PAGE_TABLES]; /* where it stands; NULL: free */
	bool settled;                 /* all CPUs have forgotten the tables that were taken back */
} pages;

/* CPUs that stand may be walking the tables. */
static bool take_dirty(uint64_t *entry)
{
	if (!(*entry & PTE_DIRTY))
		return false;
	/* relaxed: that CPU has said that it stands */
	__atomic_fetch_and(entry, ~PTE_DIRTY, __ATOMIC_RELAXED);
	return true;
}

/* ---- Coarser and finer ---- */

/* Does the table still map as the large page did? Single pages may have other rights now. */
static bool is_uniform(const struct page_table *table)
{
	const uint64_t ignored = PTE_ACCESSED | PTE_DIRTY;

	for (unsigned i = 1; i < TABLE_ENTRIES; i++) {
		if (((table->entry[i] ^ (table->entry[0] + i * SLATE_PAGE_SIZE)) & ~ignored) != 0)
			return false;
	}
	return true;
}

/* Take tables of pages back. */
static void join_all(void)
{
	for (size_t i = 0; i < PAGE_TABLES; i++) {
		uint64_t *entry = pages.entry[i];

		if (!entry || !is_uniform(&pages.table[i]))
			continue;
		*(volatile uint64_t *)entry = pages.table[i].entry[0] | PTE_LARGE;
		pages.entry[i] = NULL;
	}
	pages.settled = false;
}

static void split_part(uint64_t *entry)
{
	for (size_t i = 0; i < PAGE_TABLES && pages.settled; i++) {
		if (pages.entry[i])
			continue;
		pages.entry[i] = entry;
		mmu_split(entry, &pages.table[i], SLATE_PAGE_SIZE);
		return;
	}
}

/* The table of 2 MiB parts of the GiB at pa; NULL: nothing is mapped, or there is none left. */
static struct page_table *parts_of(uint64_t pa)
{
	uint64_t *entry = mmu_gib_entry(pa);

	if (!(*entry & PTE_PRESENT))
		return NULL;
	if (*entry & PTE_LARGE) {
		if (gib_used == GIB_TABLES)
			return NULL;
		mmu_split(entry, &gib_table[gib_used++], SIZE_2M);
	}
	return mmu_table(*entry);
}

/* ---- Asking ---- */

static void forget_part(uint64_t *entry)
{
	struct page_table *table;

	if (!(*entry & PTE_PRESENT) || *entry & PTE_LARGE) {
		take_dirty(entry);
		return;
	}
	table = mmu_table(*entry);
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		take_dirty(&table->entry[i]);
}

bool arch_written_begin(void)
{
	uint64_t limit = mmu_direct_limit();

	join_all();
	for (uint64_t pa = 0; pa < limit; pa += SIZE_1G) {
		struct page_table *parts = parts_of(pa);

		if (!parts)
			return false;
		for (unsigned i = 0; i < TABLE_ENTRIES; i++)
			forget_part(&parts->entry[i]);
	}
	return true;
}

/* The pages from pa on, in one 2 MiB part, that were written, up to the first that was not. */
static bool next_pages(struct page_table *table, uint64_t pa, struct slate_written *written)
{
	unsigned first = pa / SLATE_PAGE_SIZE % TABLE_ENTRIES;
	unsigned end;

	while (first < TABLE_ENTRIES && !take_dirty(&table->entry[first]))
		first++;
	if (first == TABLE_ENTRIES)
		return false;
	for (end = first + 1; end < TABLE_ENTRIES; end++) {
		if (!take_dirty(&table->entry[end]))
			break;
	}
	pa &= ~(SIZE_2M - 1);
	written->low = DIRECT_MAP_BASE + pa + first * SLATE_PAGE_SIZE;
	written->high = DIRECT_MAP_BASE + pa + end * SLATE_PAGE_SIZE;
	return true;
}

static bool next_in_part(uint64_t *entry, uint64_t pa, struct slate_written *written)
{
	if (!(*entry & PTE_PRESENT))
		return false;
	if (!(*entry & PTE_LARGE))
		return next_pages(mmu_table(*entry), pa, written);
	if (!take_dirty(entry))
		return false;
	split_part(entry);
	written->low = DIRECT_MAP_BASE + (pa & ~(SIZE_2M - 1));
	written->high = written->low + SIZE_2M;
	return true;
}

bool arch_written_next(uintptr_t low, uintptr_t high, struct slate_written *written)
{
	uint64_t pa = low - DIRECT_MAP_BASE;
	uint64_t end = high - DIRECT_MAP_BASE;

	if (end > mmu_direct_limit())
		end = mmu_direct_limit();
	for (; pa < end; pa = (pa | (SIZE_2M - 1)) + 1) {
		struct page_table *parts = parts_of(pa);

		if (parts && next_in_part(&parts->entry[pa / SIZE_2M % TABLE_ENTRIES], pa, written))
			return true;
	}
	return false;
}

void arch_forget_all(void)
{
	pages.settled = true;
	cr3_write(cr3_read());
}
