/* SPDX-License-Identifier: MIT */
/*
 * stress.h - every CPU allocates, checks, moves and frees at random; objects change CPU by
 * mailboxes; the timer handlers do the same in between; CPUs and memory leave and return.
 */
#ifndef KERNEL_STRESS_H
#define KERNEL_STRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * False: contents were wrong, slate_validate() found something, frames are missing at the end, or a
 * run of some seconds left a kind of operation out.
 */
bool stress_run(unsigned seconds, uint32_t seed);

#endif
