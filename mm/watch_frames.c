/* SPDX-License-Identifier: MIT */
/*
 * watch_frames.c (level 8) - debug builds: a frame that is a caller's says so, in the word that
 * frames without a span have (arena_frame_link()); so one that is given back twice is found at
 * once, whatever magazine it lies in. That is all: frames have no witnesses.
 */
#include "mm/watch.h"

#if SLATE_DEBUG

#include <stdatomic.h>

#include "mm/arena.h"
#include "mm/mmdebug.h"

/* No span struct lies there, and no slot of a magazine has this value. */
#define TAKEN ((uintptr_t)-0x5a5b)

/* NULL: no frame of ours. acq_rel where it changes: of two who give it back one wins. */
static _Atomic uintptr_t *mark_of(pfn_t pfn)
{
	return (_Atomic uintptr_t *)arena_frame_link(pfn);
}

void watch_frames_alloc(pfn_t pfn, size_t n)
{
	for (size_t i = 0; i < n && !pfn_is_none(pfn); i++)
		atomic_store_explicit(mark_of(pfn_add(pfn, i)), TAKEN, memory_order_release);
}

static bool take_mark(pfn_t pfn)
{
	_Atomic uintptr_t *mark = arena_class(pfn) == PAGECLASS_FREE ? mark_of(pfn) : NULL;
	uintptr_t expected = TAKEN;

	return mark && atomic_compare_exchange_strong_explicit(
			       mark, &expected, 0, memory_order_acq_rel, memory_order_relaxed);
}

bool watch_frames_free(pfn_t pfn, size_t n)
{
	size_t i = 0;

	if (pfn_is_none(pfn))
		return true;
	while (i < n && take_mark(pfn_add(pfn, i)))
		i++;
	if (i == n)
		return true;
	struct slate_report report = {
		.crime = SLATE_CRIME_PAGE_FREE,
		.call = "slate_page_free",
		.detail = "the frame is not part of an allocated run",
		.address = (uintptr_t)pfn_to_paddr(pfn_add(pfn, i)).v,
		.size_bytes = n << SLATE_PAGE_SHIFT,
	};

	/* nothing of it happens */
	watch_frames_alloc(pfn, i);
	mm_report(&report);
	return false;
}

#endif
