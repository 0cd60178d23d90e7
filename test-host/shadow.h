/* SPDX-License-Identifier: MIT */
/*
 * shadow.h - a shadow model of the allocator's public calls: what is live, how large, and what was
 * written into it. Random operations run against both; content tokens find an object that was
 * handed out twice, moved or written to, and an interval check finds overlap at once.
 */
#ifndef TEST_SHADOW_H
#define TEST_SHADOW_H

#include "test-host/host.h"

#define SHADOW_MAX 4096

struct shadow_object {
	char *start;       /* NULL: the slot is free */
	size_t size_bytes; /* as asked for */
	uint64_t token;    /* what its content is made of */
	size_t pages;      /* a frame run, not an object */
};

struct shadow {
	struct host_random random;
	struct shadow_object objects[SHADOW_MAX];
	size_t live;
	size_t live_bytes;
	size_t limit_bytes; /* above it frees prevail */
	size_t refused;     /* requests that got NULL */
	unsigned cpus;      /* operations run as any of CPUs 0 .. cpus - 1 */
};

void shadow_init(struct shadow *shadow, struct host_random random, size_t limit_bytes,
		 unsigned cpus);

/* One random operation: alloc, zalloc, aligned, calloc, realloc, free, sized free, frame runs, a
 * flush now and then. */
void shadow_step(struct shadow *shadow);

/* Look at every live object's content and sizes. */
void shadow_check(const struct shadow *shadow);

/* Free all. */
void shadow_drain(struct shadow *shadow);

#endif
