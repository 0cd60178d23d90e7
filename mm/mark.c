/* SPDX-License-Identifier: MIT */
/*
 * mark.c (level 8) - the mark: from every word that may be a pointer to the object that it points
 * into, and on to the words of that object, until nothing new is found.
 *
 * The mark stack is an array of a fixed size and no object is ever lost for lack of room: what does
 * not fit is remembered by its span, whose marked objects are all scanned again later (rescan).
 * Each such round marks at least one new object or is the last.
 *
 * What lies in magazines, depots and other stores of free objects is marked without being scanned:
 * it is no leak, and what its former owner left in it means nothing. A CPU that was stopped in a
 * slow path holds a magazine that no cache shows; then a word of its stack points into it, and the
 * objects up to there are marked the same way.
 */
#include "mm/mark.h"

#include <slate/marksweep.h>

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/gcbits.h"
#include "mm/kcache.h"
#include "mm/magazine.h"
#include "mm/mcache.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/onfree.h"
#include "mm/quarantine.h"
#include "mm/roots.h"
#include "mm/spanclass.h"
#include "mm/witness.h"

#define WORD_BYTES   sizeof(uintptr_t)
#define HEADER_WORDS (sizeof(struct span_mark) / sizeof(unsigned long))

/* Room for the mark stack, at least. */
#define STACK_WORDS ((size_t)2048)

/* Bits for spans that are made between counting and stopping. */
#define SPARE_WORDS ((size_t)4096)

/* Stacks of the host are redzoned by its sanitizers; here every word is looked at. */
#define READS_ANY_WORD __attribute__((no_sanitize("address")))

static struct {
	uintptr_t *stack; /* objects to scan, by their first byte */
	size_t depth;
	size_t depth_max;
	bool rescan; /* a span is to be scanned again */
	const struct slate_live *live;
	size_t live_count;
	struct mspan *whole; /* garbage: spans of which nothing was reached, */
	struct mspan *whole_last;
	struct mspan *part; /* and those of which something was */
	bool fits;
} mark;

/* ---- One object ---- */

size_t mark_span_words(const struct mspan *span)
{
	return (span->elem_count + MSPAN_WORD_BITS - 1) / MSPAN_WORD_BITS;
}

static bool holds_objects(const struct mspan *span)
{
	return mspan_state(span) == MSPAN_IN_USE &&
	       (span->span_class == PAGECLASS_LARGE || spanclass_is_size(span->span_class) ||
		spanclass_is_typed(span->span_class));
}

/* Set the bit; false: it was set. */
static bool set_mark(const struct mspan *span, size_t number)
{
	unsigned long *word = &span->mark->bits[number / MSPAN_WORD_BITS];
	unsigned long bit = 1ul << (number % MSPAN_WORD_BITS);
	bool fresh = !(*word & bit);

	*word |= bit;
	return fresh;
}

static bool is_marked(const struct mspan *span, size_t number)
{
	return span->mark->bits[number / MSPAN_WORD_BITS] >> (number % MSPAN_WORD_BITS) & 1;
}

/* The taken object that the address lies in; NULL: it lies in none. */
static struct mspan *taken_object(uintptr_t addr, uintptr_t *object)
{
	struct mspan *span = arena_span(virt_to_pfn((void *)addr));

	if (!span || span->mark_epoch != gcbits_epoch || !holds_objects(span))
		return NULL;
	*object = mspan_object_start(span, addr);
	return *object && mspan_is_taken(span, *object) ? span : NULL;
}

static void reach(uintptr_t addr)
{
	uintptr_t object;
	struct mspan *span = taken_object(addr, &object);

	if (!span || !set_mark(span, mspan_object_number(span, object)) || span->noscan)
		return;
	if (mark.depth < mark.depth_max) {
		mark.stack[mark.depth++] = object;
	} else {
		span->mark->rescan = 1;
		mark.rescan = true;
	}
}

/* It is free, though its span knows nothing of that. */
static void mark_free(uintptr_t object)
{
	uintptr_t start;
	struct mspan *span = taken_object(object, &start);

	if (span && start == object)
		set_mark(span, mspan_object_number(span, object));
}

/* ---- Words ---- */

READS_ANY_WORD static void scan(uintptr_t low, uintptr_t high)
{
	low = (low + WORD_BYTES - 1) & ~(WORD_BYTES - 1);
	for (; low < high && high - low >= WORD_BYTES; low += WORD_BYTES)
		reach(*(const uintptr_t *)low);
}

