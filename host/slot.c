/* SPDX-License-Identifier: MIT */
/*
 * slot.c - slots of threads, and fork().
 *
 * The child of a fork has one thread; the slots of all others are free there, with what their
 * caches hold, for threads that it starts later. Their magazines are whole whatever the owners were
 * doing, since those change by one store; who was exchanging two may have left one in both places;
 * of the large objects the sum is made anew.
 */
#include "host/slot.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <slate/port.h>
#include <slate/slate.h>

#include "lib/spinlock.h"
#include "mm/magazine.h"
#include "mm/mheap.h"
#include "mm/percpu.h"

#define SLOT_SHARED (SLATE_MAX_CPUS - 1u)
#define SLOT_NO     SLATE_MAX_CPUS

/*
 * Upkeep comes after so many visits of the slow paths, each of which moves a magazine at most, and
 * so after 2048 small objects; a large one counts as one visit for each so many bytes.
 */
#define UPKEEP_VISITS     (2048u / MAGAZINE_SLOTS)
#define UPKEEP_BYTES_LOG2 18u

/* Free memory that stays at hand, and what one turn of upkeep gives back above it, in frames. */
#define RETAIN_PAGES  ((size_t)16 << (20 - SLATE_PAGE_SHIFT))
#define RELEASE_PAGES ((size_t)32 << (20 - SLATE_PAGE_SHIFT))

struct slot {
	_Alignas(128) _Atomic bool inside; /* (a) see slot_enter() */
	_Atomic bool taken;                /* (a) acquire when taken, release when given back */
	bool online;                       /* (p) the allocator knows it as a CPU */
	bool orphan;                       /* (p) fork() left its owner behind */
	size_t visits;                     /* (p) since the last upkeep */
	_Atomic size_t allocs;             /* (a) relaxed, written by the owner */
	_Atomic size_t frees;              /* (a) relaxed, likewise */
};

static struct slot slots[SLATE_MAX_CPUS];
static struct spinlock shared_lock; /* of the last slot */
static _Atomic bool counting = true;
static pthread_key_t key;
static bool have_key;

/* The thread that is forking, by the address of its slot_number; NULL: none. */
static _Atomic(unsigned *) forking;

struct mcache slot_none = {
	.give = {[0 ... MCACHE_ENTRIES - 1] = MAGAZINE_DUMMY},
	.take = {[0 ... MCACHE_ENTRIES - 1] = MAGAZINE_DUMMY},
};
SLOT_TLS struct mcache *slot_fast = &slot_none;

static SLOT_TLS unsigned slot_number = SLOT_NO; /* this thread's; SLOT_NO: none (yet) */
static SLOT_TLS bool slot_ended;                /* and it gets none any more */
static SLOT_TLS unsigned slot_current;          /* the CPU that this thread is inside a slot */

unsigned port_cpu(void)
{
	return slot_current;
}

/* ---- Inside ---- */

/* (c) the system can make all threads of the process pass a barrier */
static bool have_membarrier;

static bool membarrier(int command)
{
	int saved = errno;
	bool done = syscall(SYS_membarrier, command, 0, 0) == 0;

	errno = saved;
	return done;
}

/* Between the store that says who comes and the look at who else does. Seldom means fork(): the
 * system has all others pass a barrier then, so that often needs none of its own. */
static inline void barrier_often(void)
{
	if (have_membarrier)
		atomic_signal_fence(memory_order_seq_cst);
	else
		atomic_thread_fence(memory_order_seq_cst);
}

