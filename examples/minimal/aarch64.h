/* SPDX-License-Identifier: MIT */
/*
 * aarch64.h - QEMU's virt: its UART, semihosting's exit, and the RAM that a board's manual would
 * name, mapped by aarch64.S where it is. QEMU puts its device tree into the first 2 MiB.
 */
#define MACHINE_OFFSET      0
#define MACHINE_MAPPED      0x80000000
#define MACHINE_IRQ_SAVE    "mrs %0, daif; msr daifset, #3"
#define MACHINE_IRQ_RESTORE "msr daif, %0"

static inline void machine_putc(char c)
{
	*(volatile uint32_t *)0x09000000 = (uint32_t)c;
}

/* SYS_EXIT, reason ADP_Stopped_ApplicationExit. */
static inline void machine_exit(unsigned status)
{
	const uint64_t block[2] = {0x20026, status};
	register uint64_t operation __asm__("x0") = 0x18;
	register const uint64_t *argument __asm__("x1") = block;

	for (;;)
		__asm__ volatile("hlt #0xf000" : "+r"(operation) : "r"(argument) : "memory");
}

static inline void machine_memory(struct slate_memmap *map)
{
	slate_memmap_add(map, 0x40000000, 128 << 20, SLATE_RANGE_USABLE, "ram");
	slate_memmap_add(map, 0x40000000, 2 << 20, SLATE_RANGE_DTB, "dtb");
}
