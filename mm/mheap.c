/* SPDX-License-Identifier: MIT */
/*
 * mheap.c (level 5) - spans in and out of the page allocators.
 *
 * A span is made in steps, each under at most one lock: struct and bitmap from their fixallocs,
 * frames from a node's page allocator, then the registry. Whatever fails gives back what the
 * earlier steps took. Nodes are tried from this CPU's own outward (numa.h).
 */
#include "mm/mheap.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "mm/bootmem.h"
#include "mm/directmap.h"
#include "mm/mheap_span.h"
#include "mm/mheap_witness.h"
#include "mm/mmdebug.h"
#include "mm/numa.h"
#include "mm/spanclass.h"

/* Frames that a fixalloc is fed with at a time. */
#define METADATA_STEP_PAGES 4

/* Zones of metadata that are looked into at once. */
#define ZONES_TRIED 4

struct mheap mheaps[SLATE_MAX_NODES];

_Atomic unsigned mheap_nodes;
struct fixalloc mheap_span_structs;
struct fixalloc mheap_span_bits;
static struct fixalloc tiny_words;
static struct bootmem donated;
static struct mm_lock donated_lock;

void mheap_init(void)
{
	for (unsigned node = 0; node < SLATE_MAX_NODES; node++) {
		struct mheap *heap = &mheaps[node];

		mm_lock_init(&heap->lock, RANK_MHEAP + node);
		list_init(&heap->all);
		pagealloc_init(&heap->pages, node);
	}
	numa_init();
	mm_lock_init(&donated_lock, RANK_FIXALLOC);
	fixalloc_init(&mheap_span_structs, "mspan", sizeof(struct mspan), _Alignof(struct mspan));
	/* what spanof.c looks at, the generation last */
	fixalloc_keep(&mheap_span_structs, offsetof(struct mspan, mark));
	fixalloc_init(&tiny_words, "tiny words", TINY_WORDS_BYTES, 64);
	fixalloc_init(&mheap_span_bits, "span bits", MSPAN_BITS_BYTES, MSPAN_BITS_BYTES);
	mheap_witness_init();
}

/* ---- Watermarks ---- */

/* The node has got or lost memory. */
static void set_watermarks(unsigned node)
{
	struct pagealloc *pa = &mheaps[node].pages;
	size_t total = atomic_load_explicit(&pa->total_pages, memory_order_relaxed);
	size_t keep = total >> SLATE_RESERVE_SHIFT;

	pagealloc_keep(pa, keep < SLATE_RESERVE_MAX_PAGES ? keep : SLATE_RESERVE_MAX_PAGES);
}

struct mheap_marks mheap_marks(const struct mheap *heap)
{
	size_t keep = atomic_load_explicit(&heap->pages.keep_pages, memory_order_relaxed);

	return (struct mheap_marks){keep, 2 * keep, 3 * keep};
}

/* ---- Growth ---- */

static void *take_metadata(void *arg, size_t size_bytes)
{
	return bootmem_alloc(arg, size_bytes, 64);
}

typedef bool add_fn(struct pagealloc *pa, pfn_t pfn, size_t pages, void *metadata);

static bool grow(unsigned node, pfn_t pfn, size_t pages, struct bootmem *metadata, add_fn *add)
{
	void *region = bootmem_alloc(metadata, pagealloc_region_bytes(pages), 64);

	if (!region || !arena_register(pfn, pages, take_metadata, metadata))
		return false;
	arena_set_class(pfn, pages, PAGECLASS_FREE);
	if (!add(&mheaps[node].pages, pfn, pages, region)) {
		arena_set_class(pfn, pages, PAGECLASS_NONE);
		return false;
	}
	set_watermarks(node);
	/* release: pairs with the acquire in mheap_node_count(). Growth is serialised. */
	if (node >= mheap_node_count())
		atomic_store_explicit(&mheap_nodes, node + 1, memory_order_release);
	return true;
}

