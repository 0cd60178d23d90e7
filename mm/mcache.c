/* SPDX-License-Identifier: MIT */
/*
 * mcache.c (level 7) - the slow paths of the per-CPU caches: exchange and refill.
 *
 * Exchange with hysteresis. When take runs dry, the give magazine becomes the take magazine, and
 * one with few objects is topped up to half. When give is full, the two change places only if take
 * is at most half full; otherwise the full one goes to the depot. "Exchange if the other one isn't
 * empty" would let an unlucky number of live objects miss on every pair.
 */
#include "mm/mcache.h"

#include "lib/string.h"
#include "mm/depot.h"
#include "mm/directmap.h"
#include "mm/fixalloc.h"
#include "mm/mcache_pages.h"
#include "mm/mcache_source.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/percpu.h"
#include "mm/plant.h"

/* A magazine holds at most this many bytes of objects, a depot at most that many; but at least two.
 */
#define MAGAZINE_OBJECT_BYTES ((size_t)256 << 10)
#define DEPOT_OBJECT_BYTES    ((size_t)SLATE_DEPOT_BYTES)

/* Of a size class so many all the same: with 8 of 32 KiB the exchange shows in each pair. */
#define MAGAZINE_OBJECTS_MIN 12u

/* For frames twice that: what two CPUs with 1000 each give back at once must not spill. */
#define DEPOT_FRAME_BYTES (2 * DEPOT_OBJECT_BYTES)

#define REFILL_MIN MCACHE_REFILL_MIN

/* A refill makes at most this many stacks: each is many frames, and a guard page to unmap. */
#define STACK_REFILL 8u

_Atomic(struct mcache *) mcaches[SLATE_MAX_CPUS];

struct mcache mcache_boot;
uint16_t mcache_exchange_offset[MCACHE_ENTRIES];
uint16_t mcache_half_offset[MCACHE_ENTRIES];
uint16_t mcache_empty_offset[MCACHE_ENTRIES];
bool mcache_any_online;
_Atomic size_t mcache_drain_wanted;
#if SLATE_PROTECT == SLATE_PROTECT_THREAD
_Thread_local struct mcache *percpu_thread_cache;
#endif

static struct fixalloc magazines;
static struct depot depots[MCACHE_RUN_END];
static struct depot typed_depots[SPANCLASS_TYPED_COUNT];
/*
 * (const) from mcache_enable() to mcache_disable(); 0: the class has no magazines. (a) relaxed: who
 * looks through all classes may see it too late, and finds nothing.
 */
static _Atomic uint16_t capacity[MCACHE_ENTRIES];

struct depot *mcache_depot(unsigned class)
{
	return spanclass_is_typed(class) ? &typed_depots[class - SPANCLASS_TYPED] : &depots[class];
}

unsigned mcache_capacity(unsigned class)
{
	return atomic_load_explicit(&capacity[class], memory_order_relaxed);
}

static void set_capacity(unsigned class, unsigned cap)
{
	atomic_store_explicit(&capacity[class], (uint16_t)cap, memory_order_relaxed);
}

static unsigned clamp(size_t value, unsigned low, unsigned high)
{
	return value < low ? low : value > high ? high : (unsigned)value;
}

/* What a refill brings the take magazine to: half of it, and enough that exchanges are
 * rare. */
static unsigned refill_level(unsigned class)
{
	unsigned cap = mcache_capacity(class);

	if (mcache_is_stack(class))
		return clamp(cap / 2, 1, STACK_REFILL);
	return cap <= REFILL_MIN ? cap : cap <= 2 * REFILL_MIN ? REFILL_MIN : (cap + 1) / 2;
}

/*
 * What this refill, of a magazine that holds count, brings it to. Where magazines are long, a class
 * starts with few objects, for a CPU has many classes that it hardly uses; and gets twice as many
 * whenever more than half of them stayed away.
 */
static unsigned refill_goal(unsigned class, unsigned count)
{
	unsigned level = refill_level(class);
	unsigned long irq;
	struct mcache *cache;
	unsigned goal;

	if (MAGAZINE_SLOTS <= 2 * REFILL_MIN)
		return level;
	cache = percpu_hold(&irq);
	goal = mcache_refill(cache, class);
	if (cache->refill_shift[class] == 0 || (count < goal / 2 && goal < level))
		cache->refill_shift[class]++;
	goal = mcache_refill(cache, class);
	percpu_let_go(irq);
	return goal < level ? goal : level;
}

