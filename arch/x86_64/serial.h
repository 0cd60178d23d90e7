/* SPDX-License-Identifier: MIT */
/* serial.h - set up the serial line, before anything is printed. */
#ifndef ARCH_X86_64_SERIAL_H
#define ARCH_X86_64_SERIAL_H

void serial_init(void);

#endif
