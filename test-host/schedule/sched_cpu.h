/* SPDX-License-Identifier: MIT */
/*
 * sched_cpu.h - a simulated CPU and what the scheduler's files share: turns and points (sched.c),
 * memory and locks (sched_access.c), the port's hooks (sched_port.c), the trace (sched_trace.c).
 */
#ifndef SCHED_CPU_H
#define SCHED_CPU_H

#include <setjmp.h>

#include "test-host/schedule/buffer.h"
#include "test-host/schedule/explore.h"
#include "test-host/schedule/sched.h"
#include "test-host/schedule/sched_atomic.h"

enum state {
	STATE_READY,
	STATE_LOCK,  /* until the lock is free */
	STATE_CALL,  /* until another CPU has run the function, or it is asked itself */
	STATE_RELAX, /* until another CPU has done something */
	STATE_DONE,
};

struct cpu {
	jmp_buf here; /* where it goes on */
	jmp_buf base; /* where each schedule begins */
	unsigned number;
	unsigned acts_as; /* number, but while it runs another CPU's function */
	enum state state;
	const struct spinlock *lock; /* waited for */
	struct cpu *callee;          /* waited for */
	unsigned seen_steps;         /* steps when it relaxed */
	bool irq_off;
	bool in_handler;
	bool in_nmi;
	bool interrupt_due;
	bool interruptible;
	unsigned locks;          /* held */
	bool marked;             /* ... and a moment had been marked by then */
	void (*call)(void *arg); /* that another CPU wants to be run here */
	void *call_arg;
	struct event *event; /* its last point */
	const uint64_t *low; /* its stack as it was there: registers, then frames */
	const uint64_t *high;
	const char *left; /* where it gave the turn away: a frame address */
	void *stored;     /* announced by its last plain store */
	size_t stored_bytes;
	struct buffer buffer;
};

extern struct cpu sched_cpus[SCHED_CPUS];

struct sched {
	struct cpu *current;
	bool active; /* a schedule is being run */
	const struct sched_setting *setting;
	bool plain_points; /* setting->plain, in a schedule */
	bool hashing;      /* the memory is hashed, likewise */
	bool reads_count;  /* one of the two */
	unsigned steps;    /* stores and releases: what a waiting CPU may wait for */
	bool marked;
};
extern struct sched sched;

/* Where a schedule ends: 1 all are done, 2 it failed, 3 it was cut. */
extern jmp_buf sched_ending;

/* The current CPU comes to a point. */
void sched_point(enum sched_kind kind, const volatile void *place, unsigned size_bytes,
		 enum explore_access access);

/* Give the turn away until the state's condition holds. */
void sched_wait(enum state state);

/* What another CPU has asked for. */
void sched_run_call(void);

/* The trace so far: points, and a hash over them and the decisions. */
extern unsigned sched_points;
extern uint64_t sched_trace_hash;

void sched_trace_begin(void);
void sched_note(enum sched_kind kind, const volatile void *place);
void sched_name(const char *name); /* of the operation to come */
void sched_note_choice(unsigned chosen);

#endif