static void barrier_seldom(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	/* a child may have to register anew */
	if (have_membarrier && !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) &&
	    membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
		membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

/*
 * Either fork() sees that somebody is inside and waits, or who comes in sees that somebody forks:
 * both store, pass a barrier, then load.
 */
static void come_in(struct slot *slot)
{
	for (;;) {
		/* relaxed: the barrier orders it; pairs with barrier_seldom() */
		atomic_store_explicit(&slot->inside, true, memory_order_relaxed);
		barrier_often();
		/* acquire: pairs with the release at the end of a fork */
		unsigned *who = atomic_load_explicit(&forking, memory_order_acquire);

		if (!who || who == &slot_number)
			return;
		atomic_store_explicit(&slot->inside, false, memory_order_release);
		/* relaxed: the look above decides */
		while (atomic_load_explicit(&forking, memory_order_relaxed))
			port_relax();
	}
}

static void go_out(struct slot *slot)
{
	/* release: pairs with the look in fork_prepare(); what was done inside is whole */
	atomic_store_explicit(&slot->inside, false, memory_order_release);
}

/* The owner stopped anywhere. A magazine in both places would give its objects out twice; that of
 * the two which is in neither is lost. */
static void mend(struct mcache *cache)
{
	for (unsigned class = 0; class < MCACHE_ENTRIES; class ++) {
		magtop_t take = mcache_top(&cache->take[class]);
		magtop_t give = mcache_top(&cache->give[class]);

		if (magazine_of(take) == magazine_of(give))
			mcache_set_top(&cache->give[class], MAGAZINE_DUMMY);
	}
	largecache_recount(&cache->large);
}

/* Become the CPU of a slot that this thread holds. False: no memory for its mcache. */
static bool become(unsigned number)
{
	struct slot *slot = &slots[number];

	slot_current = number;
	come_in(slot);
	if (!slot->online)
		slot->online = slate_cpu_online() == SLATE_OK;
	/* relaxed: this slot's own entry */
	if (slot->online && slot->orphan)
		mend(mcaches[number]);
	slot->orphan = false;
	if (slot->online)
		percpu_set_cache(atomic_load_explicit(&mcaches[number], memory_order_relaxed));
	else
		go_out(slot);
	return slot->online;
}

static unsigned find_slot(void)
{
	for (unsigned i = 0; i < SLOT_SHARED; i++) {
		/* acquire: pairs with the release of who gave it back; its cache is as it was left
		 */
		if (!atomic_load_explicit(&slots[i].taken, memory_order_relaxed) &&
		    !atomic_exchange_explicit(&slots[i].taken, true, memory_order_acquire))
			return i;
	}
	return SLOT_NO;
}

static void give_slot(unsigned number)
{
	/* release: pairs with the acquire in find_slot() */
	atomic_store_explicit(&slots[number].taken, false, memory_order_release);
}

static void set_fast(void)
{
	slot_fast =
		atomic_load_explicit(&counting, memory_order_relaxed) ? &slot_none : percpu_cache();
}

/* Bind this thread; inside its new slot afterwards. */
static bool bind(void)
{
	unsigned number = slot_ended ? SLOT_NO : find_slot();

	if (number == SLOT_NO)
		return false;
	if (!become(number)) {
		give_slot(number);
		return false;
	}
	slot_number = number;
	set_fast();
	/* May call calloc() in its turn, which finds the slot set, but not left: hence last. */
	if (have_key) {
		go_out(&slots[number]);
		pthread_setspecific(key, &slots[number]);
		come_in(&slots[number]);
	}
	return true;
}

void slot_enter(void)
{
	if (slot_number != SLOT_NO) {
		come_in(&slots[slot_number]);
		/* the decision to count may have come since */
		if (slot_fast == &slot_none)
			set_fast();
		return;
	}
	if (bind())
		return;
	spinlock_acquire(&shared_lock);
	/* The first thread's slot was made at the start, so only the shared one can fail here: then
	 * there is no memory at all, and what comes next finds none either. */
	while (!become(SLOT_SHARED))
		port_relax();
}

void slot_leave(void)
{
	struct slot *slot = &slots[slot_current];

	if (++slot->visits >= UPKEEP_VISITS) {
		slot->visits = 0;
		slate_poll();
	}
	go_out(slot);
	if (slot_current == SLOT_SHARED)
		spinlock_release(&shared_lock);
}

void slot_note_bytes(size_t size_bytes)
{
	slots[slot_current].visits += size_bytes >> UPKEEP_BYTES_LOG2;
}

/* ---- Counting ---- */

static void count(_Atomic size_t *counter)
{
	/* relaxed: one writer */
	size_t n = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, n + 1, memory_order_relaxed);
}

