/* SPDX-License-Identifier: MIT */
/*
 * written.c - which memory was written, by the dirty state of the direct map: where the CPU manages
 * it (FEAT_HAFDBS), an entry with PTE_DBM that is read-only becomes writable by the first write,
 * and nothing faults. Entries are made read-only again while all CPUs stand still; translations are
 * forgotten by one of them for all.
 *
 * RAM that mmu.c mapped page by page is told page by page, the rest by 2 MiB: a block that is in
 * use is not broken up.
 *
 * Shortcomings: CPUs without FEAT_HAFDBS (a Cortex-A72 is one) and more than some 16 GiB of RAM;
 * then arch_written_begin() says no. All CPUs are taken to be alike.
 */
#include <slate/port.h>

#include "arch/aarch64/layout.h"
#include "arch/aarch64/mmu.h"
#include "arch/aarch64/regs.h"
#include "arch/arch.h"

#define PART_BYTES (1ull << L2_SHIFT)
#define TCR_HD     (1ull << 40)

/* Writable without PTE_DBM: that was never asked, or has got its rights back meanwhile. */
static bool take_dirty(uint64_t *entry)
{
	if ((*entry & PTE_TYPE) == 0 || *entry & PTE_RO)
		return false;
	/* relaxed: CPUs that stand may be walking the tables, no more */
	__atomic_fetch_or(entry, PTE_RO | PTE_DBM, __ATOMIC_RELAXED);
	return true;
}

static bool is_table(uint64_t entry)
{
	return (entry & PTE_TYPE) == PTE_TABLE;
}

/* The pages from va on, in one part, that were written, up to the first that was not. */
static bool next_pages(uint64_t *table, uint64_t va, struct slate_written *written)
{
	unsigned first = va >> L3_SHIFT & (TABLE_ENTRIES - 1);
	unsigned end;

	while (first < TABLE_ENTRIES && !take_dirty(&table[first]))
		first++;
	if (first == TABLE_ENTRIES)
		return false;
	for (end = first + 1; end < TABLE_ENTRIES; end++) {
		if (!take_dirty(&table[end]))
			break;
	}
	va &= ~(PART_BYTES - 1);
	written->low = va + ((uint64_t)first << L3_SHIFT);
	written->high = va + ((uint64_t)end << L3_SHIFT);
	return true;
}

static bool next_in_part(uint64_t *entry, uint64_t va, struct slate_written *written)
{
	if (is_table(*entry))
		return next_pages(mmu_table(*entry), va, written);
	if (!take_dirty(entry))
		return false;
	written->low = va & ~(PART_BYTES - 1);
	written->high = written->low + PART_BYTES;
	return true;
}

bool arch_written_next(uintptr_t low, uintptr_t high, struct slate_written *written)
{
	bool is_larger;

	for (; low < high; low = (low | (PART_BYTES - 1)) + 1) {
		uint64_t *entry = mmu_part_entry(low, &is_larger);

		if (entry && next_in_part(entry, low, written))
			return true;
	}
	return false;
}

bool arch_written_begin(void)
{
	uint64_t end = DIRECT_BASE + mmu_ram_end();
	struct slate_written written;
	bool is_larger;

	if (!(reg_read(tcr_el1) & TCR_HD))
		return false;
	for (uint64_t va = DIRECT_BASE; va < end; va += PART_BYTES) {
		mmu_part_entry(va, &is_larger);
		if (is_larger)
			return false;
	}
	/* all that was told so far is void */
	for (uint64_t va = DIRECT_BASE; arch_written_next(va, end, &written); va = written.high)
		;
	return true;
}

void arch_forget_all(void)
{
	__asm__ volatile("dsb ishst; tlbi vmalle1is; dsb ish; isb" : : : "memory");
}
