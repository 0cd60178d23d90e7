/* SPDX-License-Identifier: MIT */
/*
 * timer.c - periodic and one-shot interrupts from the virtual timer, whose comparator is absolute:
 * a late tick does not delay those after it.
 */
#include "arch/aarch64/timer.h"

#include "arch/aarch64/percpu.h"
#include "arch/aarch64/regs.h"
#include "arch/arch.h"

#define TIMER_ENABLE 1

/* PMCR_EL0 */
#define PMU_ENABLE      0x01
#define PMU_RESET_CYCLE 0x04
#define PMU_LONG_CYCLE  0x40
#define PMU_CYCLE_BIT   (1u << 31)

/* ID_AA64DFR0_EL1.PMUVer: 0 is none, 15 is none that we know. */
static bool pmu_present(void)
{
	uint64_t version = reg_read(id_aa64dfr0_el1) >> 8 & 15;

	return version != 0 && version != 15;
}

void timer_init_cpu(void)
{
	reg_write(cntv_ctl_el0, 0);
	if (pmu_present()) {
		reg_write(pmcr_el0, PMU_ENABLE | PMU_RESET_CYCLE | PMU_LONG_CYCLE);
		reg_write(pmccfiltr_el0, 0); /* EL1 and EL0 count */
		reg_write(pmcntenset_el0, PMU_CYCLE_BIT);
	}
	barrier_isb();
}

uint64_t arch_counter(void)
{
	/* without it the counter could be read before what precedes has run */
	barrier_isb();
	return reg_read(cntvct_el0);
}

uint64_t arch_counter_hz(void)
{
	return reg_read(cntfrq_el0);
}

uint64_t arch_instructions(void)
{
	if (!pmu_present())
		return arch_counter();
	barrier_isb();
	return reg_read(pmccntr_el0);
}

static void arm(uint64_t deadline)
{
	reg_write(cntv_cval_el0, deadline);
	reg_write(cntv_ctl_el0, TIMER_ENABLE);
	barrier_isb();
}

static void disarm(void)
{
	reg_write(cntv_ctl_el0, 0);
	barrier_isb();
}

void arch_timer_periodic(unsigned hz)
{
	unsigned long irq = arch_irq_save();
	struct percpu *self = percpu_self();

	if (hz == 0) {
		self->timer_mode = TIMER_OFF;
		disarm();
	} else {
		uint64_t period = arch_counter_hz() / hz;

		self->timer_mode = TIMER_PERIODIC;
		self->timer_period = period ? period : 1;
		arm(arch_counter() + self->timer_period);
	}
	arch_irq_restore(irq);
}

void arch_timer_oneshot(uint64_t ticks)
{
	unsigned long irq = arch_irq_save();

	percpu_self()->timer_mode = TIMER_ONESHOT;
	arm(arch_counter() + ticks);
	arch_irq_restore(irq);
}

void timer_interrupt(void)
{
	struct percpu *self = percpu_self();

	if (self->timer_mode == TIMER_PERIODIC) {
		uint64_t deadline = reg_read(cntv_cval_el0) + self->timer_period;
		uint64_t now = arch_counter();

		/* ticks that could not be served in time are lost, not made up for */
		arm(deadline > now ? deadline : now + self->timer_period);
	} else {
		self->timer_mode = TIMER_OFF;
		disarm();
	}
	kernel_tick();
}
