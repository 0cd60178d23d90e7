/* SPDX-License-Identifier: MIT */
/*
 * regs.h - system registers, barriers and device registers.
 */
#ifndef ARCH_AARCH64_REGS_H
#define ARCH_AARCH64_REGS_H

#include <stdint.h>

/* name: as the assembler knows it, or S<op0>_<op1>_C<n>_C<m>_<op2>. */
#define reg_read(name)                                                 \
	({                                                             \
		uint64_t reg_value_;                                   \
		__asm__ volatile("mrs %0, " #name : "=r"(reg_value_)); \
		reg_value_;                                            \
	})

#define reg_write(name, value) \
	__asm__ volatile("msr " #name ", %0" : : "r"((uint64_t)(value)) : "memory")

/* Later instructions see what was written to system registers. */
static inline void barrier_isb(void)
{
	__asm__ volatile("isb" : : : "memory");
}

/* Everything before is complete, for all observers, before anything after begins. */
static inline void barrier_dsb(void)
{
	__asm__ volatile("dsb sy" : : : "memory");
}

/*
 * One access each, of a form without write-back: a hypervisor can emulate it.
 */
static inline uint32_t mmio_read32(uintptr_t address)
{
	uint32_t value;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write32(uintptr_t address, uint32_t value)
{
	__asm__ volatile("str %w0, [%1]" : : "rZ"(value), "r"(address) : "memory");
}

static inline void mmio_write8(uintptr_t address, uint8_t value)
{
	__asm__ volatile("strb %w0, [%1]" : : "rZ"(value), "r"(address) : "memory");
}

/* Affinity fields of MPIDR_EL1: what identifies a CPU to the device tree, PSCI and the GIC. */
#define MPIDR_AFFINITY 0xff00ffffffull

#endif
