/* SPDX-License-Identifier: MIT */
/* mheap_walk.c (level 5) - the registry of a node's spans, looked at under its lock. */
#include "mm/mheap.h"

bool mheap_live_span(unsigned node, pfn_t pfn, unsigned page_class, struct mheap_live *live,
		     unsigned *allocated)
{
	struct mheap *heap = &mheaps[node];
	bool objects = page_class <= PAGECLASS_SPAN_LAST || page_class == PAGECLASS_SLOW ||
		       page_class == PAGECLASS_TYPED || page_class == PAGECLASS_TINY;
	unsigned long irq = mm_lock_acquire(&heap->lock);
	const struct mspan *span =
		objects && arena_class(pfn) == page_class ? arena_span(pfn) : NULL;

	if (span) {
		live->span_class = span->span_class;
		live->elem_bytes = span->elem_bytes;
		if (allocated)
			*allocated = span->allocated;
	}
	mm_lock_release(&heap->lock, irq);
	return span != NULL;
}

void mheap_for_each_span(unsigned node, bool (*fn)(struct mspan *span, void *arg), void *arg)
{
	struct mheap *heap = &mheaps[node];
	struct list *link;
	unsigned long irq = mm_lock_acquire(&heap->lock);

	list_for_each (link, &heap->all) {
		if (!fn(list_entry(link, struct mspan, all_link), arg))
			break;
	}
	mm_lock_release(&heap->lock, irq);
}
