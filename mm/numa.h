/* SPDX-License-Identifier: MIT */
/*
 * numa.h (level 1) - which node a CPU belongs to, and in what order nodes are asked for memory: the
 * nearest first.
 *
 * The order names all nodes that the configuration allows for, whether or not they have memory: one
 * that gets its first memory later stands at its place already, and a node without any only has
 * CPUs that are served by their neighbours.
 */
#ifndef MM_NUMA_H
#define MM_NUMA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <slate/config.h>

#if SLATE_MAX_NODES > 1

/* Ask the port for all distances. One CPU, before the first allocation. */
void numa_init(void);

/* SLATE_MAX_NODES nodes, `from` itself first, then by distance; equally far ones by number. */
const uint8_t *numa_order(unsigned from);

/* This CPU's node is known from now on. Interrupts off. */
void numa_cpu_online(unsigned cpu);

/* (a) relaxed: set before the CPU that makes it true allocates. Some CPU is not on node 0. */
extern _Atomic unsigned numa_spread; /* 0 or 1: cheaper to test than a bool */
unsigned numa_ask(void);

/* The node of the CPU that runs here. The caller may be elsewhere by now: a preference, no more. */
static inline unsigned numa_here(void)
{
	return atomic_load_explicit(&numa_spread, memory_order_relaxed) ? numa_ask() : 0;
}

#else

static inline void numa_init(void)
{
}

static inline const uint8_t *numa_order(unsigned from)
{
	static const uint8_t only[1] = {0};

	(void)from;
	return only;
}

static inline void numa_cpu_online(unsigned cpu)
{
	(void)cpu;
}

static inline unsigned numa_here(void)
{
	return 0;
}

#endif
#endif
