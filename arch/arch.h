/* SPDX-License-Identifier: MIT */
/*
 * arch.h - what every architecture of the demo kernel defines, in files of the same names. The code
 * above arch/ knows no architecture.
 *
 * Entry: start.S sets up a stack and the direct map, arch_boot() parses the loader's tables into
 * boot_info and calls kernel_main(), which never returns.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <slate/types.h>

struct slate_written;

/* kernel/main.c: on the boot CPU, interrupts off, serial line working, traps installed, boot_info
 * filled. */
void kernel_main(void) __attribute__((noreturn));

/* kernel/smp.c: on each other CPU, interrupts off, traps installed, port_cpu() valid. */
void kernel_cpu_main(unsigned cpu) __attribute__((noreturn));

/* kernel/main.c: a trap that nobody handles. name is static text such as "page fault". Never
 * returns. */
void kernel_trap(const char *name, uintptr_t pc, uintptr_t address, unsigned long code)
	__attribute__((noreturn));

/* kernel.ld: the part of the image that nobody writes, aligned to words. */
extern const char text_start[];
extern const char rodata_end[];

/* "x86_64", "aarch64" */
extern const char arch_name[];

/* Serial console, polled. arch_getc() returns -1 when nothing has come. */
void arch_putc(char c);
int arch_getc(void);

/* Interrupts of this CPU. */
unsigned long arch_irq_save(void);
void arch_irq_restore(unsigned long state);
void arch_irq_enable(void);
bool arch_irq_enabled(void);

/* Wait for the next interrupt: enables interrupts and sleeps without losing one in between; they
 * are enabled on return. */
void arch_idle(void);
void arch_relax(void);

/* This CPU's number: the index in boot_info.cpus. Constant time (GS base, TPIDR_EL1). */
unsigned arch_cpu(void);

/*
 * Start CPU number cpu (1 <= cpu < boot_info.cpu_count) and wait until it has reached
 * kernel_cpu_main(), at most some seconds. Returns false if it did not come up. stack_top: its
 * stack, 16-byte aligned. Called after mm is up, one at a time.
 */
bool arch_cpu_start(unsigned cpu, void *stack_top);

/*
 * Bring up this CPU's interrupt controller part and timer; called once on each CPU with interrupts
 * off.
 */
void arch_irq_init_cpu(void);

/* Send the (only) inter-processor interrupt; kernel_ipi() runs there, interrupts off. */
void arch_ipi_send(unsigned cpu);
void kernel_ipi(void);

/*
 * Send what cannot be masked: an NMI, on aarch64 an FIQ, which arch_irq_save() leaves open.
 * kernel_nmi() runs there, whatever it interrupts. Several at once may become one. False: this
 * machine has none. Context: any but NMI.
 */
bool arch_nmi_send(unsigned cpu);
void kernel_nmi(void);

/* Brackets of an NMI's work, or of what stands in for one: port_in_nmi(), which each architecture
 * defines, is true on this CPU in between. Interrupts off. */
void arch_nmi_enter(void);
void arch_nmi_leave(void);

/*
 * Periodic timer of this CPU: kernel_tick() runs hz times a second in interrupt context; 0 stops
 * it. arch_timer_oneshot() fires once after that many counter ticks (arch_counter() units) instead.
 */
void arch_timer_periodic(unsigned hz);
void arch_timer_oneshot(uint64_t ticks);
void kernel_tick(void);

/*
 * Map device registers, uncached, for ever; NULL when that is impossible. Boot CPU only, before the
 * others start.
 */
volatile void *arch_map_device(uint64_t pa, size_t size_bytes);

/*
 * A counter that never goes back, and its frequency. Under -icount shift=0 arch_instructions()
 * steps by one per instruction (TSC, PMCCNTR_EL0).
 */
uint64_t arch_counter(void);
uint64_t arch_counter_hz(void);
uint64_t arch_instructions(void);

/* ---- What was interrupted ---- */

/* Every register of what an interrupt or exception interrupted, on its own stack. */
struct trap_frame;

/* Behind the instruction that enables interrupts one more runs before any comes, or a step. */
extern const bool arch_irq_enable_is_late;

