/* SPDX-License-Identifier: MIT */
/*
 * port.c - the demo kernel's side of <slate/port.h>: everything the allocator asks of a
 * kernel but the interrupt mask (irqoff.c).
 */
#include <slate/evidence.h>
#include <slate/port.h>
#include <slate/report.h>

#include "arch/arch.h"
#include "boot/bootinfo.h"
#include "kernel/console.h"
#include "kernel/fault.h"
#include "kernel/ipi.h"
#include "lib/printf.h"
#include "lib/spinlock.h"
#include "lib/string.h"

/* The status that qemu-run.sh gets back, apart from the shell's 1 and a trap's 3. */
#define REPORT_STATUS 2

static struct {
	struct spinlock lock; /* interrupts off while held */
	enum fault_mode mode;
	enum slate_crime expected;
	size_t expected_count;
	size_t other_count;
	struct slate_report last;
	char *capture; /* NULL: nobody wants the text */
	size_t capture_bytes;
} fault = {.lock = SPINLOCK_INIT};

bool port_irq_enabled(void)
{
	return arch_irq_enabled();
}

unsigned port_cpu(void)
{
	return arch_cpu();
}

void port_relax(void)
{
	arch_relax();
}

unsigned port_cpu_node(unsigned cpu)
{
	return cpu < BOOT_MAX_CPUS ? boot_info.cpus[cpu].node : 0;
}

unsigned port_node_distance(unsigned from, unsigned to)
{
	unsigned distance = boot_info.node_distance[from][to];

	/* No table, or no entry: neighbours by number, on the scale of such tables. */
	return distance ? distance : 10 + 10 * (from < to ? to - from : from - to);
}

/* Microseconds; wraps after an hour. */
uint32_t port_tick(void)
{
	uint64_t per_us = arch_counter_hz() / 1000000;

	return (uint32_t)(arch_counter() / (per_us ? per_us : 1));
}

size_t port_backtrace(uintptr_t *pcs, size_t max)
{
	return arch_backtrace(pcs, max);
}

void port_log(const char *line)
{
	kprintf("slate: %s\n", line);
}

bool port_run_on_cpu(unsigned cpu, void (*fn)(void *arg), void *arg)
{
	return ipi_call(cpu, fn, arg);
}

/* Count the report by the mode; true: nobody needs to see it. */
static bool fault_take(const struct slate_report *report, enum fault_mode *mode)
{
	unsigned long state = arch_irq_save();
	bool expected;

	spinlock_acquire(&fault.lock);
	*mode = fault.mode;
	expected = fault.mode == FAULT_EXPECT && report->crime == fault.expected;
	if (expected) {
		fault.expected_count++;
		fault.last = *report;
	} else {
		fault.other_count++;
	}
	spinlock_release(&fault.lock);
	arch_irq_restore(state);
	return expected;
}

static void print_line(const char *text, void *arg)
{
	const char **first = arg;

	kprintf("%s%s\n", *first, text);
	*first = "";
}

/* By the test alone that asked for it. */
static void capture_line(const char *text, void *arg)
{
	size_t used = strlen(fault.capture);

	(void)arg;
	fmt_snprintf(fault.capture + used, fault.capture_bytes - used, "%s\n", text);
}

void fault_capture(char *buf, size_t size_bytes)
{
	fault.capture = buf;
	fault.capture_bytes = size_bytes;
}

void port_panic(const struct slate_report *report)
{
	struct slate_evidence evidence;
	enum fault_mode mode;
	const char *first = "REPORT ";

	if (fault.capture) {
		slate_evidence(report, &evidence);
		slate_evidence_print(report, &evidence, capture_line, NULL);
		return;
	}
	if (fault_take(report, &mode))
		return;
	if (mode == FAULT_FATAL)
		console_bust();
	slate_evidence(report, &evidence);
	slate_evidence_print(report, &evidence, print_line, &first);
	kprintf("  (addr2line -fpe slate.elf ADDRESS names the callers)\n");
	if (mode == FAULT_FATAL)
		arch_poweroff(REPORT_STATUS);
}

enum fault_mode fault_arm(enum fault_mode mode, enum slate_crime expected)
{
	unsigned long state = arch_irq_save();
	enum fault_mode former;

	spinlock_acquire(&fault.lock);
	former = fault.mode;
	fault.mode = mode;
	/* the tests are over: nobody holds what it was about */
	if (mode == FAULT_FATAL)
		fault.last = (struct slate_report){.crime = SLATE_CRIME_NONE};
	fault.expected = expected;
	fault.expected_count = 0;
	fault.other_count = 0;
	spinlock_release(&fault.lock);
	arch_irq_restore(state);
	return former;
}

size_t fault_expected_count(void)
{
	return fault.expected_count;
}

size_t fault_other_count(void)
{
	return fault.other_count;
}

struct slate_report fault_last(void)
{
	return fault.last;
}
