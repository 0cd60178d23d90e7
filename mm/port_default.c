/* SPDX-License-Identifier: MIT */
/*
 * port_default.c - what an optional hook of port.h does in a kernel that has none. Weak: the
 * kernel's own takes its place at link time.
 */
#include <slate/port.h>

#define WEAK __attribute__((weak))

WEAK void port_log(const char *line)
{
	(void)line;
}

WEAK bool port_run_on_cpu(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	(void)cpu;
	(void)fn;
	(void)arg;
	return false;
}

WEAK bool port_irq_enabled(void)
{
	return false;
}

WEAK bool port_guard_unmap(void *page)
{
	(void)page;
	return false;
}

WEAK void port_guard_map(void *page)
{
	(void)page;
}

WEAK void port_relax(void)
{
}

WEAK uint32_t port_tick(void)
{
	return 0;
}

WEAK size_t port_backtrace(uintptr_t *pcs, size_t max)
{
	(void)pcs;
	(void)max;
	return 0;
}

__attribute__((weak)) bool port_in_nmi(void)
{
	return false;
}

WEAK bool port_stop_cpus(void (*fn)(const struct slate_live *live, size_t count, void *arg),
			 void *arg)
{
	(void)fn;
	(void)arg;
	return false;
}

WEAK bool port_written_begin(void)
{
	return false;
}

WEAK bool port_written_next(uintptr_t low, uintptr_t high, struct slate_written *written)
{
	(void)low;
	(void)high;
	(void)written;
	return false;
}

WEAK void port_written_end(void)
{
}

WEAK unsigned port_cpu_node(unsigned cpu)
{
	(void)cpu;
	return 0;
}

WEAK unsigned port_node_distance(unsigned from, unsigned to)
{
	return from < to ? to - from : from - to;
}

WEAK enum slate_discard port_page_discard(pfn_t pfn, size_t n)
{
	(void)pfn;
	(void)n;
	return SLATE_DISCARD_REFUSED;
}
