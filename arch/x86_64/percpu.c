/* SPDX-License-Identifier: MIT */
/*
 * percpu.c - segments, task state and GS base of each CPU, and the functions that ask for this CPU.
 */
#include <slate/port.h>

#include "arch/arch.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/trap.h"

struct percpu percpu_boot;

struct descriptor_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void gdt_fill(struct percpu *percpu)
{
	uint64_t tss = (uintptr_t)&percpu->tss;

	percpu->gdt[SEG_CODE / 8] = 0x00af9a000000ffff;
	percpu->gdt[SEG_DATA / 8] = 0x00cf92000000ffff;
	/* Base and limit lie in pieces; 0x89: present, available 64-bit TSS. */
	percpu->gdt[SEG_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 |
				   (uint64_t)0x89 << 40 | (tss >> 24 & 0xff) << 56;
	percpu->gdt[SEG_TSS / 8 + 1] = tss >> 32;
}

static void gdt_load(struct percpu *percpu)
{
	struct descriptor_pointer gdtr = {sizeof(percpu->gdt) - 1, (uintptr_t)percpu->gdt};

	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movl %2, %%eax\n\t"
			 "movl %%eax, %%ss\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %3, %%eax\n\t"
			 "ltr %%ax"
			 :
			 : "m"(gdtr), "i"(SEG_CODE), "i"(SEG_DATA), "i"(SEG_TSS)
			 : "rax", "memory");
}

void percpu_install(struct percpu *percpu, unsigned number, uint32_t apic_id, uintptr_t stack_top)
{
	percpu->self = percpu;
	percpu->number = number;
	percpu->apic_id = apic_id;
	percpu->stack_top = stack_top;
	for (unsigned i = 0; i < IST_COUNT; i++)
		percpu->tss.ist[i] = (uintptr_t)percpu->ist_stacks[i] + IST_BYTES;
	percpu->tss.ist[IST_NMI - 1] = (uintptr_t)percpu->nmi_stack + NMI_STACK_BYTES;
	percpu->tss.io_bitmap_offset = sizeof(struct tss);

	gdt_fill(percpu);
	gdt_load(percpu);
	msr_write(MSR_GS_BASE, (uintptr_t)percpu);
	trap_install();
}

unsigned arch_cpu(void)
{
	unsigned number;

	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(number) : "i"(PERCPU_NUMBER));
	return number;
}

/* One load: the allocator asks on its slow paths. */
bool port_in_nmi(void)
{
	bool in_nmi;

	__asm__ volatile("cmpq $0, %%gs:%c1; setne %0"
			 : "=q"(in_nmi)
			 : "i"(offsetof(struct percpu, nmi_depth)));
	return in_nmi;
}

/* An NMI between load and store leaves the value as it found it. */
void arch_nmi_enter(void)
{
	percpu_self()->nmi_depth++;
}

void arch_nmi_leave(void)
{
	percpu_self()->nmi_depth--;
}
