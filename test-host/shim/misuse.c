/* SPDX-License-Identifier: MIT */
/* misuse.c - NAME: commit one crime of misuse, which the library must report and end. */
#include <malloc.h>
#include <stdint.h>
#include <string.h>

#include "test-host/shim/check.h"

static char *volatile victim;

static void foreign(void)
{
	static char ours[64];

	victim = ours + 16;
	free(victim);
}

static void misaligned(void)
{
	victim = malloc(100);
	free(victim + 4);
}

/* Found when the magazine that took it goes home. */
static void twice(void)
{
	char *other = malloc(100);

	victim = malloc(100);
	free(victim);
	free(other);
	free(victim);
	malloc_trim(0);
}

static void large_twice(void)
{
	victim = malloc(3000000);
	free(victim);
	free(victim);
}

/* By a thread that takes it from its cache and gives it back there. */
static void hot_twice(void)
{
	free(malloc(3000000));
	victim = malloc(3000000);
	free(victim);
	free(victim);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} crimes[] = {
		{"foreign", foreign},         {"misaligned", misaligned}, {"twice", twice},
		{"large-twice", large_twice}, {"hot-twice", hot_twice},
	};

	for (unsigned i = 0; argc > 1 && i < sizeof(crimes) / sizeof(crimes[0]); i++) {
		if (strcmp(argv[1], crimes[i].name) == 0)
			crimes[i].fn();
	}
	return 0;
}
