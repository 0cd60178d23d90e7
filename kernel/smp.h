/* SPDX-License-Identifier: MIT */
/*
 * smp.h - the other CPUs: start them, run functions on them, and the timer tick of each.
 */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include <slate/types.h>

#define SMP_STACK_ORDER 2 /* 16 KiB */
#define SMP_TICK_HZ     100

/* The boot CPU counts as online from here on; called before interrupts are enabled. */
void smp_init_boot_cpu(void);

/* Start every CPU of the boot map, one after another. Returns how many are online, this one
 * included. */
unsigned smp_start(void);

unsigned smp_count(void);
bool smp_is_online(unsigned cpu);

/* The next online CPU after cpu (cyclic); cpu itself when it is alone. */
unsigned smp_next(unsigned cpu);

/*
 * Run fn(arg) on every online CPU at once, with interrupts enabled, on its own stack, and wait for
 * all. Called from the boot CPU's shell only; does not nest.
 */
void smp_run_all(void (*fn)(void *arg), void *arg);

/* The same on one CPU. */
void smp_run(unsigned cpu, void (*fn)(void *arg), void *arg);

/* Wait until every CPU has left the interrupt handler that it may be in. Interrupts enabled. */
void smp_sync(void);

/* ---- Time ---- */

/* Ticks of a CPU so far. */
uint64_t smp_ticks(unsigned cpu);

/*
 * fn runs in every CPU's timer interrupt from now on; NULL: none, and when the call returns no
 * former one runs any more. Interrupts enabled.
 */
typedef void smp_tick_fn(unsigned cpu);
void smp_tick_hook(smp_tick_fn *fn);

/* Milliseconds since some moment, by the counter. */
uint64_t smp_millis(void);

/* Wait with interrupts enabled. */
void smp_delay_ms(unsigned ms);

#endif
