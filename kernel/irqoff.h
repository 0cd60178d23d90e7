/* SPDX-License-Identifier: MIT */
/*
 * irqoff.h - a stopwatch in the allocator's interrupt hooks: the longest stretch that it runs with
 * interrupts off.
 *
 * Only the outermost pair of port_irq_save() and port_irq_restore() on the CPU that watches counts:
 * what a handler does, or a caller that masked interrupts before, is their own.
 */
#ifndef KERNEL_IRQOFF_H
#define KERNEL_IRQOFF_H

#include <slate/types.h>

/* Places that are told apart. */
#define IRQOFF_PLACES 16

struct irqoff_worst {
	uint64_t ticks;      /* arch_instructions() */
	uintptr_t return_pc; /* where the port_irq_restore() that ended it returns to */
};

/* From here on this CPU is watched, until irqoff_stop(). Interrupts enabled; one CPU at a time. */
void irqoff_start(void);

/* The worst stretch of each place, the longest first; IRQOFF_PLACES, unused ones 0. */
const struct irqoff_worst *irqoff_stop(void);

#endif
