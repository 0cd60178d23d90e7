/* SPDX-License-Identifier: MIT */
/*
 * trace.h - every allocation and free of a while, as it happened: for replays, and for the question
 * what was going on before.
 *
 * While it is on no CPU has magazines, so that every call takes a slow path, and only slow paths
 * look whether it is on: while it is off, nothing is paid. A call costs some hundred instructions
 * then. NMIs find no cached frames meanwhile, and the heap profile takes no samples.
 */
#ifndef SLATE_TRACE_H
#define SLATE_TRACE_H

#include <slate/types.h>

enum slate_trace_kind {
	SLATE_TRACE_ALLOC,        /* an object; at address 0: there was no memory */
	SLATE_TRACE_FREE,         /* recorded before its memory can be given out again */
	SLATE_TRACE_REALLOC_FROM, /* the object that slate_realloc() was given */
	SLATE_TRACE_REALLOC_TO,   /* where it is now; at address 0: it stayed as it was */
	SLATE_TRACE_PAGE_ALLOC,   /* a run of frames, by physical address; at ~0: there was none */
	SLATE_TRACE_PAGE_FREE,
	SLATE_TRACE_STACK_ALLOC,
	SLATE_TRACE_STACK_FREE,
	SLATE_TRACE_KINDS
};

struct slate_trace_event {
	uint32_t number;   /* of all CPUs: an allocation's is above that of the free before it */
	uint32_t tick;     /* port_tick() */
	uint64_t address;  /* virtual; of frames physical */
	size_t size_bytes; /* as asked for; the class's where the compiler folded it; 0 of frees of
			      objects */
	uintptr_t caller;  /* the return address of the call */
	uint32_t link;     /* REALLOC_TO: the number of its REALLOC_FROM */
	uint16_t cpu;
	uint8_t kind; /* enum slate_trace_kind */
	uint8_t spare;
};

/*
 * Begin, with room for so many events on each CPU that is online now (rounded up to a power of two;
 * 48 bytes or less each, in frames); what was recorded before is forgotten. When a ring is full its
 * oldest events are lost, and counted. Exact from its return on, as far as slate_flush() reaches
 * all CPUs. Returns SLATE_OK; SLATE_EBUSY (it is on, or another call is under way); SLATE_ENOMEM;
 * SLATE_ESTAGE (no CPU is online); SLATE_EINVAL (0, or too many); SLATE_ENOENT (built without
 * SLATE_TRACE). Context: as slate_flush().
 */
int slate_trace_start(size_t events_per_cpu);

/* End; what was recorded stays. Returns when no CPU records any more. Context: any but NMI. */
void slate_trace_stop(void);

/*
 * fn(event, arg) for each event that is kept, by number, until it returns false. Only while it is
 * off; returns how many. fn may allocate. (An event of an NMI may stand one place too late.)
 */
size_t slate_trace_walk(bool (*fn)(const struct slate_trace_event *event, void *arg), void *arg);

/* Give the memory of the rings back. Only while it is off. */
void slate_trace_discard(void);

struct slate_trace_info {
	bool on;
	size_t recorded; /* since it was started, on all CPUs */
	size_t lost;     /* of these: overrun, or on a CPU that came online later */
	size_t bytes;    /* of all rings */
};

void slate_trace_info(struct slate_trace_info *info);

#endif
