/* SPDX-License-Identifier: MIT */
/*
 * special.c (level 4) - the sorted list of records of a span.
 *
 * A few locks serve all spans, by the span's address: there is one list at a time to look at, and
 * objects with records are rare.
 *
 * A span of small objects may have thousands of records, so a walk opens the lock now and then. It
 * goes on where it was, unless a record has been taken off meanwhile; then it begins again.
 */
#include "mm/special.h"

#include "mm/lockrank.h"
#include "mm/mmdebug.h"

#define LOCK_COUNT 16u

/* Records that one lock hold passes, some 12 instructions each. */
#define WALK_RECORDS 64u

/* Beginnings; whoever is out of luck so often goes through in one hold. */
#define WALK_TRIES 16u

static struct {
	_Alignas(64) struct mm_lock lock;
	unsigned removals;        /* (lock) from any of its lists: a walk that paused looks */
	_Atomic unsigned changes; /* (lock) written; (a) relaxed: see special_changes() */
} locks[LOCK_COUNT];

void special_init(void)
{
	for (unsigned i = 0; i < LOCK_COUNT; i++)
		mm_lock_init(&locks[i].lock, RANK_SPECIALS);
}

static unsigned index_of(const struct mspan *span)
{
	return (unsigned)((uintptr_t)span / sizeof(*span) % LOCK_COUNT);
}

static struct mm_lock *lock_of(const struct mspan *span)
{
	return &locks[index_of(span)].lock;
}

unsigned special_changes(const struct mspan *span)
{
	return atomic_load_explicit(&locks[index_of(span)].changes, memory_order_relaxed);
}

/* A record came, or went. */
static void note_change_locked(const struct mspan *span, bool removed)
{
	unsigned index = index_of(span);

	mm_lock_assert_held(&locks[index].lock);
	locks[index].removals += removed;
	atomic_fetch_add_explicit(&locks[index].changes, 1, memory_order_relaxed);
}

/* Let others in. False: a record of some list was taken off, it may be the one that was passed. */
static bool pause_locked(const struct mspan *span, unsigned long *irq)
{
	unsigned index = index_of(span);
	unsigned removals = locks[index].removals;

	mm_lock_release(&locks[index].lock, *irq);
	*irq = mm_lock_acquire(&locks[index].lock);
	return removals == locks[index].removals;
}

static bool is_before(const struct special *special, uintptr_t object, unsigned kind)
{
	return special &&
	       (special->object < object || (special->object == object && special->kind < kind));
}

/*
 * The place of the first record that is not before (object, kind). The lock may have been open, not
 * since that record was looked at.
 */
static struct special **place_of_locked(struct mspan *span, uintptr_t object, unsigned kind,
					unsigned long *irq)
{
	struct special **place = &span->specials;
	unsigned passed = 0;
	unsigned tries = 0;

	mm_lock_assert_held(lock_of(span));
	while (is_before(*place, object, kind)) {
		place = &(*place)->next;
		if (++passed % WALK_RECORDS == 0 && tries < WALK_TRIES &&
		    !pause_locked(span, irq)) {
			place = &span->specials;
			tries++;
		}
	}
	return place;
}

static bool is(const struct special *special, uintptr_t object, unsigned kind)
{
	return special && special->object == object && special->kind == kind;
}

bool special_add(struct mspan *span, struct special *special)
{
	unsigned long irq = mm_lock_acquire(lock_of(span));
	struct special **place = place_of_locked(span, special->object, special->kind, &irq);
	bool vacant = !is(*place, special->object, special->kind);

	if (vacant) {
		special->queued = false;
		special->next = *place;
		*place = special;
		note_change_locked(span, false);
	}
	mm_lock_release(lock_of(span), irq);
	return vacant;
}

struct special *special_remove(struct mspan *span, uintptr_t object, enum special_kind kind)
{
	unsigned long irq = mm_lock_acquire(lock_of(span));
	struct special **place = place_of_locked(span, object, kind, &irq);
	struct special *found = NULL;

	if (is(*place, object, kind) && !(*place)->queued) {
		found = *place;
		*place = found->next;
		found->next = NULL;
		note_change_locked(span, true);
	}
	mm_lock_release(lock_of(span), irq);
	return found;
}

