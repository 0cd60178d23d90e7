/* SPDX-License-Identifier: MIT */
/*
 * mheap.h (level 5) - spans, frame runs and metadata out of the page allocators, a heap per NUMA
 * node.
 *
 * Per node, under the locks of the page allocator and of the heap:
 *
 *   pages in use = object_pages + stack_pages + frame_pages + metadata_pages
 *
 * where frame_pages counts runs that callers own and single frames in magazines, and stack_pages
 * guard pages and stacks in magazines, too.
 */
#ifndef MM_MHEAP_H
#define MM_MHEAP_H

#include "mm/arena.h"
#include "mm/fixalloc.h"
#include "mm/mspan.h"
#include "mm/pagealloc.h"

struct mheap {
	struct mm_lock lock; /* RANK_MHEAP + node */
	struct list all;     /* (lock) every live span */
	size_t span_count;   /* (lock) */
	_Atomic size_t
		object_pages;       /* (a) relaxed: written where the span is, read by statistics */
	_Atomic size_t stack_pages; /* (a) relaxed, likewise */
	_Atomic size_t frame_pages; /* (a) relaxed */
	_Atomic size_t metadata_pages; /* (a) relaxed: taken from the page allocator, and carved
					  before it */
	_Atomic size_t large_objects;  /* (a) relaxed */
	_Atomic size_t large_bytes;    /* (a) relaxed */
	_Atomic size_t local_pages;    /* (a) relaxed: ever served to CPUs of this node */
	_Atomic size_t remote_pages;   /* (a) relaxed: and to CPUs of others */
	_Atomic size_t carved_pages;   /* (a) relaxed: metadata that never was in the page allocator
					*/
	/* (a) relaxed, all three: frame numbers, hints. Written by mheap_grow(); the zone by all.
	 */
	_Atomic size_t stays_low;     /* memory that stays lies from here */
	_Atomic size_t stays_end;     /* to here, holes included; 0: none does */
	_Atomic size_t metadata_zone; /* metadata is looked for from here on down */
	struct pagealloc pages;
};

extern struct mheap mheaps[SLATE_MAX_NODES];

/* (a) release by mheap_grow(), acquire by mheap_node_count() */
extern _Atomic unsigned mheap_nodes;

/* Nodes that have memory are [0, mheap_node_count()), some of them perhaps empty. Never falls. */
static inline unsigned mheap_node_count(void)
{
	/* acquire: pairs with the release in mheap_grow(); the node has its region */
	return atomic_load_explicit(&mheap_nodes, memory_order_acquire);
}

void mheap_init(void);

/*
 * Add free frames to a node: arenas and region registered, metadata from *metadata (bootmem).
 * Returns false when the metadata does not suffice or the range overlaps. The caller serialises
 * (memrange.h).
 */
struct bootmem;
bool mheap_grow(unsigned node, pfn_t pfn, size_t pages, struct bootmem *metadata);

/* The same for a region that may be removed: metadata keeps out of it while it can. */
bool mheap_grow_removable(unsigned node, pfn_t pfn, size_t pages, struct bootmem *metadata);

/* Frames carved off for metadata before they were ever free; and when they go with their range. */
void mheap_note_carved(unsigned node, size_t pages);
void mheap_note_uncarved(unsigned node, size_t pages);

/*
 * Watermarks of a node, from its size. Below `reserve` only RESERVE requests are served. Below
 * `low` caches and shrinkers give back before anybody has to wait for it, until `high` is reached.
 */
struct mheap_marks {
	size_t reserve_pages;
	size_t low_pages;
	size_t high_pages;
};

struct mheap_marks mheap_marks(const struct mheap *heap);

/* Left-over start-up memory: metadata is taken there first. */
void mheap_donate(void *start, size_t size_bytes);

/*
 * A span of objects of this class, published, or NULL. It is on no mcentral list yet. Takes and
 * leaves the locks of mheap, page allocator and fixalloc one by one; none may be held of a higher
 * rank.
 */
struct mspan *mheap_alloc_span(unsigned span_class);

/* A large object: pages > 0, aligned to align_pages (power of two; 0: any). */
struct mspan *mheap_alloc_large(size_t pages, size_t align_pages);

/* The same two for RESERVE requests: the last frames of the nodes may go, too. */
struct mspan *mheap_alloc_span_reserve(unsigned span_class);
struct mspan *mheap_alloc_large_reserve(size_t pages, size_t align_pages);

/*
 * A manual span in two steps. What the first returns nobody else can see, so that a hook of the
 * kernel may work on its frames in between; the second publishes it, with usable_pages at its end
 * handed out, after giving back the lowest spare_pages frames.
 */
