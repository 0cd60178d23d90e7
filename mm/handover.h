/* SPDX-License-Identifier: MIT */
/*
 * handover.h (level 8) - what a CPU holds goes home because another CPU asked: the one that holds
 * it only lets go, with interrupts off, a bounded part at a time; the one that asked looks what
 * there is, and does the work.
 */
#ifndef MM_HANDOVER_H
#define MM_HANDOVER_H

#include "mm/deferred.h"
#include "mm/mcache.h"
#include "mm/pagecache.h"

struct mspan;

/* Of one part, so that it ends within some 1500 instructions. */
#define HANDOVER_CLASSES 12u

struct handover {
	const struct mcache *cache; /* of the CPU that lets go */
	size_t wanted;              /* the drain that this one is */
	unsigned next;              /* class that the next look begins with */
	bool begun;
	bool done;

	unsigned count; /* classes that hold something, and their magazines once let go */
	struct {
		unsigned class;
		magtop_t take;
		magtop_t give;
	} classes[HANDOVER_CLASSES];
	struct pagecache pages;
	struct mspan *large; /* chained by cache_next */
	struct deferred deferred;
};

void handover_begin(struct handover *handover, const struct mcache *cache);

/*
 * Until done, in this order. By who asks: what shall the next part be? By the CPU that holds it,
 * for port_run_on_cpu(), interrupts are off: the part. By who asks, without a lock: it goes home.
 */
void handover_look(struct handover *handover);
void handover_part(void *handover);
void handover_finish(struct handover *handover);

#endif