static void drain(void)
{
	while (mark.depth > 0) {
		uintptr_t object = mark.stack[--mark.depth];
		const struct mspan *span = arena_span(virt_to_pfn((void *)object));

		scan(object, object + span->elem_bytes);
	}
}

static bool scan_again(struct mspan *span, void *arg)
{
	(void)arg;
	if (span->mark_epoch != gcbits_epoch || !span->mark->rescan)
		return true;
	span->mark->rescan = 0;
	for (size_t i = 0; i < span->elem_count; i++) {
		if (is_marked(span, i))
			scan(span->base + i * span->elem_bytes,
			     span->base + (i + 1) * span->elem_bytes);
		drain();
	}
	return true;
}

static void for_each_span(bool (*fn)(struct mspan *span, void *arg), void *arg)
{
	for (unsigned node = 0; node < mheap_node_count(); node++)
		mheap_for_each_span(node, fn, arg);
}

static void drain_all(void)
{
	drain();
	while (mark.rescan) {
		mark.rescan = false;
		for_each_span(scan_again, NULL);
	}
}

/* ---- Free objects outside their spans ---- */

static void mark_slot(unsigned class, void *value, void *arg)
{
	(void)arg;
	if (class == 0 || spanclass_is_size(class) || spanclass_is_typed(class)) {
		mark_free((uintptr_t)value);
	} else if (class >= MCACHE_STACK && class < MCACHE_STACK_END) {
		struct mspan *span = arena_span(virt_to_pfn(value));

		if (span && span->mark_epoch == gcbits_epoch)
			set_mark(span, 0);
	}
}

#if SLATE_DEBUG
/* Objects that were given up after a report: told already, and counted. */
static bool mark_lost(struct mspan *span, void *arg)
{
	(void)arg;
	for (size_t i = 0; holds_objects(span) && span->witnesses && i < span->elem_count; i++) {
		if (witness_state(&span->witnesses->list[i]) == WITNESS_LOST)
			mark_free(span->base + i * span->elem_bytes);
	}
	return true;
}
#endif

static void mark_reserved(void *object, void *arg)
{
	(void)arg;
	mark_free((uintptr_t)object);
}

static void reach_queued(uintptr_t object, void *arg)
{
	(void)arg;
	reach(object);
}

/* A word of a stack may be the top of a magazine, or its first byte. Does the slot hold an object?
 */
READS_ANY_WORD static bool mark_if_object(const uintptr_t *slot)
{
	uintptr_t object;
	struct mspan *span = taken_object(*slot, &object);

	/* that of a span struct is its own first object: not a magazine */
	if (!span || object != *slot || (const void *)span == slot)
		return false;
	mark_free(object);
	return true;
}

static void mark_magazine(uintptr_t word)
{
	const uintptr_t *slot = (const uintptr_t *)word;

	if (word % WORD_BYTES || arena_class(virt_to_pfn(slot)) != PAGECLASS_META)
		return;
	/* of these the tops tell what they hold; what a stray word says is out of date */
	if (mcache_has_magazine(magazine_of((magtop_t)word)))
		return;
	if ((word & MAGAZINE_TOP_MASK) == 0) {
		for (unsigned i = 0; i < MAGAZINE_SLOTS; i++)
			mark_if_object(slot + i);
		return;
	}
	/* a plant's object is in slot 0 (plant.h) */
	while ((uintptr_t)slot & MAGAZINE_TOP_MASK &&
	       mark_if_object(*slot ? slot : (const uintptr_t *)magazine_of((magtop_t)word)->slot))
		slot--;
}

/* ---- Roots ---- */

READS_ANY_WORD static void scan_stack(uintptr_t low, uintptr_t high)
{
	scan(low, high);
	for (; low < high && high - low >= WORD_BYTES; low += WORD_BYTES)
		mark_magazine(*(const uintptr_t *)low);
}

static void scan_root(uintptr_t low, uintptr_t high, void *arg)
{
	(void)arg;
	scan(low, high);
}

static bool is_live(const struct mspan *span)
{
	for (size_t i = 0; i < mark.live_count; i++) {
		if (mark.live[i].low - span->base < span->pages << SLATE_PAGE_SHIFT)
			return true;
	}
	return false;
}

