/* SPDX-License-Identifier: MIT */
/*
 * timer.h - the generic timer's virtual part, and the cycle counter.
 */
#ifndef ARCH_AARCH64_TIMER_H
#define ARCH_AARCH64_TIMER_H

/* On each CPU: timer off, cycle counter counting. */
void timer_init_cpu(void);

/* irq.c calls it when the timer's interrupt came. */
void timer_interrupt(void);

#endif
