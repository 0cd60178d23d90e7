/* SPDX-License-Identifier: MIT */
/*
 * mcentral.c (level 6) - spans of one class between mheap and magazines.
 *
 * Two CPUs that find no partial span both go to the mheap, and each takes from the span that it
 * brings. A span that becomes wholly free is unlinked under the lock and given back
 * after it.
 */
#include "mm/mcentral.h"

#include <slate/slate.h>

#include "mm/directmap.h"
#include "mm/mheap.h"
#include "mm/mheap_try.h"
#include "mm/mmdebug.h"
#include "mm/numa.h"
#include "mm/special.h"

/* Objects that one lock hold gives, and spans that they come from: each costs up to 160
 * instructions, for it changes its list. */
#define TAKE_OBJECTS 24u
#define TAKE_SPANS   8u

/*
 * Objects that one lock hold takes back; interrupts are off meanwhile. Most change one bit; the
 * dearest are those that their span changes its list for, or the last ones of it.
 */
#define GIVE_OBJECTS 10u

_Static_assert(sizeof(struct mcentral) % MCENTRAL_ALIGN == 0, "classes share no cache line");

struct mcentral mcentrals[PAGECLASS_SPAN_LAST + 1];
static struct mcentral typed_centrals[SPANCLASS_TYPED_COUNT];

struct mcentral *mcentral_of(unsigned span_class)
{
	if (spanclass_is_size(span_class))
		return &mcentrals[span_class];
	return spanclass_is_typed(span_class) ? &typed_centrals[span_class - SPANCLASS_TYPED]
					      : NULL;
}

/* The least shift that tells a partial span's list from how many objects are out. */
static uint8_t fill_shift(size_t elems)
{
	uint8_t shift = 0;

	while (elems > 0 && (elems - 1) >> shift >= MCENTRAL_FILLS)
		shift++;
	return shift;
}

static void partial_init(struct mcentral_partial *partial)
{
	partial->some = 0;
	for (unsigned i = 0; i < MCENTRAL_FILLS; i++)
		list_init(&partial->fills[i]);
}

static void central_init(struct mcentral *central, unsigned span_class)
{
	struct spanclass class = spanclass_get(span_class);

	mm_lock_init(&central->lock, RANK_MCENTRAL);
	central->span_class = (uint8_t)span_class;
	central->page_class = class.page_class;
	central->fill_shift = fill_shift(class.elems);
	partial_init(&central->partial);
	list_init(&central->full);
	list_init(&central->isolated);
	list_init(&central->sampled);
	central->constructor = NULL;
	central->spans = 0;
	central->objects = 0;
}

void mcentral_init_all(void)
{
	for (unsigned i = 0; i <= PAGECLASS_SPAN_LAST; i++)
		central_init(&mcentrals[i], i);
	for (unsigned i = 0; i < SPANCLASS_TYPED_COUNT; i++)
		central_init(&typed_centrals[i], SPANCLASS_TYPED + i);
}

/* Who looks through all classes may hold the lock, or wait for it: it stays. */
void mcentral_set_typed(unsigned span_class, void (*constructor)(void *object))
{
	struct mcentral *central = mcentral_of(span_class);
	struct spanclass class = spanclass_get(span_class);
	unsigned long irq = mm_lock_acquire(&central->lock);

	central->page_class = class.page_class;
	central->fill_shift = fill_shift(class.elems);
	central->constructor = constructor;
	mm_lock_release(&central->lock, irq);
}

/* ---- Nodes ---- */

#if SLATE_MAX_NODES > 1

/* Lists of a further node: sizes by span class, then typed caches. */
#define NODE_LISTS (PAGECLASS_SPAN_LAST + 1 + SPANCLASS_TYPED_COUNT)

/* (a) release by mcentral_add_node(), acquire by whoever lists a span; NULL: node 0's serve it */
static _Atomic(struct mcentral_partial *) node_lists[SLATE_MAX_NODES];

void mcentral_add_node(unsigned node)
{
	/* relaxed: adding memory is serialised */
	struct mcentral_partial *lists =
		atomic_load_explicit(&node_lists[node], memory_order_relaxed);

	if (node == 0 || lists)
		return;
	lists = mheap_alloc_permanent(NODE_LISTS * sizeof(*lists),
				      _Alignof(struct mcentral_partial));
	if (!lists)
		return;
	for (unsigned i = 0; i < NODE_LISTS; i++)
		partial_init(&lists[i]);
	/* release: pairs with the acquire in mcentral_partial_of() */
	atomic_store_explicit(&node_lists[node], lists, memory_order_release);
}

