/* SPDX-License-Identifier: MIT */
/* leaks.h - where the leak scan looks for this kernel's pointers. */
#ifndef KERNEL_LEAKS_H
#define KERNEL_LEAKS_H

/* Data and stacks of the kernel's image become roots. Once, after slate_init(). */
void leaks_roots_add(void);

#endif
