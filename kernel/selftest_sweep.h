/* SPDX-License-Identifier: MIT */
/*
 * selftest_sweep.h - an interrupt, or what stands in for an NMI, on every instruction of an
 * operation: what the sweep and its tables of operations share.
 */
#ifndef KERNEL_SELFTEST_SWEEP_H
#define KERNEL_SELFTEST_SWEEP_H

#include <slate/types.h>

/* What is taken and given back, by the operation and by the handler. take() may give NULL. */
struct sweep_kind {
	uint64_t *(*take)(void);
	void (*give)(uint64_t *object);
};

/*
 * prepare() brings the caches into the state that the operation needs, the same each time, and
 * finish() gives back what it took. run() is the operation.
 */
struct sweep_op {
	const char *by_timer; /* its name when it is swept so; NULL: it is not */
	const char *by_step;
	size_t least_steps;
	const struct sweep_kind *kind;
	void (*prepare)(const struct sweep_op *op);
	void (*run)(void *op);
	void (*finish)(const struct sweep_op *op);
	bool varies; /* what was freed before moves its way: not each boundary comes each time */
};

/* Each prints "boundaries NAME hit H of N", and fails the test unless H is N, or varies, and at
 * least `least`. */
void sweep_by_timer(const struct sweep_op *op, size_t least);
void sweep_by_step(const struct sweep_op *op, size_t least);

/* The same by timer, with the entries' fixup switched off: how often an object had two owners. */
size_t sweep_without_fixup(const struct sweep_op *op);

/* False, and the test is skipped: this machine does not count instructions. */
bool sweep_can_run(void);

/* ---- Tokens: who holds an object has written its address into it ---- */

/* Returns the object, or NULL when it is another's, who will give it back; NULL is an error, too.
 */
uint64_t *sweep_own(uint64_t *object);

/* Ends with kind->give(). */
void sweep_disown(const struct sweep_kind *kind, uint64_t *object);

/* What was found wrong so far: two owners, lost contents, NULL where there is memory. */
void sweep_wrong(void);

#endif
