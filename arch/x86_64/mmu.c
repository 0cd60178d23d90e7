/* SPDX-License-Identifier: MIT */
/*
 * mmu.c - the final page tables: the direct map of all RAM, the kernel image page by page with its
 * rights, and devices.
 *
 * Tables for the image and for devices are static. The direct map's are taken from the memory map,
 * for nobody knows before how much RAM there is: one page for each 512 GiB, and without 1 GiB pages
 * one for each GiB, too.
 */
#include "arch/arch.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/mmu.h"
#include "arch/x86_64/regs.h"
#include "boot/bootinfo.h"
#include "boot/record.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define SIZE_512G  (1ull << 39)
#define SIZE_4G    (4 * SIZE_1G)
#define LOW_MEMORY (1ull << 20)

/* The direct map's room up to the kernel image is 128 TiB less 2 GiB. */
#define DIRECT_MAP_MAX (1ull << 46)

/* Tables for parts of the direct map whose pages have different rights: 2 MiB each. */
#define SPLIT_TABLES 64

/* As many as kernel.ld allows the image to be long: 8 MiB. */
#define IMAGE_TABLES 4

#define CPUID_EXT1_EDX_1G (1u << 26)

static struct page_table pml4, kernel_pdpt, kernel_pd, image_pt[IMAGE_TABLES];
static struct page_table device_pd, device_pt;

static struct {
	struct spinlock lock; /* interrupts off while held */
	size_t used;          /* (lock) */
	struct page_table table[SPLIT_TABLES];
} split = {.lock = SPINLOCK_INIT};

/* Bits of every entry that maps data: NX where the CPU has it. */
static uint64_t pte_nx;
static size_t device_pages; /* mapped so far */

/* What the tables in use map, from physical 0 on. */
static uint64_t direct_limit = SIZE_4G;

/* kernel.ld, start.S */
extern const char text_end[], data_end[], roots_start[], roots_end[];
extern const char boot_stack_guard[], boot_stack_top[];

uint64_t mmu_image_phys(const void *symbol)
{
	return (uintptr_t)symbol - KERNEL_VMA;
}

const void *mmu_phys(uint64_t pa, uint64_t size_bytes)
{
	if (pa == 0 || pa > direct_limit || size_bytes > direct_limit - pa)
		return NULL;
	return (const void *)(uintptr_t)(DIRECT_MAP_BASE + pa);
}

static struct page_table *table_at(uint64_t pa)
{
	return (struct page_table *)(uintptr_t)(DIRECT_MAP_BASE + pa);
}

struct page_table *mmu_table(uint64_t entry)
{
	return table_at(entry & PTE_ADDRESS);
}

uint64_t mmu_direct_limit(void)
{
	return direct_limit;
}

uint64_t *mmu_gib_entry(uint64_t pa)
{
	uint64_t top = pml4.entry[DIRECT_PML4_INDEX + pa / SIZE_512G];

	return &mmu_table(top)->entry[pa / SIZE_1G % TABLE_ENTRIES];
}

/* Could RAM be there? The firmware reserves address space far above all RAM, which needs no
 * mapping. */
static bool type_is_ram(unsigned type)
{
	return type > SLATE_RANGE_NONE && type < SLATE_RANGE_FIRMWARE;
}

/* The end of RAM, rounded up to 1 GiB: at least 4 GiB, at most what CPU and address space allow. */
static uint64_t ram_limit(void)
{
	uint32_t address_bits = cpuid_maybe(0x80000008).eax & 0xff;
	uint64_t max = DIRECT_MAP_MAX;
	uint64_t limit = SIZE_4G;

	if (address_bits >= 32 && address_bits < 46)
		max = 1ull << address_bits;
	for (size_t i = 0; i < boot_info.map.count; i++) {
		const struct slate_range *range = &boot_info.map.ranges[i];
		uint64_t end = range->base + range->size_bytes;

		if (!type_is_ram(range->type))
			continue;
		if (end < range->base || end > max)
			end = max;
		if (end > limit)
			limit = end;
	}
	return (limit + SIZE_1G - 1) & ~(SIZE_1G - 1);
}

