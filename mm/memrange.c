/* SPDX-License-Identifier: MIT */
/*
 * memrange.c (level 8) - memory that comes later: ranges that are added, boot memory that its
 * holder has done with.
 *
 * A range that is added carries its record, its bitmap and its tree at its own start, so that they
 * go with it when it is removed. Its arenas do not: they stay for readers that take no lock, and
 * serve again when the range comes back. They are made from memory that is there, unless that would
 * take too much of it; then the range must carry them, too, and stays for good. Released boot
 * memory stays anyway and is often small, so all its metadata comes from elsewhere if it can.
 */
#include "mm/memrange.h"

#include <stdatomic.h>

#include <slate/slate.h>

#include "lib/bits.h"
#include "mm/bootmem.h"
#include "mm/directmap.h"
#include "mm/init.h"
#include "mm/largecache.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"

#define PIECE_ALIGN 64u

/* Arenas of an added range may take this part of the free frames. */
#define ARENAS_SHARE 8

static struct list ranges = LIST_INIT(ranges); /* (turn) */
static _Atomic bool taken; /* (a) the turn: acquire in memrange_begin(), release in _end() */

bool memrange_begin(void)
{
	/* acquire: pairs with the release in memrange_end(); the registry is as it was left */
	return !atomic_exchange_explicit(&taken, true, memory_order_acquire);
}

void memrange_end(void)
{
	/* release: pairs with the acquire in memrange_begin() */
	atomic_store_explicit(&taken, false, memory_order_release);
}

/* ---- The registry ---- */

int memrange_frames(paddr_t base, uint64_t size_bytes, pfn_t *start, size_t *pages)
{
	const uint64_t limit = (uint64_t)1 << SLATE_PADDR_BITS;

	if (size_bytes > limit || base.v > limit - size_bytes)
		return SLATE_ERANGE;

	uint64_t first = (base.v + SLATE_PAGE_MASK) >> SLATE_PAGE_SHIFT;
	uint64_t end = (base.v + size_bytes) >> SLATE_PAGE_SHIFT;

	if (first >= end)
		return SLATE_EINVAL;
	*start = (pfn_t){(size_t)first};
	*pages = (size_t)(end - first);
	return SLATE_OK;
}

static bool overlaps(pfn_t start, size_t pages)
{
	struct list *link;

	list_for_each (link, &ranges) {
		const struct memrange *range = list_entry(link, struct memrange, link);

		if (start.v < range->start.v + range->pages && range->start.v < start.v + pages)
			return true;
	}
	return false;
}

struct memrange *memrange_find(pfn_t start, size_t pages)
{
	struct list *link;

	list_for_each (link, &ranges) {
		struct memrange *range = list_entry(link, struct memrange, link);

		if (range->start.v == start.v && range->pages == pages)
			return range;
	}
	return NULL;
}

void memrange_forget(struct memrange *range)
{
	list_remove(&range->link);
}

static bool record(const struct memrange *as, struct bootmem *metadata)
{
	struct memrange *range = bootmem_alloc(metadata, sizeof(*range), _Alignof(struct memrange));

	if (!range)
		return false;
	*range = *as;
	list_insert_back(&ranges, &range->link);
	return true;
}

bool memrange_record(pfn_t start, size_t pages, unsigned node, struct bootmem *metadata)
{
	const struct memrange range = {
		.start = start, .pages = pages, .node = (uint8_t)node, .kind = MEMRANGE_BOOT};

	return record(&range, metadata);
}

/* Without arenas. */
static size_t own_bytes(size_t pages)
{
	return sizeof(struct memrange) + PIECE_ALIGN +
	       align_up(pagealloc_region_bytes(pages), PIECE_ALIGN);
}

size_t memrange_metadata(pfn_t start, size_t pages, size_t *arenas_end)
{
	pfn_t fresh = {start.v > *arenas_end ? start.v : *arenas_end};
	size_t bytes = own_bytes(pages);

	if (fresh.v < start.v + pages)
		bytes += arena_register_bytes(fresh, start.v + pages - fresh.v);
	*arenas_end = align_up(start.v + pages, ARENA_PAGES);
	return bytes;
}

void memrange_mark_metadata(pfn_t start, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		if (arena_of(pfn_add(start, i)))
			arena_set_class(pfn_add(start, i), 1, PAGECLASS_META);
	}
}

/* ---- Adding ---- */

static void *take_permanent(void *arg, size_t size_bytes)
{
	(void)arg;
	return mheap_alloc_permanent(size_bytes, PIECE_ALIGN);
}

static size_t free_pages(void)
{
	size_t pages = 0;

	/* relaxed: a figure */
	for (unsigned node = 0; node < mheap_node_count(); node++)
		pages += atomic_load_explicit(&mheaps[node].pages.free_pages, memory_order_relaxed);
	return pages;
}

/* Make what arenas are missing from memory that is there. */
static bool arenas_elsewhere(pfn_t start, size_t pages)
{
	return (arena_register_bytes(start, pages) >> SLATE_PAGE_SHIFT) <=
		       free_pages() / ARENAS_SHARE &&
	       arena_register(start, pages, take_permanent, NULL);
}

