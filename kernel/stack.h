/* SPDX-License-Identifier: MIT */
/*
 * stack.h - the kernel's stacks: from slate_stack_alloc(), each with an owner that is named when
 * it overflows.
 */
#ifndef KERNEL_STACK_H
#define KERNEL_STACK_H

#include <slate/types.h>

#include "arch/arch.h"

/*
 * A stack of 2^order frames for "owner number"; owner is static text. NULL: no memory. Its lowest
 * address, as slate_stack_alloc() returns it.
 */
void *stack_alloc(unsigned order, const char *owner, unsigned number);

/* Nothing runs on it any more. */
void stack_free(void *stack);

/* What a stack pointer starts with. */
void *stack_top(void *stack, unsigned order);

/* The deepest word of this CPU's stack that was ever used; above all of them where it is none of
 * stack_alloc()'s. */
uintptr_t stack_deepest(void);

/*
 * Forget what earlier calls left on the stack of this CPU, below the caller, and in registers: the
 * leak scan would take it for pointers that somebody holds, where the frame of a later call does
 * not overwrite it.
 */
static inline __attribute__((always_inline)) void stack_wipe(void)
{
	/* in line: a frame of its own would not be wiped */
	arch_scrub(stack_deepest());
}

/* If the address lies in a stack's guard page, print which stack's and whose. For the trap that it
 * caused; takes no lock. */
bool stack_report_overflow(uintptr_t address);

#endif
