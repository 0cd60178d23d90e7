/* SPDX-License-Identifier: MIT */
/*
 * machine.h - what the simulated CPUs run on: a small memory, Slate booted on it, a snapshot of all
 * of the allocator's state, and the proof after each schedule that nothing is lost.
 */
#ifndef SCHED_MACHINE_H
#define SCHED_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include <slate/types.h>

/* Boot afresh, with that many CPUs online. */
void machine_boot(unsigned cpus);

/* Everything as it is now is where each schedule begins; machine_restore() goes back there. */
void machine_save(void);
void machine_restore(void);

/* Of what the test itself remembers; the memory is state_hash()'s. */
uint64_t machine_hash(void);
void machine_keep(void);

/* All caches go home, then everything must be as after machine_boot(): sched_fail() says what is
 * not. The caller has freed what it held. */
/* slate_validate() finds nothing, as things are. */
void machine_validate(void);

void machine_check(void);

/* Is that CPU online? */
bool machine_online(unsigned cpu);

/* What the allocator reports is a failure, but for that many misuses. */
void machine_expect_reports(unsigned n);
unsigned machine_reports_missing(void);

#endif
