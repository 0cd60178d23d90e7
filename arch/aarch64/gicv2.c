/* SPDX-License-Identifier: MIT */
/*
 * gicv2.c - GICv2: a distributor and a memory-mapped CPU interface; up to 8 CPUs.
 */
#include "arch/aarch64/irq.h"
#include "arch/aarch64/mmu.h"
#include "arch/aarch64/regs.h"

enum gicc_reg {
	GICC_CTLR = 0x000,
	GICC_PMR = 0x004,
	GICC_BPR = 0x008,
	GICC_IAR = 0x00c,
	GICC_EOIR = 0x010,
};

#define ENABLE_GROUPS    3u /* both groups; without the security extension bit 0 alone exists */
#define INTID_MASK       0x3ffu
#define ACKNOWLEDGE_BOTH 4u /* reads of IAR take interrupts of either group */
#define GROUP0_AS_FIQ    8u
#define SGIR_TARGET      16
#define SGIR_GROUP1      0x8000u    /* where there are groups: send it as one of group 1 */
#define IAR_SOURCE_CPU   (7u << 10) /* the end of an SGI must name its sender */
/* The sender, 10 bits up in the register, stays out of the 24 bits of a token that are the number.
 */
#define TOKEN_SOURCE_SHIFT 14

static uintptr_t gicd;
static uintptr_t gicc;
static bool group0_is_ours; /* written by each CPU, to the same */

/* This CPU's bit in target lists: the banked target registers of the private interrupts tell. */
static uint8_t own_target(void)
{
	for (unsigned i = 0; i < GIC_INTID_PRIVATE; i += 4) {
		uint32_t word = mmio_read32(gicd + GICD_ITARGETSR + i);

		word |= word >> 16;
		word |= word >> 8;
		if (word & 0xff)
			return (uint8_t)word;
	}
	return 1; /* a machine of one CPU has none */
}

static void init_cpu(struct percpu *self, uint32_t enable_mask)
{
	mmio_write32(gicd + GICD_ICENABLER, ~0u);
	for (unsigned i = 0; i < GIC_INTID_PRIVATE; i += 4)
		mmio_write32(gicd + GICD_IPRIORITYR + i, GIC_PRIORITY_WORD);
	mmio_write8(gicd + GICD_IPRIORITYR + GIC_INTID_NMI, GIC_PRIORITY_NMI);
	/* All others in group 1. In the non-secure world the register reads as 0, all is in group
	 * 1, and there is no FIQ. */
	mmio_write32(gicd + GICD_IGROUPR, ~(1u << GIC_INTID_NMI));
	group0_is_ours = mmio_read32(gicd + GICD_IGROUPR) == (uint32_t) ~(1u << GIC_INTID_NMI);
	mmio_write32(gicd + GICD_ISENABLER, enable_mask);
	mmio_write32(gicc + GICC_PMR, GIC_PRIORITY_MASK);
	mmio_write32(gicc + GICC_BPR, 0);
	mmio_write32(gicc + GICC_CTLR,
		     ENABLE_GROUPS | (group0_is_ours ? ACKNOWLEDGE_BOTH | GROUP0_AS_FIQ : 0));
	self->gic_target = own_target();
}

static uint32_t acknowledge(void)
{
	uint32_t iar = mmio_read32(gicc + GICC_IAR);

	return (iar & INTID_MASK) | (iar & IAR_SOURCE_CPU) << TOKEN_SOURCE_SHIFT;
}

static void end(uint32_t token)
{
	mmio_write32(gicc + GICC_EOIR,
		     (token & INTID_MASK) | (token >> TOKEN_SOURCE_SHIFT & IAR_SOURCE_CPU));
}

static void send(const struct percpu *target, uint32_t intid)
{
	mmio_write32(gicd + GICD_SGIR,
		     (uint32_t)target->gic_target << SGIR_TARGET | SGIR_GROUP1 | intid);
}

static bool has_fiq(void)
{
	return group0_is_ours;
}

static void send_fiq(const struct percpu *target, uint32_t intid)
{
	mmio_write32(gicd + GICD_SGIR, (uint32_t)target->gic_target << SGIR_TARGET | intid);
}

static void disable(struct percpu *self, uint32_t intid)
{
	(void)self;
	mmio_write32(gicd + GICD_ICENABLER + intid / 32 * 4, 1u << intid % 32);
}

static const struct gic gicv2 = {init_cpu, acknowledge, end, send,    disable,
				 has_fiq,  acknowledge, end, send_fiq};

const struct gic *gicv2_setup(const struct fdt_machine *machine)
{
	gicd = mmu_map_device(machine->gicd.base, machine->gicd.size_bytes);
	gicc = mmu_map_device(machine->gicc.base, machine->gicc.size_bytes);
	if (!gicd || !gicc)
		return NULL;

	unsigned lines = ((mmio_read32(gicd + GICD_TYPER) & 31) + 1) * 32;

	mmio_write32(gicd + GICD_CTLR, 0);
	for (unsigned i = GIC_INTID_PRIVATE; i < lines; i += 32)
		mmio_write32(gicd + GICD_ICENABLER + i / 8, ~0u);
	mmio_write32(gicd + GICD_CTLR, ENABLE_GROUPS);
	return &gicv2;
}