static uint64_t direct_tables(uint64_t limit, bool has_1g)
{
	uint64_t pdpts = (limit + SIZE_512G - 1) / SIZE_512G;

	return has_1g ? pdpts : pdpts + limit / SIZE_1G;
}

/* Fill one table of large pages, from pa on up to limit. */
static void fill_large(struct page_table *table, uint64_t pa, uint64_t limit, uint64_t step)
{
	for (unsigned i = 0; i < TABLE_ENTRIES; i++, pa += step)
		table->entry[i] =
			pa < limit ? pa | PTE_PRESENT | PTE_WRITE | PTE_LARGE | pte_nx : 0;
}

/* One PDPT of page directories, taken one after the other from *next. */
static void fill_pdpt(struct page_table *pdpt, uint64_t pa, uint64_t limit, uint64_t *next)
{
	memset(pdpt, 0, sizeof(*pdpt));
	for (unsigned i = 0; i < TABLE_ENTRIES && pa < limit; i++, pa += SIZE_1G) {
		fill_large(table_at(*next), pa, limit, SIZE_2M);
		pdpt->entry[i] = *next | PTE_PRESENT | PTE_WRITE;
		*next += sizeof(struct page_table);
	}
}

static void map_direct(void)
{
	bool has_1g = cpuid_maybe(0x80000001).edx & CPUID_EXT1_EDX_1G;
	uint64_t limit = ram_limit();
	uint64_t next = 0;

	/* Where the tables themselves find no place, map less: memory above stays usable as frames
	 * only. */
	while (!next) {
		uint64_t bytes = direct_tables(limit, has_1g) * sizeof(struct page_table);

		next = boot_take_free(&boot_info, bytes, SLATE_PAGE_SIZE, LOW_MEMORY, SIZE_4G,
				      SLATE_RANGE_KERNEL, "page tables");
		if (!next && limit == SIZE_4G)
			return;
		if (!next)
			limit = limit / 2 > SIZE_4G ? limit / 2 & ~(SIZE_1G - 1) : SIZE_4G;
	}
	for (uint64_t pa = 0; pa < limit; pa += SIZE_512G) {
		struct page_table *pdpt = table_at(next);

		pml4.entry[DIRECT_PML4_INDEX + pa / SIZE_512G] = next | PTE_PRESENT | PTE_WRITE;
		next += sizeof(struct page_table);
		if (has_1g)
			fill_large(pdpt, pa, limit, SIZE_1G);
		else
			fill_pdpt(pdpt, pa, limit, &next);
	}
	direct_limit = limit;
}

static void map_image(const char *start, const char *end, uint64_t rights)
{
	for (const char *va = start; va < end; va += SLATE_PAGE_SIZE) {
		uint64_t pa = mmu_image_phys(va);

		if (va == boot_stack_guard)
			continue;
		image_pt[pa / SIZE_2M].entry[pa / SLATE_PAGE_SIZE % TABLE_ENTRIES] = pa | rights;
	}
}

static void map_kernel(void)
{
	map_image(text_start, text_end, PTE_PRESENT);
	map_image(text_end, rodata_end, PTE_PRESENT | pte_nx);
	map_image(rodata_end, data_end, PTE_PRESENT | PTE_WRITE | pte_nx);
	for (unsigned i = 0; i < IMAGE_TABLES; i++)
		kernel_pd.entry[i] = mmu_image_phys(&image_pt[i]) | PTE_PRESENT | PTE_WRITE;

	device_pd.entry[0] = mmu_image_phys(&device_pt) | PTE_PRESENT | PTE_WRITE;
	kernel_pdpt.entry[KERNEL_PDPT_INDEX] = mmu_image_phys(&kernel_pd) | PTE_PRESENT | PTE_WRITE;
	kernel_pdpt.entry[DEVICE_PDPT_INDEX] = mmu_image_phys(&device_pd) | PTE_PRESENT | PTE_WRITE;
	pml4.entry[KERNEL_PML4_INDEX] = mmu_image_phys(&kernel_pdpt) | PTE_PRESENT | PTE_WRITE;
}

void mmu_setup(void)
{
	pte_nx = msr_read(MSR_EFER) & EFER_NXE ? PTE_NX : 0;
	map_direct();
	map_kernel();
	boot_info.direct_map_offset = DIRECT_MAP_BASE;
	boot_info.mapped_limit = direct_limit;
	cr3_write(mmu_image_phys(&pml4));
}

