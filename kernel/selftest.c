/* SPDX-License-Identifier: MIT */
/*
 * selftest.c - chooses and runs the tests: those in this folder, and the pure ones that the host
 * runs, too.
 */
#include "kernel/selftest.h"

#include "boot/bootinfo.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/fault.h"
#include "kernel/nmi.h"
#include "kernel/tap.h"

static const struct pure_test *const kernel_tables[] = {
	selftest_boot,     selftest_shell,    selftest_object,
	selftest_span,     selftest_page,     selftest_hotplug,
	selftest_numa,     selftest_cpu,      selftest_nmi,
	selftest_sweep,    selftest_migrate,  selftest_misuse,
	selftest_memory,   selftest_pressure, selftest_stack,
	selftest_scavenge, selftest_trace,    selftest_special,
	selftest_report,   selftest_profile,  NULL,
};

/*
 * These come first, while no table of a test holds addresses from its last run, which would keep
 * what is lost here. They free what others lost, and so are not balanced.
 */
static const struct pure_test *const collecting_tables[] = {
	selftest_marksweep,
	selftest_markcycle,
	selftest_owners,
	NULL,
};

typedef void test_fn(struct tap *tap, const struct pure_test *test, bool balanced);

static void each_chosen(struct tap *tap, const struct pure_test *const *tables, bool balanced,
			test_fn *fn)
{
	for (; *tables; tables++) {
		for (const struct pure_test *test = *tables; test->name; test++) {
			if (tap_chosen(tap, test->name))
				fn(tap, test, balanced);
		}
	}
}

static void count_test(struct tap *tap, const struct pure_test *test, bool balanced)
{
	(void)test;
	(void)balanced;
	tap->planned++;
}

static void clean_up(void)
{
	nmi_hook(NULL);
	selftest_sweep_clean_up();
	selftest_memory_clean_up();
	selftest_pressure_clean_up();
	selftest_scavenge_clean_up();
	selftest_trace_clean_up();
	selftest_profile_clean_up();
}

bool selftest_run(const char *filter)
{
	struct tap tap = {.filter = filter, .clean_up = clean_up};

	each_chosen(&tap, collecting_tables, false, count_test);
	each_chosen(&tap, pure_tables, false, count_test);
	each_chosen(&tap, kernel_tables, true, count_test);
	if (tap.planned == 0) {
		kprintf("selftest: no test is called %s\n", filter);
		return false;
	}
	tap_plan(&tap);
	each_chosen(&tap, collecting_tables, false, tap_run);
	each_chosen(&tap, pure_tables, false, tap_run);
	each_chosen(&tap, kernel_tables, true, tap_run);
	kprintf("# selftest: %zu passed, %zu failed\n", tap.done - tap.failed, tap.failed);
	return tap.failed == 0;
}

bool cmd_selftest(int argc, char **argv)
{
	if (argc > 2)
		return command_usage(argv[0]);
	return selftest_run(argc == 2 ? argv[1] : NULL);
}

/* ---- Shared by the tests ---- */

static uint8_t pattern_byte(size_t offset, uint32_t seed)
{
	return (uint8_t)((offset * 31) ^ (offset >> 8) ^ (seed * 0x9d) ^ (seed >> 8));
}

void pattern_fill(void *start, size_t size_bytes, uint32_t seed)
{
	uint8_t *bytes = start;

	for (size_t i = 0; i < size_bytes; i++)
		bytes[i] = pattern_byte(i, seed);
}

size_t pattern_check(const void *start, size_t size_bytes, uint32_t seed)
{
	const uint8_t *bytes = start;
	size_t i = 0;

	while (i < size_bytes && bytes[i] == pattern_byte(i, seed))
		i++;
	return i;
}

bool bytes_are(const void *start, uint8_t value, size_t size_bytes)
{
	const uint8_t *bytes = start;
	size_t i = 0;

	while (i < size_bytes && bytes[i] == value)
		i++;
	return i == size_bytes;
}

uint32_t random_next(uint32_t *state)
{
	uint32_t x = *state;

	/* Marsaglia, "Xorshift RNGs" (2003), the triple 13, 17, 5 */
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	*state = x;
	return x;
}

void report_begin(enum slate_crime crime)
{
	fault_arm(FAULT_EXPECT, crime);
}

size_t report_end(void)
{
	size_t expected = fault_expected_count();
	size_t other = fault_other_count();

	fault_arm(FAULT_SHOW, SLATE_CRIME_NONE);
	CHECK(other == 0);
	return expected;
}

uint64_t mapped_end(void)
{
	return boot_info.mapped_limit ? boot_info.mapped_limit : UINT64_MAX;
}
