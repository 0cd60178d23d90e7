/* SPDX-License-Identifier: MIT */
/*
 * mcache.h (level 7) - one per CPU: for each class a magazine to take from and one to give to,
 * touched by no other CPU. The index is the frame's class byte, so that free needs no second table;
 * the entries of classes that have no magazines hold the dummy for ever and send every free the
 * slow way. PAGECLASS_FREE stands for single frames.
 *
 *   objects of a class in this cache = objects in its take magazine + in its give magazine
 *   single frames                    = the same + those of its page cache
 *
 * Slow paths detach a magazine (the dummy takes its place), work on it with interrupts as the
 * caller had them, and attach it again. If an interrupt handler attached another one meanwhile, the
 * objects go to the depot or home.
 */
#ifndef MM_MCACHE_H
#define MM_MCACHE_H

#include <stdatomic.h>

#include "mm/arena.h"
#include "mm/largecache.h"
#include "mm/magazine.h"
#include "mm/spanclass.h"
#include "mm/tiny.h"
#include "mm/trace.h"

#define PAGECLASS_FRAME PAGECLASS_FREE /* the class of single frames in magazines */

/* What mcache_take_slow() returns when the next object is to be a sample of the heap profile: the
 * caller makes one (sampled.h). */
#define MCACHE_SAMPLE ((void *)&magazine_dummy)

/* The index of a top among all: give[class], or take[class] behind them. */
enum mcache_side {
	MCACHE_GIVE = 0,
	MCACHE_TAKE = 256,
};

/*
 * Classes beyond the class bytes: stacks by order. Their class bytes themselves
 * (PAGECLASS_STACK_HEAD) have no magazines, so that slate_free() of a stack is a report.
 */
#define MCACHE_STACK     PAGECLASS_COUNT
#define MCACHE_STACK_END (MCACHE_STACK + SLATE_STACK_ORDERS)
/* Runs of 2, 4, 8 and 512 frames: a slot holds the number of the first + 1. slate.h names the class
 * to callers. */
#define MCACHE_RUN     MCACHE_STACK_END
#define MCACHE_RUN_END (MCACHE_RUN + 4)

/* Entries for every value of a class byte, so that none needs a check. */
#define MCACHE_ENTRIES 256
/* What of these the heap profile keeps. */
#define MCACHE_SAMPLED (SLATE_PROFILE ? MCACHE_ENTRIES : 1)
_Static_assert(MCACHE_RUN_END <= SPANCLASS_TYPED, "every class has a number of its own");

/* The page cache of a CPU (mcache_pages.c): in halves, so that others read them everywhere. */
struct mcache_pages {
	_Atomic size_t base; /* (p) as struct page_group has it; (a) relaxed, all of it */
	_Atomic uint32_t free[2];
	_Atomic uint32_t released[2];
};

/* Fewer objects than this make the exchange of magazines show in the cost of a pair. */
#define MCACHE_REFILL_MIN 32u

