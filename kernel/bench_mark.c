/* SPDX-License-Identifier: MIT */
/*
 * bench_mark.c - how long the CPUs stand still at a time while a leak scan marks: in one stop, and
 * in pieces, where the machine can tell what is written in between.
 */
#include <slate/marksweep.h>
#include <slate/slate.h>

#include "arch/arch.h"
#include "kernel/bench.h"
#include "kernel/console.h"
#include "kernel/stop.h"
#include "kernel/written.h"

#define NODE_BYTES 64u

static void **chain;

/* Of NODE_BYTES each. False: no memory. */
static bool make_chain(size_t bytes)
{
	for (; bytes >= NODE_BYTES; bytes -= NODE_BYTES) {
		void **node = slate_zalloc(NODE_BYTES);

		if (!node)
			return false;
		node[0] = chain;
		chain = node;
	}
	return true;
}

static void free_chain(void)
{
	while (chain) {
		void **next = *chain;

		slate_free(chain);
		chain = next;
	}
}

static bool scan(const struct bench *row, const char *name, enum written_mode mode)
{
	struct slate_leaks leaks = {.list = NULL};
	int status;

	written_mode = mode;
	stop_longest = 0;
	stop_count = 0;
	status = slate_leak_scan(&leaks);
	written_mode = WRITTEN_TOLD;
	if (status != SLATE_OK || leaks.objects > 0)
		return false;
	kprintf("bench %s %zu %s %llu\n", name, row->size, bench_unit(),
		(unsigned long long)stop_longest);
	kprintf("bench %s %zu stops %zu\n", name, row->size, stop_count);
	return true;
}

/* A chain of size MiB. */
static bool run_mark_pause(const struct bench *row)
{
	bool done = arch_irq_enabled() && slate_root_add(&chain, sizeof(chain)) == SLATE_OK &&
		    make_chain(row->size << 20) && scan(row, "mark_whole", WRITTEN_REFUSED) &&
		    scan(row, "mark_pause", WRITTEN_TOLD);

	free_chain();
	slate_root_remove(&chain);
	return done;
}

const struct bench bench_marks[] = {
	{"mark_pause", 0, 16, run_mark_pause},
	{"mark_pause", 0, 64, run_mark_pause},
	{0},
};
