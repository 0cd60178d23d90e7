/* SPDX-License-Identifier: MIT */
/* mcache_source.c (level 7) - where magazines are filled from and emptied to. */
#include "mm/mcache_source.h"

#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/stackcache.h"

size_t mcache_object_bytes(unsigned class)
{
	if (mcache_is_stack(class))
		return SLATE_PAGE_SIZE << (class - MCACHE_STACK);
	return class == PAGECLASS_FRAME ? SLATE_PAGE_SIZE : spanclass_get(class).elem_bytes;
}

unsigned mcache_source_take(unsigned class, void **out, unsigned n)
{
	if (class == PAGECLASS_FRAME)
		return mheap_take_frames(out, n);
	if (mcache_is_stack(class))
		return stackcache_take(class - MCACHE_STACK, out, n);
	return mcentral_take(class, out, n);
}

static void report_bad_frame(void *slot, const char *call)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_PAGE_FREE,
		.call = call,
		.detail = "the frame is free already; found when the magazine was flushed",
		.address = (uintptr_t)pfn_to_paddr(slot_to_frame(slot)).v,
		.size_bytes = SLATE_PAGE_SIZE,
	};

	mm_report(&report);
}

void mcache_source_give(unsigned class, void **objects, unsigned n, const char *call)
{
	if (mcache_is_stack(class)) {
		stackcache_give(objects, n);
		return;
	}
	if (class != PAGECLASS_FRAME) {
		mcentral_give(class, objects, n, call);
		return;
	}
	void *bad = mheap_give_frames(objects, n);

	if (bad)
		report_bad_frame(bad, call);
}
