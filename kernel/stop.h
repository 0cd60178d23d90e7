/* SPDX-License-Identifier: MIT */
/*
 * stop.h - all other CPUs stand still: what port_stop_cpus() is made of.
 */
#ifndef KERNEL_STOP_H
#define KERNEL_STOP_H

#include <slate/types.h>

/* From the interrupt that wakes a CPU: if somebody asks for it, wait here until he is done. */
void stop_if_asked(void);

/* From fn of port_stop_cpus(): every CPU forgets its translations before it runs on. */
void stop_forget_translations(void);

/* Tests: called, unless NULL, when the CPUs run again after a stop, with interrupts as they are for
 * its caller, on the same CPU. */
extern void (*stop_then)(void);

/* Ticks of arch_instructions() for which the others stood still at most, since this was cleared. */
extern uint64_t stop_longest;
extern size_t stop_count;

#endif
