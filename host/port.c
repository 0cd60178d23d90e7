/* SPDX-License-Identifier: MIT */
/*
 * port.c - port.h for the malloc library: threads are CPUs (slot.c), there are no interrupts, and
 * whoever owns the machine is the system.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <slate/port.h>
#include <slate/report.h>
#include <slate/slate.h>

/* Looks at a lock before the core is given away: its holder may be waiting for one. */
#define RELAX_LOOKS 64u

unsigned long port_irq_save(void)
{
	return 0;
}

void port_irq_restore(unsigned long state)
{
	(void)state;
}

/* Waiting is always allowed. */
bool port_irq_enabled(void)
{
	return true;
}

void port_relax(void)
{
	static _Thread_local unsigned looks;

	if (++looks % RELAX_LOOKS == 0)
		sched_yield();
}

enum slate_discard port_page_discard(pfn_t pfn, size_t n)
{
	int saved = errno;
	bool done =
		madvise(slate_virt(pfn_to_paddr(pfn)), n << SLATE_PAGE_SHIFT, MADV_DONTNEED) == 0;

	errno = saved;
	return done ? SLATE_DISCARD_ZEROED : SLATE_DISCARD_REFUSED;
}

/* A program that misuses malloc ends, as it does with the C library's own. */
void port_panic(const struct slate_report *report)
{
	char text[512];
	size_t length;

	slate_report_format(text, sizeof(text) - 1, report);
	length = strlen(text);
	text[length++] = '\n';
	if (write(STDERR_FILENO, text, length) < 0)
		_exit(134);
	abort();
}