static void cache_init(struct mcache *cache, unsigned seed)
{
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++) {
		atomic_init(&cache->take[class], MAGAZINE_DUMMY);
		atomic_init(&cache->give[class], MAGAZINE_DUMMY);
	}
	cache->window_base = (uintptr_t)pfn_to_virt(arena_window.first);
	cache->window_granules = arena_window.pages << (SLATE_PAGE_SHIFT - 3);
	cache->window_map = arena_window.class_of;
	atomic_init(&cache->refills, 0);
	atomic_init(&cache->flushes, 0);
	atomic_init(&cache->deferred[0], MAGAZINE_DUMMY);
	atomic_init(&cache->deferred[1], MAGAZINE_DUMMY);
	atomic_init(&cache->drained,
		    atomic_load_explicit(&mcache_drain_wanted, memory_order_relaxed));
	atomic_init(&cache->online, true);
	cache->large = (struct largecache){.hand = 0};
	memset(&cache->pages, 0, sizeof(cache->pages));
	cache->tiny = (struct tinycache){.allocs = 0};
	atomic_init(&cache->trace.ring, NULL);
	atomic_init(&cache->trace.busy, 0);
	cache->poll_class = 0;
	cache->over_bound = false;
	cache->round_bytes = 0;
	memset(cache->seen, 0, sizeof(cache->seen));
	memset(cache->refill_shift, 0, sizeof(cache->refill_shift));
	memset(cache->exchanges, 0, sizeof(cache->exchanges));
	if (SLATE_PROFILE)
		plant_init(cache, seed);
}

void mcache_enable(unsigned class)
{
	size_t cap = clamp(MAGAZINE_OBJECT_BYTES / mcache_object_bytes(class),
			   spanclass_is_size(class) ? MAGAZINE_OBJECTS_MIN : 2, MAGAZINE_CAP_MAX);
	size_t bytes = class == PAGECLASS_FRAME ? DEPOT_FRAME_BYTES : DEPOT_OBJECT_BYTES;
	size_t depth = bytes / (cap * mcache_object_bytes(class));

	set_capacity(class, (unsigned)cap);
	mcache_exchange_offset[class] =
		(uint16_t)((MAGAZINE_CAP_MAX - cap + refill_level(class) - 1) * sizeof(void *));
	mcache_half_offset[class] = (uint16_t)((MAGAZINE_CAP_MAX - cap + cap / 2) * sizeof(void *));
	mcache_empty_offset[class] = (uint16_t)((MAGAZINE_CAP_MAX - cap) * sizeof(void *));
	depot_set_limit(mcache_depot(class), clamp(depth, 2, SLATE_DEPOT_MAGAZINES));
}

void mcache_disable(unsigned class)
{
	set_capacity(class, 0);
}

void mcache_init(void)
{
	fixalloc_init(&magazines, "magazine", MAGAZINE_BYTES, MAGAZINE_BYTES);
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++)
		set_capacity(class, 0);
	for (unsigned class = 0; class < MCACHE_RUN_END; class ++)
		depot_init(&depots[class], 0);
	for (unsigned i = 0; i < SPANCLASS_TYPED_COUNT; i++)
		depot_init(&typed_depots[i], 0);
	for (unsigned class = 2; class <= PAGECLASS_FRAME; class ++)
		mcache_enable(class);
	for (unsigned class = MCACHE_STACK; class < MCACHE_RUN_END; class ++)
		mcache_enable(class);
	cache_init(&mcache_boot, SLATE_MAX_CPUS);
	percpu_set_cache(&mcache_boot);
	largecache_resize();
}

bool mcache_is_bare(unsigned class)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire: pairs with the release in mcache_online(); relaxed tops: the caller
		 * knows that nobody uses the class */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		if (cache && (mcache_top(&cache->take[class]) != MAGAZINE_DUMMY ||
			      mcache_top(&cache->give[class]) != MAGAZINE_DUMMY))
			return false;
	}
	return true;
}

/* The struct of a CPU that comes for the first time; the first of all inherits the
 * bootstrap cache.
 */
static struct mcache *cache_new(unsigned cpu)
{
	if (!mcache_any_online)
		return &mcache_boot;

	struct mcache *cache = mheap_alloc_permanent(sizeof(*cache), _Alignof(struct mcache));

	if (cache)
		cache_init(cache, cpu);
	return cache;
}

bool mcache_online(unsigned cpu)
{
	/* relaxed: this CPU's own entry */
	struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_relaxed);

	if (!cache)
		cache = cache_new(cpu);
	if (!cache)
		return false;
	/* release, both: pairs with the acquire in statistics and drains of other CPUs */
	atomic_store_explicit(&cache->online, true, memory_order_release);
	atomic_store_explicit(&mcaches[cpu], cache, memory_order_release);
	percpu_set_cache(cache);
	if (!mcache_any_online)
		mcache_any_online = true;
	largecache_resize();
	return true;
}

