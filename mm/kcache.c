/* SPDX-License-Identifier: MIT */
/*
 * kcache.c (level 8) - typed caches: a class number, a plan for its spans, an mcentral, and what is
 * put aside.
 *
 * Locking: cache_list guards which places are taken; a cache's own lock what it has put aside.
 */
#include "mm/kcache.h"

#include <slate/port.h>
#include <slate/slate.h>

#include "lib/bits.h"
#include "mm/init.h"
#include "mm/mcache.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/object.h"
#include "mm/percpu.h"
#include "mm/reclaim.h"
#include "mm/trace.h"
#include "mm/witness.h"

#define RESERVE_SLOTS 31u

/* Objects put aside, by the block; blocks come from a fixalloc. */
struct reserve_block {
	struct reserve_block *next;
	void *objects[RESERVE_SLOTS];
};

struct kcache {
	struct slate_cache front;          /* (const) first: callers hold a pointer to it */
	bool taken;                        /* (cache_list) */
	const char *name;                  /* (const) */
	void (*constructor)(void *object); /* (const) */
#if SLATE_DEBUG
	size_t size_bytes; /* (const) as asked for */
#endif
	struct mm_lock lock;           /* RANK_STACK_POOL */
	struct reserve_block *reserve; /* (lock) only the first block is partly full */
	size_t reserve_count;          /* (lock) objects in all blocks */
};

static struct mm_lock cache_list; /* RANK_KCACHE_LIST */
static struct kcache kcaches[SPANCLASS_TYPED_COUNT];
static struct fixalloc blocks;

static unsigned class_of(const struct kcache *cache)
{
	return SPANCLASS_TYPED + (unsigned)(cache - kcaches);
}

static struct kcache *kcache_of(unsigned span_class)
{
	if (span_class >= SPANCLASS_COUNT || !spanclass_is_typed(span_class))
		return NULL;
	return &kcaches[span_class - SPANCLASS_TYPED];
}

/* ---- Put aside ---- */

/* The first block has room, or there is a fresh one in *spare. */
static void reserve_push_locked(struct kcache *cache, void *object, struct reserve_block **spare)
{
	size_t at = cache->reserve_count % RESERVE_SLOTS;

	mm_lock_assert_held(&cache->lock);
	if (at == 0) {
		(*spare)->next = cache->reserve;
		cache->reserve = *spare;
		*spare = NULL;
	}
	cache->reserve->objects[at] = object;
	cache->reserve_count++;
}

/* The emptied block goes to *spare. */
static void *reserve_pop_locked(struct kcache *cache, struct reserve_block **spare)
{
	mm_lock_assert_held(&cache->lock);
	if (cache->reserve_count == 0)
		return NULL;
	size_t at = --cache->reserve_count % RESERVE_SLOTS;
	void *object = cache->reserve->objects[at];

	if (at == 0) {
		*spare = cache->reserve;
		cache->reserve = cache->reserve->next;
	}
	return object;
}

void *kcache_take_reserve(unsigned span_class)
{
	struct kcache *cache = kcache_of(span_class);
	struct reserve_block *spare = NULL;
	unsigned long irq;

	/* A try is enough for an NMI and does no harm elsewhere: who holds the lock is at the same
	 * work. */
	if (!cache || !mm_lock_try(&cache->lock, &irq))
		return NULL;
	void *object = reserve_pop_locked(cache, &spare);

	mm_lock_release(&cache->lock, irq);
	if (spare && !port_in_nmi())
		fixalloc_free(&blocks, spare);
	return object;
}

void kcache_for_each_reserved(void (*fn)(void *object, void *arg), void *arg)
{
	for (unsigned i = 0; i < SPANCLASS_TYPED_COUNT; i++) {
		struct kcache *cache = &kcaches[i];
		unsigned long irq = mm_lock_acquire(&cache->lock);
		size_t left = cache->reserve_count;
		struct reserve_block *block = cache->reserve;

		for (; left > 0; block = block->next) {
			size_t n = left % RESERVE_SLOTS ? left % RESERVE_SLOTS : RESERVE_SLOTS;

			for (size_t k = 0; k < n; k++)
				fn(block->objects[k], arg);
			left -= n;
		}
		mm_lock_release(&cache->lock, irq);
	}
}

static size_t reserve_count(struct kcache *cache)
{
	unsigned long irq = mm_lock_acquire(&cache->lock);
	size_t count = cache->reserve_count;

	mm_lock_release(&cache->lock, irq);
	return count;
}

/* One object more than before; false without memory. */
static bool reserve_grow(struct kcache *cache)
{
	struct reserve_block *spare = mheap_alloc_metadata(&blocks);
	size_t before = reserve_count(cache);
	void *object = spare ? slate_cache_alloc(&cache->front) : NULL;

	if (object) {
		unsigned long irq = mm_lock_acquire(&cache->lock);

		reserve_push_locked(cache, object, &spare);
		mm_lock_release(&cache->lock, irq);
	}
	if (spare)
		fixalloc_free(&blocks, spare);
	/* Without memory the allocation took from what is put aside. */
	return reserve_count(cache) > before;
}

