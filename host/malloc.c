/* SPDX-License-Identifier: MIT */
/*
 * malloc.c - malloc's interface, on the allocator.
 *
 * The fast paths are the two of percpu.h without their calls: pop from the take magazine of a
 * class, push onto the give magazine of a frame's class byte. What they cannot do, slot_none's
 * dummies and its empty window send the slow way: no slot yet, empty, full, large, foreign,
 * counted.
 *
 * Everything is aligned to 16 bytes, so that only classes that are multiples of 16 are used.
 *
 * Shortcoming: like any malloc, not for signal handlers that interrupt it.
 */
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <slate/port.h>
#include <slate/slate.h>

#include "host/early.h"
#include "host/malloc.h"
#include "host/slot.h"
#include "host/space.h"
#include "mm/largepair.h"
#include "mm/mheap.h"
#include "mm/object.h"
#include "mm/percpu.h"
#include "mm/words.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define EXPORT      __attribute__((visibility("default")))
#define COLD        static __attribute__((noinline))

#define GRANULE_SHIFT 4u
#define GRANULE       ((size_t)1 << GRANULE_SHIFT)

/* (c) the take class by (size + 15) / 16, up to the largest class */
static uint8_t class_of_granules[SIZECLASS_MAX_BYTES / GRANULE + 1];

static size_t granules(size_t size_bytes)
{
	return (size_bytes + GRANULE - 1) >> GRANULE_SHIFT;
}

/* ---- Start ---- */

enum { FRESH, STARTING, RUNNING };

static _Atomic int stage; /* (a) release when it runs, acquire by who finds no slot */
static _Atomic size_t early_allocs;
static SLOT_TLS bool starting; /* this thread is the one that starts it */

static void fill_classes(void)
{
	unsigned sizeclass = 1;

	for (size_t i = 0; i <= SIZECLASS_MAX_BYTES / GRANULE; i++) {
		while (sizeclass_bytes[sizeclass] < i * GRANULE ||
		       sizeclass_bytes[sizeclass] % GRANULE != 0)
			sizeclass++;
		class_of_granules[i] = (uint8_t)(sizeclass << 1);
	}
}

COLD bool start(void)
{
	int expected = FRESH;

	/* acquire: pairs with the release below */
	if (!atomic_compare_exchange_strong_explicit(&stage, &expected, STARTING,
						     memory_order_acquire, memory_order_acquire)) {
		if (starting)
			return false;
		/* acquire: likewise */
		while (atomic_load_explicit(&stage, memory_order_acquire) != RUNNING)
			port_relax();
		return true;
	}
	starting = true;
	fill_classes();
	if (!space_start()) {
		static const char text[] = "slate: no address space\n";

		if (write(STDERR_FILENO, text, sizeof(text) - 1) >= 0)
			abort();
	}
	slot_start();
	starting = false;
	/* release: pairs with the acquires above; whoever sees it finds all of the allocator */
	atomic_store_explicit(&stage, RUNNING, memory_order_release);
	slot_hooks();
	return true;
}

/* Is there an allocator? False only while this very thread starts it. */
static bool ready(void)
{
	/* acquire: pairs with the release in start() */
	return likely(atomic_load_explicit(&stage, memory_order_acquire) == RUNNING) || start();
}

/* ---- Slow ways ---- */

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

/* Of 0 bytes too; inside a slot. */
static void *alloc_or_grow(size_t size_bytes, size_t align_bytes, unsigned flags)
{
	for (;;) {
		size_t growth = space_growth();
		void *object = object_alloc(size_bytes, align_bytes, flags, NULL);

		if (object)
			return object;
		if (!space_grow(size_bytes, align_bytes, growth))
			return NULL;
	}
}

COLD void *alloc_early(size_t size_bytes, size_t align_bytes)
{
	void *object = early_alloc(size_bytes, align_bytes);

	atomic_fetch_add_explicit(&early_allocs, 1, memory_order_relaxed);
	return object ? object : no_memory();
}

/* Any size and alignment. The class must be a multiple of 16, which the alignment sees to. */
COLD void *alloc_slow(size_t size_bytes, size_t align_bytes, unsigned flags)
{
	void *object;

	if (size_bytes > PTRDIFF_MAX)
		return no_memory();
	if (!ready())
		return alloc_early(size_bytes, align_bytes);
	slot_enter();
	object = alloc_or_grow(size_bytes, align_bytes < GRANULE ? GRANULE : align_bytes, flags);
	if (object)
		slot_count_alloc();
	slot_leave();
	return object ? object : no_memory();
}

