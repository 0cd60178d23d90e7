/* SPDX-License-Identifier: MIT */
/* pages.c (level 8) - frames for callers: constraints checked, single frames through the magazines.
 */
#include <slate/port.h>
#include <slate/slate.h>

#include "lib/bits.h"
#include "lib/string.h"
#include "mm/anyctx.h"
#include "mm/directmap.h"
#include "mm/init.h"
#include "mm/mcache.h"
#include "mm/mheap_run.h"
#include "mm/mmdebug.h"
#include "mm/object.h"
#include "mm/percpu.h"
#include "mm/reclaim.h"
#include "mm/trace.h"
#include "mm/watch.h"
#include "mm/zeroer.h"

static inline pfn_t frame_alloc(void)
{
	void *slot = percpu_take(PAGECLASS_FRAME);
	struct reclaim reclaim = {0};

	if (slot)
		return slot_to_frame(slot);
	if (!init_check("slate_frame_alloc"))
		return SLATE_PFN_NONE;
	do {
		slot = mcache_take_slow(PAGECLASS_FRAME);
		if (slot)
			return slot_to_frame(slot);
	} while (reclaim_next(&reclaim, 0));
	reclaim_failed();
	return SLATE_PFN_NONE;
}

/* ---- Traces: frames by their physical address ---- */

static uint64_t address_of(pfn_t pfn)
{
	return pfn_is_none(pfn) ? ~(uint64_t)0 : pfn_to_paddr(pfn).v;
}

static pfn_t note_alloc(pfn_t pfn, size_t n, const void *caller)
{
	trace_note(SLATE_TRACE_PAGE_ALLOC, address_of(pfn), n << SLATE_PAGE_SHIFT, caller);
	return pfn;
}

static void note_free(pfn_t pfn, size_t n, const void *caller)
{
	if (!pfn_is_none(pfn))
		trace_note(SLATE_TRACE_PAGE_FREE, address_of(pfn), n << SLATE_PAGE_SHIFT, caller);
}

/* ---- Single frames ---- */

pfn_t slate_frame_alloc_slow(void)
{
	pfn_t pfn = frame_alloc();

	if (witness_is_on())
		watch_frames_alloc(pfn, 1);
	return trace_is_on() ? note_alloc(pfn, 1, TRACE_CALLER) : pfn;
}

void object_free_frame(pfn_t pfn)
{
	void *slot = frame_to_slot(pfn);

	if (slot && !percpu_give(PAGECLASS_FRAME, slot))
		mcache_give_slow(PAGECLASS_FRAME, slot, "slate_page_free");
}

void slate_frame_free_slow(pfn_t pfn)
{
	if (trace_is_on())
		note_free(pfn, 1, TRACE_CALLER);
	if (witness_is_on() && !watch_frames_free(pfn, 1))
		return;
	object_free_frame(pfn);
}

#if SLATE_PROTECT != SLATE_PROTECT_RSEQ
/* With restartable sequences arch/ARCH/rseq.S defines these. */
pfn_t slate_frame_alloc(void)
{
	return slate_frame_alloc_slow();
}

void slate_frame_free(pfn_t pfn)
{
	slate_frame_free_slow(pfn);
}
#endif

static __attribute__((noinline)) pfn_t alloc_run_reclaim(size_t n, struct page_fit *fit,
							 unsigned node, unsigned flags)
{
	struct reclaim reclaim = {.pages = n};

	while (reclaim_next(&reclaim, flags)) {
		if (reclaim.reserve)
			fit->reserve = true;
		pfn_t pfn = mheap_alloc_pages(n, fit, node);

		if (!pfn_is_none(pfn))
			return pfn;
	}
	reclaim_failed();
	return SLATE_PFN_NONE;
}

static unsigned class_of_run(size_t n)
{
	return n == 1 ? PAGECLASS_FRAME : SLATE_RUN_CLASS_OF(n);
}

/* fit may be NULL when flags are 0. */
static pfn_t alloc_run(size_t n, struct page_fit *fit, unsigned node, unsigned flags)
{
	pfn_t pfn = mheap_alloc_pages(n, fit, node);

	return pfn_is_none(pfn) ? alloc_run_reclaim(n, fit, node, flags) : pfn;
}

static bool is_pow2_or_0(uint64_t x)
{
	return (x & (x - 1)) == 0;
}

