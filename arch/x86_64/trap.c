/* SPDX-License-Identifier: MIT */
/*
 * trap.c - the interrupt descriptor table, and who handles what arrives: timer and inter-processor
 * interrupts go to the kernel, every exception to kernel_trap() by its name.
 */
#include "arch/arch.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/timer.h"
#include "arch/x86_64/trap.h"

#define VECTOR_COUNT      256
#define ENTRY_BYTES       16 /* distance of two entries in trap.S */
#define EXCEPTION_COUNT   32
#define EXCEPTION_DOUBLE  8
#define EXCEPTION_PAGE    14
#define EXCEPTION_MACHINE 18

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t attributes;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};
_Static_assert(sizeof(struct gate) == 16, "fixed by the architecture");

/* Written once by the boot CPU, shared by all. */
static _Alignas(64) struct gate idt[VECTOR_COUNT];

extern const unsigned char trap_entries[];

static const char *const exception_names[EXCEPTION_COUNT] = {
	"divide error",
	"debug exception",
	"non-maskable interrupt",
	"breakpoint",
	"overflow",
	"bound range exceeded",
	"invalid opcode",
	"device not available",
	"double fault",
	"coprocessor segment overrun",
	"invalid task state segment",
	"segment not present",
	"stack-segment fault",
	"general protection fault",
	"page fault",
	"reserved exception 15",
	"x87 floating-point error",
	"alignment check",
	"machine check",
	"SIMD floating-point error",
	"virtualization exception",
	"control protection exception",
	"reserved exception 22",
	"reserved exception 23",
	"reserved exception 24",
	"reserved exception 25",
	"reserved exception 26",
	"reserved exception 27",
	"hypervisor injection exception",
	"VMM communication exception",
	"security exception",
	"reserved exception 31",
};

/*
 * The allocator's restartable sequences: the program counter at which an interrupted one must
 * resume. A kernel linked with a library that has none resumes where it was.
 */
uintptr_t slate_interrupt_fixup(uintptr_t pc);
__attribute__((weak)) uintptr_t slate_interrupt_fixup(uintptr_t pc)
{
	return pc;
}

/* Off: a test wants to see what happens then. Written while nothing else runs. */
static bool fixup_on = true;

void arch_fixup_set(bool on)
{
	fixup_on = on;
}

uintptr_t arch_interrupted_pc(void)
{
	return percpu_self()->interrupted;
}

const struct trap_frame *arch_interrupted_frame(void)
{
	return percpu_self()->interrupted_frame;
}

static unsigned vector_ist(unsigned vector)
{
	switch (vector) {
	case VECTOR_NMI:
		return IST_NMI;
	case EXCEPTION_DOUBLE:
		return IST_DOUBLE;
	case EXCEPTION_MACHINE:
		return IST_MCE;
	default:
		return 0;
	}
}

static void idt_fill(void)
{
	for (unsigned vector = 0; vector < VECTOR_COUNT; vector++) {
		uint64_t entry = (uintptr_t)trap_entries + vector * ENTRY_BYTES;

		idt[vector] = (struct gate){
			.offset_low = (uint16_t)entry,
			.selector = SEG_CODE,
			.ist = (uint8_t)vector_ist(vector),
			.attributes = 0x8e, /* present, ring 0, interrupt gate: masks interrupts */
			.offset_middle = (uint16_t)(entry >> 16),
			.offset_high = (uint32_t)(entry >> 32),
		};
	}
}

void trap_install(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = {sizeof(idt) - 1, (uintptr_t)idt};

	if (!idt[0].attributes)
		idt_fill();
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

static void interrupt_dispatch(struct trap_frame *frame)
{
	switch (frame->vector) {
	case VECTOR_TIMER:
		apic_eoi();
		timer_interrupt();
		return;
	case VECTOR_IPI:
		apic_eoi();
		kernel_ipi();
		return;
	case VECTOR_SPURIOUS:
	case VECTOR_PIC + 7: /* the two spurious interrupts of a masked PIC */
	case VECTOR_PIC + 15:
		return; /* none of them wants an end-of-interrupt */
	case VECTOR_ERROR:
		kernel_trap("APIC error", frame->rip, 0, apic_error());
	default:
		kernel_trap("unexpected interrupt", frame->rip, 0, frame->vector);
	}
}

/* A page fault that finds no room for its frame becomes a double fault: a stack has overflown, and
 * CR2 says where. */
static bool has_address(uint64_t vector)
{
	return vector == EXCEPTION_PAGE || vector == EXCEPTION_DOUBLE;
}

void trap_dispatch(struct trap_frame *frame)
{
	uintptr_t pc = frame->rip;

	/*
	 * The one place where an interrupted restartable sequence is rewound: before anything else
	 * that could allocate, for interrupts, exceptions and NMIs alike.
	 */
	if (fixup_on)
		frame->rip = slate_interrupt_fixup(pc);

	if (frame->vector >= EXCEPTION_COUNT) {
		percpu_self()->interrupted = pc;
		percpu_self()->interrupted_frame = frame;
		interrupt_dispatch(frame);
		return;
	}
	if (frame->vector == VECTOR_NMI) {
		kernel_nmi();
		return;
	}
	if (frame->vector == VECTOR_DEBUG && step_trap(frame, pc))
		return;
	kernel_trap(exception_names[frame->vector], frame->rip,
		    has_address(frame->vector) ? cr2_read() : 0, frame->error);
}

unsigned long arch_irq_save(void)
{
	unsigned long flags = flags_read();

	__asm__ volatile("cli" : : : "memory");
	return flags & RFLAGS_IF;
}

void arch_irq_restore(unsigned long state)
{
	if (state)
		__asm__ volatile("sti" : : : "memory");
	else
		__asm__ volatile("cli" : : : "memory");
}

void arch_irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

bool arch_irq_enabled(void)
{
	return flags_read() & RFLAGS_IF;
}

/*
 * sti takes effect one instruction later: nothing comes between it and hlt. Who waits holds nothing
 * in registers.
 */
void arch_idle(void)
{
	arch_scrub(UINTPTR_MAX);
	__asm__ volatile("sti; hlt" : : : "memory");
}

void arch_relax(void)
{
	__asm__ volatile("pause");
}