/* Where this CPU's last interrupt fell, as it was before the fixup. Interrupts off. */
uintptr_t arch_interrupted_pc(void);

/*
 * The registers of what this CPU's last interrupt interrupted; on its stack, everything above is
 * that code's, below lies what handles the interrupt. Not for NMIs. Interrupts off.
 */
const struct trap_frame *arch_interrupted_frame(void);

/* Tests only: without the fixup (on = false) the entries resume where they were interrupted. */
void arch_fixup_set(bool on);

/*
 * Go on with what was interrupted, perhaps on another CPU than before: it finds this one's per-CPU
 * base. Nothing may run on its stack any more.
 */
void arch_resume(struct trap_frame *frame) __attribute__((noreturn));

/*
 * Run fn(arg) one instruction at a time, on this CPU, from the first instruction on; or, with a
 * from, when that one has come skip times: a breakpoint is faster. Before each kernel_step() runs
 * in a debug exception, interrupts off, pc the instruction that comes next. True: go on, as if
 * nothing had been. False: it has done something, fn goes on where the fixup says and is not
 * stepped any more. It may also leave for good, by arch_jump(), and have the frame resumed later.
 */
void arch_step(void (*fn)(void *arg), void *arg, uintptr_t from, size_t skip);
bool kernel_step(struct trap_frame *frame, uintptr_t pc, bool irq_enabled);

/* In kernel_step(): no breakpoint may stand here, what is going on must not be interrupted twice.
 */
bool arch_step_is_delicate(void);

/* ---- Stacks and pages ---- */

/*
 * The i-th range of the kernel's own data in which pointers to objects are looked for; false: no
 * more. Without the allocator's, the tests' (kernel.ld), and the boot stack, which nobody uses any
 * more.
 */
bool arch_data_range(unsigned i, uintptr_t *low, uintptr_t *high);

/*
 * Forget what is over: clear this stack from low, aligned to words, up to the caller's frame, and
 * the registers that calls do not preserve, so that no old pointer is taken for one in use. low at
 * or above the frame: the registers only.
 */
void arch_scrub(uintptr_t low);

/* Call fn(arg) on another stack, whose pointer starts at stack_top, 16-byte aligned. */
void arch_on_stack(void (*fn)(void *arg), void *arg, void *stack_top);

enum arch_rights {
	ARCH_RIGHTS_NONE, /* touching it is a page fault */
	ARCH_RIGHTS_READ,
	ARCH_RIGHTS_WRITE, /* and read: what the direct map starts with */
};

/*
 * Change what may be done with one page of the direct map, frame aligned. False: this page cannot
 * be told apart from its neighbours; never so when it was changed before. This CPU forgets its
 * translation; the others by arch_page_forget(), unless arch_page_forget_is_shared. Context: any
 * but NMI.
 */
bool arch_page_rights(void *page, enum arch_rights rights);
void arch_page_forget(const void *page);
extern const bool arch_page_forget_is_shared;

/*
 * What port_written_begin() and port_written_next() are made of (slate/port.h): while all other
 * CPUs stand. Before any CPU runs on each calls arch_forget_all(), which forgets all translations;
 * one for all where arch_page_forget_is_shared.
 */
bool arch_written_begin(void);
bool arch_written_next(uintptr_t low, uintptr_t high, struct slate_written *written);
void arch_forget_all(void);

/*
 * Leave a function from deep inside: arch_jump_set() returns 0, and once more, with 1, when
 * arch_jump() is called while its caller is still active. For tests that fail; what they hold they
 * lose.
 */
struct arch_jump_buf {
	uintptr_t regs[14]; /* callee-saved registers, stack, pc */
};
int arch_jump_set(struct arch_jump_buf *buf) __attribute__((returns_twice));
void arch_jump(struct arch_jump_buf *buf) __attribute__((noreturn));

/* Return addresses along the frame pointers, innermost first. Never faults. */
size_t arch_backtrace(uintptr_t *pcs, size_t max);

/*
 * End the machine. status 0 is success; qemu-run.sh gets it back. Never returns.
 */
void arch_poweroff(int status) __attribute__((noreturn));

#endif
