/* SPDX-License-Identifier: MIT */
/*
 * port_inline.h - the hooks of the allocator's fast paths in line, where those mask interrupts. The
 * compiler's command line includes it first (arch.mk).
 */
#ifndef ARCH_X86_64_PORT_INLINE_H
#define ARCH_X86_64_PORT_INLINE_H

#ifndef __ASSEMBLER__

#include "arch/x86_64/layout.h"

#define SLATE_PORT_INLINE

static inline unsigned long port_irq_save_inline(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void port_irq_restore_inline(unsigned long state)
{
	if (state & 0x200) /* RFLAGS_IF */
		__asm__ volatile("sti" : : : "memory");
}

/* A register's lower half is written: the upper one is 0 then. */
static inline unsigned long port_cpu_inline(void)
{
	unsigned long number;

	__asm__ volatile("movl %%gs:%c1, %k0" : "=r"(number) : "i"(PERCPU_NUMBER));
	return number;
}

#endif
#endif