/* Neither magazine of the class has enough, or they are none of ours. */
COLD void *alloc_class_slow(size_t size_bytes)
{
	unsigned class;
	void *object;

	if (!ready())
		return alloc_early(size_bytes, GRANULE);
	class = class_of_granules[granules(size_bytes)];
	slot_enter();
	/* whose fast paths are closed has not looked */
	object = slot_fast == &slot_none ? percpu_take(class) : NULL;
	if (!object)
		object = mcache_take_slow(class);
	if (object)
		slot_count_alloc();
	slot_leave();
	return object ? object : alloc_slow(size_bytes, GRANULE, 0);
}

/* A class is exchanged so often with less than a whole refill, then its refills double. */
#define EXCHANGES_OF_FEW 16u

/* Does the magazine hold as much as a refill would bring? Of a class that is little used that is
 * little. The dummy never does. */
static bool worth_an_exchange(struct mcache *cache, unsigned class, magtop_t give)
{
	if (((uintptr_t)give & MAGAZINE_TOP_MASK) >= mcache_exchange_offset[class])
		return *give != NULL;
	if (++cache->exchanges[class] % EXCHANGES_OF_FEW == 0 &&
	    mcache_refill(cache, class) < MAGAZINE_SLOTS / 2)
		cache->refill_shift[class]++;
	return magazine_count(give, mcache_capacity(class)) >= mcache_refill(cache, class);
}

/* The take magazine is empty: percpu_exchange(). */
COLD void *alloc_exchange(size_t size_bytes)
{
	struct mcache *cache = slot_fast;
	unsigned class = class_of_granules[granules(size_bytes)];
	magtop_t give = mcache_top(&cache->give[class]);
	void *object = *give;

	if (!worth_an_exchange(cache, class, give))
		return alloc_class_slow(size_bytes);
	mcache_set_top(&cache->give[class], mcache_top(&cache->take[class]));
	mcache_set_top(&cache->take[class], give - 1);
	return object;
}

/* From the bins of this thread's cache. */
COLD void *alloc_binned(size_t size_bytes)
{
	if (size_bytes <= PTRDIFF_MAX && slot_fast != &slot_none) {
		size_t pages = bytes_to_pages(size_bytes);
		size_t natural_bytes = (pages & (~pages + 1)) << SLATE_PAGE_SHIFT;
		struct mspan *span = largecache_take(pages, natural_bytes);

		if (span)
			return (void *)span->base;
	}
	return alloc_slow(size_bytes, GRANULE, 0);
}

/* An object longer than any class. A size that wraps is of no frames, which no span has. */
static inline __attribute__((always_inline)) void *alloc_large(size_t size_bytes)
{
	struct largecache *cache = &slot_fast->large;

	if (!largecache_is_hot(cache, bytes_to_pages(size_bytes)))
		return alloc_binned(size_bytes);
	return (void *)largecache_take_hot(cache)->base;
}

static inline __attribute__((always_inline)) void *alloc_fast(size_t size_bytes)
{
	struct mcache *cache = slot_fast;

	if (unlikely(size_bytes > SIZECLASS_MAX_BYTES))
		return alloc_large(size_bytes);

	_Atomic(magtop_t) *place = &cache->take[class_of_granules[granules(size_bytes)]];
	magtop_t top = mcache_top(place);
	void *object = *top;

	if (unlikely(!object))
		return alloc_exchange(size_bytes);
	mcache_set_top(place, top - 1);
	return object;
}

/* Too long for this thread's cache, or there is no room in it. Claimed. */
COLD void free_large_home(struct mspan *span)
{
	slot_enter();
	slot_note_bytes(span->pages << SLATE_PAGE_SHIFT);
	if (!largecache_make_room(span))
		mheap_free_span(span);
	slot_leave();
}

/* False: not what it seems, for the slow way to report. */
static bool free_binned(void *object)
{
	struct mspan *span = arena_span_unchecked(object);

	if (!span || span->base != (uintptr_t)object || !mspan_claim(span))
		return false;
	if (!largecache_keep(span))
		free_large_home(span);
	return true;
}

/* The give magazine of the class is full. */
static void free_full(unsigned class, void *object)
{
	if (percpu_exchange_full(class, object))
		return;
	slot_enter();
	mcache_give_slow(class, object, "free");
	slot_leave();
}

