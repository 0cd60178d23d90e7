/* SPDX-License-Identifier: MIT */
/*
 * validate.c (level 9) - a walk over everything, to prove that it is consistent.
 *
 * Each structure is checked under its own lock, so other CPUs may run. Sums over several structures
 * pass through a mismatch while an operation is in flight, so only one that stays on its side of
 * nothing counts, for so long that no operation takes as much, its CPU perhaps a thread that waits
 * for its turn.
 *
 * Shortcoming: the locks are held for as long as one structure's walk takes, with interrupts off.
 */
#include <slate/port.h>
#include <slate/report.h>
#include <slate/stats.h>

#include "mm/directmap.h"
#include "mm/largecache.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/special.h"
#include "mm/watch.h"

/* The first contradiction, and how many there are. */
struct findings {
	const char *detail;
	uintptr_t address;
	size_t count;
};

static void found(struct findings *findings, const char *detail, uintptr_t address)
{
	if (findings->count++ == 0) {
		findings->detail = detail;
		findings->address = address;
	}
}

/* ---- Spans, from the heap's registry ---- */

static bool check_span_map(struct mspan *span, void *arg)
{
	struct findings *findings = arg;
	pfn_t pfn = virt_to_pfn((void *)span->base);

	if (mspan_state(span) == MSPAN_DEAD) {
		found(findings, "a dead span is registered", span->base);
		return true;
	}
	const char *wrong = special_validate(span);

	if (wrong)
		found(findings, wrong, span->base);
	for (size_t i = 0; i < span->pages; i++) {
		unsigned class = arena_class(pfn_add(pfn, i));

		if (class != mheap_class_at(span, i) && class != PAGECLASS_SLOW)
			found(findings, "a frame's class byte is not its span's", span->base);
		else if (arena_span(pfn_add(pfn, i)) != span)
			found(findings, "a frame does not lead to its span", span->base);
	}
	return true;
}

static bool add_span_pages(struct mspan *span, void *arg)
{
	*(size_t *)arg += span->pages;
	return true;
}

