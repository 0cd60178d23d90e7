/* SPDX-License-Identifier: MIT */
/*
 * percpu.h - one CPU's own data, found through TPIDR_EL1: user mode has its own register, so it
 * never changes.
 */
#ifndef ARCH_AARCH64_PERCPU_H
#define ARCH_AARCH64_PERCPU_H

#include <stdalign.h>
#include <stdatomic.h>

#include <slate/types.h>

#include "arch/aarch64/layout.h"

struct trap_frame;

/* For what the allocator may want to keep at a fixed distance from TPIDR_EL1. */
#define PERCPU_SLATE_BYTES 192

enum timer_mode {
	TIMER_OFF,
	TIMER_PERIODIC,
	TIMER_ONESHOT,
};

/*
 * Fields belong to their CPU. Others read number and mpidr, constant once the CPU was started,
 * gic_target, and online (a).
 */
struct percpu {
	uint32_t number; /* index in boot_info.cpus */
	_Atomic bool online;
	uintptr_t stack_top; /* of the stack that the CPU was started on */
	uint64_t mpidr;      /* affinity fields only */
	uintptr_t gicr;      /* GICv3: its redistributor */
	uint8_t gic_target;  /* GICv2: its bit in target lists */
	enum timer_mode timer_mode;
	uint64_t timer_period; /* counter ticks */
	uint64_t nmi_depth;    /* FIQs that are being handled, and what stands in for one */
	uintptr_t interrupted; /* where the last interrupt fell, not fixed up */
	alignas(64) unsigned char slate[PERCPU_SLATE_BYTES];
	const struct trap_frame *interrupted_frame; /* the registers that it saved */
};
#if SLATE_PROTECT == SLATE_PROTECT_RSEQ
_Static_assert(offsetof(struct percpu, slate) == SLATE_PERCPU_OFFSET, "the allocator's word");
#endif
_Static_assert(offsetof(struct percpu, number) == PERCPU_NUMBER, "used by assembly");
_Static_assert(offsetof(struct percpu, stack_top) == PERCPU_STACK_TOP, "used by assembly");

static inline struct percpu *percpu_self(void)
{
	struct percpu *self;

	__asm__ volatile("mrs %0, tpidr_el1" : "=r"(self));
	return self;
}

/* Any CPU's; number < BOOT_MAX_CPUS. */
struct percpu *percpu_of(unsigned number);

/* On the CPU itself: set TPIDR_EL1, switch on the counters, let system errors through. */
void percpu_install(struct percpu *percpu);

#endif
