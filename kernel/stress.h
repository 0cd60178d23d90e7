/* SPDX-License-Identifier: MIT */
/*
 * stress.h - every CPU allocates, checks, moves and frees at random; objects change CPU by
 * mailboxes; the timer handlers do the same in between.
 */
#ifndef KERNEL_STRESS_H
#define KERNEL_STRESS_H

#include <stdbool.h>

/* False: contents were wrong, slate_validate() found something, or frames are missing at the end.
 */
bool stress_run(unsigned seconds);

#endif