/* Offsets from give are known to arch/ARCH/rseq.S, see mm/rseq.h. */
struct mcache {
	/* (a) relaxed, slow paths only */
	_Alignas(128) _Atomic size_t refills;
	_Atomic size_t flushes;
	_Atomic size_t drained; /* (a) release: mcache_drain_wanted as it was before the last whole
				   drain */
	_Atomic bool online;    /* (a) release by the CPU itself, acquire by drains */
	/* (p) of slate_poll(), interrupts off */
	uint16_t poll_class; /* whose turn it is */
	bool over_bound;     /* the last round found more than SLATE_CACHE_BYTES */
	size_t round_bytes;  /* what this round has found so far */
	uint16_t seen[256];  /* what a class's tops looked like at its last turn */
	/* (c) a copy of arena_window: first byte, length in 8-byte granules, class bytes */
	_Alignas(4 * sizeof(void *)) uintptr_t window_base;
	size_t window_granules;
	const _Atomic uint8_t *window_map;
	const uint16_t *size_index; /* (c) by (size + 7) / 8: the index of a take top */
	/* (p) written by this CPU; (a) read relaxed by other CPUs' statistics */
	_Atomic(magtop_t) give[MCACHE_ENTRIES];
	_Atomic(magtop_t) take[MCACHE_ENTRIES];
	/*
	 * (p) what an NMI freed: objects, chained through their first words; frames as slots hold
	 * them, chained through the arena. The dummy ends a chain.
	 */
	_Atomic(magtop_t) deferred[2];
	/*
	 * Of plant.h: how many take magazines of the class will come before the one that a sample
	 * falls into, none if not above 0; and the place of it in that one, counted from 1; 0: not
	 * drawn yet.
	 */
	_Atomic int32_t quiet[MCACHE_SAMPLED]; /* (p); (a) relaxed */
	uint16_t place[MCACHE_SAMPLED];        /* (p) */
	uint64_t random;                       /* (p) of sampling.h */
	size_t rate;                           /* (p) what the thresholds were drawn for */
	/*
	 * (p) long magazines: what a refill of a class brings is MCACHE_REFILL_MIN, doubled so
	 * often less 1 (0: there was none); exchanges of less than half a magazine, modulo 256
	 */
	uint8_t refill_shift[MCACHE_ENTRIES];
	uint8_t exchanges[MCACHE_ENTRIES];
	struct largecache large;
	struct mcache_pages pages;
	struct tinycache tiny;
	struct trace_place trace;
};

/* Which chain, as an index of a top. */
enum mcache_deferred {
	MCACHE_DEFERRED_OBJECTS = 2 * MCACHE_ENTRIES,
	MCACHE_DEFERRED_FRAMES,
};

/* By CPU number; NULL: never online. (a) release at slate_cpu_online(), acquire by other CPUs. */
extern _Atomic(struct mcache *) mcaches[SLATE_MAX_CPUS];

/* The bootstrap mcache, until the first CPU inherits it. */
extern struct mcache mcache_boot;
extern bool mcache_any_online; /* (c) after the first slate_cpu_online() */

/* (c) the byte offset, in its magazine, of the lowest give top that is worth an exchange */
extern uint16_t mcache_exchange_offset[MCACHE_ENTRIES];

/* (c) likewise, of the highest take top that leaves its magazine at most half full */
extern uint16_t mcache_half_offset[MCACHE_ENTRIES];

/* (c) likewise, of a take top whose magazine is empty: the dummy's is another, and so is that of a
 * plant */
extern uint16_t mcache_empty_offset[MCACHE_ENTRIES];

static inline magtop_t mcache_top(const _Atomic(magtop_t) *place)
{
	return atomic_load_explicit(place, memory_order_relaxed);
}

/* relaxed: only this CPU follows the pointer; others read it as a number */
static inline void mcache_set_top(_Atomic(magtop_t) *place, magtop_t top)
{
	atomic_store_explicit(place, top, memory_order_relaxed);
}

/* What the next refill of a class brings its magazine to, where magazines are long. */
static inline unsigned mcache_refill(const struct mcache *cache, unsigned class)
{
	unsigned shift = cache->refill_shift[class];

	return MCACHE_REFILL_MIN << (shift > 0 ? shift - 1 : 0);
}

/* Counts the requests to drain; a cache whose `drained` is less owes one. (a) relaxed */
extern _Atomic size_t mcache_drain_wanted;

static inline _Atomic(magtop_t) *mcache_place(struct mcache *cache, enum mcache_side side,
					      unsigned class)
{
	return side == MCACHE_TAKE ? &cache->take[class] : &cache->give[class];
}

/* Give a class magazines, once its spanclass is known; take them away again when all are drained.
 */
void mcache_enable(unsigned class);
void mcache_disable(unsigned class);

/* No CPU has a magazine of the class. */
bool mcache_is_bare(unsigned class);

