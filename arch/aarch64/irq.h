/* SPDX-License-Identifier: MIT */
/*
 * irq.h - the interrupt controller behind one small table of functions: GICv2 or GICv3.
 */
#ifndef ARCH_AARCH64_IRQ_H
#define ARCH_AARCH64_IRQ_H

#include <slate/types.h>

#include "arch/aarch64/percpu.h"
#include "boot/fdt_machine.h"

#define GIC_INTID_IPI     0    /* the SGI that kernel_ipi() answers */
#define GIC_INTID_NMI     1    /* the SGI that kernel_nmi() answers, in group 0: an FIQ */
#define GIC_INTID_PRIVATE 32   /* below: banked for each CPU */
#define GIC_INTID_SPECIAL 1020 /* from here on: nothing is pending */
#define GIC_PRIORITY_MASK 0xf0
#define GIC_PRIORITY_WORD \
	0xa0a0a0a0u /* of four interrupts at once: below the mask, so they are let through */
#define GIC_PRIORITY_NMI 0x40 /* before all others, also while one of them is being handled */

struct gic {
	/* Each on the CPU itself: bring up its part, with the private interrupts of enable_mask on.
	 */
	void (*init_cpu)(struct percpu *self, uint32_t enable_mask);
	/* Take the pending interrupt: a token whose low 24 bits are its number. */
	uint32_t (*acknowledge)(void);
	void (*end)(uint32_t token);
	void (*send)(const struct percpu *target, uint32_t intid);
	/* Switch one interrupt off for good. */
	void (*disable)(struct percpu *self, uint32_t intid);
	/* The same for interrupts of group 0, which come as FIQ; where group 0 is ours at all. */
	bool (*has_fiq)(void);
	uint32_t (*acknowledge_fiq)(void);
	void (*end_fiq)(uint32_t token);
	void (*send_fiq)(const struct percpu *target, uint32_t intid);
};

/* gicv2.c, gicv3.c: map the registers, switch everything off. NULL when that is impossible. */
const struct gic *gicv2_setup(const struct fdt_machine *machine);
const struct gic *gicv3_setup(const struct fdt_machine *machine);

/* The distributor's registers, alike in both versions. */
enum gicd_reg {
	GICD_CTLR = 0x000,
	GICD_TYPER = 0x004,
	GICD_IGROUPR = 0x080,
	GICD_ISENABLER = 0x100,
	GICD_ICENABLER = 0x180,
	GICD_IPRIORITYR = 0x400,
	GICD_ITARGETSR = 0x800,
	GICD_SGIR = 0xf00,
};

/* Once on the boot CPU: choose the driver. */
void irq_setup(const struct fdt_machine *machine);

/* trap.c calls it with interrupts off. */
void irq_handle(void);
void fiq_handle(void);

#endif
