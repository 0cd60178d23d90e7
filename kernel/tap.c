/* SPDX-License-Identifier: MIT */
/*
 * tap.c - the runner. A failed CHECK jumps out of the test from any depth, on the CPU that runs the
 * tests only: functions that a test sends to other CPUs or into interrupts must hand their verdict
 * back as a value.
 */
#include "kernel/tap.h"

#include <stdarg.h>

#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/fault.h"
#include "kernel/smp.h"
#include "kernel/stack.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/mmdebug.h"

static struct arch_jump_buf escape;
static bool escape_valid;
static const char *skipped; /* why the running test cannot be made; NULL: it can */

void tap_note(const char *fmt, ...)
{
	char line[256];
	va_list args;

	va_start(args, fmt);
	fmt_vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	kprintf("# %s\n", line);
}

void pure_fail(const char *file, int line, const char *expr)
{
	tap_note("%s:%d: %s does not hold", file, line, expr);
	if (!escape_valid) {
		kprintf("a test failed outside the runner\n");
		arch_poweroff(1);
	}
	escape_valid = false;
	arch_jump(&escape);
}

void tap_skip(const char *why)
{
	skipped = why;
}

bool tap_chosen(const struct tap *tap, const char *name)
{
	return !tap->filter || strstr(name, tap->filter);
}

void tap_plan(struct tap *tap)
{
	kprintf("1..%zu\n", tap->planned);
}

/* Frames that nobody holds, or that Slate itself needs to hold what it has: constant over a
 * balanced test. */
static size_t frames_at_rest(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats.free_pages + stats.released_pages + stats.metadata_pages;
}

/* True: it ran to its end. Everything that lives across the jump is in memory. */
static bool run_to_end(const struct pure_test *test)
{
	if (arch_jump_set(&escape))
		return false;
	escape_valid = true;
	stack_wipe();
	test->run();
	escape_valid = false;
	return true;
}

void tap_run(struct tap *tap, const struct pure_test *test, bool balanced)
{
	size_t before;
	size_t after;
	bool ok;

	fault_arm(FAULT_SHOW, SLATE_CRIME_NONE);
	before = balanced ? frames_at_rest() : 0;
	skipped = NULL;
	ok = run_to_end(test);
	/* A test that was left in the middle must not disturb the next one. */
	smp_tick_hook(NULL);
	mm_fault_arm(0, false);
	after = balanced ? frames_at_rest() : 0;
	if (fault_other_count() > 0) {
		tap_note("%zu reports that were not expected", fault_other_count());
		ok = false;
	}
	if (ok && after != before) {
		tap_note("free and metadata frames: %zu before, %zu after", before, after);
		ok = false;
	}
	tap->done++;
	if (!ok) {
		tap->failed++;
		tap->clean_up();
	}
	fault_arm(FAULT_FATAL, SLATE_CRIME_NONE);
	kprintf("%s %zu - %s%s%s\n", ok ? "ok" : "not ok", tap->done, test->name,
		skipped ? " # SKIP " : "", skipped ? skipped : "");
}
