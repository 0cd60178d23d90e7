/* SPDX-License-Identifier: MIT */
/*
 * timer.c - one timer a CPU: by TSC deadline where the CPU can, else by the local APIC's own count.
 * The TSC is arch_counter().
 *
 * The clocks are measured once: the TSC against the PIT, the APIC's timer against the TSC at the
 * very same instants. Under -icount both step by one a nanosecond, so their ratio comes out as
 * exactly 1 and a one-shot fires at an exact instruction.
 */
#include "arch/arch.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/timer.h"

#define CPUID1_ECX_TSC_DEADLINE (1u << 24)

#define LVT_ONESHOT  0x00000u
#define LVT_PERIODIC 0x20000u
#define LVT_DEADLINE 0x40000u

#define APIC_DIVIDE_BY_1 0xbu

/* Programmable interval timer. */
#define PIT_HZ       1193182u
#define PIT_CHANNEL0 0x40
#define PIT_COMMAND  0x43
#define PIT_RATE_MODE                                                                            \
	0x34 /* channel 0, both bytes, mode 2: counts down from the reload value again and again \
	      */
#define PIT_LATCH0        0x00
#define PIT_MEASURE_TICKS 11932u /* 10 ms */
#define PIT_DEAD_READS    100000u

/* A frequency is rounded to this: the measurement is no better. */
#define HZ_GRAIN 100000u

/* Reads of the counter between two pauses of a wait. */
#define WAIT_LOOKS 64

/* What to believe when there is nothing to measure by. */
#define TSC_HZ_FALLBACK 1000000000u

/* Constant after timer_setup(). */
static uint64_t tsc_hz;
static uint64_t apic_ratio; /* APIC ticks per TSC tick, 32.32 */
static bool use_deadline;

/* The PIT's count, which runs downward. */
static uint16_t pit_read(void)
{
	unsigned low;

	out8(PIT_COMMAND, PIT_LATCH0);
	low = in8(PIT_CHANNEL0);
	return (uint16_t)(low | (unsigned)in8(PIT_CHANNEL0) << 8);
}

/* Wait PIT_MEASURE_TICKS. Returns the ticks that went by; 0: there is no PIT. */
static uint32_t pit_wait(void)
{
	uint32_t passed = 0;
	uint32_t idle_reads = 0;
	uint16_t last = pit_read();

	while (passed < PIT_MEASURE_TICKS) {
		uint16_t now = pit_read();

		passed += (uint16_t)(last - now);
		idle_reads = now == last ? idle_reads + 1 : 0;
		if (idle_reads == PIT_DEAD_READS)
			return 0;
		last = now;
	}
	return passed;
}

/* From CPUID: crystal times ratio, or the nominal frequency. */
static uint64_t tsc_hz_nominal(void)
{
	struct cpuid ratio = cpuid_maybe(0x15);
	struct cpuid nominal = cpuid_maybe(0x16);

	if (ratio.eax && ratio.ebx && ratio.ecx)
		return (uint64_t)ratio.ecx * ratio.ebx / ratio.eax;
	if (nominal.eax & 0xffff)
		return (uint64_t)(nominal.eax & 0xffff) * 1000000;
	return TSC_HZ_FALLBACK;
}

static uint64_t hz_round(uint64_t hz)
{
	return (hz + HZ_GRAIN / 2) / HZ_GRAIN * HZ_GRAIN;
}

/* One sample of both clocks; the order is the same each time, so the distance cancels. */
static void clocks_read(uint64_t *tsc, uint32_t *apic)
{
	*tsc = tsc_read();
	*apic = apic_read(APIC_TIMER_CURRENT);
}

void timer_setup(void)
{
	uint64_t tsc0, tsc1;
	uint32_t apic0, apic1, pit_ticks;

	out8(PIT_COMMAND, PIT_RATE_MODE);
	out8(PIT_CHANNEL0, 0);
	out8(PIT_CHANNEL0, 0); /* reload value 65536 */

	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | LVT_ONESHOT | VECTOR_TIMER);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
	clocks_read(&tsc0, &apic0);
	pit_ticks = pit_wait();
	clocks_read(&tsc1, &apic1);
	apic_write(APIC_TIMER_INITIAL, 0);

	tsc_hz = pit_ticks ? (tsc1 - tsc0) * PIT_HZ / pit_ticks : tsc_hz_nominal();
	tsc_hz = hz_round(tsc_hz);
	if (!tsc_hz)
		tsc_hz = TSC_HZ_FALLBACK;
	apic_ratio = ((uint64_t)(apic0 - apic1) << 32) / (tsc1 - tsc0);
	use_deadline = cpuid(1, 0).ecx & CPUID1_ECX_TSC_DEADLINE;
}

void timer_init_cpu(void)
{
	percpu_self()->timer_period = 0;
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR_TIMER);
}

/* At least 1, for 0 would stop the timer; at most what the register holds. */
static uint32_t apic_ticks(uint64_t tsc_ticks)
{
	unsigned __int128 ticks = (unsigned __int128)tsc_ticks * apic_ratio >> 32;

	if (ticks == 0)
		return 1;
	return ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

static void deadline_arm(uint64_t tsc_ticks)
{
	apic_write(APIC_LVT_TIMER, LVT_DEADLINE | VECTOR_TIMER);
	/* A memory-mapped write may be late; the deadline must not overtake it. */
	__asm__ volatile("mfence" : : : "memory");
	msr_write(MSR_TSC_DEADLINE, tsc_read() + tsc_ticks);
}

void arch_timer_periodic(unsigned hz)
{
	struct percpu *percpu = percpu_self();
	unsigned long irq = arch_irq_save();

	percpu->timer_period = 0;
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, 0);
	if (hz && use_deadline) {
		percpu->timer_period = tsc_hz / hz;
		deadline_arm(percpu->timer_period);
	} else if (hz) {
		apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
		apic_write(APIC_TIMER_INITIAL, apic_ticks(tsc_hz / hz));
	}
	arch_irq_restore(irq);
}

void arch_timer_oneshot(uint64_t ticks)
{
	unsigned long irq = arch_irq_save();

	percpu_self()->timer_period = 0;
	if (use_deadline) {
		deadline_arm(ticks);
	} else {
		apic_write(APIC_LVT_TIMER, LVT_ONESHOT | VECTOR_TIMER);
		apic_write(APIC_TIMER_INITIAL, apic_ticks(ticks));
	}
	arch_irq_restore(irq);
}

void timer_interrupt(void)
{
	struct percpu *percpu = percpu_self();

	if (percpu->timer_period)
		deadline_arm(percpu->timer_period);
	kernel_tick();
}

void timer_wait_us(uint64_t us)
{
	uint64_t end = tsc_read() + us * (tsc_hz / 1000000);

	/* Where one host thread runs all CPUs in turn, each pause costs a look at every other CPU.
	 */
	for (unsigned looks = 1; tsc_read() < end; looks++) {
		if (looks % WAIT_LOOKS == 0)
			arch_relax();
	}
}

uint64_t arch_counter(void)
{
	return tsc_read();
}

uint64_t arch_counter_hz(void)
{
	return tsc_hz;
}

uint64_t arch_instructions(void)
{
	return tsc_read();
}