uint64_t mmu_cr3(void)
{
	return mmu_image_phys(&pml4);
}

volatile void *mmu_map_device(uint64_t pa, size_t size_bytes)
{
	uint64_t first = pa & ~(uint64_t)SLATE_PAGE_MASK;
	size_t pages = (size_t)((pa - first + size_bytes + SLATE_PAGE_MASK) / SLATE_PAGE_SIZE);
	uintptr_t va = DEVICE_MAP_BASE + device_pages * SLATE_PAGE_SIZE;

	if (pages > TABLE_ENTRIES - device_pages)
		return NULL;
	for (size_t i = 0; i < pages; i++)
		device_pt.entry[device_pages++] = (first + i * SLATE_PAGE_SIZE) | PTE_PRESENT |
						  PTE_WRITE | PTE_THROUGH | PTE_UNCACHED | pte_nx;
	return (volatile void *)(va + (pa - first));
}

/* Below and above the boot stack and its guard page. The areas of the CPUs hold no objects. */
bool arch_data_range(unsigned i, uintptr_t *low, uintptr_t *high)
{
	*low = (uintptr_t)(i == 0 ? roots_start : boot_stack_top);
	*high = (uintptr_t)(i == 0 ? boot_stack_guard : roots_end);
	return i < 2;
}

/* ---- Rights of single pages ---- */

void mmu_split(uint64_t *entry, struct page_table *table, uint64_t step)
{
	uint64_t old = *entry;
	uint64_t flags = old & ~PTE_ADDRESS;

	if (step == SLATE_PAGE_SIZE)
		flags &= ~PTE_LARGE;
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		table->entry[i] = ((old & PTE_ADDRESS) + i * step) | flags;
	*(volatile uint64_t *)entry = mmu_image_phys(table) | PTE_PRESENT | PTE_WRITE;
}

const bool arch_page_forget_is_shared = false;

/*
 * The table below an entry; a large page becomes a table of the same mapping first, in parts of
 * step bytes. NULL: nothing is mapped, or there are no tables left. Until a CPU forgets the large
 * translation it may use both; they say the same.
 */
static struct page_table *table_below_locked(uint64_t *entry, uint64_t step)
{
	uint64_t old = *entry;
	struct page_table *table;

	if (!(old & PTE_PRESENT))
		return NULL;
	if (!(old & PTE_LARGE))
		return table_at(old & PTE_ADDRESS);
	if (split.used == SPLIT_TABLES)
		return NULL;
	table = &split.table[split.used++];
	mmu_split(entry, table, step);
	return table;
}

/* The entry of one page of the direct map. */
static uint64_t *page_entry_locked(uint64_t pa)
{
	struct page_table *table = table_below_locked(mmu_gib_entry(pa), SIZE_2M);

	if (!table)
		return NULL;
	table = table_below_locked(&table->entry[pa / SIZE_2M % TABLE_ENTRIES], SLATE_PAGE_SIZE);
	return table ? &table->entry[pa / SLATE_PAGE_SIZE % TABLE_ENTRIES] : NULL;
}

bool arch_page_rights(void *page, enum arch_rights rights)
{
	uint64_t pa = (uintptr_t)page - DIRECT_MAP_BASE;
	unsigned long irq;
	uint64_t *entry;

	if (pa >= direct_limit)
		return false;
	irq = arch_irq_save();
	spinlock_acquire(&split.lock);
	entry = page_entry_locked(pa);
	if (entry) {
		uint64_t bits = rights == ARCH_RIGHTS_NONE   ? 0
				: rights == ARCH_RIGHTS_READ ? PTE_PRESENT
							     : PTE_PRESENT | PTE_WRITE;

		/* that it was written stays true (written.c) */
		bits |= *entry & PTE_DIRTY;
		*(volatile uint64_t *)entry = pa | bits | pte_nx;
		arch_page_forget(page);
	}
	spinlock_release(&split.lock);
	arch_irq_restore(irq);
	return entry != NULL;
}

void arch_page_forget(const void *page)
{
	tlb_forget(page);
}
