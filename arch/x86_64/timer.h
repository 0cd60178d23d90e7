/* SPDX-License-Identifier: MIT */
/*
 * timer.h - the local APIC's timer and the time-stamp counter.
 */
#ifndef ARCH_X86_64_TIMER_H
#define ARCH_X86_64_TIMER_H

#include <stdint.h>

/* Once on the boot CPU, after apic_setup(): measure both clocks. Takes 10 ms. */
void timer_setup(void);

void timer_init_cpu(void);

/* The timer's interrupt, already acknowledged. */
void timer_interrupt(void);

/* Busy waiting. */
void timer_wait_us(uint64_t us);

#endif
