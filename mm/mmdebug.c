/* SPDX-License-Identifier: MIT */
/* mmdebug.c (level 0) - reports are counted here and handed on; poison; fault injection. */
#include "mm/mmdebug.h"

#include <stdatomic.h>

#include <slate/port.h>

#include "lib/string.h"
#include "mm/lockrank.h"

/* Counters are read by statistics only: relaxed throughout. */
static _Atomic size_t report_count;
static _Atomic size_t leak_count;

/* Requests until one fails; 0: off. Tests arm it while nothing else runs: relaxed. */
_Atomic size_t mm_fault_left;
static _Atomic bool fault_for_ever;

void mm_report(struct slate_report *report)
{
	unsigned long irq_state;

	/* These two are found in the middle of things, where a lock may well be held; and an NMI
	 * may stand on top of anything. */
	if (report->crime != SLATE_CRIME_LOCK && report->crime != SLATE_CRIME_ASSERT &&
	    !port_in_nmi())
		mm_lock_assert_none();
	irq_state = port_irq_save();
	report->cpu = mm_cpu();
	port_irq_restore(irq_state);
	atomic_fetch_add_explicit(&report_count, 1, memory_order_relaxed);
	port_panic(report);
}

size_t mm_report_count(void)
{
	return atomic_load_explicit(&report_count, memory_order_relaxed);
}

size_t mm_leak_count(void)
{
	return atomic_load_explicit(&leak_count, memory_order_relaxed);
}

void mm_leak_add(size_t objects)
{
	atomic_fetch_add_explicit(&leak_count, objects, memory_order_relaxed);
}

void mm_assert_failed(const char *expr, const char *file, int line)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_ASSERT,
		.call = "MM_ASSERT",
		.detail = expr,
		.file = file,
		.line = line,
	};

	mm_report(&report);
}

void mm_poison(void *start, uint8_t byte, size_t size_bytes)
{
	memset(start, byte, size_bytes);
}

size_t mm_poison_check(const void *start, uint8_t byte, size_t size_bytes)
{
	const uint8_t *bytes = start;
	size_t offset = 0;

	while (offset < size_bytes && bytes[offset] == byte)
		offset++;
	return offset;
}

void mm_fault_arm(size_t nth, bool for_ever)
{
	atomic_store_explicit(&fault_for_ever, for_ever, memory_order_relaxed);
	atomic_store_explicit(&mm_fault_left, nth, memory_order_relaxed);
}

bool mm_fault_count(void)
{
	size_t left = atomic_load_explicit(&mm_fault_left, memory_order_relaxed);

	/* Two CPUs may ask at once: each request counts once. */
	do {
		if (left == 0)
			return false;
		if (left == 1 && atomic_load_explicit(&fault_for_ever, memory_order_relaxed))
			return true;
	} while (!atomic_compare_exchange_weak_explicit(
		&mm_fault_left, &left, left - 1, memory_order_relaxed, memory_order_relaxed));
	return left == 1;
}

void mm_debug_reset(void)
{
	mm_fault_arm(0, false);
	atomic_store_explicit(&report_count, 0, memory_order_relaxed);
	atomic_store_explicit(&leak_count, 0, memory_order_relaxed);
}
