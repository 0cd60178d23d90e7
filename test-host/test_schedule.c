/* SPDX-License-Identifier: MIT */
/*
 * test_schedule.c - the allocator under the deterministic scheduler (test-host/schedule/): no
 * schedule of the table's programs and no random one breaks an invariant, each planted bug is
 * found, and a seed that fails does so again, step by step. OPS= is how many random schedules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OUTPUT_MAX ((size_t)4 << 20)
#define BUGS_MAX   64

/* Random schedules unless OPS= says otherwise. */
#define RANDOM_SCHEDULES 50000ul

/* Interleavings that the exhaustive search has to go through at the least. */
#define INTERLEAVINGS_MIN 100000ul

#define TIMEOUT "timeout -k 5 550 "

/* Where the programs lie: beside this one's folder. */
static char folder[400];

struct run {
	FILE *pipe;
	int status;
	char *text;
};

static void find_folder(void)
{
	ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 32);

	assert_true(length > 0);
	folder[length] = '\0';
	*strrchr(folder, '/') = '\0';
	strcpy(strrchr(folder, '/'), "/host-schedule");
}

/* program: "" or "bug-NAME/". */
static struct run start(const char *program, const char *arguments)
{
	char command[1024];
	struct run run = {.pipe = NULL};

	snprintf(command, sizeof(command), TIMEOUT "%s/%sschedule %s 2>&1", folder, program,
		 arguments);
	run.pipe = popen(command, "r");
	assert_non_null(run.pipe);
	return run;
}

static void finish(struct run *run)
{
	size_t length;

	run->text = malloc(OUTPUT_MAX);
	assert_non_null(run->text);
	length = fread(run->text, 1, OUTPUT_MAX - 1, run->pipe);
	run->text[length] = '\0';
	run->status = pclose(run->pipe);
}

static struct run run(const char *program, const char *arguments)
{
	struct run one = start(program, arguments);

	finish(&one);
	return one;
}

/* The last lines, where the reason is; a trace is long. */
static void print_failure(const struct run *run)
{
	const char *reason = strstr(run->text, "FAILED");
	size_t length = strlen(run->text);

	if (reason)
		printf("%.400s\n...\n", reason);
	printf("%s", length > 6000 ? run->text + length - 6000 : run->text);
}

/* The number before the last occurrence of the word. */
static unsigned long number_before(const char *text, const char *word)
{
	const char *at = NULL;

	for (const char *next = text; (next = strstr(next, word)) != NULL; next++)
		at = next;
	if (!at)
		return 0;
	while (at > text && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return strtoul(at, NULL, 10);
}

/* ---- The allocator as it is ---- */

static struct run random_run;
static char *found_nothing; /* what the exhaustive search has printed */

/* Beside the exhaustive search, on another core. */
static void start_random(void)
{
	char arguments[64];
	const char *ops = getenv("OPS");
	const char *seed = getenv("SEED");

	snprintf(arguments, sizeof(arguments), "random %lu %s",
		 ops ? strtoul(ops, NULL, 0) : RANDOM_SCHEDULES, seed ? seed : "1");
	random_run = start("", arguments);
}

static void every_schedule_keeps_the_invariants(void **state)
{
	struct run all;

	(void)state;
	start_random();
	all = run("", "all");
	if (all.status != 0)
		print_failure(&all);
	else
		printf("%s", all.text);
	fflush(stdout);
	assert_int_equal(all.status, 0);
	assert_true(number_before(all.text, " interleavings") >= INTERLEAVINGS_MIN);
	found_nothing = all.text;
}

static void random_schedules_keep_the_invariants(void **state)
{
	(void)state;
	finish(&random_run);
	if (random_run.status != 0)
		print_failure(&random_run);
	else
		printf("%s", random_run.text);
	fflush(stdout);
	assert_int_equal(random_run.status, 0);
	assert_true(number_before(random_run.text, " random schedules") > 0);
	free(random_run.text);
}

/* ---- Planted bugs ---- */

/* arguments: "all SCENARIO", and perhaps a memory: has the search gone through that? */
static bool was_searched(const char *arguments)
{
	char name[64];
	char memory[16] = "strong";
	char row[96];

	assert_true(sscanf(arguments, "all %63s %15s", name, memory) >= 1);
	snprintf(row, sizeof(row), "%-12s %-6s ", name, memory);
	return found_nothing && strstr(found_nothing, row);
}

static void a_planted_bug_is_found(void **state)
{
	const char *name = *state;
	char path[700];
	char program[128];
	char arguments[128] = "";
	struct run found;
	FILE *file;

	snprintf(program, sizeof(program), "bug-%s/", name);
	snprintf(path, sizeof(path), "%s/%sarguments", folder, program);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(arguments, sizeof(arguments), file));
	fclose(file);
	arguments[strcspn(arguments, "\n")] = '\0';
	found = run(program, arguments);
	if (WEXITSTATUS(found.status) != 1 || !strstr(found.text, "FAILED: scenario"))
		print_failure(&found);
	assert_true(WIFEXITED(found.status));
	assert_int_equal(WEXITSTATUS(found.status), 1);
	assert_non_null(strstr(found.text, "FAILED: scenario"));
	free(found.text);
	/* without the bug nothing is found there */
	assert_true(was_searched(arguments));
}

/* The seed that fails is printed, and gives the same schedule again. */
static void a_seed_replays_to_the_same_trace(void **state)
{
	struct run first = run("bug-take-torn/", "random 100000");
	const char *seed = strstr(first.text, "SEED=");
	char arguments[64];

	(void)state;
	assert_int_equal(WEXITSTATUS(first.status), 1);
	assert_non_null(seed);
	snprintf(arguments, sizeof(arguments), "replay %lu", strtoul(seed + 5, NULL, 10));
	for (int i = 0; i < 2; i++) {
		struct run again = run("bug-take-torn/", arguments);

		assert_int_equal(WEXITSTATUS(again.status), 1);
		assert_non_null(strstr(again.text, " points, trace "));
		assert_string_equal(again.text, first.text);
		free(again.text);
	}
	/* another seed is another schedule */
	struct run other = run("bug-take-torn/", "replay 3");

	assert_string_not_equal(other.text, first.text);
	free(other.text);
	free(first.text);
}

/* ---- The list of them ---- */

static char names[BUGS_MAX][64];

static unsigned read_names(void)
{
	char path[600];
	char line[256];
	unsigned n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/bugs", folder);
	file = fopen(path, "r");
	assert_non_null(file);
	while (n < BUGS_MAX && fgets(line, sizeof(line), file))
		n += sscanf(line, "%63s", names[n]) == 1;
	fclose(file);
	return n;
}

int main(void)
{
	struct CMUnitTest tests[BUGS_MAX + 3] = {
		cmocka_unit_test(every_schedule_keeps_the_invariants),
		cmocka_unit_test(random_schedules_keep_the_invariants),
		cmocka_unit_test(a_seed_replays_to_the_same_trace),
	};
	unsigned n = 3;

	find_folder();
	for (unsigned bugs = read_names(); n < bugs + 3; n++)
		tests[n] = (struct CMUnitTest){names[n - 3], a_planted_bug_is_found, NULL, NULL,
					       names[n - 3]};
	return _cmocka_run_group_tests("schedule", tests, n, NULL, NULL);
}
