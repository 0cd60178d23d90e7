/* SPDX-License-Identifier: MIT */
/*
 * mark.c (level 8) - the mark: from every word that may be a pointer to the object that it points
 * into, and on to the words of that object, until nothing new is found.
 *
 * A span gets its bits when the first of its objects is reached, for spans come and go between two
 * pieces of the work. The mark stack is an array of a fixed size and no object is ever lost for
 * lack of room: what does not fit is remembered by its span, whose marked objects are all scanned
 * again later. Each such round marks at least one new object or is the last.
 *
 * Whatever is kept from one piece to the next is asked again whether it still is what it was: an
 * entry of the stack by the span at its address, an entry of the chain by its span's epoch. A
 * marked object that has been freed meanwhile loses its mark, so that its place's next owner is
 * reached anew and scanned.
 */
#include "mm/mark.h"

#include "mm/arena.h"
#include "mm/directmap.h"
#include "mm/gcbits.h"
#include "mm/mheap.h"
#include "mm/mmdebug.h"
#include "mm/onfree.h"
#include "mm/spanclass.h"

#define WORD_BYTES   sizeof(uintptr_t)
#define HEADER_WORDS (sizeof(struct span_mark) / sizeof(unsigned long))

/* Room for the mark stack, at least, and as a part of all bits. */
#define STACK_WORDS ((size_t)2048)
#define STACK_SHIFT 3

/* Bits for spans that are made between counting and the end of the mark; and as a part of all. */
#define SPARE_WORDS ((size_t)4096)
#define SPARE_SHIFT 3

/* So much of an object is scanned at once. */
#define PIECE_BYTES SLATE_PAGE_SIZE

/* Stacks of the host are redzoned by its sanitizers; here every word is looked at. */
#define READS_ANY_WORD __attribute__((no_sanitize("address")))

static struct {
	uintptr_t *stack; /* where to scan on: addresses in marked objects */
	size_t depth;
	size_t depth_max;
	struct span_mark *again;   /* spans to scan again, up to chain_end */
	struct span_mark *current; /* of the one that is being scanned again, */
	size_t number;             /* objects from this one on */
	size_t work;
	size_t work_end;
	struct mspan *whole; /* garbage: spans of which nothing was reached, */
	struct mspan *whole_last;
	struct mspan *part; /* and those of which something was */
	bool fits;
} mark;

static struct span_mark chain_end;

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

static bool has_bits(const struct mspan *span)
{
	return span->mark_epoch == gcbits_epoch;
}

static bool give_bits(struct mspan *span)
{
	if (has_bits(span))
		return true;
	span->mark = (struct span_mark *)gcbits_take(HEADER_WORDS + mark_span_words(span));
	if (!span->mark) {
		mark.fits = false;
		return false;
	}
	span->mark->again_next = NULL;
	span->mark->span = span;
	span->mark_epoch = gcbits_epoch;
	return true;
}

/* Set the bit of a span that has bits; false: it was set. */
static bool set_mark(const struct mspan *span, size_t number)
{
	unsigned long *word = &span->mark->bits[number / MSPAN_WORD_BITS];
	unsigned long bit = 1ul << (number % MSPAN_WORD_BITS);
	bool fresh = !(*word & bit);

	*word |= bit;
	return fresh;
}

static void clear_mark(const struct mspan *span, size_t number)
{
	if (has_bits(span) && number < span->elem_count)
		span->mark->bits[number / MSPAN_WORD_BITS] &= ~(1ul << (number % MSPAN_WORD_BITS));
}

bool mark_is_set(const struct mspan *span, size_t number)
{
	return has_bits(span) &&
	       (span->mark->bits[number / MSPAN_WORD_BITS] >> (number % MSPAN_WORD_BITS) & 1);
}

struct mspan *mark_object(uintptr_t addr, uintptr_t *object)
{
	struct mspan *span = arena_span(virt_to_pfn((void *)addr));

	if (!span || !holds_objects(span))
		return NULL;
	*object = mspan_object_start(span, addr);
	return *object && mspan_is_taken(span, *object) ? span : NULL;
}

static void push(struct mspan *span, uintptr_t object)
{
	if (mark.depth < mark.depth_max) {
		mark.stack[mark.depth++] = object;
	} else if (!span->mark->again_next) {
		span->mark->again_next = mark.again;
		mark.again = span->mark;
	}
}

void mark_reach(uintptr_t addr)
{
	uintptr_t object;
	struct mspan *span = mark_object(addr, &object);

	if (span && give_bits(span) && set_mark(span, mspan_object_number(span, object)) &&
	    !span->noscan)
		push(span, object);
}

void mark_free(uintptr_t object)
{
	uintptr_t start;
	struct mspan *span = mark_object(object, &start);

	if (span && start == object && give_bits(span))
		set_mark(span, mspan_object_number(span, object));
}

void mark_forget(uintptr_t object)
{
	uintptr_t start;
	const struct mspan *span = mark_object(object, &start);

	if (span && start == object)
		clear_mark(span, mspan_object_number(span, object));
}

void mark_stack(struct mspan *span)
{
	if (give_bits(span))
		set_mark(span, 0);
}

void mark_forget_stack(struct mspan *span)
{
	clear_mark(span, 0);
}

/* ---- Words ---- */

