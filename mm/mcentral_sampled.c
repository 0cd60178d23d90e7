/* SPDX-License-Identifier: MIT */
/* mcentral_sampled.c (level 6) - spans whose objects are samples of the heap profile. */
#include "mm/directmap.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"

#if SLATE_PROFILE

static struct mspan *first_locked(struct mcentral *central)
{
	struct list *link = list_first(&central->sampled);

	mm_lock_assert_held(&central->lock);
	return link ? list_entry(link, struct mspan, link) : NULL;
}

static void *take_locked(struct mcentral *central, struct mspan *span)
{
	void *object;

	mm_lock_assert_held(&central->lock);
	if (!span || mspan_take(span, &object, 1) == 0)
		return NULL;
	central->objects++;
	if (mspan_is_full(span)) {
		list_remove(&span->link);
		mcentral_list_span_locked(central, span);
	}
	return object;
}

/* A new one, and the first object of it. */
static void *take_new(struct mcentral *central)
{
	struct mspan *span = mheap_alloc_span(central->span_class);
	void *object;
	unsigned long irq;

	if (!span)
		return NULL;
	span->sampled = true;
	arena_set_class(virt_to_pfn((void *)span->base), span->pages, PAGECLASS_SLOW);
	irq = mm_lock_acquire(&central->lock);
	central->spans++;
	mcentral_list_span_locked(central, span);
	object = take_locked(central, span);
	mm_lock_release(&central->lock, irq);
	return object;
}

void *mcentral_spare_locked(struct mcentral *central)
{
	return take_locked(central, first_locked(central));
}

void *mcentral_try_take_spare(unsigned span_class)
{
	struct mcentral *central = mcentral_of(span_class);
	unsigned long irq;
	void *object;

	if (!mm_lock_try(&central->lock, &irq))
		return NULL;
	object = mcentral_spare_locked(central);
	mm_lock_release(&central->lock, irq);
	return object;
}

void *mcentral_take_sampled(unsigned span_class)
{
	struct mcentral *central = mcentral_of(span_class);
	unsigned long irq = mm_lock_acquire(&central->lock);
	void *object = mcentral_spare_locked(central);

	mm_lock_release(&central->lock, irq);
	return object ? object : take_new(central);
}

static void drop(struct mcentral *central)
{
	unsigned long irq = mm_lock_acquire(&central->lock);
	struct mspan *span = first_locked(central);

	/* an empty one has free objects, and stands in front */
	if (span && span->allocated > 0)
		span = NULL;
	if (span) {
		list_remove(&span->link);
		central->spans--;
	}
	mm_lock_release(&central->lock, irq);
	if (span)
		mheap_free_span(span);
}

void mcentral_drop_sampled(void)
{
	for (unsigned class = 2; class <= PAGECLASS_SPAN_LAST; class ++)
		drop(&mcentrals[class]);
}

#endif