/* Up to n objects into out: what the take magazine holds, then batches straight from the source. */
size_t mcache_take_many(unsigned class, void **out, size_t n);

/* Most objects that a magazine of the class holds; bounded in bytes. */
unsigned mcache_capacity(unsigned class);

/* After the window is made; sets the bootstrap cache up as this CPU's. */
void mcache_init(void);

/*
 * Make this CPU's mcache; the first CPU inherits the bootstrap one. Interrupts off, port_cpu()
 * valid. Returns false without memory.
 */
bool mcache_online(unsigned cpu);

/* This CPU leaves: called on it, everything goes home. It may come online again. */
void mcache_offline(void);

/* The magazine was empty: exchange, refill, and take one. NULL: no memory below. Of a size class
 * also MCACHE_SAMPLE. */
void *mcache_take_slow(unsigned class);

/*
 * The same for a caller that may be an NMI (mcache_anyctx.c): what the magazines and the depot
 * hold, spans have, or new memory, as far as locks are free at once.
 */
void *mcache_take_anyctx(unsigned class);

/* And for a RESERVE request that was refused: the nodes' last frames may be used. */
void *mcache_take_anyctx_reserve(unsigned class);

/* Frames that nothing came of go back, in any context. */
struct mheap_parts;
void mcache_free_later(const struct mheap_parts *left);

/*
 * The magazine was full: exchange or leave it in the depot, and give. Never fails: at worst the
 * object goes straight home, or, in an NMI, is deferred. call: the public function, for reports.
 */
void mcache_give_slow(unsigned class, void *object, const char *call);

/* Free it later (deferred.h): one store, any context. The object's first word is overwritten. */
void mcache_defer(void *object);

/* The same for frames; all are frames of arenas. */
void mcache_defer_frames(pfn_t first, size_t pages);

/* Detach a whole chain; NULL when it is empty. */
void *mcache_take_deferred(enum mcache_deferred chain);

/* Everything in this CPU's magazines goes home. */
void mcache_drain(void);

/* Which drain was asked for last; and this CPU has done that one. */
size_t mcache_drain_asked(void);
void mcache_note_drained(size_t asked);

/* If somebody asked for it: mcache_drain(). Any slow path's first act. */
void mcache_drain_if_wanted(void);

/* Ask all CPUs to drain at their next slow path or slate_poll(). */
void mcache_ask_drain(void);

/*
 * One turn of the periodic return: looks at a few classes, sends home what a class holds that
 * nobody touched since its last turn (at most one magazine a turn). Interrupts off.
 */
void mcache_poll(void);

/* The same for depots: one class a call, with locks. Interrupts as the caller has them. */
void mcache_poll_depots(void);

/* Everything in the depots goes home. */
void mcache_drain_depots(void);

/* Objects of a class in one CPU's magazines, and in its depot. */
size_t mcache_cached(const struct mcache *cache, unsigned class);
size_t mcache_depot_cached(unsigned class);

/* The same for the bootstrap cache; 0 once a CPU has inherited it. */
size_t mcache_boot_cached(unsigned class);

/* ---- Walks, in mcache_walk.c ---- */

/*
 * Does a magazine of the cache, or one in the depot, hold this value? Follows tops of other CPUs
 * without a lock: magazines stay magazines for ever, so the worst is a moment's answer.
 */
bool mcache_holds(struct mcache *cache, unsigned class, const void *value);
bool mcache_depot_holds(unsigned class, const void *value);

/* Every value in a magazine or a depot, and every object that waits in a chain of deferred frees
 * (class 0). All other CPUs stand still. */
void mcache_for_each_cached(void (*fn)(unsigned class, void *value, void *arg), void *arg);

/* Is it attached to a CPU, in a depot, or free? Otherwise a slow path has it in hand. All other
 * CPUs stand still. */
bool mcache_has_magazine(const struct magazine *mag);

void mcache_reset(void);

#endif
