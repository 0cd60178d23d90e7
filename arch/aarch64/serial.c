/* SPDX-License-Identifier: MIT */
/*
 * serial.c - a PL011 UART, polled. Baud rate and line format stay as the firmware left them.
 */
#include "arch/aarch64/serial.h"

#include "arch/aarch64/regs.h"
#include "arch/arch.h"

enum uart_reg {
	UART_DATA = 0x000,
	UART_FLAGS = 0x018,
	UART_CONTROL = 0x030,
	UART_INTERRUPT_MASK = 0x038,
};

#define FLAG_RECEIVE_EMPTY 0x10
#define FLAG_SEND_FULL     0x20
#define CONTROL_ENABLE     0x301 /* UART, transmitter, receiver */

static uintptr_t uart;

void serial_init(uintptr_t base)
{
	uart = base;
	if (!base)
		return;
	mmio_write32(base + UART_INTERRUPT_MASK, 0);
	mmio_write32(base + UART_CONTROL, mmio_read32(base + UART_CONTROL) | CONTROL_ENABLE);
}

void arch_putc(char c)
{
	if (!uart)
		return;
	while (mmio_read32(uart + UART_FLAGS) & FLAG_SEND_FULL)
		arch_relax();
	mmio_write32(uart + UART_DATA, (uint8_t)c);
}

int arch_getc(void)
{
	if (!uart || mmio_read32(uart + UART_FLAGS) & FLAG_RECEIVE_EMPTY)
		return -1;
	return (int)(mmio_read32(uart + UART_DATA) & 0xff);
}
