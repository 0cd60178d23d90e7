/* SPDX-License-Identifier: MIT */
/*
 * stress_account.h - the end of a stress run: what was done, and that nothing is missing.
 *
 *   after everybody has freed everything, and a flush: free + metadata frames = the same before
 */
#ifndef KERNEL_STRESS_ACCOUNT_H
#define KERNEL_STRESS_ACCOUNT_H

#include "kernel/hand.h"

/* Runs of so many seconds must have met every kind. */
#define STRESS_FULL_SECONDS 5

struct account {
	size_t free_pages;
	size_t metadata_pages;
};

/* Flushes first. */
struct account account_take(void);

/* Add one hand's figures to a sum. */
void account_add(struct hand *sum, const struct hand *hand);

/* Print all of it. False: frames are missing, contents were wrong, or slate_validate() speaks. */
bool account_settle(const struct account *before, const struct hand *sum);

/* Print how often each kind was done. False: one was not, though it could. */
bool account_kinds(const struct hand *sum, bool must_all);

#endif
