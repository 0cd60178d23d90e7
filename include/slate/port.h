/* SPDX-License-Identifier: MIT */
/*
 * port.h - what a kernel gives to the allocator. Four hooks are required; the others have weak
 * defaults in the library. No hook is called with an allocator lock held, and none may allocate
 * unless its contract says so.
 */
#ifndef SLATE_PORT_H
#define SLATE_PORT_H

#include <slate/types.h>

struct slate_report;

/* ---- Required ---- */

/*
 * Mask interrupts on this CPU and return what restores the former state. Nests. Context: any,
 * from the first call of slate_init() on.
 */
unsigned long port_irq_save(void);
void port_irq_restore(unsigned long state);

/*
 * This CPU's number, 0 <= n < SLATE_MAX_CPUS, stable while interrupts are off. Not called before
 * the first slate_cpu_online().
 */
unsigned port_cpu(void);

/*
 * Misuse or corruption. Called without locks, in the context of the offending call; report lives
 * until it returns. If it returns, the operation is void and the object concerned is leaked and
 * counted.
 */
void port_panic(const struct slate_report *report);

/*
 * The build that masks interrupts calls the three above in each allocation and each free. A header
 * that defines them once more as static inlines, port_irq_save_inline(),
 * port_irq_restore_inline() and port_cpu_inline(), and SLATE_PORT_INLINE, halves what a pair costs:
 * -include it by SLATE_CFLAGS. The functions stay required.
 */

/* ---- Optional ---- */

/* One line of text without a newline. Default: nothing. */
void port_log(const char *line);

/*
 * Run fn(arg) on another CPU with interrupts off and wait until it is done, so that the caller sees
 * what it wrote. Called with interrupts enabled only. Returns false if that CPU cannot be reached,
 * and fn will not run then. It takes some 2000 instructions at most. Default: false.
 */
bool port_run_on_cpu(unsigned cpu, void (*fn)(void *arg), void *arg);

/* True when interrupts were enabled at the caller, so that port_run_on_cpu() may wait. Default:
 * false. */
bool port_irq_enabled(void);

/*
 * True in a handler that can interrupt code whose interrupts are masked (NMI, FIQ, machine check).
 * There the allocator takes no lock: it serves from this CPU's magazines and defers frees. Needs
 * SLATE_PROTECT_RSEQ. Context: any. Default: false.
 */
bool port_in_nmi(void);

/*
 * Take away one page of the direct map, frame aligned, so that touching it faults, or give it back.
 * The page below each kernel stack is taken, and given back before its frame goes home. False: this
 * page cannot be taken, the stack has no guard then. port_guard_map() must not fail. Context: as
 * slate_stack_alloc()'s caller; no lock is held. May
 * allocate frames. Another CPU that keeps an old translation may miss a fault until it drops it.
 * Default: false, and nothing.
 */
bool port_guard_unmap(void *page);
void port_guard_map(void *page);

/* A spin loop's hint to the core. Default: nothing. */
void port_relax(void);

/* What has become of frames that nobody needs. */
enum slate_discard {
	SLATE_DISCARD_REFUSED, /* nothing: they are as they were */
	SLATE_DISCARD_UNKNOWN, /* taken; when they are written or read again, anything may be there
				*/
	SLATE_DISCARD_ZEROED,  /* taken; they read as zero until they are written */
};

/*
 * Give n frames to whoever owns the machine (a hypervisor, a memory controller): they cost nothing
 * until somebody touches them again, which needs no further call. Returns when the owner has
 * acknowledged; until then nobody else has these frames. At most 2 MiB a call, never across a
 * 2 MiB boundary; one call at a time. Context: as the caller of slate_scavenge(); from slate_poll()
 * with interrupts enabled only. It may not allocate. Default: SLATE_DISCARD_REFUSED.
 */
enum slate_discard port_page_discard(pfn_t pfn, size_t n);

/*
 * The NUMA node of a CPU. Context: asked by slate_cpu_online() on that CPU. Default: 0.
 */
unsigned port_cpu_node(unsigned cpu);

/*
 * How far memory of node `to` is from a CPU of node `from`, from != to, both below SLATE_MAX_NODES,
 * whether they exist or not: any measure, compared with other distances from the same node only.
 * Context: asked by slate_init(). Default: the difference of the numbers.
 */
unsigned port_node_distance(unsigned from, unsigned to);

/* Words that may be pointers: the used part of a stack, with the registers that were saved there.
 */
struct slate_live {
	uintptr_t low; /* aligned to a word */
	uintptr_t high;
};

/*
 * Run fn(live, count, arg) on this CPU with interrupts off while every other online CPU stands
 * still, its registers in memory. live: the used part of every stack of slate_stack_alloc() that
 * somebody runs on or will run on again - of this CPU from fn's caller on -, and any other stack
 * that no registered root holds (slate_root_add()). A stack that is not named is scanned as a
 * whole. Must not stop a CPU in a non-maskable handler. Called with interrupts enabled, no lock
 * held. False: not all CPUs could be stopped, and fn was not called. Default: false. Old words keep
 * what is lost from being found: name the stack of a stopped CPU from its saved registers on, not
 * with the frames of the handler, and clear registers that calls do not preserve before it idles.
 */
bool port_stop_cpus(void (*fn)(const struct slate_live *live, size_t count, void *arg), void *arg);

/*
 * Which memory is written while a mark is under way, so that it can be done in short stops
 * (slate_leak_scan(), slate_collect()). The first two are called in port_stop_cpus()'s fn only.
 *
 * port_written_begin(): from the moment on that the CPUs run again, note what any of them writes by
 * the direct map, in parts of at least a frame each; what was noted before is void. False: that
 * cannot be done, now or ever; then one stop lasts as long as the whole mark.
 *
 * port_written_next(): the lowest part of [low, high), frame aligned, that was written since it was
 * last told, or since begin; it counts as not written any more, until it is written after this
 * stop. False: none of it was. *written may go beyond the range that was asked, where parts are
 * large: what is forgotten must be told. The range may contain memory that does not exist.
 *
 * port_written_end(): nobody will ask any more. Interrupts enabled, the CPUs run.
 *
 * May tell more than was written, never less. Dirty bits of the direct map's page tables will do;
 * translations that have the old bits must be forgotten by every CPU before it runs on. What a
 * non-maskable handler writes while its CPU stands may be missed: it must not move the only pointer
 * to an object then. Default: false, and nothing.
 */
struct slate_written {
	uintptr_t low;
	uintptr_t high;
};

bool port_written_begin(void);
bool port_written_next(uintptr_t low, uintptr_t high, struct slate_written *written);
void port_written_end(void);

/*
 * The time, in any unit, as debug builds keep it of each allocation and free, and traces of each
 * event. Context: any. Default: 0.
 */
uint32_t port_tick(void);

/*
 * Return addresses of the callers, innermost first, at most max. Must not fault. Default: 0.
 */
size_t port_backtrace(uintptr_t *pcs, size_t max);

#endif
