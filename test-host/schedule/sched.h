/* SPDX-License-Identifier: MIT */
/*
 * sched.h - the deterministic scheduler: simulated CPUs are coroutines of one thread, and at each
 * point (an atomic access, a lock operation, an interrupt-enable, a plain access to shared memory
 * without a lock) it is decided who goes on. explore.h says which decisions are tried.
 *
 *   point      a place where the turn may pass, or an interrupt arrive
 *   schedule   one run from the snapshot to the end of all CPUs' programs: a list of decisions
 *   preemption a turn that passes though its CPU could have gone on
 */
#ifndef SCHED_H
#define SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHED_CPUS 4u

enum sched_kind {
	SCHED_AT_OP, /* between two operations of a program */
	SCHED_AT_LOAD,
	SCHED_AT_STORE,
	SCHED_AT_RMW,
	SCHED_AT_LOCK,
	SCHED_AT_UNLOCK,
	SCHED_AT_IRQ, /* interrupts have just been enabled */
	SCHED_AT_READ,
	SCHED_AT_WRITE,
	SCHED_AT_RELAX,
	SCHED_AT_SLOT, /* the test hands an object from CPU to CPU */
	SCHED_KINDS
};

/* What a CPU does. The functions run on its coroutine. */
struct sched_program {
	void (*run)(unsigned cpu);       /* NULL: this CPU takes no part */
	void (*interrupt)(unsigned cpu); /* once, anywhere; NULL: never */
	bool nmi;                        /* the interrupt arrives where a lock is held, too */
};

/* How stores become visible (buffer.h). */
enum sched_memory {
	SCHED_STRONG, /* at once */
	SCHED_FIFO,   /* in the order of the program, later */
	SCHED_WEAK,   /* in any order that release and the same address leave */
};

struct sched_setting {
	struct sched_program program[SCHED_CPUS];
	enum sched_memory memory;
	unsigned preemptions;   /* at most; exhaustive search only */
	bool plain;             /* plain accesses are points, too */
	uint64_t (*hash)(void); /* of what lies outside of the memory; NULL: no schedule is cut */
	void (*keep)(void);     /* have a checkpoint include that, too */
};

enum sched_result {
	SCHED_DONE,
	SCHED_CUT,    /* it came to a state that the search has been in */
	SCHED_FAILED, /* sched_failure() says why */
};

/* Make the coroutines. Once. */
void sched_init(void);

/* Run one schedule from the snapshot on. Memory and the explorer are prepared. */
enum sched_result sched_run(const struct sched_setting *setting);

/* Does the explorer's next schedule have a checkpoint in common with the last one? Then
 * sched_go_on() runs it from there; memory is not to be prepared. */
bool sched_can_go_on(void);
enum sched_result sched_go_on(const struct sched_setting *setting);

/* Why the last schedule failed. */
const char *sched_failure(void);

/* An invariant is broken: ends the schedule, or, outside of one, returns to sched_guard(). */
void sched_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Call fn outside of any schedule; false: it called sched_fail(). */
bool sched_guard(void (*fn)(void));

/* The CPU whose turn it is; outside of a schedule the one last set. */
unsigned sched_cpu(void);
void sched_cpu_set(unsigned cpu);

/* From operations: between two of them, with a name for the trace. */
void sched_op(const char *name, unsigned argument);

/* From operations: about to touch what the test shares between CPUs; stores become visible. */
void sched_slot(const void *place);

/* Remember this moment; did this CPU take its last lock after one that is remembered? */
void sched_mark(void);
bool sched_marked_before_lock(void);

/* No interrupt comes to this CPU any more; or again. */
void sched_interruptible(bool yes);

/* The points and decisions of the last schedule: the last few thousand, and a hash over all. */
void sched_print_trace(void);
uint64_t sched_hash(void);

#endif
