/* SPDX-License-Identifier: MIT */
/*
 * bench.c - the frame around the rows: filters, medians, calibration, the unit.
 */
#include "kernel/bench.h"

#include "arch/arch.h"
#include "kernel/command.h"
#include "kernel/console.h"
#include "kernel/selftest.h"
#include "lib/string.h"

#define BENCH_WARM_UP 3

static const struct bench *const tables[] = {
	bench_objects, bench_pages, bench_tracked, bench_memory, bench_both, bench_marks, NULL};

static bool counts_instructions;

const char *bench_unit(void)
{
	return counts_instructions ? "insn" : "ticks";
}

/* ---- The empty loops ---- */

static __attribute__((noinline)) uint64_t empty_turns(size_t turns)
{
	uint64_t start = arch_instructions();

	for (size_t i = turns; i > 0; i--)
		OPAQUE(i);
	return arch_instructions() - start;
}

static uint64_t empty_index_round(size_t turns)
{
	return empty_turns(turns);
}

static __attribute__((noinline)) uint64_t empty_pointer_round(size_t turns)
{
	static void *slots[BENCH_BATCH];
	void **end = slots + turns;
	uint64_t start = arch_instructions();

	for (void **slot = slots; slot != end; slot++)
		OPAQUE(slot);
	return arch_instructions() - start;
}

uint64_t bench_empty_index(void)
{
	return bench_median(empty_index_round, BENCH_BATCH);
}

uint64_t bench_empty_pointer(void)
{
	return bench_median(empty_pointer_round, BENCH_BATCH);
}

/* How much more a loop of that many more turns takes; interrupts off. */
static uint64_t cost_of(size_t more, size_t turns)
{
	unsigned long state = arch_irq_save();
	uint64_t shorter = empty_turns(turns);
	uint64_t longer = empty_turns(turns + more);

	arch_irq_restore(state);
	return longer - shorter;
}

/* Instructions of one turn of the empty loop, at most; two instructions of 4 ns each are more. */
#define TURN_MAX 4

/*
 * Instructions, if a turn more of a loop always costs the same small whole number, and 1000 turns
 * more 1000 times that. No clock does so: one that is fine enough for a turn is not steady over
 * 1000, and one that is coarse enough to be steady does not see a turn. Nor does one that counts
 * instructions in another unit (-icount shift=2).
 */
bool bench_counts_instructions(void)
{
	uint64_t turn = cost_of(1, 1000);

	if (turn < 1 || turn > TURN_MAX)
		return false;
	for (size_t turns = 1000; turns < 5000; turns += 1000) {
		if (cost_of(1, turns) != turn || cost_of(1000, turns) != 1000 * turn)
			return false;
	}
	return true;
}

/* ---- Rounds ---- */

static void sort(uint64_t *values, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		uint64_t value = values[i];
		size_t at = i;

		for (; at > 0 && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

uint64_t bench_median(bench_round_fn *round, size_t size)
{
	uint64_t values[BENCH_ROUNDS];

	for (size_t i = 0; i < BENCH_WARM_UP + BENCH_ROUNDS; i++) {
		unsigned long state = arch_irq_save();
		uint64_t value = round(size);

		arch_irq_restore(state);
		if (value == 0)
			return 0;
		if (i >= BENCH_WARM_UP)
			values[i - BENCH_WARM_UP] = value;
	}
	sort(values, BENCH_ROUNDS);
	return values[BENCH_ROUNDS / 2];
}

void bench_print(const struct bench *row, const char *prefix, uint64_t total, uint64_t empty)
{
	uint64_t net = total > empty ? total - empty : 0;
	/* tenths, rounded */
	uint64_t tenths = (net + BENCH_BATCH / 20) / (BENCH_BATCH / 10);

	kprintf("bench %s %zu %s%s %llu.%llu\n", row->name, row->size, prefix, bench_unit(),
		(unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10));
}

void bench_print_hundredths(const struct bench *row, const char *metric, size_t value)
{
	kprintf("bench %s %zu %s %zu.%02zu\n", row->name, row->size, metric, value / 100,
		value % 100);
}

bool bench_pair(const struct bench *row, bench_round_fn *round)
{
	uint64_t total = bench_median(round, row->size);

	if (total == 0)
		return false;
	bench_print(row, "", total, bench_empty_index());
	return true;
}

/* ---- Rows ---- */

static bool chosen(const struct bench *row, const char *filter)
{
	if (!filter || strcmp(filter, row->name) == 0)
		return true;
	return ((row->groups & BENCH_OBJECT) && strcmp(filter, "object") == 0) ||
	       ((row->groups & BENCH_PAGE) && strcmp(filter, "page") == 0);
}

/* A heap profile of larger objects has a sample every 16 to 256 pairs: that is its cost, not
 * theirs. */
#define SAMPLED_MAX_BYTES 1024

static bool run_row(const struct bench *row)
{
	size_t former;
	bool ok;

	if (!(row->groups & BENCH_OBJECT) || row->size <= SAMPLED_MAX_BYTES)
		return row->run(row);
	former = profile_rate_set(0);
	ok = row->run(row);
	profile_rate_set(former);
	return ok;
}

bool bench_run(const char *filter)
{
	size_t count = 0;
	bool ok = true;

	counts_instructions = bench_counts_instructions();
	for (size_t t = 0; tables[t]; t++) {
		for (const struct bench *row = tables[t]; row->name; row++) {
			if (!chosen(row, filter))
				continue;
			count++;
			if (run_row(row))
				continue;
			kprintf("bench %s %zu: no memory\n", row->name, row->size);
			ok = false;
		}
	}
	if (count == 0)
		kprintf("bench: no row or group is called %s\n", filter);
	return ok && count > 0;
}

bool cmd_bench(int argc, char **argv)
{
	if (argc > 2)
		return command_usage(argv[0]);
	return bench_run(argc == 2 ? argv[1] : NULL);
}
