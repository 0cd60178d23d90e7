/* SPDX-License-Identifier: MIT */
/* numa.c (level 1) - the tables of numa.h, filled from what the port says. */
#include "mm/numa.h"

#if SLATE_MAX_NODES > 1

#include <slate/port.h>

#include "mm/lockrank.h"

static uint8_t order[SLATE_MAX_NODES][SLATE_MAX_NODES]; /* (c) after numa_init() */

/* (a) relaxed: written by the CPU itself, before it allocates as that CPU */
static _Atomic uint8_t node_of_cpu[SLATE_MAX_CPUS];

_Atomic unsigned numa_spread;

static void order_from(unsigned from)
{
	unsigned distance[SLATE_MAX_NODES];

	/* Insertion keeps equally far nodes in the order they come in: from itself, then by number.
	 */
	for (unsigned n = 0; n < SLATE_MAX_NODES; n++) {
		unsigned node = n == 0 ? from : n - (n <= from);
		unsigned at = n;

		distance[node] = node == from ? 0 : port_node_distance(from, node);
		for (; at > 1 && distance[order[from][at - 1]] > distance[node]; at--)
			order[from][at] = order[from][at - 1];
		order[from][at] = (uint8_t)node;
	}
}

void numa_init(void)
{
	for (unsigned from = 0; from < SLATE_MAX_NODES; from++)
		order_from(from);
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		atomic_store_explicit(&node_of_cpu[cpu], 0, memory_order_relaxed);
	atomic_store_explicit(&numa_spread, 0, memory_order_relaxed);
}

const uint8_t *numa_order(unsigned from)
{
	return order[from];
}

void numa_cpu_online(unsigned cpu)
{
	unsigned node = port_cpu_node(cpu);

	/* A node that the configuration has no room for has no memory here either. */
	if (node >= SLATE_MAX_NODES)
		node = 0;
	atomic_store_explicit(&node_of_cpu[cpu], (uint8_t)node, memory_order_relaxed);
	if (node != 0)
		atomic_store_explicit(&numa_spread, 1, memory_order_relaxed);
}

unsigned numa_ask(void)
{
	unsigned long irq = port_irq_save();
	unsigned cpu = mm_cpu();

	port_irq_restore(irq);
	return atomic_load_explicit(&node_of_cpu[cpu], memory_order_relaxed);
}

#endif
