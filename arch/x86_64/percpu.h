/* SPDX-License-Identifier: MIT */
/*
 * percpu.h - one CPU's own data, found through the GS base: there is no user mode, so it never
 * changes.
 */
#ifndef ARCH_X86_64_PERCPU_H
#define ARCH_X86_64_PERCPU_H

#include <stdalign.h>

#include <slate/types.h>

#include "arch/x86_64/layout.h"

/* Task state segment: only the stacks of interrupts matter. */
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_bitmap_offset;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "fixed by the architecture");

struct trap_frame;

/* For what the allocator may want to keep at a fixed distance from the GS base. */
#define PERCPU_SLATE_BYTES 192

/*
 * Every field belongs to its CPU; others only read number and apic_id, which are constant once the
 * CPU was started.
 */
struct percpu {
	struct percpu *self;
	uint32_t number; /* index in boot_info.cpus */
	uint32_t apic_id;
	uintptr_t stack_top;   /* of the stack that the CPU was started on */
	uint64_t timer_period; /* in TSC ticks: a periodic timer made of deadlines; 0: none */
	uint64_t nmi_depth;    /* NMIs that are being handled, and what stands in for one */
	uintptr_t interrupted; /* where the last interrupt fell, not fixed up */
	const struct trap_frame *interrupted_frame; /* the registers that it saved */
	alignas(64) unsigned char slate[PERCPU_SLATE_BYTES];
	alignas(64) uint64_t gdt[5];
	struct tss tss;
	alignas(64) unsigned char ist_stacks[IST_COUNT][IST_BYTES];
	alignas(64) unsigned char nmi_stack[NMI_STACK_BYTES];
};
_Static_assert(offsetof(struct percpu, self) == PERCPU_SELF, "used by assembly");
#if SLATE_PROTECT == SLATE_PROTECT_RSEQ
_Static_assert(offsetof(struct percpu, slate) == SLATE_PERCPU_OFFSET, "the allocator's word");
#endif
_Static_assert(offsetof(struct percpu, number) == PERCPU_NUMBER, "used by assembly");
_Static_assert(offsetof(struct percpu, tss) + offsetof(struct tss, ist[IST_NMI - 1]) ==
		       PERCPU_NMI_STACK,
	       "used by assembly");

/* The boot CPU's, static: it is needed before there is memory. */
extern struct percpu percpu_boot;

static inline struct percpu *percpu_self(void)
{
	struct percpu *self;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(self) : "i"(PERCPU_SELF));
	return self;
}

/*
 * Load this CPU's GDT, TSS, IDT and GS base. percpu is zeroed memory that lives for ever.
 */
void percpu_install(struct percpu *percpu, unsigned number, uint32_t apic_id, uintptr_t stack_top);

#endif
