/* SPDX-License-Identifier: MIT */
/*
 * profile.h - the heap profile: who allocated what is in use, and what was, by samples.
 *
 * Of all bytes that are allocated every 512 KiB or so (SLATE_PROFILE_RATE, slate_profile_rate())
 * one is picked at random, and the object that it lies in becomes a sample: its call stack is
 * recorded (port_backtrace()), and so is its free. What the samples stand for follows from the
 * rate: see slate_profile_estimate(). No fast path knows of it; a sample costs some 1000
 * instructions.
 *
 * Objects of slate_alloc() and its kin of all sizes count, with the size of their class, or their
 * frames'. Not sampled are objects of typed caches, tiny ones, frames, stacks; what ANYCTX and
 * non-maskable interrupts allocate, what RESERVE takes from the reserve. A library that was built
 * without SLATE_PROFILE samples nothing.
 */
#ifndef SLATE_PROFILE_H
#define SLATE_PROFILE_H

#include <slate/types.h>

/* Return addresses of a call stack. */
#define SLATE_PROFILE_DEPTH 16

/*
 * From now on sample every that many bytes on the average: 1: each object; 0: none. More than 1 GiB
 * is taken for that. Samples remember the rate of their time. Drains all caches as slate_flush()
 * does; other CPUs that it cannot wait for follow at their next slow path. Context: as
 * slate_flush().
 */
void slate_profile_rate(size_t bytes);

/* Samples of one size, of one rate, from one place. In use are allocs - frees of them. */
struct slate_profile_bucket {
	size_t size_bytes;
	size_t rate_bytes;
	size_t allocs;
	size_t frees;
	size_t depth;
	const uintptr_t *pcs; /* innermost first, from the caller of the library on */
};

/*
 * Call fn for each bucket that was ever used, in no order, until it returns false; returns how many
 * it was called for. No lock is held; what comes meanwhile may be missed. Context: any.
 */
size_t slate_profile_walk(bool (*fn)(const struct slate_profile_bucket *bucket, void *arg),
			  void *arg);

/* How many objects that many samples of the bucket stand for. */
uint64_t slate_profile_estimate(const struct slate_profile_bucket *bucket, size_t samples);

/* Sums over all buckets. */
struct slate_profile_info {
	size_t rate_bytes;
	size_t buckets;
	size_t samples;       /* ever */
	size_t samples_freed; /* of them */
	size_t lost;          /* for whose record there was no memory: not among the samples */
	/* estimates */
	uint64_t objects; /* in use */
	uint64_t bytes;
	uint64_t total_objects; /* ever */
	uint64_t total_bytes;
};

void slate_profile_info(struct slate_profile_info *info);

/*
 * The profile as text that pprof reads (heap_v2: samples, and their rate), line by line without
 * newlines; the lines of MAPPED_LIBRARIES are the kernel's to add. Context: any but NMI.
 */
void slate_profile_dump(void (*line)(const char *text, void *arg), void *arg);

#endif