struct mcentral_partial *mcentral_partial_of(struct mcentral *central, unsigned node)
{
	unsigned class = central->span_class;
	unsigned index = spanclass_is_typed(class)
				 ? PAGECLASS_SPAN_LAST + 1 + class - SPANCLASS_TYPED
				 : class;
	/* acquire: pairs with the release in mcentral_add_node() */
	struct mcentral_partial *lists =
		atomic_load_explicit(&node_lists[node], memory_order_acquire);

	mm_lock_assert_held(&central->lock);
	return lists ? &lists[index] : &central->partial;
}

static void forget_nodes(void)
{
	for (unsigned node = 0; node < SLATE_MAX_NODES; node++)
		atomic_store_explicit(&node_lists[node], NULL, memory_order_relaxed);
}

#else

void mcentral_add_node(unsigned node)
{
	(void)node;
}

struct mcentral_partial *mcentral_partial_of(struct mcentral *central, unsigned node)
{
	(void)node;
	return &central->partial;
}

static void forget_nodes(void)
{
}

#endif

/* ---- Lists ---- */

/* Where a span belongs that has a free object. */
static inline unsigned fill_of(const struct mcentral *central, const struct mspan *span)
{
	return (unsigned)span->allocated >> central->fill_shift;
}

void mcentral_list_span_locked(struct mcentral *central, struct mspan *span)
{
	unsigned fill = fill_of(central, span);

	mm_lock_assert_held(&central->lock);
	if (mspan_is_full(span)) {
		list_insert_back(span->sampled ? &central->sampled : &central->full, &span->link);
		return;
	}
	if (span->sampled) {
		list_insert_front(&central->sampled, &span->link);
		return;
	}
	struct mcentral_partial *partial = mcentral_partial_of(central, span->node);

	list_insert_front(&partial->fills[fill], &span->link);
	partial->some |= (uint8_t)(1u << fill);
}

/* One of the node's fullest spans that have a free object, or NULL. */
static struct mspan *fullest_locked(struct mcentral_partial *partial)
{
	while (partial->some) {
		unsigned fill = 31u - (unsigned)__builtin_clz(partial->some);
		struct list *link = list_first(&partial->fills[fill]);

		if (link)
			return list_entry(link, struct mspan, link);
		partial->some &= (uint8_t) ~(1u << fill);
	}
	return NULL;
}

/* ---- Take ---- */

static unsigned take_locked(struct mcentral *central, unsigned node, void **out, unsigned n)
{
	struct mcentral_partial *partial = mcentral_partial_of(central, node);
	struct mspan *span;
	unsigned spans = 0;
	unsigned got = 0;

	mm_lock_assert_held(&central->lock);
	while (got < n && spans++ < TAKE_SPANS && (span = fullest_locked(partial)) != NULL) {
		unsigned fill = fill_of(central, span);

		got += mspan_take(span, out + got, n - got);
		if (mspan_is_full(span) || fill_of(central, span) != fill) {
			list_remove(&span->link);
			mcentral_list_span_locked(central, span);
		}
	}
	central->objects += got;
	return got;
}

/* The same by one lock hold after another. */
static unsigned take_some(struct mcentral *central, unsigned node, void **out, unsigned n)
{
	unsigned got = 0;
	unsigned more;

	do {
		unsigned want = n - got < TAKE_OBJECTS ? n - got : TAKE_OBJECTS;
		unsigned long irq = mm_lock_acquire(&central->lock);

		more = take_locked(central, node, out + got, want);
		mm_lock_release(&central->lock, irq);
		got += more;
	} while (got < n && more > 0);
	return got;
}

/* A span that nobody else knows yet, its objects constructed; no lock is held. */
static struct mspan *span_new(const struct mcentral *central,
			      struct mspan *(*alloc)(unsigned span_class))
{
	struct mspan *span = alloc(central->span_class);

	if (!span || !central->constructor)
		return span;
	for (size_t i = 0; i < span->elem_count; i++)
		central->constructor((void *)(span->base + i * span->elem_bytes));
	return span;
}

/*
 * List a new span and take the first n of its objects at once: a span that nobody took from would
 * have no last object to send it home.
 */
static unsigned add_span(struct mcentral *central, struct mspan *span, void **out, unsigned n)
{
	unsigned long irq = mm_lock_acquire(&central->lock);
	unsigned got = mspan_take(span, out, n);

	central->objects += got;
	central->spans++;
	mcentral_list_span_locked(central, span);
	mm_lock_release(&central->lock, irq);
	return got;
}

/* From the other nodes' spans, the nearest first. */
static unsigned take_afar(struct mcentral *central, unsigned here, void **out, unsigned n)
{
	const uint8_t *order = numa_order(here);
	unsigned got = 0;

	for (unsigned i = 1; i < SLATE_MAX_NODES && got < n; i++)
		got += take_some(central, order[i], out + got, n - got);
	return got;
}