/* relaxed, all: hints; a stale one is a search in vain. Growth is serialised. */
static void note_stays(struct mheap *heap, size_t start, size_t end)
{
	size_t old_end = atomic_load_explicit(&heap->stays_end, memory_order_relaxed);

	if (end > directmap_end.v)
		end = directmap_end.v;
	if (end <= start)
		return;
	if (old_end == 0 || start < atomic_load_explicit(&heap->stays_low, memory_order_relaxed))
		atomic_store_explicit(&heap->stays_low, start, memory_order_relaxed);
	if (end > old_end) {
		atomic_store_explicit(&heap->stays_end, end, memory_order_relaxed);
		atomic_store_explicit(&heap->metadata_zone, align_down(end - 1, MHEAP_ZONE_PAGES),
				      memory_order_relaxed);
	}
}

bool mheap_grow(unsigned node, pfn_t pfn, size_t pages, struct bootmem *metadata)
{
	if (!grow(node, pfn, pages, metadata, pagealloc_add))
		return false;
	note_stays(&mheaps[node], pfn.v, pfn.v + pages);
	return true;
}

bool mheap_grow_removable(unsigned node, pfn_t pfn, size_t pages, struct bootmem *metadata)
{
	return grow(node, pfn, pages, metadata, pagealloc_add_removable);
}

void mheap_note_carved(unsigned node, size_t pages)
{
	atomic_fetch_add_explicit(&mheaps[node].carved_pages, pages, memory_order_relaxed);
	atomic_fetch_add_explicit(&mheaps[node].metadata_pages, pages, memory_order_relaxed);
}

void mheap_note_uncarved(unsigned node, size_t pages)
{
	atomic_fetch_sub_explicit(&mheaps[node].carved_pages, pages, memory_order_relaxed);
	atomic_fetch_sub_explicit(&mheaps[node].metadata_pages, pages, memory_order_relaxed);
	set_watermarks(node);
}

/* ---- Metadata ---- */

void mheap_donate(void *start, size_t size_bytes)
{
	bootmem_init(&donated, start, size_bytes);
}

/* Frames that objects or metadata may lie in: below the end of the direct map. */
static pfn_t alloc_mapped(unsigned node, size_t pages, const struct page_fit *fit)
{
	if (!mheap_may_serve(&mheaps[node], pages) || mm_fault_now())
		return SLATE_PFN_NONE;
	return pagealloc_alloc(&mheaps[node].pages, pages, fit);
}

/*
 * Metadata never goes back, and a frame of it in each huge frame would leave none whole. So it is
 * taken zone by zone, from the node's end down: searches for anything else begin at the low end.
 * Nothing is set aside; where the zones are full it lies anywhere, and the next one begins at the
 * end again.
 */
static pfn_t metadata_in_zone(struct mheap *heap, size_t pages, const struct page_fit *fit)
{
	/* relaxed, all: see mheap.h; whoever comes second looks into the same zones in vain */
	size_t low = atomic_load_explicit(&heap->stays_low, memory_order_relaxed);
	size_t end = atomic_load_explicit(&heap->stays_end, memory_order_relaxed);
	size_t zone = atomic_load_explicit(&heap->metadata_zone, memory_order_relaxed);
	struct page_fit inside = *fit;
	pfn_t pfn = SLATE_PFN_NONE;

	if (pages > MHEAP_ZONE_PAGES || end == 0)
		return pfn;
	for (unsigned i = 0; i < ZONES_TRIED && pfn_is_none(pfn); i++) {
		inside.min = (pfn_t){zone};
		inside.end = (pfn_t){zone + MHEAP_ZONE_PAGES < end ? zone + MHEAP_ZONE_PAGES : end};
		pfn = pagealloc_alloc(&heap->pages, pages, &inside);
		if (pfn_is_none(pfn))
			zone = zone > low ? zone - MHEAP_ZONE_PAGES
					  : align_down(end - 1, MHEAP_ZONE_PAGES);
	}
	atomic_store_explicit(&heap->metadata_zone, zone, memory_order_relaxed);
	return pfn;
}

static pfn_t metadata_frames(unsigned node, size_t pages, const struct page_fit *fit)
{
	pfn_t pfn = SLATE_PFN_NONE;

	if (!mheap_may_serve(&mheaps[node], pages) || mm_fault_now())
		return pfn;
	if (fit->stays)
		pfn = metadata_in_zone(&mheaps[node], pages, fit);
	return pfn_is_none(pfn) ? pagealloc_alloc(&mheaps[node].pages, pages, fit) : pfn;
}

