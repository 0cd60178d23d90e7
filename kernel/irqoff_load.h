/* SPDX-License-Identifier: MIT */
/*
 * irqoff_load.h - the part of irqoff_max's workload that is about memory as a whole.
 */
#ifndef KERNEL_IRQOFF_LOAD_H
#define KERNEL_IRQOFF_LOAD_H

/*
 * Scatter the free frames all over, ask for runs under constraints of every kind, run out of
 * memory, plug memory in and out, and ask for every figure. All that was free is free again at the
 * end.
 */
void irqoff_load(void);

#endif
