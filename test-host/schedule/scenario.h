/* SPDX-License-Identifier: MIT */
/*
 * scenario.h - programs for simulated CPUs: the table that is searched exhaustively, and random
 * ones.
 */
#ifndef SCHED_SCENARIO_H
#define SCHED_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "test-host/schedule/ops.h"
#include "test-host/schedule/sched.h"

#define SCENARIO_OPS 5u

struct step {
	op_fn *op; /* NULL: the end */
	unsigned argument;
	const char *name;
};

/* Which of its schedules end at a state that is known, since there are too many. */
enum scenario_cut {
	CUT_NONE,
	CUT_BUFFERED, /* those with store buffers */
	CUT_ALL,
};

struct scenario {
	const char *name;
	struct step prepare[24]; /* by CPU 0, but op_online etc.: before the snapshot */
	struct step program[SCHED_CPUS][SCENARIO_OPS];
	struct step interrupt[SCHED_CPUS][2];
	bool nmi;
	bool plain;
	bool buffers; /* to be run with store buffers, too */
	enum scenario_cut cut;
	unsigned preemptions; /* 0: 3 */
	unsigned reports;     /* misuses that must be reported */
	unsigned cpus;        /* online at the start; 0: two */
};

/* By number; NULL: there are no more. */
const struct scenario *scenario_get(unsigned number);
const struct scenario *scenario_find(const char *name);

/* A random one for four CPUs, from explore_draw(), and what all of them have in common. */
const struct scenario *scenario_random_base(void);
const struct scenario *scenario_random(void);

/* Its first steps, on the machine as it is. */
void scenario_prepare(const struct scenario *scenario);

/* Do its schedules end at states that are known? */
bool scenario_is_cut(const struct scenario *scenario, enum sched_memory memory);

/* What sched_run() needs. The scenario stays in use until the next call. */
struct sched_setting scenario_setting(const struct scenario *scenario, enum sched_memory memory);

#endif
