/* SPDX-License-Identifier: MIT */
/*
 * fault.h - what happens to the allocator's reports (port_panic) and to traps.
 *
 * By default a report is printed and ends the machine with a failing status. A test takes reports
 * instead: those that it expects are swallowed, others are printed and counted against it.
 */
#ifndef KERNEL_FAULT_H
#define KERNEL_FAULT_H

#include <slate/report.h>

enum fault_mode {
	FAULT_FATAL,  /* print, end the machine */
	FAULT_SHOW,   /* print, count, go on */
	FAULT_EXPECT, /* of the expected crime: count silently; others: as FAULT_SHOW */
};

/* Any CPU's reports from now on. The counters start at zero. Returns the former mode. */
enum fault_mode fault_arm(enum fault_mode mode, enum slate_crime expected);

/* Reports of the expected crime, and others, since fault_arm(). */
size_t fault_expected_count(void);
size_t fault_other_count(void);

/* The last expected report, until FAULT_FATAL is armed. */
struct slate_report fault_last(void);

/*
 * From now on each report becomes text at the end of buf, terminated, one line a line, and nothing
 * else; NULL: that is over.
 */
void fault_capture(char *buf, size_t size_bytes);

/* Print the callers of this function. */
void fault_backtrace(void);

#endif