/* To frames; false when no run of n frames can satisfy them. */
static bool to_fit(const struct slate_page_constraints *c, size_t n, struct page_fit *fit)
{
	const uint64_t top = (uint64_t)(SIZE_MAX >> 1) << SLATE_PAGE_SHIFT;

	if (!is_pow2_or_0(c->align_bytes) || !is_pow2_or_0(c->boundary_bytes))
		return false;
	if (c->min > top || c->align_bytes > top || c->boundary_bytes > top)
		return false;
	if (c->max && (c->max <= c->min || ((c->max - c->min) >> SLATE_PAGE_SHIFT) < n))
		return false;
	if (c->boundary_bytes && (c->boundary_bytes >> SLATE_PAGE_SHIFT) < n)
		return false;
	*fit = (struct page_fit){
		.min = {(size_t)((c->min + SLATE_PAGE_MASK) >> SLATE_PAGE_SHIFT)},
		.end = {c->max > top ? 0 : (size_t)(c->max >> SLATE_PAGE_SHIFT)},
		.align_pages = (size_t)(c->align_bytes >> SLATE_PAGE_SHIFT),
		.boundary_pages = (size_t)(c->boundary_bytes >> SLATE_PAGE_SHIFT),
	};
	if ((c->flags & SLATE_ZERO) && (fit->end.v == 0 || fit->end.v > directmap_end.v))
		fit->end = directmap_end;
	return true;
}

/* A run as its caller wants it, as far as it is not known to be so. */
static pfn_t clear(pfn_t pfn, size_t n, unsigned flags, bool known_zero)
{
	if (pfn_is_none(pfn) || !(flags & SLATE_ZERO))
		return pfn;
	if (known_zero)
		zeroer_note_saved(n);
	else
		memset(pfn_to_virt(pfn), 0, n << SLATE_PAGE_SHIFT);
	return pfn;
}

/* What this CPU's magazines have, or else by a lock that is free at once. */
static pfn_t alloc_anyctx(size_t n, const struct slate_page_constraints *c)
{
	static const struct slate_page_constraints none = {.node = SLATE_ANY_NODE};
	struct page_fit fit = {.min = {0}};
	bool known_zero = false;
	pfn_t pfn = SLATE_PFN_NONE;
	void *slot = NULL;

	if (!c)
		c = &none;
	if (!to_fit(c, n, &fit))
		return pfn;
	if (!(c->min || c->max || c->align_bytes || c->boundary_bytes) &&
	    c->node == SLATE_ANY_NODE && class_of_run(n))
		slot = mcache_take_anyctx(class_of_run(n));
	if (slot && fit.end.v == 0)
		return slot_to_frame(slot);
	/* what is to be cleared must be mapped */
	if (slot && slot_to_frame(slot).v + n <= fit.end.v)
		return clear(slot_to_frame(slot), n, c->flags, false);
	if (slot)
		mcache_defer_frames(slot_to_frame(slot), n);
	fit.known_zero = &known_zero;
	pfn = anyctx_alloc_pages(n, &fit, c->node, c->flags);
	return clear(pfn, n, c->flags, known_zero);
}

/* One frame without further wishes may be any that is zero. */
static bool any_zero_will_do(size_t n, const struct page_fit *fit,
			     const struct slate_page_constraints *constraints)
{
	return n == 1 && (constraints->flags & SLATE_ZERO) && fit->min.v == 0 &&
	       fit->align_pages <= 1;
}

static pfn_t alloc_maybe_zero(size_t n, struct page_fit *fit,
			      const struct slate_page_constraints *constraints)
{
	bool known_zero = false;
	pfn_t pfn = SLATE_PFN_NONE;

	if (any_zero_will_do(n, fit, constraints))
		pfn = mheap_alloc_zeroed(fit->end, constraints->node);
	if (!pfn_is_none(pfn))
		return clear(pfn, n, constraints->flags, true);
	/* cppcheck-suppress autoVariables ; the caller's fit ends with this call */
	fit->known_zero = &known_zero;
	pfn = alloc_run(n, fit, constraints->node, constraints->flags);
	return clear(pfn, n, constraints->flags, known_zero);
}

static __attribute__((noinline)) pfn_t alloc_pages(size_t n,
						   const struct slate_page_constraints *constraints)
{
	struct page_fit fit;

	if (n == 0 || !init_check("slate_page_alloc"))
		return SLATE_PFN_NONE;
	if (!constraints && n == 1)
		return slate_frame_alloc();
	if (anyctx_is(constraints ? constraints->flags : 0))
		return alloc_anyctx(n, constraints);
	if (!constraints)
		return alloc_run(n, NULL, SLATE_ANY_NODE, 0);
	if (!to_fit(constraints, n, &fit))
		return SLATE_PFN_NONE;
	return alloc_maybe_zero(n, &fit, constraints);
}

