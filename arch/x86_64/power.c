/* SPDX-License-Identifier: MIT */
/*
 * power.c - the end: QEMU's isa-debug-exit device, which turns a value v into exit status (v << 1)
 * | 1.
 */
#include "arch/arch.h"
#include "arch/x86_64/regs.h"

#define DEBUG_EXIT_PORT 0xf4
#define EXIT_PASS       0x10 /* 33: the only value that qemu-run.sh takes for success */
#define EXIT_FAIL       0x7f /* for a status that would look like success, or like none */

void arch_poweroff(int status)
{
	uint32_t value = (uint32_t)status & 0x7f;

	if (status == 0)
		value = EXIT_PASS;
	else if (value == 0 || value == EXIT_PASS)
		value = EXIT_FAIL;
	out32(DEBUG_EXIT_PORT, value);

	/* Not under QEMU, or without the device: soft-off through the ports of QEMU's and Bochs'
	 * chipsets, then rest. */
	out16(0x604, 0x2000);
	out16(0xb004, 0x2000);
	for (;;)
		__asm__ volatile("cli; hlt");
}