void slot_count_alloc(void)
{
	count(&slots[slot_current].allocs);
}

void slot_count_free(void)
{
	count(&slots[slot_current].frees);
}

void slot_counts(size_t *allocs, size_t *frees)
{
	*allocs = *frees = 0;
	for (unsigned i = 0; i < SLATE_MAX_CPUS; i++) {
		*allocs += atomic_load_explicit(&slots[i].allocs, memory_order_relaxed);
		*frees += atomic_load_explicit(&slots[i].frees, memory_order_relaxed);
	}
}

void slot_counting(bool on)
{
	atomic_store_explicit(&counting, on, memory_order_relaxed);
}

/* ---- The end of a thread ---- */

/* One node: SLATE_MAX_NODES is 1 here. */
static size_t idle_pages(void)
{
	struct pagealloc *pa = &mheaps[0].pages;
	unsigned long irq = mm_lock_acquire(&pa->lock);
	size_t idle = pa->free_pages - pagealloc_released_locked(pa);

	mm_lock_release(&pa->lock, irq);
	return idle;
}

/*
 * Turns give back a bounded part, one thread at a time, and the last thread that frees may be the
 * last to come by here for long. Who finds another one at it leaves the rest to that one.
 */
static void give_back_surplus(void)
{
	size_t idle;

	do {
		idle = idle_pages();
	} while (idle > RETAIN_PAGES + RETAIN_PAGES / 4 && slate_scavenge(idle - RETAIN_PAGES) > 0);
}

static void thread_ended(void *arg)
{
	unsigned number = slot_number;

	(void)arg;
	if (number == SLOT_NO)
		return;
	come_in(&slots[number]);
	give_back_surplus();
	slate_cpu_offline();
	slots[number].online = false;
	slot_fast = &slot_none;
	slot_number = SLOT_NO;
	slot_ended = true;
	go_out(&slots[number]);
	give_slot(number);
}

/* ---- fork() ---- */

static void fork_prepare(void)
{
	unsigned *none = NULL;

	while (!atomic_compare_exchange_weak_explicit(&forking, &none, &slot_number,
						      memory_order_seq_cst, memory_order_relaxed)) {
		none = NULL;
		port_relax();
	}
	barrier_seldom();
	/* acquire: pairs with the release in go_out(), for what was done inside */
	for (unsigned i = 0; i < SLATE_MAX_CPUS; i++) {
		while (i != slot_number &&
		       atomic_load_explicit(&slots[i].inside, memory_order_acquire))
			port_relax();
	}
}

static void fork_parent(void)
{
	/* release: pairs with the acquire in come_in() */
	atomic_store_explicit(&forking, NULL, memory_order_release);
}

/* The only thread. Who waited for the shared slot is not here to take it. */
static void fork_child(void)
{
	spinlock_init(&shared_lock);
	for (unsigned i = 0; i < SLOT_SHARED; i++) {
		if (i != slot_number) {
			slots[i].orphan = true;
			give_slot(i);
		}
	}
	fork_parent();
}

void slot_start(void)
{
	slots[0].taken = true;
	slate_scavenge_pace(RETAIN_PAGES, RELEASE_PAGES);
	if (!become(0))
		return;
	slot_number = 0;
	go_out(&slots[0]);
}

void slot_hooks(void)
{
	have_membarrier = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	have_key = pthread_key_create(&key, thread_ended) == 0;
	pthread_atfork(fork_prepare, fork_parent, fork_child);
	if (have_key && slot_number != SLOT_NO)
		pthread_setspecific(key, &slots[slot_number]);
}
