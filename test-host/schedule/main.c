/* SPDX-License-Identifier: MIT */
/*
 * main.c - the program of one build of the allocator under the scheduler: exhaustive search over
 * the table of scenarios, or random schedules.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test-host/schedule/explore.h"
#include "test-host/schedule/machine.h"
#include "test-host/schedule/ops.h"
#include "test-host/schedule/scenario.h"
#include "test-host/schedule/sched.h"
#include "test-host/schedule/shadow.h"
#include "test-host/schedule/state.h"

/* Random schedules before an exhaustive search, to learn which places are shared. */
#define WARM_UP 200u

/* So often may a search begin anew. */
#define RESTARTS_MAX 200u

/* Seconds without a schedule's end that mean an endless loop. */
#define PATIENCE_SECONDS 20u

static const char *const memory_names[] = {"strong", "fifo", "weak"};

static const struct scenario *scenario;
static enum sched_memory memory;
static uint64_t seed;
static const char *stage = "start";
static bool was_cut; /* the last schedule */

/* One schedule in so many is looked at for such stores. */
#define LOOK_EVERY 256u

/* One seed in so many is validated twice; it costs a tenth of a random schedule. */
#define VALIDATE_EVERY 4u

static int usage(void)
{
	fputs("usage: schedule all [SCENARIO [strong|fifo|weak]]  every schedule\n"
	      "       schedule random COUNT [SEED]               random schedules of four CPUs\n"
	      "       schedule replay SEED                       one of them, with its trace\n",
	      stderr);
	return 2;
}

static void print_where(void)
{
	printf("FAILED: scenario %s, memory %s", scenario->name, memory_names[memory]);
	if (explore_is_random())
		printf(scenario == scenario_find(scenario->name) ? ", warm-up %llu" : ", SEED=%llu",
		       (unsigned long long)seed);
	printf(", in the %s\n", stage);
}

/* A damaged list ends in a fault, or in a loop. */
static void died(int signal)
{
	print_where();
	printf("  %s\n", signal == SIGALRM   ? "an endless loop"
			 : signal == SIGTERM ? "no end, and no time"
					     : "a memory fault");
	explore_print();
	sched_print_trace();
	fflush(stdout);
	_exit(1);
}