static void *metadata_pages_fit(size_t pages, const struct page_fit *fit)
{
	const uint8_t *order = numa_order(numa_here());

	for (unsigned i = 0; i < SLATE_MAX_NODES; i++) {
		unsigned node = order[i];
		pfn_t pfn = metadata_frames(node, pages, fit);

		if (pfn_is_none(pfn))
			continue;
		arena_set_class(pfn, pages, PAGECLASS_META);
		atomic_fetch_add_explicit(&mheaps[node].metadata_pages, pages,
					  memory_order_relaxed);
		return pfn_to_virt(pfn);
	}
	return NULL;
}

/* It never goes back, so a range that shall be removed some day is the last place for it. */
static void *metadata_pages_alloc(size_t pages, bool reserve)
{
	struct page_fit fit = {
		.end = directmap_end, .align_pages = 1, .stays = true, .reserve = reserve};
	void *memory = metadata_pages_fit(pages, &fit);

	if (memory)
		return memory;
	fit.stays = false;
	return metadata_pages_fit(pages, &fit);
}

#if SLATE_DEBUG
void *mheap_alloc_metadata_pages(size_t pages, bool reserve)
{
	return metadata_pages_alloc(pages, reserve);
}
#endif

void *mheap_try_donated(void *arg, size_t size_bytes, size_t align_bytes)
{
	unsigned long irq;
	void *memory;

	(void)arg;
	if (!mm_lock_try(&donated_lock, &irq))
		return NULL;
	memory = bootmem_alloc(&donated, size_bytes, align_bytes);
	mm_lock_release(&donated_lock, irq);
	return memory;
}

static void *donated_alloc(size_t size_bytes, size_t align_bytes)
{
	unsigned long irq = mm_lock_acquire(&donated_lock);
	void *memory = bootmem_alloc(&donated, size_bytes, align_bytes);

	mm_lock_release(&donated_lock, irq);
	return memory;
}

void *mheap_alloc_permanent(size_t size_bytes, size_t align_bytes)
{
	void *memory = donated_alloc(size_bytes, align_bytes);

	return memory ? memory : metadata_pages_alloc(bytes_to_pages(size_bytes), false);
}

static void *metadata_alloc(struct fixalloc *fa, bool reserve)
{
	void *object;

	while (!(object = fixalloc_alloc(fa))) {
		size_t bytes = SLATE_PAGE_SIZE;
		void *chunk = donated_alloc(bytes, fa->align_bytes);

		if (!chunk) {
			bytes = METADATA_STEP_PAGES * SLATE_PAGE_SIZE;
			chunk = metadata_pages_alloc(METADATA_STEP_PAGES, false);
		}
		if (!chunk) {
			bytes = SLATE_PAGE_SIZE;
			chunk = metadata_pages_alloc(1, reserve);
		}
		if (!chunk)
			return NULL;
		fixalloc_feed(fa, chunk, bytes);
	}
	return object;
}

void *mheap_alloc_metadata(struct fixalloc *fa)
{
	return metadata_alloc(fa, false);
}

/* ---- Spans ---- */

static _Atomic size_t *span_pages_counter(const struct mspan *span)
{
	struct mheap *heap = &mheaps[span->node];

	return span->page_class == PAGECLASS_STACK ? &heap->stack_pages : &heap->object_pages;
}

unsigned mheap_class_at(const struct mspan *span, size_t i)
{
	size_t usable_pages = span->elem_bytes >> SLATE_PAGE_SHIFT;

	if (span->page_class != PAGECLASS_STACK || i != span->pages - usable_pages)
		return span->page_class;
	return PAGECLASS_STACK_HEAD + bits_ctz64(usable_pages);
}

void mheap_map_span(struct mspan *span)
{
	atomic_fetch_add_explicit(span_pages_counter(span), span->pages, memory_order_relaxed);
	arena_set_span(virt_to_pfn((void *)span->base), span->pages, span, span->page_class);
	if (span->page_class == PAGECLASS_STACK) {
		size_t head = span->pages - (span->elem_bytes >> SLATE_PAGE_SHIFT);

		arena_set_class(virt_to_pfn(mheap_manual_start(span)), 1,
				mheap_class_at(span, head));
	}
}