static size_t counter(const _Atomic size_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

/* How often a sum is read again before a mismatch counts, and for how long at the last. */
#define SUM_ATTEMPTS 100u
#define SUM_PATIENCE 2048u

/* What a sum is too much, or too little (below 0), just now. */
typedef ptrdiff_t excess_fn(unsigned which);

/* Is the excess 0, or now above it and now below? What is lost is lost all the time. */
static bool is_balanced(excess_fn *excess, unsigned which)
{
	bool above = false;
	bool below = false;

	for (unsigned attempt = 0; attempt < SUM_ATTEMPTS; attempt++) {
		ptrdiff_t now = excess(which);

		above |= now >= 0;
		below |= now <= 0;
		if (above && below)
			return true;
		for (unsigned i = 0; i < SUM_PATIENCE && i <= attempt * attempt; i++)
			port_relax();
	}
	return false;
}

static size_t pages_in_spans(const struct mheap *heap)
{
	return counter(&heap->object_pages) + counter(&heap->stack_pages);
}

static ptrdiff_t span_excess(unsigned node)
{
	size_t span_pages = 0;
	size_t counted = pages_in_spans(&mheaps[node]);

	mheap_for_each_span(node, add_span_pages, &span_pages);
	return (ptrdiff_t)(span_pages - counted);
}

/* pages in use = object_pages + stack_pages + frame_pages + metadata_pages (carved ones were never
 * in the allocator) */
static ptrdiff_t node_excess(unsigned node)
{
	const struct mheap *heap = &mheaps[node];
	struct slate_node_stats stats;

	if (!slate_node_stats(node, &stats))
		return 0;
	return (ptrdiff_t)(stats.total_pages - stats.free_pages - stats.reserved_pages -
			   stats.released_pages - pages_in_spans(heap) -
			   counter(&heap->frame_pages) - counter(&heap->metadata_pages));
}

static void check_node_sums(unsigned node, struct findings *findings)
{
	if (!is_balanced(span_excess, node))
		found(findings, "a node's spans have other frames than it has counted", node);
	if (!is_balanced(node_excess, node))
		found(findings, "frames in use are not those of spans, callers and metadata", node);
}

static void check_node(unsigned node, struct findings *findings)
{
	struct mheap *heap = &mheaps[node];
	pfn_t where = SLATE_PFN_NONE;
	const char *wrong = pagealloc_validate(&heap->pages, &where);

	if (wrong)
		found(findings, wrong, (uintptr_t)pfn_to_paddr(where).v);
	mheap_for_each_span(node, check_span_map, findings);
	check_node_sums(node, findings);
}

/* ---- Spans, from the mcentrals ---- */

/* The list that the span must be on. */
static const struct list *right_list_locked(struct mcentral *central, const struct mspan *span)
{
	if (span->isolated)
		return &central->isolated;
	if (span->sampled)
		return &central->sampled;
	if (mspan_is_full(span))
		return &central->full;
	return &mcentral_partial_of(central, span->node)
			->fills[span->allocated >> central->fill_shift];
}

static void check_list_locked(struct mcentral *central, struct list *list, size_t *spans,
			      size_t *objects, struct findings *findings)
{
	struct list *link;

	list_for_each (link, list) {
		const struct mspan *span = list_entry(link, struct mspan, link);
		const char *wrong = mspan_validate(span);

		if (!wrong && span->page_class == PAGECLASS_TINY)
			wrong = tiny_validate(span);
		if (wrong)
			found(findings, wrong, span->base);
		if (span->span_class != central->span_class)
			found(findings, "a span is listed in another class", span->base);
		if (right_list_locked(central, span) != list)
			found(findings, "a span is on the wrong list", span->base);
		if (span->allocated == 0 && !mcentral_keeps_sampled_locked(central, span))
			found(findings, "a span without objects has not gone home", span->base);
		*spans += 1;
		*objects += span->allocated;
	}
}

static void check_partial_locked(struct mcentral *central, struct mcentral_partial *partial,
				 size_t *spans, size_t *objects, struct findings *findings)
{
	for (unsigned i = 0; i < MCENTRAL_FILLS; i++) {
		check_list_locked(central, &partial->fills[i], spans, objects, findings);
		if (!list_is_empty(&partial->fills[i]) && !(partial->some >> i & 1))
			found(findings, "a list of partial spans is not marked",
			      central->span_class);
	}
}

static void check_mcentral(unsigned span_class, struct findings *findings)
{
	struct mcentral *central = mcentral_of(span_class);
	size_t spans = 0;
	size_t objects = 0;
	unsigned long irq = mm_lock_acquire(&central->lock);

	check_partial_locked(central, &central->partial, &spans, &objects, findings);
	for (unsigned node = 1; node < SLATE_MAX_NODES; node++) {
		struct mcentral_partial *partial = mcentral_partial_of(central, node);

		if (partial != &central->partial)
			check_partial_locked(central, partial, &spans, &objects, findings);
	}
	check_list_locked(central, &central->full, &spans, &objects, findings);
	check_list_locked(central, &central->isolated, &spans, &objects, findings);
	check_list_locked(central, &central->sampled, &spans, &objects, findings);
	if (spans != central->spans)
		found(findings, "a class's span count is not what its lists hold", span_class);
	if (objects != central->objects)
		found(findings, "a class's object count is not what its spans hold", span_class);
	mm_lock_release(&central->lock, irq);
}

static ptrdiff_t cached_excess(unsigned class)
{
	struct slate_class_stats stats;

	return slate_class_stats(class, &stats) && stats.cached_objects > stats.objects;
}

static void check_cached(struct findings *findings)
{
	for (unsigned class = 0; class < slate_class_count(); class ++) {
		if (!is_balanced(cached_excess, class))
			found(findings, "magazines hold more objects than left their spans", class);
	}
}

/*
 * total = free + cached + objects + manual + stacks + metadata + reserved + released. manual is
 * what callers and caches hold together less what caches hold; so the sum tells little beyond the
 * nodes' own, but that no more frames can be in caches than were ever taken: else manual exceeds
 * the total.
 */
static ptrdiff_t total_excess(unsigned which)
{
	struct slate_stats stats;

	(void)which;
	slate_stats(&stats);
	return stats.manual_pages > stats.total_pages ||
	       stats.total_pages != stats.free_pages + stats.cached_pages + stats.object_pages +
					    stats.manual_pages + stats.stack_pages +
					    stats.metadata_pages + stats.reserved_pages +
					    stats.released_pages;
}

static bool add_cached(struct mspan *span, void *arg)
{
	if (mspan_state(span) == MSPAN_CACHED)
		*(size_t *)arg += largecache_weight(span->pages);
	return true;
}

/* Cached large objects, as their states tell it, are what the CPUs hold. */
static ptrdiff_t large_excess(unsigned which)
{
	size_t held = 0;

	(void)which;
	for (unsigned node = 0; node < mheap_node_count(); node++)
		mheap_for_each_span(node, add_cached, &held);
	return (ptrdiff_t)(held - largecache_sum());
}

static void check_sums(struct findings *findings)
{
	if (!is_balanced(large_excess, 0))
		found(findings, "the CPUs hold other large objects than those marked as cached", 0);
	if (!is_balanced(total_excess, 0))
		found(findings, "the holders' frames are not all frames", 0);
}

size_t slate_validate(void)
{
	struct findings findings = {.count = 0};

	for (unsigned node = 0; node < mheap_node_count(); node++)
		check_node(node, &findings);
	for (unsigned class = 0; class < SPANCLASS_COUNT; class ++) {
		if (mcentral_of(class))
			check_mcentral(class, &findings);
	}
	check_cached(&findings);
	check_sums(&findings);
	if (findings.count > 0) {
		struct slate_report report = {
			.crime = SLATE_CRIME_CORRUPT,
			.call = "slate_validate",
			.detail = findings.detail,
			.address = findings.address,
			.size_bytes = findings.count,
		};

		mm_report(&report);
	}
	return findings.count + watch_validate();
}
