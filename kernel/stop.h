/* SPDX-License-Identifier: MIT */
/*
 * stop.h - all other CPUs stand still: what port_stop_cpus() is made of.
 */
#ifndef KERNEL_STOP_H
#define KERNEL_STOP_H

/* From the interrupt that wakes a CPU: if somebody asks for it, wait here until he is done. */
void stop_if_asked(void);

#endif