/* slate_frame_alloc() would record it itself. */
static __attribute__((noinline)) pfn_t
alloc_traced(size_t n, const struct slate_page_constraints *constraints, const void *caller)
{
	pfn_t pfn = n == 1 && !constraints ? frame_alloc() : alloc_pages(n, constraints);

	return note_alloc(pfn, n, caller);
}

#if SLATE_DEBUG
static pfn_t alloc_watched(size_t n, const struct slate_page_constraints *constraints,
			   const void *caller)
{
	pfn_t pfn =
		trace_is_on() ? alloc_traced(n, constraints, caller) : alloc_pages(n, constraints);

	watch_frames_alloc(pfn, n);
	return pfn;
}
#endif

pfn_t(slate_page_alloc)(size_t n, const struct slate_page_constraints *constraints)
{
	pfn_t pfn;

	WATCH_RETURN(alloc_watched(n, constraints, TRACE_CALLER));
	if (trace_is_on())
		return alloc_traced(n, constraints, TRACE_CALLER);
	if (constraints || !mheap_is_short_run(n))
		return alloc_pages(n, constraints);
	pfn = mheap_alloc_run(n);
	return pfn_is_none(pfn) ? alloc_pages(n, NULL) : pfn;
}

/* Are all of them frames of one range? */
static bool is_ours(pfn_t pfn, size_t n)
{
	pfn_t start;
	size_t pages;

	for (unsigned node = 0; node < mheap_node_count(); node++) {
		if (pagealloc_bounds(&mheaps[node].pages, pfn, &start, &pages))
			return n <= pages - (pfn.v - start.v);
	}
	return false;
}

int slate_page_alloc_at(paddr_t base, size_t n)
{
	struct reclaim reclaim = {0};

	if (!init_check("slate_page_alloc_at"))
		return SLATE_ESTAGE;
	if (n == 0 || (base.v & SLATE_PAGE_MASK))
		return SLATE_EINVAL;
	/* Every frame has a lock before it. */
	if (port_in_nmi())
		return SLATE_EBUSY;
	if (base.v >> SLATE_PADDR_BITS || !is_ours(paddr_to_pfn(base), n))
		return SLATE_ENOENT;
	do {
		if (mheap_alloc_pages_at(paddr_to_pfn(base), n)) {
			if (trace_is_on())
				note_alloc(paddr_to_pfn(base), n, TRACE_CALLER);
			if (witness_is_on())
				watch_frames_alloc(paddr_to_pfn(base), n);
			return SLATE_OK;
		}
	} while (reclaim_next(&reclaim, 0));
	return SLATE_EBUSY;
}

/* Returns how many were freed: up to the first that is not part of an allocated run. */
static size_t free_run(pfn_t pfn, size_t n)
{
	size_t good = 0;

	if (!port_in_nmi())
		return mheap_free_pages(pfn, n);
	/* What is free already is found when they are freed in earnest. */
	while (good < n && arena_class(pfn_add(pfn, good)) == PAGECLASS_FREE)
		good++;
	mcache_defer_frames(pfn, good);
	return good;
}

static __attribute__((noinline)) void free_pages(pfn_t pfn, size_t n)
{
	if (n == 1 && arena_class(pfn) == PAGECLASS_FREE) {
		if (trace_is_on() || witness_is_on())
			object_free_frame(pfn);
		else
			slate_frame_free(pfn);
		return;
	}
	if (pfn_is_none(pfn))
		return;
	size_t freed = n ? free_run(pfn, n) : 0;

	if (freed == n && n > 0)
		return;
	struct slate_report report = {
		.crime = n ? SLATE_CRIME_PAGE_FREE : SLATE_CRIME_BAD_ARGUMENT,
		.call = "slate_page_free",
		.detail = n ? "the frame is not part of an allocated run" : "no frames to free",
		.address = (uintptr_t)pfn_to_paddr(pfn_add(pfn, freed)).v,
		.size_bytes = n << SLATE_PAGE_SHIFT,
	};

	mm_report(&report);
}

void(slate_page_free)(pfn_t pfn, size_t n)
{
	if (trace_is_on())
		note_free(pfn, n, TRACE_CALLER);
	if (witness_is_on() && !watch_frames_free(pfn, n))
		return;
	if (!mheap_is_short_run(n) || !mheap_free_run(pfn, n))
		free_pages(pfn, n);
}
