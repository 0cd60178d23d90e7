/* SPDX-License-Identifier: MIT */
/*
 * port_inline.h - the hooks of the allocator's fast paths in line, where those mask interrupts. The
 * compiler's command line includes it first (arch.mk).
 */
#ifndef ARCH_AARCH64_PORT_INLINE_H
#define ARCH_AARCH64_PORT_INLINE_H

#ifndef __ASSEMBLER__

#include "arch/aarch64/layout.h"

#define SLATE_PORT_INLINE

static inline unsigned long port_irq_save_inline(void)
{
	unsigned long state;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(state) : : "memory");
	return state;
}

static inline void port_irq_restore_inline(unsigned long state)
{
	__asm__ volatile("msr daif, %0" : : "r"(state) : "memory");
}

/* A register's lower half is written: the upper one is 0 then. */
static inline unsigned long port_cpu_inline(void)
{
	unsigned long number;

	__asm__ volatile("mrs %0, tpidr_el1\n\t"
			 "ldr %w0, [%0, %1]"
			 : "=r"(number)
			 : "i"(PERCPU_NUMBER));
	return number;
}

#endif
#endif