void mcache_offline(void)
{
	unsigned long irq = port_irq_save();

	/* release: pairs with the acquire of drains: afterwards nobody waits for this CPU
	 */
	atomic_store_explicit(&percpu_cache()->online, false, memory_order_release);
	port_irq_restore(irq);
	mcache_drain();
	largecache_resize();
}

/* ---- Magazines and what is behind them ---- */

static struct magazine *magazine_new(void)
{
	return mheap_alloc_metadata(&magazines);
}

void mcache_magazine_delete(magtop_t top)
{
	if (top != MAGAZINE_DUMMY)
		fixalloc_free(&magazines, magazine_of(top));
}

bool mcache_magazine_is_free(const struct magazine *mag)
{
	return fixalloc_has_free(&magazines, mag);
}

/*
 * Send home what a detached magazine holds; returns its empty top. As long as it holds any its
 * class stays what it is; of an empty one the typed cache may be gone.
 */
magtop_t mcache_magazine_flush(unsigned class, magtop_t top, const char *call)
{
	unsigned count = *top ? magazine_count(top, mcache_capacity(class)) : 0;

	if (count > 0)
		mcache_source_give(class, top - count + 1, count, call);
	return top - count;
}

/* Attach, or, when an interrupt handler was faster, send everything home. */
static __attribute__((noinline)) void send_home(unsigned class, magtop_t top)
{
	if (top != MAGAZINE_DUMMY)
		mcache_magazine_delete(mcache_magazine_flush(class, top, "slate_flush"));
}

static void put_back_exposed(enum mcache_side side, unsigned class, magtop_t top)
{
	if (!percpu_attach(side, class, top)) {
		plant_undo(top);
		send_home(class, top);
	}
}

void mcache_put_back(enum mcache_side side, unsigned class, magtop_t top)
{
	if (side == MCACHE_TAKE)
		plant_expose(class, top);
	put_back_exposed(side, class, top);
}

static bool drain_is_wanted(void)
{
	unsigned long irq = port_irq_save();
	/* acquire: pairs with the release in mcache_drain() */
	size_t drained = atomic_load_explicit(&percpu_cache()->drained, memory_order_acquire);

	port_irq_restore(irq);
	/* relaxed: a hint that comes late is honoured at the next slow path */
	return drained != atomic_load_explicit(&mcache_drain_wanted, memory_order_relaxed);
}

void mcache_drain_if_wanted(void)
{
	if (drain_is_wanted())
		mcache_drain();
}

static void count_event(size_t offset)
{
	unsigned long irq = port_irq_save();
	_Atomic size_t *counter = (_Atomic size_t *)((char *)percpu_cache() + offset);

	/* relaxed: a figure for statistics, which this CPU alone writes */
	size_t n = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, n + 1, memory_order_relaxed);
	port_irq_restore(irq);
}

/* ---- Take ---- */

/* top, detached, is low: bring it to the refill level, or exchange it for a full one if it
 * is empty. */
static magtop_t top_up(unsigned class, magtop_t top)
{
	unsigned count = magazine_count(top, mcache_capacity(class));
	unsigned goal;

	/* no magazine is attached while a trace is on */
	if (trace_is_on())
		return top;
	if (count == 0) {
		struct magazine *empty = top == MAGAZINE_DUMMY ? NULL : magazine_of(top);
		struct magazine *full = depot_pop(mcache_depot(class), empty);

		if (full)
			return &full->slot[MAGAZINE_CAP_MAX];
	}
	if (top == MAGAZINE_DUMMY) {
		struct magazine *mag = magazine_new();

		if (!mag)
			return top;
		top = magazine_empty(mag, mcache_capacity(class));
	}
	goal = refill_goal(class, count);
	if (count < goal)
		top += mcache_source_take(class, top + 1, goal - count);
	return top;
}

/* Neither magazine of this CPU has enough. take: detached. */
static void *refill(unsigned class, magtop_t take)
{
	if (!*take) {
		magtop_t give = percpu_detach(MCACHE_GIVE, class);

		if (*give) {
			magtop_t spare = take;

			take = give;
			give = spare;
		}
		take = top_up(class, take);
		mcache_put_back(MCACHE_GIVE, class, give);
		count_event(offsetof(struct mcache, refills));
	}
	plant_expose(class, take);
	void *object = *take;
	bool is_sample = !object && magazine_has_plant(take);

	if (object) {
		put_back_exposed(MCACHE_TAKE, class, take - 1);
	} else {
		plant_undo(take);
		mcache_put_back(MCACHE_TAKE, class, take);
	}
	/* it may have been switched on in the middle, after this CPU was drained perhaps */
	if (trace_is_on())
		mcache_drain_class(class);
	if (object || is_sample)
		return object ? object : MCACHE_SAMPLE;
	/* No magazine to be had: one object straight from its source. */
	if (SLATE_PROFILE && plant_is_single_due(class))
		return MCACHE_SAMPLE;
	return mcache_source_take(class, &object, 1) ? object : NULL;
}