/* Cut all records of the object out of the list. */
static struct special *cut_locked(const struct mspan *span, struct special **place,
				  uintptr_t object)
{
	struct special *first = *place;
	struct special **end = place;

	while (*end && (*end)->object == object)
		end = &(*end)->next;
	if (end == place)
		return NULL;
	struct special *rest = *end;

	*end = NULL;
	*place = rest;
	note_change_locked(span, true);
	return first;
}

enum special_freed special_take(struct mspan *span, uintptr_t object, bool queue,
				struct special **chain)
{
	enum special_freed result = SPECIAL_TAKEN;
	unsigned long irq = mm_lock_acquire(lock_of(span));
	struct special **place = place_of_locked(span, object, SPECIAL_FINALIZER, &irq);

	*chain = NULL;
	if (is(*place, object, SPECIAL_FINALIZER) && (*place)->queued) {
		result = SPECIAL_QUEUED;
	} else if (is(*place, object, SPECIAL_FINALIZER) && queue) {
		(*place)->queued = true;
		*chain = *place;
	} else {
		*chain = cut_locked(span, place, object);
		result = *chain ? SPECIAL_TAKEN : SPECIAL_NONE;
	}
	mm_lock_release(lock_of(span), irq);
	return result;
}

struct special *special_unqueue(struct mspan *span, uintptr_t object)
{
	unsigned long irq = mm_lock_acquire(lock_of(span));
	struct special **place = place_of_locked(span, object, SPECIAL_FINALIZER, &irq);

	MM_ASSERT(is(*place, object, SPECIAL_FINALIZER) && (*place)->queued);
	struct special *chain = cut_locked(span, place, object);

	mm_lock_release(lock_of(span), irq);
	return chain;
}

bool special_get(struct mspan *span, uintptr_t object, enum special_kind kind, struct special *copy)
{
	unsigned long irq = mm_lock_acquire(lock_of(span));
	const struct special *found = *place_of_locked(span, object, kind, &irq);
	bool there = is(found, object, kind);

	if (there)
		*copy = *found;
	mm_lock_release(lock_of(span), irq);
	return there;
}

bool special_set(struct mspan *span, const struct special *value)
{
	unsigned long irq = mm_lock_acquire(lock_of(span));
	struct special *found = *place_of_locked(span, value->object, value->kind, &irq);
	bool there = is(found, value->object, value->kind) && !found->queued;

	if (there && value->kind == SPECIAL_FINALIZER)
		found->finalizer = value->finalizer;
	else if (there)
		found->tag = value->tag;
	mm_lock_release(lock_of(span), irq);
	return there;
}

bool special_in(struct mspan *span, uintptr_t start, uintptr_t end, unsigned *changes)
{
	unsigned long irq = mm_lock_acquire(lock_of(span));
	const struct special *first = *place_of_locked(span, start, 0, &irq);
	bool found = first && first->object < end;

	*changes = special_changes(span);
	mm_lock_release(lock_of(span), irq);
	return found;
}

void special_for_each(struct mspan *span, bool (*fn)(const struct special *special, void *arg),
		      void *arg)
{
	unsigned long irq = mm_lock_acquire(lock_of(span));

	for (const struct special *special = span->specials; special; special = special->next) {
		if (!fn(special, arg))
			break;
	}
	mm_lock_release(lock_of(span), irq);
}

static const char *check_locked(const struct mspan *span)
{
	const struct special *before = NULL;

	for (const struct special *s = span->specials; s; before = s, s = s->next) {
		if (s->object - span->base >= span->pages << SLATE_PAGE_SHIFT)
			return "a special lies outside its span";
		if (mspan_object_start(span, s->object) != s->object)
			return "a special hangs on no object's start";
		if (s->kind >= SPECIAL_KINDS || (s->queued && s->kind != SPECIAL_FINALIZER))
			return "a special of no kind";
		if (before && (before->object > s->object ||
			       (before->object == s->object && before->kind >= s->kind)))
			return "the specials of a span are not sorted";
	}
	return NULL;
}

const char *special_validate(struct mspan *span)
{
	unsigned long irq = mm_lock_acquire(lock_of(span));
	const char *wrong = check_locked(span);

	mm_lock_release(lock_of(span), irq);
	return wrong;
}