/* No new span is to be had: what other CPUs have brought by now, or an object beside samples. */
static unsigned take_rest(struct mcentral *central, unsigned here, void **out, unsigned n)
{
	unsigned long irq = mm_lock_acquire(&central->lock);
	unsigned got = take_locked(central, here, out, n < TAKE_OBJECTS ? n : TAKE_OBJECTS);

	if (got == 0 && (out[0] = mcentral_spare_locked(central)) != NULL)
		got = 1;
	mm_lock_release(&central->lock, irq);
	return got;
}

static unsigned take(unsigned span_class, void **out, unsigned n,
		     struct mspan *(*alloc)(unsigned span_class))
{
	struct mcentral *central = mcentral_of(span_class);
	unsigned here = numa_here();
	unsigned got = take_some(central, here, out, n);
	size_t fresh_pages = 0;

	while (got < n && fresh_pages < MCENTRAL_FRESH_PAGES) {
		/* fewer than n are better than a new span far away */
		if (!mheap_has_plenty(here)) {
			unsigned more = take_afar(central, here, out + got, n - got);

			if (more > 0)
				return got + more;
		}
		struct mspan *span = span_new(central, alloc);

		if (!span)
			return got + take_rest(central, here, out + got, n - got);
		fresh_pages += span->pages;
		got += add_span(central, span, out + got, n - got);
	}
	return got;
}

unsigned mcentral_take(unsigned span_class, void **out, unsigned n)
{
	return take(span_class, out, n, mheap_alloc_span);
}

void *mcentral_take_reserve(unsigned span_class)
{
	void *object;

	return take(span_class, &object, 1, mheap_alloc_span_reserve) ? object : NULL;
}

void *mcentral_try_take(unsigned span_class)
{
	struct mcentral *central = mcentral_of(span_class);
	void *object = NULL;
	unsigned long irq;

	if (!mm_lock_try(&central->lock, &irq))
		return NULL;
	const uint8_t *order = numa_order(numa_here());
	unsigned got = 0;

	for (unsigned i = 0; i < SLATE_MAX_NODES && got == 0; i++)
		got = take_locked(central, order[i], &object, 1);
	mm_lock_release(&central->lock, irq);
	return object;
}

/* Constructors are the kernel's, and blocks of tiny objects want more than a struct and bits. */
static bool may_try_new(const struct mcentral *central)
{
	return !central->constructor && central->span_class != SPANCLASS_TINY;
}

void *mcentral_try_new(unsigned span_class, bool reserve, struct mheap_parts *left)
{
	struct mcentral *central = mcentral_of(span_class);
	struct spanclass plan = spanclass_get(span_class);
	const struct mheap_wish wish = {
		.pages = plan.pages,
		.align_pages = plan.align_pages,
		.objects = plan.elems,
		.bits = mspan_needs_bits(span_class),
		.reserve = reserve,
	};
	struct mspan *span;
	void *object = NULL;
	unsigned long irq;

	*left = (struct mheap_parts){.frames = {.pages = 0}};
	if (!may_try_new(central) || !mheap_try_parts(&wish, left) ||
	    !mm_lock_try(&central->lock, &irq))
		return NULL;
	/* listed in the lock hold that it comes to be in: else it might have to go again, which may
	 * be impossible */
	span = mheap_try_span(span_class, left);
	if (span) {
		central->objects += mspan_take(span, &object, 1);
		central->spans++;
		mcentral_list_span_locked(central, span);
	}
	mm_lock_release(&central->lock, irq);
	return object;
}

/* A crime found under the lock, kept until it is left. */
struct verdict {
	void *object;
	struct mspan *span;
	enum slate_crime crime;
};

/* The span that an object of this class came from; NULL: none, or of another class. */
static inline struct mspan *span_to_give(const struct mcentral *central, const void *object)
{
	/* the class byte of most tells enough, and is at hand */
	if (arena_class_at(object) == central->page_class)
		return arena_span_unchecked(object);
	return arena_span(virt_to_pfn(object));
}

/* The object is none that this class has given out. */
static enum slate_crime crime_of(const struct mcentral *central, const struct mspan *span)
{
	/* A cache's objects go nowhere else; a size class's frames may have changed hands. */
	return span && mspan_state(span) == MSPAN_IN_USE && spanclass_is_typed(central->span_class)
		       ? SLATE_CRIME_WRONG_SIZE
		       : SLATE_CRIME_DOUBLE_FREE;
}

static void give_one_locked(struct mcentral *central, void *object, struct list *empty,
			    struct verdict *verdict)
{
	struct mspan *span = span_to_give(central, object);