struct mspan *mheap_alloc_manual(size_t pages);
void mheap_publish_manual(struct mspan *span, size_t usable_pages, size_t spare_pages);

/* What a manual span hands out starts here. */
static inline void *mheap_manual_start(const struct mspan *span)
{
	return (void *)(span->base + (span->pages << SLATE_PAGE_SHIFT) - span->elem_bytes);
}

/* The class byte that frame i of a span must have. */
unsigned mheap_class_at(const struct mspan *span, size_t i);

/* The span's objects are all free; it is on no mcentral list. Manual spans: claimed. */
void mheap_free_span(struct mspan *span);

/*
 * Make a large object that its caller owns longer, out of the free frames behind it, or shorter, at
 * the same place. False, and nothing happens, when these are not free, or it is being freed.
 */
bool mheap_resize_large(struct mspan *span, size_t pages);

/* Count frames that this node served to a CPU of node `here`. */
static inline void mheap_note_served(struct mheap *heap, unsigned here, size_t pages)
{
	atomic_fetch_add_explicit(heap == &mheaps[here] ? &heap->local_pages : &heap->remote_pages,
				  pages, memory_order_relaxed);
}

/* Can the node have n free frames? Without its lock, to pass over nodes that are empty. */
static inline bool mheap_may_serve(struct mheap *heap, size_t n)
{
	return atomic_load_explicit(&heap->pages.free_pages, memory_order_relaxed) >= n;
}

/* Is the node above its high watermark? Then new spans may come from there. */
static inline bool mheap_has_plenty(unsigned node)
{
	return mheap_may_serve(&mheaps[node], mheap_marks(&mheaps[node]).high_pages + 1);
}

/*
 * Frame runs. See slate_page_alloc(). node: preferred, or SLATE_ANY_NODE: this CPU's. Other nodes
 * follow by distance.
 */
pfn_t mheap_alloc_pages(size_t n, const struct page_fit *fit, unsigned node);

/* One frame that reads as zero and ends at or below end, out of this node, or this CPU's;
 * SLATE_PFN_NONE: none was found. */
pfn_t mheap_alloc_zeroed(pfn_t end, unsigned node);

/* Exactly these frames, of one region; false when one of them is not free. */
bool mheap_alloc_pages_at(pfn_t pfn, size_t n);

/* Returns n, or the index of the first frame that is not part of an allocated run; then nothing was
 * freed. */
size_t mheap_free_pages(pfn_t pfn, size_t n);

/*
 * An empty page cache is filled with what is free of one group of the nearest node that has frames
 * in plenty; returns how many came, 0 where memory is short.
 */
struct pagecache;
size_t mheap_fill_pages(struct pagecache *cache);

/* All of it goes home, and it is empty. Frames that are free already, though it had them, are
 * reported in the name of call. No lock is held. */
void mheap_flush_pages(struct pagecache *cache, const char *call);

/* Single frames by the batch, for magazines: a slot holds frame number + 1. */
unsigned mheap_take_frames(void **out, unsigned n);
/* Returns the first value that was not an allocated frame (its caller reports it), or NULL. */
void *mheap_give_frames(void **frames, unsigned n);

static inline void *frame_to_slot(pfn_t pfn)
{
	return (void *)(uintptr_t)(pfn.v + 1);
}

static inline pfn_t slot_to_frame(const void *slot)
{
	return (pfn_t){(size_t)(uintptr_t)slot - 1};
}

/* A metadata object of this fixalloc, fed from frames when it is empty; NULL when there are none.
 */
void *mheap_alloc_metadata(struct fixalloc *fa);

#if SLATE_DEBUG
/* Frames of metadata that do go back: the caller's to count out of metadata_pages, and to free. */
void *mheap_alloc_metadata_pages(size_t pages, bool reserve);
#endif

/* Metadata bytes that are never given back; NULL when there is no memory. */
void *mheap_alloc_permanent(size_t size_bytes, size_t align_bytes);

struct mheap_live {
	unsigned span_class;
	size_t elem_bytes;
};

/*
 * The live span of objects that pfn lies in, if pfn's class byte is page_class; else false.
 * allocated may be NULL; only the holder of the class's mcentral may ask.
 */
bool mheap_live_span(unsigned node, pfn_t pfn, unsigned page_class, struct mheap_live *live,
		     unsigned *allocated);

/* Walk this node's spans under the heap's lock; fn returns false to stop. */
void mheap_for_each_span(unsigned node, bool (*fn)(struct mspan *span, void *arg), void *arg);

void mheap_reset(void);

#endif