/* The range's first frames hold what metadata it needs. */
static int carve(struct memrange *range, struct bootmem *metadata)
{
	size_t bytes = own_bytes(range->pages) + arena_register_bytes(range->start, range->pages);

	range->metadata_pages = bytes_to_pages(bytes);
	if (range->metadata_pages >= range->pages)
		return SLATE_ENOMEM;
	if (range->start.v + range->metadata_pages > directmap_end.v)
		return SLATE_ERANGE;
	bootmem_init(metadata, pfn_to_virt(range->start),
		     range->metadata_pages << SLATE_PAGE_SHIFT);
	return SLATE_OK;
}

static int grow(struct memrange *range, struct bootmem *metadata)
{
	pfn_t start = pfn_add(range->start, range->metadata_pages);
	size_t pages = range->pages - range->metadata_pages;

	/* relaxed: adding memory is serialised */
	if (atomic_load_explicit(&mheaps[range->node].pages.total_pages, memory_order_relaxed) == 0)
		mcentral_add_node(range->node);
	if (!(range->kind == MEMRANGE_ADDED ? mheap_grow_removable : mheap_grow)(range->node, start,
										 pages, metadata))
		return SLATE_ENOMEM;
	memrange_mark_metadata(range->start, range->metadata_pages);
	mheap_note_carved(range->node, range->metadata_pages);
	return record(range, metadata) ? SLATE_OK : SLATE_ENOMEM;
}

static int check_new(const struct memrange *range)
{
	if (range->pages > PAGEALLOC_REGION_MAX)
		return SLATE_ERANGE;
	return overlaps(range->start, range->pages) ? SLATE_EEXIST : SLATE_OK;
}

static int add_range(struct memrange *range)
{
	struct bootmem metadata;
	int status = check_new(range);

	/* before any arena is made for it: is it large enough at all? */
	if (status == SLATE_OK && bytes_to_pages(own_bytes(range->pages)) >= range->pages)
		status = SLATE_ENOMEM;
	if (status == SLATE_OK && range->start.v >= directmap_end.v)
		status = SLATE_ERANGE;
	if (status != SLATE_OK)
		return status;
	if (!arenas_elsewhere(range->start, range->pages))
		range->kind = MEMRANGE_STAYS;
	status = carve(range, &metadata);
	return status == SLATE_OK ? grow(range, &metadata) : status;
}

int slate_add_memory(paddr_t base, uint64_t size_bytes, unsigned node)
{
	struct memrange range = {.node = (uint8_t)node, .kind = MEMRANGE_ADDED};

	if (!init_check("slate_add_memory"))
		return SLATE_ESTAGE;

	int status = memrange_frames(base, size_bytes, &range.start, &range.pages);

	if (status != SLATE_OK)
		return status;
	if (node >= SLATE_MAX_NODES)
		return SLATE_EINVAL;
	if (!memrange_begin())
		return SLATE_EAGAIN;
	status = add_range(&range);
	largecache_resize();
	memrange_end();
	return status;
}

/* ---- Boot memory that its holder has done with ---- */

static bool is_releasable(const struct slate_range *range)
{
	switch (range->type) {
	case SLATE_RANGE_BOOT_RECLAIM:
	case SLATE_RANGE_ACPI_RECLAIM:
	case SLATE_RANGE_MODULE:
	case SLATE_RANGE_BOOT_INFO:
	case SLATE_RANGE_DTB:
	case SLATE_RANGE_KERNEL:
	case SLATE_RANGE_TRAMPOLINE:
		return range->node < SLATE_MAX_NODES;
	default:
		return false;
	}
}

static int release_range(struct memrange *range)
{
	struct bootmem metadata;
	int status = check_new(range);

	if (status != SLATE_OK)
		return status;

	size_t bytes = own_bytes(range->pages);
	void *elsewhere = arenas_elsewhere(range->start, range->pages)
				  ? mheap_alloc_permanent(bytes, PIECE_ALIGN)
				  : NULL;

	if (elsewhere)
		bootmem_init(&metadata, elsewhere, bytes);
	else
		status = carve(range, &metadata);
	return status == SLATE_OK ? grow(range, &metadata) : status;
}

int slate_reserve_release(const struct slate_range *released)
{
	struct memrange range = {.kind = MEMRANGE_STAYS};

	if (!init_check("slate_reserve_release"))
		return SLATE_ESTAGE;
	if (!released || !is_releasable(released))
		return SLATE_EINVAL;

	int status = memrange_frames((paddr_t){released->base}, released->size_bytes, &range.start,
				     &range.pages);

	if (status != SLATE_OK)
		return status;
	if (!memrange_begin())
		return SLATE_EAGAIN;
	range.node = released->node;
	status = release_range(&range);
	largecache_resize();
	memrange_end();
	return status;
}

void memrange_reset(void)
{
	list_init(&ranges);
	memrange_end();
}
