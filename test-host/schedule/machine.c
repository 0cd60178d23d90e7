/* SPDX-License-Identifier: MIT */
/*
 * machine.c - memory, start-up, snapshot, and the check at the end of a schedule.
 *
 * The variables of mm/ lie in two sections of their own (the build renames .data and .bss): those
 * and the memory are what the snapshot consists of.
 */
#include "test-host/schedule/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <slate/port.h>
#include <slate/report.h>
#include <slate/slate.h>
#include <slate/stats.h>

#include "mm/deferred.h"
#include "mm/fixalloc.h"
#include "mm/init.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/mheap_span.h"
#include "test-host/schedule/checkpoint.h"
#include "test-host/schedule/ops.h"
#include "test-host/schedule/sched.h"
#include "test-host/schedule/state.h"

#define OFFSET       ((uintptr_t)1 << 44)
#define MEMORY_START ((uintptr_t)1 << 20)
#define MEMORY_BYTES ((uintptr_t)1 << 20)

/* By the linker: where the renamed sections lie. */
extern char __start_mm_data[];
extern char __stop_mm_data[];
extern char __start_mm_bss[];
extern char __stop_mm_bss[];

/* Static in mm/, made visible by the build. */
extern struct fixalloc magazines;

static size_t whole_pages; /* free + metadata after start-up */
static unsigned expected_reports;

/* ---- Start ---- */

static char *memory(void)
{
	return (char *)(OFFSET + MEMORY_START);
}

static void watch(char *start, char *end)
{
	state_watch(start, ((size_t)(end - start) + 7) & ~(size_t)7);
}

static void map_memory(void)
{
	static bool mapped;

	if (!mapped) {
		if (mmap(memory(), MEMORY_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			 0) != (void *)memory()) {
			perror("mmap");
			exit(2);
		}
		watch(__start_mm_data, __stop_mm_data);
		watch(__start_mm_bss, __stop_mm_bss);
		state_watch(memory(), MEMORY_BYTES);
	}
	mapped = true;
	memset(memory(), 0xc3, MEMORY_BYTES);
}

static size_t pages_now(void)
{
	struct slate_stats stats;

	slate_stats(&stats);
	return stats.free_pages + stats.metadata_pages;
}

void machine_boot(unsigned cpus)
{
	struct slate_range ranges[4];
	struct slate_memmap map = {.ranges = ranges, .capacity = 4};
	struct slate_init_params params = {.map = &map, .direct_map_offset = OFFSET};

	map_memory();
	mm_reset();
	sched_cpu_set(0);
	slate_memmap_add(&map, MEMORY_START, MEMORY_BYTES, SLATE_RANGE_USABLE, "memory");
	slate_memmap_build(&map, NULL, NULL);
	unsigned long irq = port_irq_save();
	if (slate_init(&params) != SLATE_OK)
		sched_fail("slate_init failed");
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		sched_cpu_set(cpu);
		if (cpu > 0)
			irq = port_irq_save();
		if (slate_cpu_online() != SLATE_OK)
			sched_fail("slate_cpu_online failed");
		port_irq_restore(irq);
	}
	sched_cpu_set(0);
	whole_pages = pages_now();
}

bool machine_online(unsigned cpu)
{
	struct mcache *cache = mcaches[cpu];

	return cache && cache->online;
}

/* ---- Snapshot ---- */

void machine_save(void)
{
	state_save();
}

void machine_restore(void)
{
	state_restore();
}

uint64_t machine_hash(void)
{
	return state_mix(ops_hash(), expected_reports);
}

void machine_keep(void)
{
	ops_keep();
	checkpoint_keep(&expected_reports, sizeof(expected_reports));
}

/* ---- Reports ---- */

void machine_expect_reports(unsigned n)
{
	expected_reports = n;
}

unsigned machine_reports_missing(void)
{
	return expected_reports;
}

void port_panic(const struct slate_report *report)
{
	char text[400];

	if (expected_reports > 0 && report->crime != SLATE_CRIME_CORRUPT &&
	    report->crime != SLATE_CRIME_LOCK && report->crime != SLATE_CRIME_ASSERT) {
		expected_reports--;
		return;
	}
	slate_report_format(text, sizeof(text), report);
	sched_fail("report: %s", text);
}

void port_log(const char *line)
{
	(void)line;
}

/* ---- Check ---- */

/* An offline CPU keeps nothing. */
static void check_offline(unsigned cpu)
{
	const struct mcache *cache = mcaches[cpu];

	if (!cache)
		return;
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++)
		if (mcache_cached(cache, class) > 0)
			sched_fail("CPU %u is offline and holds objects of class %u", cpu, class);
}

static void check_classes(void)
{
	for (unsigned class = 0; class < SPANCLASS_COUNT; class ++) {
		size_t spans = 0;
		size_t objects = 0;

		if (mcentral_of(class))
			mcentral_counts(class, &spans, &objects);
		if (spans > 0 || objects > 0)
			sched_fail("class %u: %zu objects and %zu spans are lost", class, objects,
				   spans);
	}
}

void machine_validate(void)
{
	if (slate_validate() != 0)
		sched_fail("slate_validate() found something");
}

void machine_check(void)
{
	machine_validate();
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		if (!machine_online(cpu)) {
			check_offline(cpu);
			continue;
		}
		sched_cpu_set(cpu);
		deferred_run();
		mcache_drain();
	}
	sched_cpu_set(0);
	mcache_drain_depots();
	/* no span, no object: else say of which class */
	if (mheap_span_structs.in_use)
		check_classes();
	if (pages_now() != whole_pages)
		sched_fail("%zu pages after the schedule, %zu before", pages_now(), whole_pages);
	if (mheap_span_structs.in_use || mheap_span_bits.in_use)
		sched_fail("%zu span structs and %zu bitmaps are lost", mheap_span_structs.in_use,
			   mheap_span_bits.in_use);
	if (magazines.in_use)
		sched_fail("%zu magazines are lost", magazines.in_use);
}
