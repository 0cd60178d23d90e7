/* SPDX-License-Identifier: MIT */
/*
 * serial.c - the 16550 at COM1, polled.
 */
#include "arch/arch.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/serial.h"

#define COM1 0x3f8

enum uart_reg {
	UART_DATA = 0,
	UART_INTERRUPTS = 1,
	UART_FIFO = 2,
	UART_LINE_CONTROL = 3,
	UART_MODEM_CONTROL = 4,
	UART_LINE_STATUS = 5,
};

#define LINE_8N1          0x03
#define LINE_DIVISOR      0x80
#define FIFO_ON_CLEAR     0x07
#define MODEM_DTR_RTS     0x03
#define STATUS_DATA_READY 0x01
#define STATUS_CAN_SEND   0x20
#define STATUS_ABSENT     0xff

/* A byte that came before serial_init(): switching the FIFO on would lose it. -1: none. */
static int early_byte = -1;

static int uart_getc(void)
{
	uint8_t status = in8(COM1 + UART_LINE_STATUS);

	if (status == STATUS_ABSENT || !(status & STATUS_DATA_READY))
		return -1;
	return in8(COM1 + UART_DATA);
}

void serial_init(void)
{
	early_byte = uart_getc();
	out8(COM1 + UART_INTERRUPTS, 0);
	out8(COM1 + UART_LINE_CONTROL, LINE_DIVISOR);
	out8(COM1 + UART_DATA, 1); /* 115200 baud */
	out8(COM1 + UART_INTERRUPTS, 0);
	out8(COM1 + UART_LINE_CONTROL, LINE_8N1);
	out8(COM1 + UART_FIFO, FIFO_ON_CLEAR);
	out8(COM1 + UART_MODEM_CONTROL, MODEM_DTR_RTS);
}

/* Without a UART the status reads as all ones: nothing waits for ever. */
void arch_putc(char c)
{
	while (!(in8(COM1 + UART_LINE_STATUS) & STATUS_CAN_SEND))
		arch_relax();
	out8(COM1 + UART_DATA, (uint8_t)c);
}

int arch_getc(void)
{
	int byte = early_byte;

	if (byte < 0)
		return uart_getc();
	early_byte = -1;
	return byte;
}
