/* SPDX-License-Identifier: MIT */
/*
 * pure_faults.h - a table of faults, each planted on purpose, and the exact text of the report that
 * must come of it. The same source runs on the host and inside the kernel; the runner catches the
 * text.
 *
 * A text is compared as a whole, but for what differs from run to run: {at}, {object}, {span} and
 * the like stand for the values of the object at hand; ticks, return addresses and the bytes of the
 * memory dump are only looked for.
 */
#ifndef TEST_PURE_FAULTS_H
#define TEST_PURE_FAULTS_H

#include <slate/slate.h>

enum fault_make {
	FAULT_PLAIN,   /* slate_alloc() */
	FAULT_NOSCAN,  /* tiny where it is small enough */
	FAULT_ALIGNED, /* to a frame */
	FAULT_TYPED,   /* of a cache without a constructor */
	FAULT_BUILT,   /* of one with a constructor */
	FAULT_STACK,   /* of size_bytes */
	FAULT_FRAMES,  /* a run */
	FAULT_NOTHING,
};

/* What a row is tried on. */
struct fault {
	const struct fault_row *row;
	volatile unsigned char *object; /* its first byte; frames: as the direct map has them */
	uintptr_t at;                   /* the address that the report names */
	uintptr_t place;                /* the same in the direct map, where at is physical */
	pfn_t pfn;                      /* of FRAMES */
	struct slate_cache *cache;      /* of TYPED and BUILT */
	struct slate_cache *other;      /* another one */
	bool gone;                      /* the row leaves nothing to be freed */
};

/* What one kind of build reports. */
struct fault_text {
	const char *line; /* the first line; NULL: it finds nothing */
	/*
	 * The end of the line on what lies at the address: "taken". After "=" it is all of that
	 * line; "?": only the first line is compared; NULL: there is no such line.
	 */
	const char *held;
};

struct fault_row {
	const char *name;
	enum fault_make make;
	size_t size_bytes;
	void (*plant)(struct fault *fault);
	struct fault_text release;
	struct fault_text debug;
};

/* Each ends with a row without a name. */
extern const struct fault_row *const fault_tables[];
extern const struct fault_row fault_frame_rows[];

struct fault_runner {
	/* From now on each report becomes text at the end of buf, and nothing else; NULL: that is
	 * over. */
	void (*capture)(char *buf, size_t size_bytes);
	void (*say)(const char *line);
};

struct fault_score {
	size_t passed;
	size_t failed;
	size_t skipped; /* this build finds nothing */
};

/* All rows, one by one. What does not hold is said, with both texts. */
struct fault_score faults_run(const struct fault_runner *runner);

#endif
