/* SPDX-License-Identifier: MIT */
/*
 * mcentral_isolate.c (level 6) - spans of memory that is being removed: nothing is taken from them
 * until the removal has failed.
 */
#include "mm/directmap.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"

void mcentral_isolate(unsigned span_class, unsigned node, pfn_t pfn)
{
	struct mcentral *central = mcentral_of(span_class);
	unsigned long irq = mm_lock_acquire(&central->lock);
	struct mheap_live live;
	unsigned allocated;
	/* With objects out, and none can come home now, it is on a list of ours and stays there. */
	struct mspan *span = mheap_live_span(node, pfn, arena_class(pfn), &live, &allocated) &&
					     live.span_class == span_class && allocated > 0
				     ? arena_span(pfn)
				     : NULL;

	if (span && !span->isolated) {
		list_remove(&span->link);
		list_insert_back(&central->isolated, &span->link);
		span->isolated = true;
		if (spanclass_is_size(span_class))
			arena_set_class(virt_to_pfn((void *)span->base), span->pages,
					PAGECLASS_SLOW);
	}
	mm_lock_release(&central->lock, irq);
}

void mcentral_restore(unsigned span_class)
{
	struct mcentral *central = mcentral_of(span_class);
	struct list *link;

	do {
		unsigned long irq = mm_lock_acquire(&central->lock);

		link = list_pop_front(&central->isolated);
		if (link) {
			struct mspan *span = list_entry(link, struct mspan, link);

			span->isolated = false;
			/* frames with records stay marked, the others of their span until a record
			 * of theirs changes */
			if (!span->specials && !span->sampled)
				arena_set_class(virt_to_pfn((void *)span->base), span->pages,
						span->page_class);
			mcentral_list_span_locked(central, span);
		}
		mm_lock_release(&central->lock, irq);
	} while (link);
}
