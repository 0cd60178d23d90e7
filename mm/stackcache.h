/* SPDX-License-Identifier: MIT */
/*
 * stackcache.h (level 7) - kernel stacks by the batch, for the magazines of MCACHE_STACK + order.
 *
 * A stack is a manual span: its guard page, if the port can unmap one, then 2^order frames. The
 * class byte of its lowest frame tells the order, so that a free finds the magazine by one load;
 * its other frames and the guard page have one of their own, so that pointers into it are found at
 * once.
 *
 *   stack_pages = sum over the stacks, handed out or cached, of 2^order + (1 if guarded)
 *
 * What lies in magazines and depots keeps its frames and its guard page. The depots are the pool
 * that the CPUs share.
 */
#ifndef MM_STACKCACHE_H
#define MM_STACKCACHE_H

#include "mm/mheap.h"

/* Make up to n stacks; returns how many. No lock is held: it calls the port. */
unsigned stackcache_take(unsigned order, void **out, unsigned n);

/* n stacks go home, whatever their order: frames back, guard pages mapped again. Reports those that
 * are free already. */
void stackcache_give(void **stacks, unsigned n);

#endif
