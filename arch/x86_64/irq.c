/* SPDX-License-Identifier: MIT */
/*
 * irq.c - the local APIC, in its memory-mapped or its register form, and the legacy controllers,
 * which are masked for good: no device interrupts the demo kernel.
 */
#include "arch/arch.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/mmu.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/timer.h"
#include "boot/bootinfo.h"

#define APIC_BASE_ENABLE 0x800u
#define APIC_BASE_X2APIC 0x400u
#define APIC_BASE_MASK   0x000ffffffffff000u

#define APIC_SPURIOUS_ENABLE 0x100u
#define APIC_COMMAND_BUSY    0x1000u

/* xAPIC ids are 8 bits; 255 is everyone. */
#define XAPIC_ID_MAX 254u

#define CPUID1_ECX_X2APIC (1u << 21)

const bool arch_irq_enable_is_late = true; /* sti */

/* Both are constant after apic_setup(). */
static volatile uint32_t *apic_mmio; /* NULL: x2APIC */
static bool apic_x2;

uint32_t apic_read(enum apic_reg reg)
{
	if (apic_x2)
		return (uint32_t)msr_read(MSR_X2APIC + reg / 16);
	return apic_mmio[reg / 4];
}

void apic_write(enum apic_reg reg, uint32_t value)
{
	if (apic_x2)
		msr_write(MSR_X2APIC + reg / 16, value);
	else
		apic_mmio[reg / 4] = value;
}

uint32_t apic_id(void)
{
	return apic_x2 ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

uint32_t apic_error(void)
{
	apic_write(APIC_ERROR_STATUS, 0); /* latches what happened since the last write */
	return apic_read(APIC_ERROR_STATUS);
}

void apic_command(uint32_t target, uint32_t command)
{
	if (apic_x2) {
		/* Register writes do not wait for earlier stores, and the target will read what we
		 * stored. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		msr_write(MSR_X2APIC + APIC_COMMAND / 16, (uint64_t)target << 32 | command);
		return;
	}
	/* Two writes make one message: a handler on this CPU must not send between them. */
	unsigned long irq = arch_irq_save();

	apic_write(APIC_COMMAND_HIGH, target << 24);
	apic_write(APIC_COMMAND, command);
	while (apic_read(APIC_COMMAND) & APIC_COMMAND_BUSY)
		arch_relax();
	arch_irq_restore(irq);
}

/* Both 8259s: vectors away from the exceptions (a spurious one may still come), everything masked.
 */
static void pic_mask(void)
{
	static const struct {
		uint8_t port;
		uint8_t value;
	} script[] = {
		{0x20, 0x11}, /* initialise, four words */
		{0xa0, 0x11},           {0x21, VECTOR_PIC},
		{0xa1, VECTOR_PIC + 8}, {0x21, 0x04}, /* the second one hangs on input 2 */
		{0xa1, 0x02},           {0x21, 0x01}, /* 8086 mode */
		{0xa1, 0x01},           {0x21, 0xff}, /* mask all */
		{0xa1, 0xff},
	};

	for (size_t i = 0; i < sizeof(script) / sizeof(script[0]); i++) {
		out8(script[i].port, script[i].value);
		out8(0x80, 0); /* some 8259s need a moment */
	}
}

void apic_setup(uint32_t apic_id_max)
{
	uint64_t base = msr_read(MSR_APIC_BASE);
	bool can_x2 = cpuid(1, 0).ecx & CPUID1_ECX_X2APIC;

	pic_mask();
	apic_x2 = (base & APIC_BASE_X2APIC) || (can_x2 && apic_id_max > XAPIC_ID_MAX);
	if (!apic_x2)
		apic_mmio = mmu_map_device(base & APIC_BASE_MASK, SLATE_PAGE_SIZE);
	apic_enter_mode();
}

void apic_enter_mode(void)
{
	uint64_t base = msr_read(MSR_APIC_BASE);

	if (!(base & APIC_BASE_ENABLE)) {
		base |= APIC_BASE_ENABLE;
		msr_write(MSR_APIC_BASE, base);
	}
	if (apic_x2 && !(base & APIC_BASE_X2APIC))
		msr_write(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
}

void arch_irq_init_cpu(void)
{
	apic_write(APIC_TASK_PRIORITY, 0);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
	apic_write(APIC_LVT_LINT1, APIC_LVT_NMI);
	apic_write(APIC_LVT_ERROR, VECTOR_ERROR);
	apic_write(APIC_SPURIOUS, APIC_SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	apic_error();
	apic_eoi();
	timer_init_cpu();
}

void arch_ipi_send(unsigned cpu)
{
	apic_command((uint32_t)boot_info.cpus[cpu].hw_id, APIC_FIXED | APIC_ASSERT | VECTOR_IPI);
}

bool arch_nmi_send(unsigned cpu)
{
	apic_command((uint32_t)boot_info.cpus[cpu].hw_id, APIC_NMI | APIC_ASSERT);
	return true;
}
