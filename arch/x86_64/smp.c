/* SPDX-License-Identifier: MIT */
/*
 * smp.c - starting the other CPUs, one at a time: INIT, 10 ms, a start-up IPI, and a second one
 * only after seconds. A slow host may take that long to run the first instruction of a CPU, and two
 * start-up IPIs can start one CPU twice.
 *
 * What the CPU needs stands in one mailbox. It takes the mailbox by compare-and-swap; so does its
 * starter when it gives up. Exactly one of them wins, so a CPU that comes too late never runs on a
 * stack that was given to someone else.
 */
#include <stdatomic.h>

#include "arch/arch.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/mmu.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/regs.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/timer.h"
#include "boot/bootinfo.h"
#include "boot/record.h"
#include "lib/string.h"

#define LOW_MEMORY_END 0xa0000ull
#define LOW_4G         (1ull << 32)
#define INIT_WAIT_US   10000
#define POLL_US        50
#define WAIT_POLLS     60000 /* 3 s after each start-up IPI */

struct ap_mailbox {
	_Atomic uint32_t state; /* AP_*; the CPU that takes it acquires the rest */
	uint64_t cr3;
	uint64_t stack_top;
	struct percpu *percpu;
};
_Static_assert(offsetof(struct ap_mailbox, state) == AP_STATE, "used by assembly");
_Static_assert(offsetof(struct ap_mailbox, cr3) == AP_CR3, "used by assembly");
_Static_assert(offsetof(struct ap_mailbox, stack_top) == AP_STACK, "used by assembly");
_Static_assert(offsetof(struct ap_mailbox, percpu) == AP_PERCPU, "used by assembly");

extern struct ap_mailbox ap_mailbox;
struct ap_mailbox ap_mailbox;

/* Constant after smp_setup(). */
static uint64_t trampoline_page;     /* 0: none was free */
static struct percpu *percpu_others; /* of CPU 1 and above; NULL: no room */

extern const unsigned char trampoline_start[], trampoline_end[], trampoline_long[];
extern const unsigned char trampoline_gdt[], trampoline_gdtr[], trampoline_far[];
extern const unsigned char trampoline_cr3[], trampoline_efer[], trampoline_entry[];
extern unsigned char boot_pml4[];
extern void ap_start(void);
void ap_main(struct percpu *percpu) __attribute__((noreturn));

/* A field of the copied trampoline. Fields are not aligned. */
static void trampoline_put(const unsigned char *field, const void *value, size_t size_bytes)
{
	unsigned char *copy =
		(unsigned char *)(uintptr_t)mmu_phys(trampoline_page, SLATE_PAGE_SIZE);

	memcpy(copy + (field - trampoline_start), value, size_bytes);
}

static uint32_t trampoline_address(const unsigned char *label)
{
	return (uint32_t)(trampoline_page + (uint64_t)(label - trampoline_start));
}

static void trampoline_copy(void)
{
	uint32_t far = trampoline_address(trampoline_long);
	uint32_t gdt = trampoline_address(trampoline_gdt);
	uint32_t cr3 = (uint32_t)mmu_image_phys(boot_pml4);
	/* The CPU itself sets LMA when paging goes on. */
	uint32_t efer = (uint32_t)msr_read(MSR_EFER) & ~EFER_LMA;
	uint64_t entry = (uintptr_t)ap_start;

	trampoline_put(trampoline_start, trampoline_start,
		       (size_t)(trampoline_end - trampoline_start));
	trampoline_put(trampoline_far, &far, sizeof(far));
	trampoline_put(trampoline_gdtr + 2, &gdt, sizeof(gdt));
	trampoline_put(trampoline_cr3, &cr3, sizeof(cr3));
	trampoline_put(trampoline_efer, &efer, sizeof(efer));
	trampoline_put(trampoline_entry, &entry, sizeof(entry));
}

void smp_setup(void)
{
	size_t others = boot_info.cpu_count - 1;
	size_t bytes = others * sizeof(struct percpu);
	uint64_t pa;

	if (!others)
		return;
	trampoline_page =
		boot_take_free(&boot_info, SLATE_PAGE_SIZE, SLATE_PAGE_SIZE, SLATE_PAGE_SIZE,
			       LOW_MEMORY_END, SLATE_RANGE_TRAMPOLINE, "CPU start");
	pa = boot_take_free(&boot_info, bytes, SLATE_PAGE_SIZE, LOW_MEMORY_END, LOW_4G,
			    SLATE_RANGE_KERNEL, "per-CPU areas");
	if (!trampoline_page || !pa)
		return;
	percpu_others = (struct percpu *)(uintptr_t)mmu_phys(pa, bytes);
	memset(percpu_others, 0, bytes);
	trampoline_copy();
}

void ap_main(struct percpu *percpu)
{
	percpu_install(percpu, percpu->number, percpu->apic_id, percpu->stack_top);
	apic_enter_mode();
	/* release: pairs with the acquire in cpu_wait(); the mailbox may be used for the next CPU
	 */
	atomic_store_explicit(&ap_mailbox.state, AP_ONLINE, memory_order_release);
	kernel_cpu_main(percpu->number);
}

/* True when the CPU has come as far as ap_main(). */
static bool cpu_wait(void)
{
	for (unsigned i = 0; i < WAIT_POLLS; i++) {
		/* acquire: pairs with the release in ap_main() */
		if (atomic_load_explicit(&ap_mailbox.state, memory_order_acquire) == AP_ONLINE)
			return true;
		timer_wait_us(POLL_US);
	}
	return false;
}

/* Take the mailbox back. True when the CPU was faster after all, and will be online in a moment. */
static bool cpu_give_up(void)
{
	uint32_t expected = AP_WANTED;

	/* relaxed: whoever wins, nothing was written that the other would read */
	if (atomic_compare_exchange_strong_explicit(&ap_mailbox.state, &expected, AP_IDLE,
						    memory_order_relaxed, memory_order_relaxed))
		return false;
	return cpu_wait();
}

/* Of the highest bytes of a stack: a pointer behind it would be one to whatever lies there. */
#define STACK_SPARE 16

bool arch_cpu_start(unsigned cpu, void *stack_top)
{
	uint32_t target = (uint32_t)boot_info.cpus[cpu].hw_id;
	uint32_t startup =
		APIC_STARTUP | APIC_ASSERT | (uint32_t)(trampoline_page >> SLATE_PAGE_SHIFT);
	struct percpu *percpu;

	if (!percpu_others || cpu == 0 || cpu >= boot_info.cpu_count)
		return false;
	percpu = &percpu_others[cpu - 1];
	percpu->number = cpu;
	percpu->apic_id = target;
	percpu->stack_top = (uintptr_t)stack_top - STACK_SPARE;
	ap_mailbox.cr3 = mmu_cr3();
	ap_mailbox.stack_top = (uintptr_t)stack_top - STACK_SPARE;
	ap_mailbox.percpu = percpu;
	/* release: pairs with the locked exchange at ap_start */
	atomic_store_explicit(&ap_mailbox.state, AP_WANTED, memory_order_release);

	apic_command(target, APIC_INIT | APIC_ASSERT);
	timer_wait_us(INIT_WAIT_US);
	apic_command(target, startup);
	if (cpu_wait())
		return true;
	/* A second start-up IPI to a CPU that is on its way could start it again. */
	if (atomic_load_explicit(&ap_mailbox.state, memory_order_relaxed) == AP_WANTED)
		apic_command(target, startup);
	return cpu_wait() || cpu_give_up();
}
