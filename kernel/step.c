/* SPDX-License-Identifier: MIT */
/* step.c - hands each step to whoever asked for them. */
#include "kernel/step.h"

static step_fn *looker; /* one CPU steps at a time */

bool kernel_step(struct trap_frame *frame, uintptr_t pc, bool irq_enabled)
{
	return looker && looker(frame, pc, irq_enabled);
}

void step_run(void (*fn)(void *arg), void *arg, step_fn *look)
{
	step_run_from(0, 0, fn, arg, look);
}

void step_run_from(uintptr_t from, size_t skip, void (*fn)(void *arg), void *arg, step_fn *look)
{
	looker = look;
	arch_step(fn, arg, from, skip);
	looker = NULL;
}
