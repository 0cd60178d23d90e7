/* SPDX-License-Identifier: MIT */
/*
 * step.h - a function run one instruction at a time, and somebody who looks at each: what an NMI at
 * that very moment would see.
 */
#ifndef KERNEL_STEP_H
#define KERNEL_STEP_H

#include "arch/arch.h"

/* As kernel_step() of arch.h. */
typedef bool step_fn(struct trap_frame *frame, uintptr_t pc, bool irq_enabled);

/*
 * Run fn(arg) on this CPU, look() before each instruction until it returns false: from the first
 * one on, or from the one at `from` when that has come `skip` times. One CPU at a time.
 */
void step_run(void (*fn)(void *arg), void *arg, step_fn *look);
void step_run_from(uintptr_t from, size_t skip, void (*fn)(void *arg), void *arg, step_fn *look);

#endif