/* A stack that nobody named, and that lies in no magazine: somebody's who sleeps. */
static bool scan_sleeper(struct mspan *span, void *arg)
{
	uintptr_t start = (uintptr_t)mheap_manual_start(span);

	(void)arg;
	if (span->span_class == PAGECLASS_STACK && !is_marked(span, 0) && !is_live(span))
		scan_stack(start, start + span->elem_bytes);
	return true;
}

static bool reach_kept_one(const struct special *special, void *arg)
{
	(void)arg;
	if (special->kind == SPECIAL_KEEP)
		reach(special->object);
	return true;
}

static bool reach_kept(struct mspan *span, void *arg)
{
	if (span->specials)
		special_for_each(span, reach_kept_one, arg);
	return true;
}

/* ---- Before and after ---- */

static bool count_words(struct mspan *span, void *arg)
{
	*(size_t *)arg += HEADER_WORDS + mark_span_words(span);
	return true;
}

size_t mark_words(void)
{
	size_t words = 0;

	for_each_span(count_words, &words);
	return words + words / 8 + SPARE_WORDS + STACK_WORDS;
}

static bool give_bits(struct mspan *span, void *arg)
{
	(void)arg;
	span->mark = (struct span_mark *)gcbits_take(HEADER_WORDS + mark_span_words(span));
	if (!span->mark) {
		mark.fits = false;
		return false;
	}
	span->mark_epoch = gcbits_epoch;
	span->mark->rescan = 0;
	return true;
}

static bool tell_probe(const struct special *special, void *arg)
{
	const struct mspan *span = arg;
	size_t number = mspan_object_number(span, special->object);

	/* the record is ours to write: all others stand still, and its list is locked */
	if (special->kind == SPECIAL_PROBE)
		((struct special *)special)->tag =
			is_marked(span, number) ? PROBE_REACHED : PROBE_LOST;
	return true;
}

/*
 * Spans of which nothing was reached come first: whoever wants frames gets them there, a whole span
 * for one visit, and most of the others he need not visit at all.
 */
static void chain_garbage(struct mspan *span, bool whole)
{
	struct mspan **chain = whole ? &mark.whole : &mark.part;

	span->mark->garbage_next = *chain;
	*chain = span;
	if (whole && !span->mark->garbage_next)
		mark.whole_last = span;
}

static struct mspan *all_garbage(void)
{
	if (!mark.whole)
		return mark.part;
	mark.whole_last->mark->garbage_next = mark.part;
	return mark.whole;
}

/* Marks become garbage bits; spans that have some are chained. */
static bool turn_over(struct mspan *span, void *arg)
{
	unsigned long some = 0;
	unsigned long reached = 0;

	(void)arg;
	if (!holds_objects(span))
		return true;
	if (span->specials)
		special_for_each(span, tell_probe, span);
	for (size_t i = 0; i < mark_span_words(span); i++) {
		reached |= span->mark->bits[i];
		span->mark->bits[i] = span->alloc_bits[i] & ~span->mark->bits[i];
		some |= span->mark->bits[i];
	}
	if (some)
		chain_garbage(span, !reached);
	return true;
}

struct mspan *mark_all(const struct slate_live *live, size_t count, uintptr_t frame, bool *fits)
{
	mark.live = live;
	mark.live_count = count;
	mark.whole = NULL;
	mark.part = NULL;
	mark.rescan = false;
	mark.depth = 0;
	mark.fits = true;
	for_each_span(give_bits, NULL);
	mark.stack = (uintptr_t *)gcbits_take_rest(&mark.depth_max);
	*fits = mark.fits;
	if (!mark.fits)
		return NULL;
	mcache_for_each_cached(mark_slot, NULL);
	kcache_for_each_reserved(mark_reserved, NULL);
#if SLATE_DEBUG
	quarantine_for_each(mark_reserved, NULL);
	for_each_span(mark_lost, NULL);
#endif
	onfree_for_each_queued(reach_queued, NULL);
	for_each_span(reach_kept, NULL);
	for (size_t i = 0; i < count; i++) {
		bool own = frame - live[i].low < live[i].high - live[i].low;

		scan_stack(own ? frame : live[i].low, live[i].high);
	}
	for_each_span(scan_sleeper, NULL);
	roots_for_each(scan_root, NULL);
	drain_all();
	for_each_span(turn_over, NULL);
	return all_garbage();
}
