/* SPDX-License-Identifier: MIT */
/*
 * forks.c - fork() while other threads allocate: each child allocates, frees what it inherited, and
 * starts threads of its own. A lock that was held somewhere at the wrong moment hangs it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test-host/shim/check.h"

#define THREADS 6u
#define FORKS   150u
#define OBJECTS 3000u

static _Atomic bool stop;

/* Fills and empties magazines, so that slow paths are common. */
static void *churn(void *arg)
{
	void **objects = calloc(OBJECTS, sizeof(void *));

	CHECK(objects);
	do {
		for (unsigned i = 0; i < OBJECTS; i++) {
			objects[i] = malloc(16 + i % 1000 + (i % 100 == 0 ? 100000 : 0));
			CHECK(objects[i]);
			memset(objects[i], 1, 16);
		}
		for (unsigned i = 0; i < OBJECTS; i++)
			free(objects[i]);
	} while (!stop && !arg);
	free(objects);
	return NULL;
}

static void child(void *inherited)
{
	pthread_t threads[THREADS];

	free(inherited);
	for (unsigned i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, &stop) == 0);
	churn(&stop);
	for (unsigned i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	_exit(0);
}

int main(void)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
	for (unsigned i = 0; i < FORKS; i++) {
		void *object = malloc(1000);
		pid_t pid = fork();
		int status;

		CHECK(pid >= 0);
		if (pid == 0)
			child(object);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		free(object);
	}
	stop = true;
	for (unsigned i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	printf("ok - %u forks beside %u threads\n", FORKS, THREADS);
	return 0;
}
