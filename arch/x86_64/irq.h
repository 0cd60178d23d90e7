/* SPDX-License-Identifier: MIT */
/*
 * irq.h - the local APIC: registers, end of interrupt, messages to other CPUs.
 */
#ifndef ARCH_X86_64_IRQ_H
#define ARCH_X86_64_IRQ_H

#include <slate/types.h>

/* Offsets of the memory-mapped form; x2APIC has the same registers at offset / 16. */
enum apic_reg {
	APIC_ID = 0x020,
	APIC_TASK_PRIORITY = 0x080,
	APIC_EOI = 0x0b0,
	APIC_SPURIOUS = 0x0f0,
	APIC_ERROR_STATUS = 0x280,
	APIC_COMMAND = 0x300,
	APIC_COMMAND_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};

/* Delivery modes of apic_command(); or a vector into APIC_FIXED. */
#define APIC_FIXED   0x0000u
#define APIC_NMI     0x0400u
#define APIC_INIT    0x0500u
#define APIC_STARTUP 0x0600u
#define APIC_ASSERT  0x4000u

#define APIC_LVT_MASKED 0x10000u
#define APIC_LVT_NMI    0x00400u

/*
 * Once on the boot CPU: choose xAPIC or x2APIC, map the registers, silence the legacy controllers.
 * apic_id_max: the highest id of a CPU that is to be started.
 */
void apic_setup(uint32_t apic_id_max);

/* On each CPU before anything else of the APIC: go to the chosen mode. */
void apic_enter_mode(void);

uint32_t apic_read(enum apic_reg reg);
void apic_write(enum apic_reg reg, uint32_t value);

/* This CPU's id. */
uint32_t apic_id(void);

void apic_eoi(void);

/* Read and clear the error bits. */
uint32_t apic_error(void);

/* Send to one CPU and wait until it is accepted. */
void apic_command(uint32_t target, uint32_t command);

#endif
