/* SPDX-License-Identifier: MIT */
/*
 * serial.h - the console.
 */
#ifndef ARCH_AARCH64_SERIAL_H
#define ARCH_AARCH64_SERIAL_H

#include <stdint.h>

/* Use the PL011 at this virtual address from now on; 0: none, output is lost. */
void serial_init(uintptr_t base);

#endif