void *mcache_take_slow(unsigned class)
{
	void *object = percpu_exchange(class);

	if (object)
		return object;
	if (port_in_nmi())
		return mcache_take_anyctx(class);

	magtop_t take = percpu_detach(MCACHE_TAKE, class);
	bool is_sample = !*take && magazine_has_plant(take);

	plant_undo(take);
	if (is_sample) {
		mcache_put_back(MCACHE_TAKE, class, take);
		return MCACHE_SAMPLE;
	}
	if (drain_is_wanted()) {
		mcache_put_back(MCACHE_TAKE, class, take);
		mcache_drain();
		take = plant_detach(class);
	}
	return refill(class, take);
}

size_t mcache_take_many(unsigned class, void **out, size_t n)
{
	magtop_t top = plant_detach(class);
	size_t got = 0;

	for (; got < n && *top; top--)
		out[got++] = *top;
	mcache_put_back(MCACHE_TAKE, class, top);
	while (got < n) {
		size_t want = n - got < MAGAZINE_CAP_MAX ? n - got : MAGAZINE_CAP_MAX;
		unsigned more = mcache_source_take(class, out + got, (unsigned)want);

		if (more == 0)
			break;
		got += more;
	}
	return got;
}

#if SLATE_PROTECT == SLATE_PROTECT_RSEQ
void *slate_exchange_undo(size_t take_index, magtop_t give)
{
	mcache_put_back(MCACHE_GIVE, (unsigned)take_index - MCACHE_TAKE, give);
	return NULL;
}

void *slate_exchange_leftover(size_t take_index, magtop_t empty, void *object)
{
	send_home((unsigned)take_index - MCACHE_TAKE, empty);
	return object;
}
#endif

/* ---- Give ---- */

#if SLATE_PROTECT == SLATE_PROTECT_RSEQ
bool slate_full_undo(size_t give_index, magtop_t take)
{
	mcache_put_back(MCACHE_TAKE, (unsigned)give_index - MCACHE_GIVE, take);
	return false;
}

bool slate_full_leftover(size_t give_index, magtop_t full)
{
	send_home((unsigned)give_index - MCACHE_GIVE, full);
	return true;
}
#endif

/* give, detached, is full: return a top with room, which may be the dummy when there is
 * none. */
static magtop_t make_room(unsigned class, magtop_t give, const char *call)
{
	magtop_t take = plant_detach(class);
	struct magazine *mag = NULL;

	if (magazine_count(take, mcache_capacity(class)) <= mcache_capacity(class) / 2) {
		mcache_put_back(MCACHE_TAKE, class, give);
		if (take != MAGAZINE_DUMMY)
			return take;
	} else {
		mcache_put_back(MCACHE_TAKE, class, take);
		if (!depot_push(mcache_depot(class), magazine_of(give), &mag))
			return mcache_magazine_flush(class, give, call);
	}
	if (!mag)
		mag = magazine_new();
	return mag ? magazine_empty(mag, mcache_capacity(class)) : MAGAZINE_DUMMY;
}

void mcache_give_slow(unsigned class, void *object, const char *call)
{
	if (port_in_nmi()) {
		if (class == PAGECLASS_FRAME)
			mcache_defer_frames(slot_to_frame(object), 1);
		else if (mcache_is_run(class))
			mcache_defer_frames(slot_to_frame(object), mcache_run_pages(class));
		else
			mcache_defer(object);
		return;
	}
	if (percpu_exchange_full(class, object))
		return;
	mcache_drain_if_wanted();

	magtop_t top = percpu_detach(MCACHE_GIVE, class);

	if (top == MAGAZINE_DUMMY) {
		struct magazine *mag = trace_is_on() ? NULL : magazine_new();

		if (mag)
			top = magazine_empty(mag, mcache_capacity(class));
	} else if (magazine_is_full(top)) {
		count_event(offsetof(struct mcache, flushes));
		top = make_room(class, top, call);
	}
	if (magazine_is_full(top)) {
		mcache_source_give(class, &object, 1, call);
		return;
	}
	*++top = object;
	mcache_put_back(MCACHE_GIVE, class, top);
	if (trace_is_on())
		mcache_drain_class(class);
}

void mcache_reset(void)
{
	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++)
		atomic_store_explicit(&mcaches[cpu], NULL, memory_order_relaxed);
	mcache_any_online = false;
	trace_reset();
	mcache_init();
}
