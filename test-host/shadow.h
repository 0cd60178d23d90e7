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

enum shadow_kind { SHADOW_OBJECT, SHADOW_TYPED, SHADOW_RUN, SHADOW_STACK };

#define SHADOW_CACHES 3

struct shadow_object {
	enum shadow_kind kind;
	struct slate_cache *cache; /* a typed object's */
	char *start;               /* NULL: the slot is free */
	size_t size_bytes;         /* as asked for */
	uint64_t token;            /* what its content is made of */
	size_t pages;              /* of a run */
};

/* Operations that succeed now and then only: a run counts them. */
enum shadow_op {
	SHADOW_BULK,
	SHADOW_TYPE,
	SHADOW_PREFILL,
	SHADOW_FIT,
	SHADOW_AT,
	SHADOW_STACKS,
	SHADOW_POLL,
	SHADOW_SCAVENGE,
	SHADOW_OFFLINE,
	SHADOW_ADD,
	SHADOW_REMOVE,
	SHADOW_ANYCTX,
	SHADOW_NMI,
	SHADOW_FINAL,
	SHADOW_TAG,
	SHADOW_MARK,
	SHADOW_TRACE,
	SHADOW_ASK,
	SHADOW_OPS,
};

struct shadow {
	struct host_random random;
	struct shadow_object objects[SHADOW_MAX];
	size_t live;
	size_t live_bytes;
	size_t limit_bytes; /* above it frees prevail */
	size_t refused;     /* requests that got NULL */
	unsigned cpus;      /* operations run as any of CPUs 0 .. cpus - 1 */
	struct slate_cache *caches[SHADOW_CACHES];
	size_t staying_pages;    /* of the same, if it could not go in the end */
	bool plugged;            /* SHADOW_PLUG_AT is there */
	size_t done[SHADOW_OPS]; /* what the rarer operations came to */
};

/* No more than that is marked: it takes time. */
#define SHADOW_MARK_BYTES_MAX ((size_t)1 << 20)

/* Memory that comes and goes; the test populates it. */
#define SHADOW_PLUG_AT    ((uint64_t)1 << 31)
#define SHADOW_PLUG_BYTES ((uint64_t)4 << 20)

void shadow_init(struct shadow *shadow, struct host_random random, size_t limit_bytes,
		 unsigned cpus);

/*
 * One random operation: alloc, zalloc, aligned, calloc, realloc, free, sized free, bulk, typed
 * objects, frame runs with constraints or without, exact frames, stacks, all flags, NMIs,
 * finalizers, tags; now and then a flush, a poll, give-back, a CPU that leaves and returns, memory
 * that comes or goes, a mark, a trace, questions.
 */
void shadow_step(struct shadow *shadow);

/* Look at every live object's content and sizes. */
void shadow_check(const struct shadow *shadow);

/* Free all; the caches and the memory that came go, too. */
void shadow_drain(struct shadow *shadow);

/* ---- Between shadow.c, shadow_more.c and shadow_calls.c ---- */

struct shadow_object *shadow_free_slot(struct shadow *shadow);
struct shadow_object *shadow_live_slot(struct shadow *shadow);
size_t shadow_random_size(struct shadow *shadow);

/* A fresh object goes into the slot and gets its content; out again: the content still stands. */
void shadow_enter(struct shadow *shadow, struct shadow_object *slot, enum shadow_kind kind,
		  void *start, size_t size_bytes);
void shadow_leave(struct shadow *shadow, struct shadow_object *slot);
void shadow_free_one(struct shadow *shadow, struct shadow_object *slot);
void shadow_check_zero(const char *start, size_t size_bytes);

void shadow_more_init(struct shadow *shadow);
void shadow_more_step(struct shadow *shadow);
void shadow_more_free(struct shadow *shadow, struct shadow_object *slot);
void shadow_more_drain(struct shadow *shadow);

void shadow_calls_step(struct shadow *shadow);
void shadow_calls_drain(void);

/* For port_in_nmi(), which the program defines; so does it port_stop_cpus(). */
extern bool shadow_in_nmi;

#endif