bool slate_cache_prefill(struct slate_cache *front, size_t n)
{
	struct kcache *cache = (struct kcache *)front;

	while (reserve_count(cache) < n) {
		if (!reserve_grow(cache))
			return false;
	}
	return true;
}

static void reserve_empty(struct kcache *cache)
{
	for (void *object; (object = kcache_take_reserve(class_of(cache))) != NULL;) {
		if (trace_is_on())
			trace_note(SLATE_TRACE_FREE, (uintptr_t)object,
				   spanclass_get(class_of(cache)).elem_bytes, TRACE_CALLER);
		mcentral_give(class_of(cache), &object, 1, "slate_cache_destroy");
	}
}

/* ---- Caches ---- */

static struct kcache *place_take(void)
{
	struct kcache *cache = NULL;
	unsigned long irq = mm_lock_acquire(&cache_list);

	for (unsigned i = 0; i < SPANCLASS_TYPED_COUNT && !cache; i++) {
		if (!kcaches[i].taken)
			cache = &kcaches[i];
	}
	if (cache)
		cache->taken = true;
	mm_lock_release(&cache_list, irq);
	return cache;
}

static void place_leave(struct kcache *cache)
{
	unsigned long irq = mm_lock_acquire(&cache_list);

	cache->taken = false;
	mm_lock_release(&cache_list, irq);
}

/* With a red zone in debug builds, if it still fits a span. */
static bool plan_span(size_t size_bytes, size_t align_bytes, struct spanclass *plan)
{
	size_t zone_bytes = witness_is_on() ? WITNESS_ZONE_MIN : 0;

	if (zone_bytes > 0 && spanclass_plan(align_up(size_bytes + zone_bytes, align_bytes), plan))
		return true;
	return spanclass_plan(align_up(size_bytes, align_bytes), plan);
}

struct slate_cache *slate_cache_create(const struct slate_cache_params *params)
{
	size_t align_bytes = params->align_bytes ? params->align_bytes : OBJECT_ALIGN_MIN;
	struct spanclass plan;

	if (!init_check("slate_cache_create"))
		return NULL;
	if (!bits_is_pow2(align_bytes) || align_bytes > SLATE_PAGE_SIZE ||
	    params->size_bytes == 0 || params->size_bytes > SIZECLASS_MAX_PAGES * SLATE_PAGE_SIZE)
		return NULL;
	if (align_bytes < OBJECT_ALIGN_MIN)
		align_bytes = OBJECT_ALIGN_MIN;
	if (!plan_span(params->size_bytes, align_bytes, &plan))
		return NULL;

	struct kcache *cache = place_take();

	if (!cache)
		return NULL;
	unsigned class = class_of(cache);

	cache->name = params->name ? params->name : "";
	cache->constructor = params->constructor;
#if SLATE_DEBUG
	cache->size_bytes = params->size_bytes;
#endif
	cache->front = (struct slate_cache){MCACHE_TAKE + class, MCACHE_GIVE + class};
	spanclass_typed[class - SPANCLASS_TYPED] = plan;
	mcentral_set_typed(class, params->constructor);
	mcache_enable(class);
	return &cache->front;
}

int slate_cache_destroy(struct slate_cache *front)
{
	struct kcache *cache = (struct kcache *)front;
	unsigned class = class_of(cache);
	size_t spans;
	size_t objects;

	slate_flush();
	mcentral_counts(class, &spans, &objects);
	if (objects > reserve_count(cache) || !mcache_is_bare(class))
		return SLATE_EBUSY;
	reserve_empty(cache);
	mcentral_counts(class, &spans, &objects);
	if (objects > 0)
		return SLATE_EBUSY;
	mcache_disable(class);
	place_leave(cache);
	return SLATE_OK;
}

const char *slate_cache_name(unsigned span_class)
{
	const struct kcache *cache = kcache_of(span_class);

	return cache && cache->taken ? cache->name : "";
}

void kcache_reconstruct(unsigned span_class, void *object)
{
	const struct kcache *cache = kcache_of(span_class);

	if (cache && cache->constructor)
		cache->constructor(object);
}

#if SLATE_DEBUG
size_t kcache_size(unsigned span_class)
{
	return kcache_of(span_class)->size_bytes;
}

bool kcache_is_constructed(unsigned span_class)
{
	return kcache_of(span_class)->constructor != NULL;
}
#endif

void kcache_reset(void)
{
	mm_lock_init(&cache_list, RANK_KCACHE_LIST);
	fixalloc_init(&blocks, "cache reserve", sizeof(struct reserve_block),
		      _Alignof(struct reserve_block));
	for (unsigned i = 0; i < SPANCLASS_TYPED_COUNT; i++) {
		kcaches[i] = (struct kcache){.taken = false};
		/* for good: leak scans go through all places */
		mm_lock_init(&kcaches[i].lock, RANK_STACK_POOL);
	}
	if (!SLATE_TINY)
		return;

	struct kcache *tiny = kcache_of(SPANCLASS_TINY);

	tiny->taken = true;
	tiny->name = "tiny objects";
}
