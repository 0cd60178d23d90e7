/* SPDX-License-Identifier: MIT */
/*
 * gicv3.c - GICv3 and later: a distributor, a redistributor for each CPU, and a CPU interface in
 * system registers. All interrupts are in non-secure group 1, but one, where there is a group 0 for
 * us.
 */
#include "arch/aarch64/irq.h"
#include "arch/aarch64/mmu.h"
#include "arch/aarch64/regs.h"
#include "arch/arch.h"

/* System registers that assemblers for plain ARMv8.0 have no names for. */
#define ICC_PMR_EL1     S3_0_C4_C6_0
#define ICC_SGI1R_EL1   S3_0_C12_C11_5
#define ICC_IAR1_EL1    S3_0_C12_C12_0
#define ICC_EOIR1_EL1   S3_0_C12_C12_1
#define ICC_BPR1_EL1    S3_0_C12_C12_3
#define ICC_CTLR_EL1    S3_0_C12_C12_4
#define ICC_SRE_EL1     S3_0_C12_C12_5
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7
#define ICC_IAR0_EL1    S3_0_C12_C8_0
#define ICC_EOIR0_EL1   S3_0_C12_C8_1
#define ICC_BPR0_EL1    S3_0_C12_C8_3
#define ICC_SGI0R_EL1   S3_0_C12_C11_7
#define ICC_IGRPEN0_EL1 S3_0_C12_C12_6

/* The macros of regs.h turn a name into text; these expand it first. */
#define icc_read(name)         reg_read(name)
#define icc_write(name, value) reg_write(name, value)

#define GICD_GROUP0 0x01u
#define GICD_GROUP1 0x02u
#define GICD_ARE    0x10u
#define GICD_DS     0x40u       /* one world only: group 0 is ours */
#define GICD_RWP    0x80000000u /* a write is still on its way */

/* A redistributor: a control page of 64 KiB, then one for its private interrupts; two more with
 * GICv4. */
enum gicr_reg {
	GICR_TYPER = 0x0008,
	GICR_WAKER = 0x0014,
	GICR_SGI_PAGE = 0x10000,
};
#define GICR_BYTES      0x20000
#define GICR_BYTES_VLPI 0x40000
#define TYPER_VLPI      0x02
#define TYPER_LAST      0x10
#define WAKER_PROCESSOR 0x02u
#define WAKER_CHILDREN  0x04u

#define SPIN_LIMIT 1000000 /* reads before a device that does not answer is given up */

struct region {
	uintptr_t base;
	uint64_t size_bytes;
};

static uintptr_t gicd;
static struct region regions[FDT_MAX_GICR];
static size_t region_count;
static uint32_t stride;
static bool group0_is_ours; /* constant after gicv3_setup() */

/* Wait until the bits of mask are clear. */
static void wait_clear(uintptr_t address, uint32_t mask)
{
	for (unsigned i = 0; i < SPIN_LIMIT && mmio_read32(address) & mask; i++)
		arch_relax();
}

/* TYPER's upper half is Aff3.Aff2.Aff1.Aff0 in one word. */
static uint32_t affinity_word(uint64_t mpidr)
{
	return (uint32_t)(mpidr >> 32 & 0xff) << 24 | (uint32_t)(mpidr & 0xffffff);
}

static uintptr_t find_in(const struct region *region, uint32_t affinity)
{
	uint64_t offset = 0;

	while (offset + GICR_BYTES <= region->size_bytes) {
		uintptr_t gicr = region->base + offset;
		uint32_t typer = mmio_read32(gicr + GICR_TYPER);

		if (mmio_read32(gicr + GICR_TYPER + 4) == affinity)
			return gicr;
		if (typer & TYPER_LAST)
			break;
		if (stride)
			offset += stride;
		else
			offset += typer & TYPER_VLPI ? GICR_BYTES_VLPI : GICR_BYTES;
	}
	return 0;
}

static uintptr_t find_redistributor(uint64_t mpidr)
{
	for (size_t i = 0; i < region_count; i++) {
		uintptr_t gicr = find_in(&regions[i], affinity_word(mpidr));

		if (gicr)
			return gicr;
	}
	return 0;
}

static void init_redistributor(uintptr_t gicr, uint32_t enable_mask)
{
	uintptr_t sgi = gicr + GICR_SGI_PAGE;

	mmio_write32(gicr + GICR_WAKER, mmio_read32(gicr + GICR_WAKER) & ~WAKER_PROCESSOR);
	wait_clear(gicr + GICR_WAKER, WAKER_CHILDREN);

	mmio_write32(sgi + GICD_ICENABLER, ~0u);
	mmio_write32(sgi + GICD_IGROUPR, group0_is_ours ? ~(1u << GIC_INTID_NMI) : ~0u);
	for (unsigned i = 0; i < GIC_INTID_PRIVATE; i += 4)
		mmio_write32(sgi + GICD_IPRIORITYR + i, GIC_PRIORITY_WORD);
	mmio_write8(sgi + GICD_IPRIORITYR + GIC_INTID_NMI, GIC_PRIORITY_NMI);
	wait_clear(gicr + GICD_CTLR, 1u << 3); /* the redistributor's RWP */
	mmio_write32(sgi + GICD_ISENABLER, enable_mask);
}