COLD void free_slow(void *object)
{
	unsigned class = slot_fast == &slot_none ? PAGECLASS_NONE : arena_class_at(object);

	if (class - 1u < PAGECLASS_SPAN_LAST && (uintptr_t)object % OBJECT_ALIGN_MIN == 0) {
		free_full(class, object);
		return;
	}
	if (class == PAGECLASS_LARGE && free_binned(object))
		return;
	if (!object || early_owns(object) || !ready())
		return;
	slot_enter();
	slot_count_free();
	slate_free_slow(object);
	slot_leave();
}

/*
 * The thread's hot large object, which the arena map need not be asked about. The struct may serve
 * another span by now: then it says so.
 *
 * A look at the state and a store, where the kernel has an atomic: a second free is found at once,
 * but not that of another thread in the same few nanoseconds.
 */
static inline __attribute__((always_inline)) bool free_hot(void *object)
{
	struct largecache *cache = &slot_fast->large;
	struct mspan *hot = cache->hot;

	if (!hot || hot->base != (uintptr_t)object || hot->span_class != PAGECLASS_LARGE ||
	    mspan_state(hot) != MSPAN_IN_USE)
		return false;

	if (!largecache_may_hold(largecache_held(cache) + largecache_weight(hot->pages)))
		return false;
	mspan_set_state(hot, MSPAN_CLAIMED);
	largecache_keep_hot(cache, hot);
	return true;
}

/* ---- The interface ---- */

/*
 * Half a cache line into one: where it begins with a line, both tests of the fast path lie in the
 * first and its return in the next, and a call took 0.25 ns more (Zen 5; any other multiple of 16
 * will do).
 */
EXPORT __attribute__((aligned(64), patchable_function_entry(32, 32))) void *
malloc(size_t size_bytes)
{
	return alloc_fast(size_bytes);
}

/* Here the fast path fits into a line and a quarter, the way of a large object into three lines. */
EXPORT __attribute__((aligned(64))) void free(void *object)
{
	struct mcache *cache = slot_fast;
	uintptr_t offset = (uintptr_t)object - cache->window_base;
	/* Rotated, so that what is not aligned to 8 becomes too large, too. */
	size_t granule = offset >> 3 | offset << (8 * sizeof(offset) - 3);

	if (likely(granule < cache->window_granules)) {
		/* relaxed: the object is the caller's, and so its span is there */
		unsigned class =
			atomic_load_explicit(&cache->window_map[granule >> (SLATE_PAGE_SHIFT - 3)],
					     memory_order_relaxed);
		_Atomic(magtop_t) *place = &cache->give[class];
		magtop_t top = mcache_top(place);

		if (likely(!magazine_is_full(top))) {
			top[1] = object;
			mcache_set_top(place, top + 1);
			return;
		}
	}
	if (!free_hot(object))
		free_slow(object);
}

EXPORT void *calloc(size_t n, size_t size_bytes)
{
	size_t total_bytes;
	void *object;

	if (unlikely(__builtin_mul_overflow(n, size_bytes, &total_bytes)))
		return no_memory();
	if (unlikely(total_bytes > SIZECLASS_MAX_BYTES))
		return alloc_slow(total_bytes, GRANULE, SLATE_ZERO);
	object = alloc_fast(total_bytes);
	if (unlikely(!object))
		return NULL;
	if (total_bytes <= WORDS_SMALL_BYTES)
		words_clear(object, total_bytes);
	else
		memset(object, 0, total_bytes);
	return object;
}

static size_t usable_size(const void *object)
{
	unsigned class = arena_class_at(object);

	if (likely(class - 1u < PAGECLASS_SPAN_LAST))
		return sizeclass_bytes[class >> 1];
	if (early_owns(object))
		return early_size(object);
	return object_size(object, "realloc");
}

/* Frames may be added or taken off where it is. */
COLD void *realloc_large(void *object, size_t size_bytes)
{
	void *moved = NULL;
	bool grown = true;

	slot_enter();
	while (!moved && grown) {
		size_t growth = space_growth();

		moved = slate_realloc(object, size_bytes);
		if (!moved)
			grown = space_grow(size_bytes, GRANULE, growth);
	}
	if (moved && moved != object) {
		slot_count_alloc();
		slot_count_free();
	}
	slot_leave();
	return moved ? moved : no_memory();
}

