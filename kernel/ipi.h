/* SPDX-License-Identifier: MIT */
/*
 * ipi.h - functions run on another CPU inside its inter-processor interrupt: a mailbox for each
 * CPU.
 */
#ifndef KERNEL_IPI_H
#define KERNEL_IPI_H

#include <stdbool.h>

/*
 * Run fn(arg) on cpu, interrupts off there, and wait until it is done. Interrupts must be enabled
 * here, or two CPUs that call each other would wait for ever. False: that CPU is not online, or did
 * not answer within some seconds (then fn will not run later either).
 */
bool ipi_call(unsigned cpu, void (*fn)(void *arg), void *arg);

/* Inter-processor interrupts handled by a CPU so far. */
unsigned long ipi_count(unsigned cpu);

#endif