static void catch_signals(void)
{
	static char stack[64 << 10];
	stack_t where = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = died, .sa_flags = SA_ONSTACK};

	sigaltstack(&where, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- One schedule ---- */

static void boot(void)
{
	machine_boot(scenario->cpus ? scenario->cpus : 2);
	ops_init();
	ops_reset();
}

static void prepare(void)
{
	boot();
	scenario_prepare(scenario);
	ops_save();
	machine_save();
}

static void check(void)
{
	if (explore_schedule() % LOOK_EVERY == 0 && !state_is_complete())
		sched_fail("something was stored past the instrumentation");
	if (machine_reports_missing() > 0)
		sched_fail("%u misuses were not reported", machine_reports_missing());
	/* as it is: to free everything may heal what is torn */
	if (!explore_is_random() || seed % VALIDATE_EVERY == 0)
		machine_validate();
	ops_finish();
	machine_check();
}

static bool run_once(void)
{
	struct sched_setting setting = scenario_setting(scenario, memory);
	enum sched_result result;

	stage = "schedule";
	if (sched_can_go_on()) {
		result = sched_go_on(&setting);
	} else {
		machine_restore();
		ops_restore();
		machine_expect_reports(scenario->reports);
		result = sched_run(&setting);
	}
	was_cut = result == SCHED_CUT;
	if (was_cut)
		return true;
	if (result == SCHED_DONE) {
		stage = "check";
		if (sched_guard(check))
			return true;
	}
	print_where();
	printf("  %s\n", sched_failure());
	explore_print();
	sched_print_trace();
	return false;
}

/* ---- Modes ---- */

static bool warm_up(void)
{
	for (seed = 0; seed < WARM_UP; seed++) {
		explore_random(seed, 3);
		if (!run_once())
			return false;
	}
	return true;
}

/* All schedules of one scenario; adds their number. */
static bool search(size_t *total)
{
	size_t count = 0;
	size_t cuts = 0;
	unsigned restarts = 0;

	explore_forget_places(scenario_is_cut(scenario, memory));
	state_forget();
	if (!sched_guard(prepare)) {
		printf("FAILED: scenario %s: %s\n", scenario->name, sched_failure());
		return false;
	}
	if (!warm_up())
		return false;
	explore_all();
	do {
		alarm(PATIENCE_SECONDS);
		if (!run_once())
			return false;
		cuts += was_cut;
		count += !was_cut;
		if (explore_grew()) {
			if (++restarts > RESTARTS_MAX) {
				printf("FAILED: scenario %s is not deterministic\n",
				       scenario->name);
				return false;
			}
			count = 0;
			cuts = 0;
			state_forget();
			explore_all();
		}
	} while (explore_next() || count == 0);
	alarm(0);
	printf("%-12s %-6s %9zu schedules", scenario->name, memory_names[memory], count);
	if (cuts > 0)
		printf(", %zu cut short at a known state", cuts);
	printf("\n");
	fflush(stdout);
	*total += count;
	return true;
}

/* ---- All of them, by several processes ---- */

#define ROWS_MAX    160u
#define WORKERS_MAX 8u

static struct row {
	const struct scenario *scenario;
	enum sched_memory memory;
} rows[ROWS_MAX];
static unsigned row_count;

/* Memory that the workers have in common. */
static struct progress {
	_Atomic unsigned next; /* row that nobody has taken */
	_Atomic size_t total;
} * progress;

static void add_rows(const struct scenario *of, const char *only_memory)
{
	for (enum sched_memory kind = SCHED_STRONG; kind <= SCHED_WEAK; kind++) {
		if (only_memory ? strcmp(only_memory, memory_names[kind]) != 0
				: kind != SCHED_STRONG && !of->buffers)
			continue;
		if (row_count == ROWS_MAX)
			abort();
		rows[row_count++] = (struct row){of, kind};
	}
}

static int search_rows(void)
{
	unsigned i;

	while ((i = atomic_fetch_add(&progress->next, 1)) < row_count) {
		size_t total = 0;

		scenario = rows[i].scenario;
		memory = rows[i].memory;
		if (!search(&total))
			return 1;
		atomic_fetch_add(&progress->total, total);
	}
	return 0;
}

/* The first that fails ends the others. */
static bool wait_for_workers(const pid_t *workers, unsigned n)
{
	bool good = true;

	for (unsigned left = n; left > 0; left--) {
		int status;

		if (wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		for (unsigned i = 0; good && i < n; i++)
			kill(workers[i], SIGKILL);
		good = false;
	}
	return good;
}

/* One a processor, each with the machine to itself. */
static bool search_in_parallel(void)
{
	pid_t workers[WORKERS_MAX];
	unsigned wanted = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = 0;

	if (wanted > row_count)
		wanted = row_count;
	if (wanted > WORKERS_MAX)
		wanted = WORKERS_MAX;
	if (wanted < 2)
		return search_rows() == 0;
	fflush(stdout);
	for (; n < wanted; n++) {
		workers[n] = fork();
		if (workers[n] < 0)
			break;
		if (workers[n] == 0) {
			int status = search_rows();

			fflush(stdout);
			_exit(status);
		}
	}
	return n > 0 && wait_for_workers(workers, n);
}

static int search_all(const char *name, const char *only_memory)
{
	const struct scenario *next;

	if (name && !scenario_find(name))
		return usage();
	for (unsigned i = 0; (next = scenario_get(i)) != NULL; i++)
		if (!name || strcmp(name, next->name) == 0)
			add_rows(next, only_memory);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (progress == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	if (!search_in_parallel())
		return 1;
	printf("%zu interleavings\n", progress->total);
	return 0;
}

/* ---- Random ---- */

static bool prepare_random(void)
{
	explore_random(0, 4);
	scenario = scenario_random_base();
	if (sched_guard(prepare))
		return true;
	printf("FAILED: random schedules: %s\n", sched_failure());
	return false;
}

/* The schedule of one seed: its programs, its memory, its decisions. */
static bool run_seed(void)
{
	explore_random(seed, 2);
	unsigned turn = 2u << (explore_draw() % 5);

	memory = (enum sched_memory)(explore_draw() % 3);
	explore_random(seed, turn);
	scenario = scenario_random();
	return run_once();
}

static int search_random(uint64_t count, uint64_t first_seed)
{
	if (!prepare_random())
		return 1;
	for (seed = first_seed; seed < first_seed + count; seed++) {
		if (seed % 1000 == 0)
			alarm(PATIENCE_SECONDS);
		if (!run_seed())
			return 1;
	}
	printf("%llu random schedules, from SEED=%llu on\n", (unsigned long long)count,
	       (unsigned long long)first_seed);
	return 0;
}

static int replay(void)
{
	if (!prepare_random())
		return 1;
	alarm(PATIENCE_SECONDS);
	if (!run_seed())
		return 1;
	sched_print_trace();
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	sched_init();
	catch_signals();
	if (argc >= 2 && argc <= 4 && strcmp(argv[1], "all") == 0)
		return search_all(argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
	if (argc >= 3 && argc <= 4 && strcmp(argv[1], "random") == 0)
		return search_random(strtoull(argv[2], NULL, 0),
				     argc > 3 ? strtoull(argv[3], NULL, 0) : 1);
	if (argc == 3 && strcmp(argv[1], "replay") == 0) {
		seed = strtoull(argv[2], NULL, 0);
		return replay();
	}
	return usage();
}
