/* SPDX-License-Identifier: MIT */
/*
 * onfree.c (level 8) - finalizers and tags: records on single objects, by special.c.
 *
 * A finalizer is the kernel's code: it may allocate, free, sleep for all we know. So it runs with
 * no lock held, where interrupts were enabled when the object was freed; otherwise the record stays
 * on the object as "queued", and slate_poll() runs it. The queue is a list through the records, so
 * that nothing has to be allocated for it.
 */
#include "mm/onfree.h"

#include <slate/port.h>
#include <slate/slate.h>

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/fixalloc.h"
#include "mm/init.h"
#include "mm/mcentral.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/object.h"
#include "mm/reclaim.h"
#include "mm/special.h"

static struct fixalloc records;

/* Objects that were freed, and whose finalizers wait. First in, first out. */
static struct {
	struct mm_lock lock;
	struct special *first; /* (lock) chained through finalizer.next */
	struct special *last;  /* (lock) */
	_Atomic size_t count;  /* (lock) written; (a) relaxed: slate_poll() looks first */
} queue;

void onfree_init(void)
{
	fixalloc_init(&records, "special", sizeof(struct special), _Alignof(struct special));
	special_init();
	mm_lock_init(&queue.lock, RANK_SPECIALS);
	queue.first = queue.last = NULL;
	atomic_store_explicit(&queue.count, 0, memory_order_relaxed);
}

/* ---- Marks and records ---- */

/* Frees of objects on this frame go, or need no longer go, by the records. */
static void mark(struct mspan *span, uintptr_t object)
{
	if (span->span_class != PAGECLASS_LARGE)
		mcentral_mark_special(span, virt_to_pfn((void *)object));
}

/* The span of an object that records may hang on, or NULL: no start of an object, or of a kind
 * whose frees do not pass the class byte. */
static struct mspan *span_for(const void *object)
{
	struct mspan *span = arena_span(virt_to_pfn(object));

	if (!span || (span->span_class != PAGECLASS_LARGE && !spanclass_is_size(span->span_class)))
		return NULL;
	return mspan_object_start(span, (uintptr_t)object) == (uintptr_t)object ? span : NULL;
}

/* Memory for a record; drains caches for it as any allocation does. */
static struct special *record_new(void)
{
	struct reclaim reclaim = {.pages = 1};
	struct special *record;

	do {
		record = mheap_alloc_metadata(&records);
	} while (!record && reclaim_next(&reclaim, 0));
	return record;
}

static void free_chain(struct special *chain)
{
	while (chain) {
		struct special *next = chain->next;

		fixalloc_free(&records, chain);
		chain = next;
	}
}

/* Change the record, or hang a new one on the object. */
static int record_put(struct mspan *span, const struct special *value)
{
	struct special *record;

	if (special_set(span, value))
		return SLATE_OK;
	record = record_new();
	if (!record)
		return SLATE_ENOMEM;
	*record = *value;
	if (!special_add(span, record)) {
		fixalloc_free(&records, record);
		return SLATE_EAGAIN;
	}
	mark(span, value->object);
	return SLATE_OK;
}

static int record_drop(struct mspan *span, uintptr_t object, enum special_kind kind)
{
	struct special *record = special_remove(span, object, kind);

	if (!record)
		return SLATE_ENOENT;
	mark(span, object);
	fixalloc_free(&records, record);
	return SLATE_OK;
}

bool onfree_sample(struct mspan *span, void *object, struct profile_bucket *bucket)
{
	struct special *record = mheap_alloc_metadata(&records);

	if (!record)
		return false;
	*record = (struct special){
		.object = (uintptr_t)object, .kind = SPECIAL_PROFILE, .profile.bucket = bucket};
	special_add(span, record);
	return true;
}

struct profile_bucket *onfree_bucket(struct mspan *span, uintptr_t object)
{
	struct special found;

	return span->specials && special_get(span, object, SPECIAL_PROFILE, &found)
		       ? found.profile.bucket
		       : NULL;
}

/* ---- The public calls ---- */

int slate_on_free(void *object, void (*fn)(void *object, void *arg), void *arg)
{
	struct mspan *span = span_for(object);
	struct special value = {.object = (uintptr_t)object, .kind = SPECIAL_FINALIZER};

	if (!span)
		return SLATE_EINVAL;
	if (!fn)
		return record_drop(span, value.object, SPECIAL_FINALIZER);
	value.finalizer.fn = fn;
	value.finalizer.arg = arg;
	return record_put(span, &value);
}