EXPORT void *realloc(void *object, size_t size_bytes)
{
	size_t old_bytes;
	void *moved;

	if (!object)
		return malloc(size_bytes);
	if (size_bytes == 0) {
		free(object);
		return NULL;
	}
	old_bytes = usable_size(object);
	/* Where it is, unless more than half would lie idle. */
	if (size_bytes <= old_bytes && size_bytes >= old_bytes / 2)
		if (old_bytes <= SIZECLASS_MAX_BYTES || early_owns(object))
			return object;
	if (size_bytes > PTRDIFF_MAX)
		return no_memory();
	if (old_bytes > SIZECLASS_MAX_BYTES && size_bytes > SIZECLASS_MAX_BYTES &&
	    !early_owns(object))
		return realloc_large(object, size_bytes);
	moved = malloc(size_bytes);
	if (!moved)
		return NULL;
	memcpy(moved, object, size_bytes < old_bytes ? size_bytes : old_bytes);
	free(object);
	return moved;
}

EXPORT void *reallocarray(void *object, size_t n, size_t size_bytes)
{
	size_t total_bytes;

	if (__builtin_mul_overflow(n, size_bytes, &total_bytes))
		return no_memory();
	return realloc(object, total_bytes);
}

static bool is_pow2(size_t x)
{
	return x && (x & (x - 1)) == 0;
}

/* align_bytes: a power of two. */
static void *alloc_aligned(size_t align_bytes, size_t size_bytes)
{
	if (align_bytes <= GRANULE)
		return malloc(size_bytes);
	return alloc_slow(size_bytes, align_bytes, 0);
}

EXPORT void *aligned_alloc(size_t align_bytes, size_t size_bytes)
{
	if (!is_pow2(align_bytes)) {
		errno = EINVAL;
		return NULL;
	}
	return alloc_aligned(align_bytes, size_bytes);
}

/* An alignment that is no power of two is rounded up to one, as everywhere. */
EXPORT void *memalign(size_t align_bytes, size_t size_bytes)
{
	size_t pow2 = GRANULE;

	if (align_bytes > PTRDIFF_MAX) {
		errno = EINVAL;
		return NULL;
	}
	while (pow2 < align_bytes)
		pow2 <<= 1;
	return alloc_aligned(pow2, size_bytes);
}

EXPORT int posix_memalign(void **out, size_t align_bytes, size_t size_bytes)
{
	int saved = errno;
	void *object;

	if (!is_pow2(align_bytes) || align_bytes < sizeof(void *))
		return EINVAL;
	object = alloc_aligned(align_bytes, size_bytes);
	errno = saved;
	if (!object)
		return ENOMEM;
	*out = object;
	return 0;
}

EXPORT void *valloc(size_t size_bytes)
{
	return alloc_aligned(SLATE_PAGE_SIZE, size_bytes);
}

EXPORT void *pvalloc(size_t size_bytes)
{
	if (size_bytes > PTRDIFF_MAX)
		return no_memory();
	return valloc((size_bytes + SLATE_PAGE_MASK) & ~SLATE_PAGE_MASK);
}

EXPORT size_t malloc_usable_size(void *object)
{
	return object ? usable_size(object) : 0;
}

EXPORT void free_sized(void *object, size_t size_bytes)
{
	(void)size_bytes;
	free(object);
}

EXPORT void free_aligned_sized(void *object, size_t align_bytes, size_t size_bytes)
{
	(void)align_bytes;
	(void)size_bytes;
	free(object);
}

/* Everything that is free, the caches of this thread included, goes back to the system. */
EXPORT int malloc_trim(size_t keep_bytes)
{
	size_t given;

	(void)keep_bytes;
	if (!ready())
		return 0;
	slot_enter();
	slate_flush();
	given = slate_scavenge(SIZE_MAX);
	slot_leave();
	return given > 0;
}

/* ---- Statistics ---- */

static bool stats_wanted;

/* Calls are counted from the first one on; now the environment can tell whether that is wanted. Not
 * that of who starts a program with rights of its own. */
__attribute__((constructor)) static void choose_counting(void)
{
	const char *wish = secure_getenv("SLATE_STATS");

	stats_wanted = wish && *wish && strcmp(wish, "0") != 0;
	slot_counting(stats_wanted);
}

__attribute__((destructor)) static void print_stats(void)
{
	char text[96];
	size_t allocs, frees;
	int length;

	if (!stats_wanted)
		return;
	slot_counts(&allocs, &frees);
	allocs += atomic_load_explicit(&early_allocs, memory_order_relaxed);
	length = snprintf(text, sizeof(text), "slate: allocs %zu frees %zu\n", allocs, frees);
	if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0)
		return;
}