static void init_cpu(struct percpu *self, uint32_t enable_mask)
{
	self->gicr = find_redistributor(self->mpidr);
	if (!self->gicr)
		kernel_trap("no redistributor for this CPU", 0, 0, self->mpidr);
	init_redistributor(self->gicr, enable_mask);

	icc_write(ICC_SRE_EL1, icc_read(ICC_SRE_EL1) | 1);
	barrier_isb();
	icc_write(ICC_PMR_EL1, GIC_PRIORITY_MASK);
	icc_write(ICC_BPR1_EL1, 0);
	icc_write(ICC_CTLR_EL1, 0); /* one write to EOIR both drops the priority and deactivates */
	if (group0_is_ours) {
		icc_write(ICC_BPR0_EL1, 0);
		icc_write(ICC_IGRPEN0_EL1, 1);
	}
	icc_write(ICC_IGRPEN1_EL1, 1);
	barrier_isb();
}

static uint32_t acknowledge(void)
{
	uint32_t token = (uint32_t)icc_read(ICC_IAR1_EL1);

	barrier_dsb();
	return token;
}

static void end(uint32_t token)
{
	icc_write(ICC_EOIR1_EL1, token);
	barrier_isb();
}

/* One CPU: a cluster (Aff3.2.1), a range of 16 (RS) in it, and a bit. */
static uint64_t sgi_word(const struct percpu *target, uint32_t intid)
{
	uint64_t aff = target->mpidr;

	return (aff >> 32 & 0xff) << 48 | (aff >> 16 & 0xff) << 32 | (aff >> 8 & 0xff) << 16 |
	       (aff >> 4 & 0xf) << 44 | (uint64_t)intid << 24 | 1ull << (aff & 0xf);
}

static void send(const struct percpu *target, uint32_t intid)
{
	icc_write(ICC_SGI1R_EL1, sgi_word(target, intid));
	barrier_isb();
}

static bool has_fiq(void)
{
	return group0_is_ours;
}

static uint32_t acknowledge_fiq(void)
{
	uint32_t token = (uint32_t)icc_read(ICC_IAR0_EL1);

	barrier_dsb();
	return token;
}

static void end_fiq(uint32_t token)
{
	icc_write(ICC_EOIR0_EL1, token);
	barrier_isb();
}

static void send_fiq(const struct percpu *target, uint32_t intid)
{
	icc_write(ICC_SGI0R_EL1, sgi_word(target, intid));
	barrier_isb();
}

static void disable(struct percpu *self, uint32_t intid)
{
	if (intid < GIC_INTID_PRIVATE)
		mmio_write32(self->gicr + GICR_SGI_PAGE + GICD_ICENABLER, 1u << intid);
	else if (intid < GIC_INTID_SPECIAL)
		mmio_write32(gicd + GICD_ICENABLER + intid / 32 * 4, 1u << intid % 32);
}

static const struct gic gicv3 = {init_cpu, acknowledge,     end,     send,    disable,
				 has_fiq,  acknowledge_fiq, end_fiq, send_fiq};

static void init_distributor(void)
{
	unsigned lines = ((mmio_read32(gicd + GICD_TYPER) & 31) + 1) * 32;

	mmio_write32(gicd + GICD_CTLR, 0);
	wait_clear(gicd + GICD_CTLR, GICD_RWP);
	for (unsigned i = GIC_INTID_PRIVATE; i < lines; i += 32) {
		mmio_write32(gicd + GICD_ICENABLER + i / 8, ~0u);
		mmio_write32(gicd + GICD_IGROUPR + i / 8, ~0u);
	}
	wait_clear(gicd + GICD_CTLR, GICD_RWP);
	group0_is_ours = mmio_read32(gicd + GICD_CTLR) & GICD_DS;
	mmio_write32(gicd + GICD_CTLR,
		     GICD_ARE | GICD_GROUP1 | (group0_is_ours ? GICD_GROUP0 | GICD_DS : 0));
	wait_clear(gicd + GICD_CTLR, GICD_RWP);
}

const struct gic *gicv3_setup(const struct fdt_machine *machine)
{
	gicd = mmu_map_device(machine->gicd.base, machine->gicd.size_bytes);
	if (!gicd)
		return NULL;
	stride = machine->gicr_stride;
	for (size_t i = 0; i < machine->gicr_count; i++) {
		const struct fdt_window *w = &machine->gicr[i];
		uintptr_t base = mmu_map_device(w->base, w->size_bytes);

		if (base)
			regions[region_count++] = (struct region){base, w->size_bytes};
	}
	init_distributor();
	return region_count ? &gicv3 : NULL;
}