void mheap_list_span_locked(struct mheap *heap, struct mspan *span)
{
	mm_lock_assert_held(&heap->lock);
	list_insert_back(&heap->all, &span->all_link);
	heap->span_count++;
}

static void register_span(struct mspan *span)
{
	struct mheap *heap = &mheaps[span->node];

	mheap_map_span(span);

	unsigned long irq = mm_lock_acquire(&heap->lock);

	mheap_list_span_locked(heap, span);
	mm_lock_release(&heap->lock, irq);
}

/* Frames for a span from the nearest node that has them; sets span->node. */
static void *span_frames(struct mspan *span, size_t pages, const struct page_fit *fit)
{
	unsigned here = numa_here();
	const uint8_t *order = numa_order(here);

	for (unsigned i = 0; i < SLATE_MAX_NODES; i++) {
		unsigned node = order[i];
		pfn_t pfn = alloc_mapped(node, pages, fit);

		if (pfn_is_none(pfn))
			continue;
		mheap_note_served(&mheaps[node], here, pages);
		span->node = (uint8_t)node;
		return pfn_to_virt(pfn);
	}
	return NULL;
}

static struct mspan *alloc_span(unsigned span_class, bool reserve)
{
	struct spanclass plan = spanclass_get(span_class);
	struct page_fit fit = {
		.end = directmap_end, .align_pages = plan.align_pages, .reserve = reserve};
	struct mspan *span = metadata_alloc(&mheap_span_structs, reserve);
	struct witness_table *table = NULL;
	unsigned long *bits = NULL;
	void *words = NULL;

	if (!span)
		return NULL;
	if (mspan_needs_bits(span_class)) {
		bits = metadata_alloc(&mheap_span_bits, reserve);
		if (!bits)
			goto no_bits;
	}
	if (plan.page_class == PAGECLASS_TINY) {
		words = metadata_alloc(&tiny_words, reserve);
		if (!words)
			goto no_words;
		memset(words, 0, TINY_WORDS_BYTES);
	}
	if (witness_is_on() && !words) {
		table = mheap_witness_new(plan.elems, reserve);
		if (!table)
			goto no_table;
	}
	void *base = span_frames(span, plan.pages, &fit);
	if (!base)
		goto no_frames;
	mspan_init(span, base, plan.pages, span_class, bits);
	mheap_witness_attach(span, table);
	if (words) {
		span->tiny_words = words;
		span->noscan = true;
	}
	register_span(span);
	return span;

no_frames:
	mheap_witness_delete(table);
no_table:
	if (words)
		fixalloc_free(&tiny_words, words);
no_words:
	if (bits)
		fixalloc_free(&mheap_span_bits, bits);
no_bits:
	fixalloc_free(&mheap_span_structs, span);
	return NULL;
}

struct mspan *mheap_alloc_span(unsigned span_class)
{
	return alloc_span(span_class, false);
}

struct mspan *mheap_alloc_span_reserve(unsigned span_class)
{
	return alloc_span(span_class, true);
}

void mheap_init_large(struct mspan *span, void *base, size_t pages, bool known_zero)
{
	struct mheap *heap = &mheaps[span->node];

	mspan_init_large(span, base, pages);
	span->needzero = !known_zero;
	atomic_fetch_add_explicit(&heap->large_objects, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&heap->large_bytes, span->elem_bytes, memory_order_relaxed);
}

static struct mspan *alloc_large(size_t pages, size_t align_pages, bool reserve)
{
	bool known_zero = false;
	struct page_fit fit = {.end = directmap_end,
			       .align_pages = align_pages,
			       .reserve = reserve,
			       .known_zero = &known_zero};
	struct mspan *span = metadata_alloc(&mheap_span_structs, reserve);

	if (!span)
		return NULL;
	struct witness_table *table = mheap_witness_new(1, reserve);
	void *base = table || !witness_is_on() ? span_frames(span, pages, &fit) : NULL;
	if (!base) {
		mheap_witness_delete(table);
		fixalloc_free(&mheap_span_structs, span);
		return NULL;
	}
	mheap_init_large(span, base, pages, known_zero);
	mheap_witness_attach(span, table);
	register_span(span);
	return span;
}