void mark_allow(size_t words)
{
	mark.work_end = words < SIZE_MAX - mark.work ? mark.work + words : SIZE_MAX;
}

bool mark_is_spent(void)
{
	return mark.work >= mark.work_end;
}

size_t mark_work(void)
{
	return mark.work;
}

void mark_pay(size_t words)
{
	mark.work += words;
}

READS_ANY_WORD void mark_scan(uintptr_t low, uintptr_t high)
{
	low = (low + WORD_BYTES - 1) & ~(WORD_BYTES - 1);
	if (low < high)
		mark.work += (high - low) / WORD_BYTES;
	for (; low < high && high - low >= WORD_BYTES; low += WORD_BYTES) {
		uintptr_t word = *(const uintptr_t *)low;

		/* most words are no addresses at all */
		if (virt_to_pfn((void *)word).v < directmap_end.v)
			mark_reach(word);
	}
}

/* One piece of what is on top of the stack. */
static void scan_next(void)
{
	uintptr_t from = mark.stack[--mark.depth];
	uintptr_t object;
	struct mspan *span = mark_object(from, &object);

	mark.work += MARK_OBJECT_WORDS;
	if (!span) {
		span = arena_span(virt_to_pfn((void *)from));
		if (span)
			clear_mark(span, mspan_object_number(span, from));
		return;
	}
	uintptr_t end = object + span->elem_bytes;

	if (end - from > PIECE_BYTES) {
		end = from + PIECE_BYTES;
		mark.stack[mark.depth++] = end;
	}
	mark_scan(from, end);
}

/* The next marked object of the span, from mark.number on; elem_count: none. */
static size_t next_marked(const struct mspan *span)
{
	while (mark.number < span->elem_count && !mark_is_set(span, mark.number))
		mark.number++;
	return mark.number;
}

/* Onto the empty stack: the next object of a span that is to be scanned again. False: there is
 * none. */
static bool push_again(void)
{
	while (mark.current || mark.again != &chain_end) {
		if (!mark.current) {
			mark.current = mark.again;
			mark.again = mark.current->again_next;
			mark.current->again_next = NULL;
			mark.number = 0;
		}
		struct mspan *span = mark.current->span;

		/* the struct may be another span by now */
		if (has_bits(span) && span->mark == mark.current &&
		    next_marked(span) < span->elem_count) {
			push(span, span->base + mark.number++ * span->elem_bytes);
			return true;
		}
		mark.current = NULL;
	}
	return false;
}

bool mark_drain(void)
{
	while (mark.depth > 0 || push_again()) {
		if (mark_is_spent())
			return false;
		scan_next();
	}
	return true;
}

void mark_scan_frame(uintptr_t frame)
{
	const struct mspan *span = arena_span(virt_to_pfn((void *)frame));
	uintptr_t end = frame + SLATE_PAGE_SIZE;

	mark.work += MARK_OBJECT_WORDS;
	if (!span || !has_bits(span) || !holds_objects(span) || span->noscan)
		return;
	while (frame < end) {
		uintptr_t object = mspan_object_start(span, frame);
		uintptr_t next = object + span->elem_bytes;
		size_t number = mspan_object_number(span, frame);

		if (!object)
			return;
		mark.work++;
		if (next > end)
			next = end;
		if (!mspan_is_taken(span, object))
			clear_mark(span, number);
		else if (mark_is_set(span, number))
			mark_scan(frame, next);
		frame = next;
	}
}

/* ---- Before and after ---- */

static void for_each_span(bool (*fn)(struct mspan *span, void *arg), void *arg)
{
	for (unsigned node = 0; node < mheap_node_count(); node++)
		mheap_for_each_span(node, fn, arg);
}

static bool count_words(struct mspan *span, void *arg)
{
	*(size_t *)arg += HEADER_WORDS + mark_span_words(span);
	return true;
}

static size_t stack_words(size_t bits_words)
{
	return STACK_WORDS + (bits_words >> STACK_SHIFT);
}

size_t mark_words(void)
{
	size_t words = 0;

	for_each_span(count_words, &words);
	return words + (words >> SPARE_SHIFT) + SPARE_WORDS + stack_words(words);
}

void mark_begin(void)
{
	size_t words = 0;

	for_each_span(count_words, &words);
	mark.whole = NULL;
	mark.part = NULL;
	mark.again = &chain_end;
	mark.current = NULL;
	mark.depth = 0;
	mark.work = 0;
	mark.depth_max = stack_words(words);
	mark.stack = gcbits_take_some(&mark.depth_max);
	mark.fits = mark.depth_max > 0;
}

bool mark_fits(void)
{
	return mark.fits;
}

/* ---- Unreachable objects ---- */

static bool tell_probe(const struct special *special, void *arg)
{
	const struct mspan *span = arg;
	size_t number = mspan_object_number(span, special->object);

	/* the record is ours to write: all others stand still, and its list is locked */
	if (special->kind == SPECIAL_PROBE)
		((struct special *)special)->tag =
			mark_is_set(span, number) ? PROBE_REACHED : PROBE_LOST;
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
	if (!holds_objects(span) || span->allocated == 0)
		return true;
	if (!give_bits(span))
		return false;
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

struct mspan *mark_turn_over(void)
{
	for_each_span(turn_over, NULL);
	return all_garbage();
}
