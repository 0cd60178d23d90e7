/* SPDX-License-Identifier: MIT */
/*
 * watch.h (level 8) - debug builds: the public calls for objects, seen by witnesses (witness.h).
 * malloc.c, realloc.c and kcache.c hand every call on to here when witness_is_on(), and are called
 * back for the memory itself.
 *
 * A request becomes one for its size and a red zone, aligned as the size alone would be. caller:
 * the return address of the public call.
 */
#ifndef MM_WATCH_H
#define MM_WATCH_H

#include <slate/types.h>

#include "mm/witness.h"

#if SLATE_DEBUG

void watch_init(void);

/* At the head of a public call: it goes on here where witnesses are on, and nowhere else. */
#define WATCH_RETURN(call)             \
	do {                           \
		if (witness_is_on())   \
			return (call); \
	} while (0)
#define WATCH_INSTEAD(call)          \
	do {                         \
		if (witness_is_on()) \
			return call; \
	} while (0)

/* As slate_alloc_aligned(); align_bytes 0: none. */
void *watch_alloc(size_t size_bytes, size_t align_bytes, unsigned flags, const void *caller);

/* slate_alloc_index(): of a typed cache, or of a size class. */
void *watch_alloc_class(unsigned span_class, const void *caller);

/* slate_free(), and _sized() with a size; NULL: none was given. */
void watch_free(void *object, const size_t *size_bytes, const char *call, const void *caller);

/*
 * slate_give_index(): slate_cache_free(), of that cache and no other; or a run of frames. False: it
 * is a run that the caller owned, to be given back now.
 */
bool watch_give_class(unsigned class, void *value, const void *caller);

/* n frames become a caller's, SLATE_PFN_NONE: none; or are no longer. False and a report: they are
 * not, and nothing happens. */
void watch_frames_alloc(pfn_t pfn, size_t n);
bool watch_frames_free(pfn_t pfn, size_t n);

/* What slate_alloc(size_bytes) aligns to. */
size_t watch_align(size_t size_bytes);

/* slate_realloc() of an object, to more than 0 bytes. */
void *watch_realloc(void *object, size_t size_bytes, const void *caller);

/* A free that was begun is finished: its finalizer has run, or an NMI had to leave it. False: the
 * object has no witness. */
bool watch_finish(void *object);

/*
 * What the object's owner asked for. False: it has no witness, *size_bytes is untouched. 0 and a
 * report in the name of call: it is nobody's.
 */
bool watch_size(const void *object, const char *call, size_t *size_bytes);

/* Empty the quarantine: everything in it goes to magazines. No lock is held; any context but NMI.
 */
void watch_drain(void);

/* A stack is handed out, or comes back. */
void watch_stack_alloc(void *stack, const void *caller);
void watch_stack_free(void *stack, const void *caller);

/* Look at the red zones and the poison of all objects; reports the first damage. Returns how many
 * objects are damaged. */
size_t watch_validate(void);

/* For tests: what was given up after reports goes home after all. Nobody else uses it. */
void watch_forgive(void);

#else

#define WATCH_RETURN(call)  ((void)0)
#define WATCH_INSTEAD(call) ((void)0)

static inline void watch_init(void)
{
}
static inline void watch_drain(void)
{
}
static inline size_t watch_validate(void)
{
	return 0;
}
static inline void watch_forgive(void)
{
}
static inline void watch_frames_alloc(pfn_t pfn, size_t n)
{
	(void)pfn;
	(void)n;
}
static inline bool watch_frames_free(pfn_t pfn, size_t n)
{
	(void)pfn;
	(void)n;
	return true;
}

#endif

#endif
