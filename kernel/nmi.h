/* SPDX-License-Identifier: MIT */
/*
 * nmi.h - non-maskable interrupts of the demo kernel: what runs in them.
 *
 * A function that runs there prints nothing and waits for nobody: whatever it interrupted may hold
 * any lock.
 */
#ifndef KERNEL_NMI_H
#define KERNEL_NMI_H

#include <stdbool.h>

/*
 * fn runs in every CPU's NMI from now on; NULL: none, and when the call returns no former one runs
 * any more. Interrupts enabled.
 */
typedef void nmi_fn(unsigned cpu);
void nmi_hook(nmi_fn *fn);

/* NMIs that a CPU has had so far. */
unsigned long nmi_count(unsigned cpu);

#endif
