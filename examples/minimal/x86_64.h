/* SPDX-License-Identifier: MIT */
/* x86_64.h - QEMU's PC, started by PVH: COM1, the debug exit port, the loader's memory map. */
#define MACHINE_OFFSET      0xffffffff80000000
#define MACHINE_MAPPED      0x40000000
#define MACHINE_IRQ_SAVE    "pushfq; popq %0; cli"
#define MACHINE_IRQ_RESTORE "pushq %0; popfq"

static inline void machine_putc(char c)
{
	__asm__ volatile("outb %0, %1" : : "a"(c), "d"((uint16_t)0x3f8));
}

/* QEMU ends with status (value << 1) | 1: 33 is success. */
static inline void machine_exit(unsigned status)
{
	for (;;)
		__asm__ volatile("outl %0, %1" : : "a"(status ? 1 : 0x10), "d"((uint16_t)0xf4));
}

struct pvh_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line, rsdp, ranges;
	uint32_t range_count, reserved;
};

struct pvh_range {
	uint64_t base, size_bytes;
	uint32_t type, reserved; /* type 1: RAM */
};

extern uint32_t pvh_start_info; /* its physical address, stored by x86_64.S */

static inline void machine_memory(struct slate_memmap *map)
{
	const struct pvh_info *info = (void *)(MACHINE_OFFSET + pvh_start_info);
	const struct pvh_range *range = (void *)(MACHINE_OFFSET + info->ranges);

	slate_memmap_add(map, 0, SLATE_PAGE_SIZE, SLATE_RANGE_FIRMWARE, "real mode's page");
	for (uint32_t i = 0; i < info->range_count; i++, range++)
		slate_memmap_add(map, range->base, range->size_bytes,
				 range->type == 1 ? SLATE_RANGE_USABLE : SLATE_RANGE_RESERVED, 0);
}
