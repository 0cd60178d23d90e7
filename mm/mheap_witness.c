/* SPDX-License-Identifier: MIT */
/* mheap_witness.c (level 5) - tables of witnesses: long ones are frames of their own, those of a
 * single object come from a fixalloc. */
#include "mm/mheap_witness.h"

#if SLATE_DEBUG

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/mheap_try.h"
#include "mm/spanclass.h"

static struct fixalloc single_tables;

void mheap_witness_init(void)
{
	fixalloc_init(&single_tables, "witness", witness_table_bytes(1),
		      _Alignof(struct witness_table));
}

/* The node whose page allocator a frame belongs to. */
static unsigned node_of(pfn_t pfn)
{
	unsigned node = 0;
	pfn_t start;
	size_t pages;

	while (node + 1 < mheap_node_count() &&
	       !pagealloc_bounds(&mheaps[node].pages, pfn, &start, &pages))
		node++;
	return node;
}

struct witness_table *mheap_witness_new(size_t count, bool reserve)
{
	size_t pages = count > 1 ? bytes_to_pages(witness_table_bytes(count)) : 0;
	struct witness_table *table;

	if (!witness_is_on())
		return NULL;
	table = count > 1 ? mheap_alloc_metadata_pages(pages, reserve)
			  : mheap_alloc_metadata(&single_tables);
	if (!table)
		return NULL;
	table->pages = pages;
	table->node = pages > 0 ? node_of(virt_to_pfn(table)) : 0;
	table->count = count;
	return table;
}

size_t mheap_witness_pages(size_t count)
{
	return witness_is_on() ? bytes_to_pages(witness_table_bytes(count)) : 0;
}

struct witness_table *mheap_witness_make(const struct mheap_frames *frames, size_t count)
{
	struct witness_table *table;

	if (frames->pages == 0)
		return NULL;
	mheap_frames_to_metadata(frames);
	table = pfn_to_virt(frames->pfn);
	table->pages = frames->pages;
	table->node = frames->node;
	table->count = count;
	return table;
}

void mheap_witness_delete(struct witness_table *table)
{
	if (!table)
		return;
	if (table->pages == 0) {
		fixalloc_free(&single_tables, table);
		return;
	}
	struct mheap *heap = &mheaps[table->node];
	pfn_t pfn = virt_to_pfn(table);
	size_t pages = table->pages;

	arena_set_class(pfn, pages, PAGECLASS_FREE);
	atomic_fetch_sub_explicit(&heap->metadata_pages, pages, memory_order_relaxed);
	size_t freed = pagealloc_free(&heap->pages, pfn, pages);

	MM_ASSERT(freed == pages);
	(void)freed;
}

void mheap_witness_attach(struct mspan *span, struct witness_table *table)
{
	bool plain = spanclass_is_size(span->span_class);

	span->witnesses = table;
	if (table)
		witness_table_init(table, span, plain ? WITNESS_POISON : WITNESS_UNKNOWN);
}

#endif
