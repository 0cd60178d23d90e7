/* SPDX-License-Identifier: MIT */
/*
 * explore.h - which decisions a schedule takes: all of them, one schedule after another (depth
 * first), or random ones from a seed.
 *
 * Depth first, a place is worth a switch of CPUs only if two CPUs use it and one writes it: other
 * accesses commute with whatever other CPUs do, and so do additions to counters. Which places those
 * are is learnt from the schedules themselves; when a schedule finds another one, the search begins
 * anew with it.
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum explore_choice {
	EXPLORE_TURN,   /* 0: go on; else something else happens here */
	EXPLORE_FORCED, /* somebody has to be chosen */
};

/* Random schedules; turn: one point in so many passes the turn on. */
void explore_random(uint64_t seed, unsigned turn);

/* All schedules, from the first one. Places that are known to be shared stay so. */
void explore_all(void);

/*
 * Forget which places are shared. across: accesses of different schedules may conflict, too. Needed
 * where schedules are cut short: what a schedule would still have accessed, another one has.
 */
void explore_forget_places(bool across);

/* After a schedule: is there another one? Only after explore_all(). */
bool explore_next(void);

/* Did the last schedule find a place to be shared that was not known, or another tree? Then the
 * search has to start over. */
bool explore_grew(void);

/* A decision: 0 .. n - 1. */
unsigned explore_choose(unsigned n, enum explore_choice kind);

/* The schedule begins at the snapshot, not at a checkpoint. */
void explore_begin(void);

/* How many decisions this schedule has taken. */
unsigned explore_depth(void);

/* How many decisions are given: the next schedule of explore_next() takes them as the last one did,
 * but for the last of them. */
unsigned explore_prefix(void);

/* Who uses which place, as of now; and that again, with so many decisions taken. */
size_t explore_mark(void);
void explore_return(size_t mark, unsigned decisions);

/* Are the decisions to come new ones, not those that led the last schedule here? */
bool explore_is_new(void);

/* The number of the schedule. */
unsigned explore_schedule(void);

/* All points are candidates (random), or shared places only. */
bool explore_is_random(void);

enum explore_access {
	EXPLORE_READ,
	EXPLORE_WRITE,
	EXPLORE_ADD, /* whose result nobody uses: two of them commute */
};

/* This CPU uses the place; is it worth a switch? */
bool explore_shared(const volatile void *place, unsigned size_bytes, unsigned cpu,
		    enum explore_access access);

/* Numbers drawn beside the decisions, from the same seed. */
uint64_t explore_draw(void);

/* The decisions other than 0, for the report. */
void explore_print(void);

#endif