int onfree_set_word(void *object, enum special_kind kind, uintptr_t word)
{
	struct mspan *span = span_for(object);
	struct special value = {.object = (uintptr_t)object, .kind = (uint8_t)kind, .tag = word};

	if (!span)
		return SLATE_EINVAL;
	return word ? record_put(span, &value) : record_drop(span, value.object, kind);
}

uintptr_t onfree_word(const void *object, enum special_kind kind)
{
	struct mspan *span = span_for(object);
	struct special found;

	return span && special_get(span, (uintptr_t)object, kind, &found) ? found.tag : 0;
}

int slate_tag_set(void *object, uintptr_t tag)
{
	return onfree_set_word(object, SPECIAL_TAG, tag);
}

uintptr_t slate_tag(const void *object)
{
	return onfree_word(object, SPECIAL_TAG);
}

/* ---- Free ---- */

static void enqueue(struct special *record)
{
	unsigned long irq = mm_lock_acquire(&queue.lock);

	record->finalizer.next = NULL;
	if (queue.last)
		queue.last->finalizer.next = record;
	else
		queue.first = record;
	queue.last = record;
	atomic_fetch_add_explicit(&queue.count, 1, memory_order_relaxed);
	mm_lock_release(&queue.lock, irq);
}

static struct special *dequeue(void)
{
	unsigned long irq = mm_lock_acquire(&queue.lock);
	struct special *record = queue.first;

	if (record) {
		queue.first = record->finalizer.next;
		if (!queue.first)
			queue.last = NULL;
		atomic_fetch_sub_explicit(&queue.count, 1, memory_order_relaxed);
	}
	mm_lock_release(&queue.lock, irq);
	return record;
}

static void run_chain(struct special *chain)
{
	for (struct special *record = chain; record; record = record->next) {
		if (record->kind == SPECIAL_FINALIZER)
			record->finalizer.fn((void *)record->object, record->finalizer.arg);
		else if (SLATE_PROFILE && record->kind == SPECIAL_PROFILE)
			profile_count_free(record->profile.bucket);
	}
	free_chain(chain);
}

static void report_queued(const struct mspan *span, const void *object, const char *call)
{
	struct slate_report report = {
		.crime = SLATE_CRIME_DOUBLE_FREE,
		.call = call,
		.detail = "freed before, its finalizer has not run yet",
		.address = (uintptr_t)object,
		.object = (uintptr_t)object,
		.object_bytes = span->elem_bytes,
		.span_base = span->base,
		.span_pages = span->pages,
	};

	mm_report(&report);
}

bool onfree_release(struct mspan *span, void *object, const char *call)
{
	struct special *chain;

	switch (special_take(span, (uintptr_t)object, !port_irq_enabled(), &chain)) {
	case SPECIAL_NONE:
		return true;
	case SPECIAL_QUEUED:
		report_queued(span, object, call);
		return false;
	case SPECIAL_TAKEN:
		break;
	}
	if (chain->queued) {
		enqueue(chain);
		return false;
	}
	mark(span, (uintptr_t)object);
	run_chain(chain);
	return true;
}

bool onfree_finalize(struct mspan *span, uintptr_t object)
{
	struct special *record = special_remove(span, object, SPECIAL_FINALIZER);

	if (!record)
		return false;
	mark(span, object);
	run_chain(record);
	return true;
}

void onfree_for_each_queued(void (*fn)(uintptr_t object, void *arg), void *arg)
{
	unsigned long irq = mm_lock_acquire(&queue.lock);

	for (const struct special *record = queue.first; record; record = record->finalizer.next)
		fn(record->object, arg);
	mm_lock_release(&queue.lock, irq);
}

void onfree_poll(size_t most)
{
	/* relaxed: what comes later than this look is for the next call */
	while (most-- > 0 && atomic_load_explicit(&queue.count, memory_order_relaxed) > 0) {
		struct special *record = dequeue();

		if (!record)
			return;
		void *object = (void *)record->object;
		struct mspan *span = arena_span(virt_to_pfn(object));
		struct special *chain = special_unqueue(span, record->object);

		mark(span, record->object);
		run_chain(chain);
		object_free(object);
	}
}
