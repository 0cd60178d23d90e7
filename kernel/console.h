/* SPDX-License-Identifier: MIT */
/*
 * console.h - text to the serial line, whole calls at a time, from any CPU and any context but NMI.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stddef.h>

/* The longest text that one kprintf() call prints; more is cut. */
#define CONSOLE_CALL_MAX 512

/* Never under an allocator lock, unless the machine is dying. */
void kprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void console_write(const char *text, size_t len);

/* The machine is dying: print without the lock from now on, its holder may never come back. */
void console_bust(void);

#endif
