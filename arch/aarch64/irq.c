/* SPDX-License-Identifier: MIT */
/*
 * irq.c - this CPU's interrupt mask, and who gets an interrupt: the timer, or another CPU's
 * message.
 */
#include "arch/aarch64/irq.h"

#include "arch/aarch64/regs.h"
#include "arch/aarch64/timer.h"
#include "arch/arch.h"

#define DAIF_IRQ 0x80

#define TIMER_INTID_DEFAULT 27 /* PPI of the virtual timer by the base system architecture */

/* FIQ carries what cannot be masked, so that only IRQ is masked and let through here. */
static const struct gic *gic;

const bool arch_irq_enable_is_late = false;
static uint32_t timer_intid;

unsigned long arch_irq_save(void)
{
	unsigned long state = reg_read(daif);

	__asm__ volatile("msr daifset, #2" : : : "memory");
	return state;
}

void arch_irq_restore(unsigned long state)
{
	reg_write(daif, state);
}

void arch_irq_enable(void)
{
	__asm__ volatile("msr daifclr, #2" : : : "memory");
}

bool arch_irq_enabled(void)
{
	return !(reg_read(daif) & DAIF_IRQ);
}

/* A masked interrupt that is pending ends the wait, too: none is lost in between. Who waits holds
 * nothing in registers. */
void arch_idle(void)
{
	arch_scrub(UINTPTR_MAX);
	__asm__ volatile("msr daifset, #2\n\t"
			 "dsb sy\n\t"
			 "wfi\n\t"
			 "msr daifclr, #2"
			 :
			 :
			 : "memory");
}

void arch_relax(void)
{
	__asm__ volatile("yield" : : : "memory");
}

void irq_setup(const struct fdt_machine *machine)
{
	timer_intid = machine->timer_intid ? machine->timer_intid : TIMER_INTID_DEFAULT;
	if (machine->gic_version == 2)
		gic = gicv2_setup(machine);
	else if (machine->gic_version == 3)
		gic = gicv3_setup(machine);
}

void arch_irq_init_cpu(void)
{
	if (!gic)
		return;
	gic->init_cpu(percpu_self(), 1u << GIC_INTID_IPI | 1u << GIC_INTID_NMI | 1u << timer_intid);
	__asm__ volatile("msr daifclr, #1" : : : "memory");
}

void arch_ipi_send(unsigned cpu)
{
	if (!gic)
		return;
	/* what was written for the other CPU is visible to it before the interrupt arrives */
	__asm__ volatile("dsb ishst" : : : "memory");
	gic->send(percpu_of(cpu), GIC_INTID_IPI);
}

bool arch_nmi_send(unsigned cpu)
{
	if (!gic || !gic->has_fiq())
		return false;
	/* as above */
	__asm__ volatile("dsb ishst" : : : "memory");
	gic->send_fiq(percpu_of(cpu), GIC_INTID_NMI);
	return true;
}

void fiq_handle(void)
{
	uint32_t token = gic ? gic->acknowledge_fiq() : GIC_INTID_SPECIAL;
	uint32_t intid = token & 0xffffff;

	if ((intid & 0x3ff) >= GIC_INTID_SPECIAL)
		return;
	if (intid != GIC_INTID_NMI)
		kernel_trap("unexpected fast interrupt", 0, 0, intid);
	kernel_nmi();
	gic->end_fiq(token);
}

void irq_handle(void)
{
	if (!gic)
		kernel_trap("interrupt without a controller", 0, 0, 0);

	uint32_t token = gic->acknowledge();
	uint32_t intid = token & 0xffffff;

	if ((intid & 0x3ff) >= GIC_INTID_SPECIAL)
		return;
	if (intid == timer_intid)
		timer_interrupt();
	else if (intid == GIC_INTID_IPI)
		kernel_ipi();
	else if (intid == GIC_INTID_NMI)
		kernel_nmi(); /* GICv2: it came between the exception and the question who it was */
	else
		gic->disable(percpu_self(), intid);
	gic->end(token);
}
