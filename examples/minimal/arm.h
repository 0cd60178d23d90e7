/* SPDX-License-Identifier: MIT */
/* arm.h - QEMU's mps2-an385: a UART, semihosting's exit, the heap between two linker symbols. */
#define MACHINE_OFFSET      0
#define MACHINE_MAPPED      0
#define MACHINE_IRQ_SAVE    "mrs %0, primask; cpsid i"
#define MACHINE_IRQ_RESTORE "msr primask, %0"

static inline void machine_putc(char c)
{
	volatile uint32_t *uart = (void *)0x40004000;

	uart[2] = 1;  /* transmitter on */
	uart[4] = 16; /* the fastest rate it takes */
	uart[0] = (uint32_t)c;
}

/* SYS_EXIT_EXTENDED, reason ADP_Stopped_ApplicationExit. */
static inline void machine_exit(unsigned status)
{
	const uint32_t block[2] = {0x20026, status};
	register uint32_t operation __asm__("r0") = 0x20;
	register const uint32_t *argument __asm__("r1") = block;

	for (;;)
		__asm__ volatile("bkpt #0xab" : "+r"(operation) : "r"(argument) : "memory");
}

static inline void machine_memory(struct slate_memmap *map)
{
	extern char heap_start[], heap_end[];

	slate_memmap_add(map, (uintptr_t)heap_start, (uintptr_t)(heap_end - heap_start),
			 SLATE_RANGE_USABLE, "heap");
}
