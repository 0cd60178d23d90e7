/* SPDX-License-Identifier: MIT */
/* roots.h (level 8) - memory outside the heap in which the kernel keeps pointers to objects. */
#ifndef MM_ROOTS_H
#define MM_ROOTS_H

#include <slate/types.h>

void roots_init(void);

/* Call fn for each registered range. All other CPUs stand still. */
void roots_for_each(void (*fn)(uintptr_t low, uintptr_t high, void *arg), void *arg);

#endif
