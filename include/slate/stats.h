/* SPDX-License-Identifier: MIT */
/*
 * stats.h - figures, in frames and objects. The conservation equation, exact after slate_flush()
 * with no call in flight:
 *
 *   total = free + cached + objects + manual + stacks + metadata + reserved + released   (frames)
 */
#ifndef SLATE_STATS_H
#define SLATE_STATS_H

#include <slate/types.h>

struct slate_stats {
	size_t total_pages;    /* frames ever added, minus removed */
	size_t free_pages;     /* in the page allocators, without the released ones */
	size_t cached_pages;   /* free, in per-CPU caches of frames and of large objects */
	size_t object_pages;   /* spans that hold objects, large objects in use included */
	size_t manual_pages;   /* owned by their callers: frame runs */
	size_t stack_pages;    /* kernel stacks and their guard pages, cached ones included */
	size_t metadata_pages; /* Slate's own */
	size_t reserved_pages; /* kept for RESERVE requests */
	size_t released_pages; /* given back to the machine's owner; allocations take them back */

	size_t objects;        /* live objects as the spans see them: cached ones count */
	size_t cached_objects; /* of these, in magazines and depots */
	size_t cached_stacks;  /* stacks in magazines and depots */
	size_t large_objects;  /* live objects above the largest class */
	size_t object_bytes;   /* element sizes of all live objects, large ones included */

	size_t tiny_allocs; /* ever, of 1 to 7 bytes without pointers; a block of them is one object
			     */

	/* What was done before NULL, in this order. */
	size_t drains;         /* times that memory ran out and a CPU emptied its caches */
	size_t depot_drains;   /* times that full magazines between the CPUs went home after it */
	size_t remote_drains;  /* CPUs that were made to empty their caches */
	size_t shrinks;        /* calls of a shrinker */
	size_t shrunk_pages;   /* what shrinkers said they gave back */
	size_t scavenge_waits; /* times that a run on its way to the machine's owner was waited for
				*/
	size_t reserve_uses;   /* requests that came to the reserve */
	size_t low_nodes; /* times that a node fell below its low watermark, seen by slate_poll() */
	size_t failures;  /* requests that got NULL */
	size_t reports;   /* calls of port_panic() */
	size_t leaked_objects; /* given up after a report */

	size_t zeroed_pages;     /* free frames that are known to read as zero */
	size_t zero_saved_pages; /* frames that were asked for as zeroes, and were so already */

	size_t discards;        /* runs that port_page_discard() took */
	size_t discard_refused; /* and those that it did not take */
};

struct slate_class_stats {
	size_t elem_bytes;
	size_t span_pages; /* of one span */
	size_t elems_per_span;
	bool noscan;
	bool typed; /* a typed cache's */
	size_t spans;
	size_t objects;        /* taken from spans: in use or cached */
	size_t cached_objects; /* of these, in magazines and depots */
	size_t waste_bytes;    /* span tails: what no object can use */
};

struct slate_cpu_stats {
	bool online;
	size_t cached_objects;
	size_t cached_bytes;
	size_t refills;
	size_t flushes;
};

struct slate_node_stats {
	size_t total_pages;
	size_t free_pages;        /* without the reserve and the released ones */
	size_t reserved_pages;    /* kept for RESERVE requests */
	size_t released_pages;    /* given back to the machine's owner */
	size_t low_pages;         /* the watermark below which slate_poll() begins to reclaim */
	size_t high_pages;        /* and the one where it stops */
	size_t largest_run_pages; /* of free or released frames */
	size_t local_pages;  /* ever served to CPUs of this node; what goes to caches counts once */
	size_t remote_pages; /* and to CPUs of other nodes */
};

/*
 * All figures at once. Counts of other CPUs' caches are read while they run and may lag by what one
 * CPU moves at a time; exact when the CPUs are quiet. Context: any but NMI. Takes the locks one by
 * one.
 */
void slate_stats(struct slate_stats *stats);

/* Span classes are below slate_class_count(). Returns false for a number that is none now. Context:
 * any but NMI. */
unsigned slate_class_count(void);
bool slate_class_stats(unsigned span_class, struct slate_class_stats *stats);

/* Returns false for a CPU that never was online. */
bool slate_cpu_stats(unsigned cpu, struct slate_cpu_stats *stats);

/* Returns false for a node without memory. */
bool slate_node_stats(unsigned node, struct slate_node_stats *stats);

/* Who holds the frames of a block of addresses. */
struct slate_frame_block {
	pfn_t start;       /* a multiple of the block's length */
	size_t pages;      /* frames of ours in it: the sum of what follows */
	size_t free_pages; /* the reserve among them */
	size_t released_pages;
	size_t object_pages;
	size_t stack_pages;
	size_t frame_pages; /* callers' frames, and free ones in per-CPU caches */
	size_t metadata_pages;
};

/*
 * Call fn for each aligned block of block_pages frames (a power of two) that has frames of ours, in
 * ascending order. No lock is held: fn may do anything, other CPUs may run, and what moves
 * meanwhile may be counted where it was or where it is. Time grows with the memory: some hundred
 * instructions for 2 MiB that are free, a few for each frame that is not. Context: any but NMI.
 */
void slate_frames_walk(size_t block_pages,
		       void (*fn)(const struct slate_frame_block *block, void *arg), void *arg);

/*
 * Walk over everything and prove that it is consistent: bitmaps against summaries, spans against
 * arena maps, lists against states, the equation above. The first contradiction goes to
 * port_panic() as SLATE_CRIME_CORRUPT. Returns the number of contradictions. Other CPUs may run,
 * then the equations are checked within their stated bounds only. Context: interrupts enabled, not
 * from a handler.
 */
size_t slate_validate(void);

#endif
