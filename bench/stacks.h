/* SPDX-License-Identifier: MIT */
/*
 * stacks.h - a yardstick: the least that caching frames per CPU can cost, a bounded stack per
 * thread over the buddy. No checks.
 */
#ifndef BENCH_STACKS_H
#define BENCH_STACKS_H

#include <slate/types.h>

pfn_t stacks_alloc(void);
void stacks_free(pfn_t pfn);

/* This thread's stack goes back to the buddy. */
void stacks_flush(void);

#endif