struct mspan *mheap_alloc_large(size_t pages, size_t align_pages)
{
	return alloc_large(pages, align_pages, false);
}

struct mspan *mheap_alloc_large_reserve(size_t pages, size_t align_pages)
{
	return alloc_large(pages, align_pages, true);
}

struct mspan *mheap_alloc_manual(size_t pages)
{
	struct page_fit fit = {.end = directmap_end};
	struct mspan *span = mheap_alloc_metadata(&mheap_span_structs);

	if (!span)
		return NULL;
	struct witness_table *table = mheap_witness_new(1, false);
	void *base = table || !witness_is_on() ? span_frames(span, pages, &fit) : NULL;

	if (!base) {
		mheap_witness_delete(table);
		fixalloc_free(&mheap_span_structs, span);
		return NULL;
	}
	mspan_init_manual(span, base, pages, pages << SLATE_PAGE_SHIFT);
	mheap_witness_attach(span, table);
	return span;
}

void mheap_publish_manual(struct mspan *span, size_t usable_pages, size_t spare_pages)
{
	char *base = (char *)span->base;
	struct witness_table *table = mspan_witnesses(span);

	MM_ASSERT(usable_pages + spare_pages <= span->pages);
	if (spare_pages > 0) {
		size_t freed =
			pagealloc_free(&mheaps[span->node].pages, virt_to_pfn(base), spare_pages);

		MM_ASSERT(freed == spare_pages);
		(void)freed;
	}
	mspan_init_manual(span, base + (spare_pages << SLATE_PAGE_SHIFT), span->pages - spare_pages,
			  usable_pages << SLATE_PAGE_SHIFT);
	mheap_witness_attach(span, table);
	register_span(span);
}

/* Its state or its counts say that it is not free: it stays out of circulation. */
static void report_busy(const struct mspan *span, const char *why)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_CORRUPT,
		.call = "mheap_free_span",
		.detail = why,
		.address = span->base,
		.object_bytes = span->elem_bytes,
		.span_base = span->base,
		.span_pages = span->pages,
	};

	mm_leak_add(span->allocated);
	mm_report(&report);
}

void mheap_free_span(struct mspan *span)
{
	const char *why = mspan_why_busy(span);

	if (why) {
		report_busy(span, why);
		return;
	}
	struct mheap *heap = &mheaps[span->node];
	pfn_t pfn = virt_to_pfn((void *)span->base);
	size_t pages = span->pages;
	bool large = span->page_class == PAGECLASS_LARGE;
	unsigned long irq = mm_lock_acquire(&heap->lock);

	list_remove(&span->all_link);
	heap->span_count--;
	/* so that under the lock the class byte of an object span says that it lives */
	if (!large)
		arena_set_class(pfn, pages, PAGECLASS_FREE);
	mm_lock_release(&heap->lock, irq);

	if (large) {
		atomic_fetch_sub_explicit(&heap->large_objects, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(&heap->large_bytes, span->elem_bytes,
					  memory_order_relaxed);
	}
	unsigned long *bits = mspan_kill(span);

	if (large)
		arena_set_class(pfn, pages, PAGECLASS_FREE);
	atomic_fetch_sub_explicit(span_pages_counter(span), pages, memory_order_relaxed);
	size_t freed = pagealloc_free(&heap->pages, pfn, pages);
	MM_ASSERT(freed == pages);
	(void)freed;
	if (bits)
		fixalloc_free(&mheap_span_bits, bits);
	if (span->page_class == PAGECLASS_TINY)
		fixalloc_free(&tiny_words, span->tiny_words);
	mheap_witness_delete(mspan_witnesses(span));
	fixalloc_free(&mheap_span_structs, span);
}

void mheap_reset(void)
{
	for (unsigned node = 0; node < SLATE_MAX_NODES; node++)
		mheaps[node] = (struct mheap){.span_count = 0};
	atomic_store_explicit(&mheap_nodes, 0, memory_order_relaxed);
	donated = (struct bootmem){0, 0};
}
