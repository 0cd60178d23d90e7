/* SPDX-License-Identifier: MIT */
/*
 * test_property.c - random operations against the shadow model, on one CPU and on several that take
 * turns, with plenty of memory and with too little. OPS= sets how many, SEED= replays.
 */
#include "test-host/shadow.h"
#include "test-host/unit.h"

#include <slate/port.h>

const bool host_witnesses = true;

bool port_in_nmi(void)
{
	return shadow_in_nmi;
}

/* One thread plays all CPUs: the others stand still as it is. */
bool port_stop_cpus(void (*fn)(const struct slate_live *list, size_t count, void *arg), void *arg)
{
	host_irq_set(false);
	fn(NULL, 0, arg);
	host_irq_set(true);
	return true;
}

/* Further runs until a full machine has all the metadata that it ever needs. */
#define FULL_RUNS    3
#define NORMAL_OPS   100000
#define VALIDATE_OPS 4096

static struct shadow shadow;

struct variant {
	const char *name;
	uint64_t memory_bytes;
	size_t limit_bytes;
	unsigned cpus;
	uint64_t seed;
	bool full; /* memory must have run out on the way */
};

static struct slate_stats flushed_stats(void)
{
	struct slate_stats stats;

	slate_flush();
	slate_stats(&stats);
	return stats;
}

/* total = free + cached + objects + manual + metadata + reserved + released */
static void assert_equation(const struct slate_stats *stats)
{
	assert_int_equal(stats->total_pages, stats->free_pages + stats->cached_pages +
						     stats->object_pages + stats->manual_pages +
						     stats->stack_pages + stats->metadata_pages +
						     stats->reserved_pages + stats->released_pages);
}

/* On a full machine metadata may keep the memory that came, and there is no room for more. Where
 * much lives nothing is marked. */
static bool may_never_succeed(const struct variant *variant, unsigned op)
{
	return (variant->full && (op == SHADOW_ADD || op == SHADOW_REMOVE || op == SHADOW_MARK ||
				  op == SHADOW_TRACE)) ||
	       (variant->limit_bytes > SHADOW_MARK_BYTES_MAX && op == SHADOW_MARK);
}

/* The model runs through; afterwards no frame is missing. Returns the metadata that it leaves
 * behind. */
static size_t run_shadow(const struct variant *variant, struct host_random random, size_t ops)
{
	struct slate_stats before = flushed_stats();
	struct slate_stats after;

	size_t stayed = shadow.staying_pages; /* of a run before on this machine */

	shadow_init(&shadow, random, variant->limit_bytes, variant->cpus);
	shadow.plugged = stayed > 0;
	for (size_t op = 0; op < ops; op++) {
		shadow_step(&shadow);
		if (op % VALIDATE_OPS != 0)
			continue;
		shadow_check(&shadow);
		assert_int_equal(slate_validate(), 0);
	}
	after = flushed_stats();
	assert_equation(&after);
	shadow_check(&shadow);
	shadow_drain(&shadow);
	after = flushed_stats();
	assert_equation(&after);
	assert_int_equal(after.free_pages + after.reserved_pages + after.metadata_pages,
			 before.free_pages + before.reserved_pages + before.metadata_pages +
				 shadow.staying_pages - stayed);
	assert_int_equal(after.objects, 0);
	assert_int_equal(after.object_pages, 0);
	assert_int_equal(after.manual_pages, 0);
	assert_int_equal(after.leaked_objects, 0);
	if (variant->full && ops >= NORMAL_OPS)
		assert_true(shadow.refused > 100 && after.failures >= shadow.refused);
	assert_int_equal(slate_validate(), 0);
	for (unsigned op = 0; ops >= NORMAL_OPS && op < SHADOW_OPS; op++)
		assert_true(shadow.done[op] > 0 || may_never_succeed(variant, op));
	return after.metadata_pages;
}

static void run_variant(void **state)
{
	const struct variant *variant = *state;
	struct host_random random = host_random_seed(variant->name, variant->seed);
	size_t ops = host_ops(NORMAL_OPS);
	size_t metadata;

	host_boot(MIB, variant->memory_bytes);
	host_memory(SHADOW_PLUG_AT, SHADOW_PLUG_BYTES);
	shadow.staying_pages = 0;
	for (unsigned cpu = 1; cpu < variant->cpus; cpu++)
		host_cpu_online(cpu);
	metadata = run_shadow(variant, random, ops);
	/*
	 * The same again needs no metadata that the first run did not. On a full machine it is not
	 * the same: what metadata took is refused to others then. But that, too, comes to an end.
	 */
	for (unsigned more = variant->full ? FULL_RUNS : 0; more > 0; more--)
		metadata = run_shadow(variant, random, ops);
	if (ops <= NORMAL_OPS)
		assert_int_equal(run_shadow(variant, random, ops), metadata);
	host_cpu_set(0);
}

static int tear_down_variant(void **state)
{
	host_reset();
	(void)state;
	return 0;
}

int main(void)
{
	static const struct variant variants[] = {
		{"one CPU, plenty of memory", 256 * MIB, 64 * MIB, 1, 1, false},
		{"one CPU, a full machine", 8 * MIB, SIZE_MAX, 1, 2, true},
		{"four CPUs, plenty of memory", 256 * MIB, 64 * MIB, 4, 3, false},
		{"four CPUs, a full machine", 12 * MIB, SIZE_MAX, 4, 4, true},
		{"four CPUs, a handful of objects", 64 * MIB, 4096, 4, 5, false},
	};
	struct CMUnitTest tests[sizeof(variants) / sizeof(variants[0])];

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		tests[i] = (struct CMUnitTest){.name = variants[i].name,
					       .test_func = run_variant,
					       .teardown_func = tear_down_variant,
					       .initial_state = (void *)&variants[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
