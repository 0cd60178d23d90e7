/* SPDX-License-Identifier: MIT */
/*
 * marksweep.h - which objects nobody can reach any more: the leak scan, and the collector.
 *
 * Conservative: a word that looks like a pointer into an object, to its start or its inside, keeps
 * it. Pointers are looked for in the roots that the kernel registers, in the used parts of all
 * stacks (port_stop_cpus()), in all objects that are reached and are not NOSCAN. Not in frame runs:
 * one that holds pointers is registered as a root. All CPUs stand still while it is marked: for
 * SLATE_MARK_CHUNK_WORDS at a time, and run in between, where the port tells what they write
 * (port_written_begin()), else once for all, some 26 instructions for each word of objects. The
 * first and the last stop look at all roots and stacks.
 *
 * One of these calls at a time, with interrupts enabled, from no handler; a second one is refused
 * with SLATE_EAGAIN. SLATE_EBUSY: the port cannot stop the CPUs. SLATE_ENOMEM: no frames for mark
 * bits (0.2 % of what objects take). Ideas: Boehm and Weiser 1988; Go's span sweep.
 */
#ifndef SLATE_MARKSWEEP_H
#define SLATE_MARKSWEEP_H

#include <slate/types.h>

/*
 * Look for pointers in [start, start + size_bytes), too: .data and .bss of the kernel, per-CPU
 * areas, frame runs. SLATE_ENOMEM: there are SLATE_ROOTS already. slate_root_remove() takes the
 * same start; SLATE_ENOENT. Context: any but NMI.
 */
int slate_root_add(const void *start, size_t size_bytes);
int slate_root_remove(const void *start);

/* This object is no leak, and what it points to is none, though nobody seems to point at it; until
 * it is freed. Returns and context as slate_on_free(). */
int slate_not_leak(void *object);

/* Unreachable objects of one size, from one place as far as that is known: they were samples of the
 * heap profile (profile.h). */
struct slate_leak {
	size_t object_bytes;
	size_t count;
	const void *first;      /* the one with the lowest address */
	unsigned char head[32]; /* its first bytes */
	size_t head_bytes;      /* min(32, object_bytes) */
	const uintptr_t *stack; /* return addresses, innermost first; NULL: it is not known */
	size_t stack_depth;
};

struct slate_leaks {
	struct slate_leak *list; /* the caller's */
	size_t capacity;         /* entries of it */
	size_t count;            /* groups that were filled in; further ones are in the sums only */
	size_t objects;
	size_t bytes;
};

/* Find what is unreachable, and free nothing. The groups come by ascending size, of one
 * size first that of unknown places. */
int slate_leak_scan(struct slate_leaks *leaks);

struct slate_collected {
	size_t objects; /* that were freed */
	size_t bytes;
	size_t finalized; /* finalizers that ran */
};

/*
 * Free what is unreachable. First the finalizers of unreachable objects run, by ascending address,
 * each once, while nothing is freed yet; then is marked again, for a finalizer may have made
 * objects reachable. collected may be NULL.
 */
int slate_collect(struct slate_collected *collected);

/*
 * The same until at least that many frames came free, spans that are wholly unreachable first; what
 * is left stays known until the next call of any of these, and slate_reclaim() goes on with it
 * without marking. Returns the frames.
 */
size_t slate_reclaim(size_t pages);

/*
 * A probe on an object tells whether it was reachable at the last mark: slate_probe() hangs it on,
 * slate_reachable() is 1, 0, or -1: no probe there, or no mark since. Returns and context as
 * slate_on_free().
 */
int slate_probe(void *object);
int slate_reachable(const void *object);

#endif
