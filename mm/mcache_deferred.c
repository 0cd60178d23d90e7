/* SPDX-License-Identifier: MIT */
/* mcache_deferred.c (level 7) - this CPU's chains of what an NMI freed. */
#include "mm/mcache.h"
#include "mm/mheap.h"
#include "mm/percpu.h"

void mcache_defer(void *object)
{
	percpu_chain(object, object, MCACHE_DEFERRED_OBJECTS);
}

/* A run is chained frame by frame. */
void mcache_defer_frames(pfn_t first, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		pfn_t pfn = pfn_add(first, i);
		void **link = arena_frame_link(pfn);

		if (link)
			percpu_chain(link, frame_to_slot(pfn), MCACHE_DEFERRED_FRAMES);
	}
}

void *mcache_take_deferred(enum mcache_deferred chain)
{
	magtop_t first = percpu_detach_chain(chain);

	return first == MAGAZINE_DUMMY ? NULL : (void *)first;
}