	mm_lock_assert_held(&central->lock);
	if (!span || mspan_state(span) != MSPAN_IN_USE || span->span_class != central->span_class) {
		*verdict = (struct verdict){object, span, crime_of(central, span)};
		return;
	}
	bool was_full = mspan_is_full(span);
	unsigned fill = fill_of(central, span);
	enum mspan_verdict found = mspan_give(span, object);

	if (found != MSPAN_FREED) {
		*verdict = (struct verdict){object, span,
					    found == MSPAN_WAS_FREE ? SLATE_CRIME_DOUBLE_FREE
								    : SLATE_CRIME_INTERIOR};
		return;
	}
	central->objects--;
	if (span->allocated == 0 && !mcentral_keeps_sampled_locked(central, span)) {
		list_remove(&span->link);
		list_insert_back(empty, &span->link);
		central->spans--;
	} else if ((was_full || fill_of(central, span) != fill) && !span->isolated) {
		list_remove(&span->link);
		mcentral_list_span_locked(central, span);
	}
}

static void report_verdict(const struct verdict *verdict, const char *call, unsigned span_class)
{
	struct slate_report report = {
		.crime = verdict->crime,
		.call = call,
		.address = (uintptr_t)verdict->object,
		.object_bytes = spanclass_get(span_class).elem_bytes,
		.detail = verdict->crime == SLATE_CRIME_INTERIOR
				  ? "the pointer is not the start of an object"
				  : "found when the magazine that took it was flushed",
	};

	if (verdict->span) {
		report.object = mspan_object_start(verdict->span, (uintptr_t)verdict->object);
		report.span_base = verdict->span->base;
		report.span_pages = verdict->span->pages;
	}
	mm_leak_add(1);
	mm_report(&report);
}

void mcentral_give(unsigned span_class, void **objects, unsigned n, const char *call)
{
	struct mcentral *central = mcentral_of(span_class);
	struct verdict crime = {.crime = SLATE_CRIME_NONE};
	struct list empty;
	unsigned done = 0;

	list_init(&empty);
	while (done < n) {
		unsigned end = n - done > GIVE_OBJECTS ? done + GIVE_OBJECTS : n;
		unsigned long irq = mm_lock_acquire(&central->lock);

		crime.crime = SLATE_CRIME_NONE;
		do {
			give_one_locked(central, objects[done++], &empty, &crime);
		} while (done < end && crime.crime == SLATE_CRIME_NONE);
		mm_lock_release(&central->lock, irq);
		if (crime.crime != SLATE_CRIME_NONE)
			report_verdict(&crime, call, span_class);
	}
	for (struct list *link; (link = list_pop_front(&empty)) != NULL;)
		mheap_free_span(list_entry(link, struct mspan, link));
}

/* ---- Sweep ---- */

size_t mcentral_sweep(struct mspan *span, const unsigned long *garbage)
{
	struct mcentral *central = mcentral_of(span->span_class);
	unsigned long irq = mm_lock_acquire(&central->lock);
	unsigned count = mspan_sweep(span, garbage);
	bool empty = span->allocated == 0;

	central->objects -= count;
	if (count > 0 && (empty || !span->isolated)) {
		list_remove(&span->link);
		if (empty)
			central->spans--;
		else
			mcentral_list_span_locked(central, span);
	}
	mm_lock_release(&central->lock, irq);
	if (count > 0 && empty)
		mheap_free_span(span);
	return count;
}

/* ---- Frames with special objects ---- */

/* Looks at the records, of which others may change some; then marks the frame, whatever it is. */
#define MARK_TRIES 8u

void mcentral_mark_special(struct mspan *span, pfn_t pfn)
{
	struct mcentral *central = mcentral_of(span->span_class);
	uintptr_t start = (uintptr_t)pfn_to_virt(pfn);
	bool done = span->sampled; /* marked for good */

	for (unsigned tries = 0; !done; tries++) {
		unsigned changes;
		bool any = special_in(span, start, start + SLATE_PAGE_SIZE, &changes);
		unsigned long irq = mm_lock_acquire(&central->lock);

		done = changes == special_changes(span) || tries == MARK_TRIES;
		if (tries == MARK_TRIES)
			any = true;
		if (done && !span->isolated)
			arena_set_class(pfn, 1, any ? PAGECLASS_SLOW : span->page_class);
		mm_lock_release(&central->lock, irq);
	}
}

/* ---- Figures ---- */

void mcentral_counts(unsigned span_class, size_t *spans, size_t *objects)
{
	struct mcentral *central = mcentral_of(span_class);
	unsigned long irq = mm_lock_acquire(&central->lock);

	*spans = central->spans;
	*objects = central->objects;
	mm_lock_release(&central->lock, irq);
}

void mcentral_reset(void)
{
	forget_nodes();
	mcentral_init_all();
}
