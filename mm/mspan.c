/* SPDX-License-Identifier: MIT */
/*
 * mspan.c (level 4) - the objects of a span: a bitmap, searched by words with count-trailing-zeros.
 * Nothing is written into the frames themselves.
 */
#include "mm/mspan.h"

#include "mm/arena.h"
#include "mm/mmdebug.h"
#include "mm/spanclass.h"

_Static_assert(SIZECLASS_MAX_ELEMS <= 8 * MSPAN_BITS_BYTES, "a bitmap holds a bit per object");
_Static_assert(SIZECLASS_MAX_ELEMS <= UINT16_MAX, "counts are 16 bits");
_Static_assert(SLATE_DEBUG || sizeof(struct mspan) <= 128, "tools/mksizeclasses.py counts on it");

/* Bit j of entry i: state i may become state j. See mspan_transition(). */
static const uint8_t may_become[MSPAN_STATES] = {
	[MSPAN_DEAD] = 1 << MSPAN_IN_USE | 1 << MSPAN_MANUAL,
	[MSPAN_IN_USE] = 1 << MSPAN_MANUAL | 1 << MSPAN_CLAIMED | 1 << MSPAN_DEAD,
	[MSPAN_MANUAL] = 1 << MSPAN_IN_USE | 1 << MSPAN_CLAIMED | 1 << MSPAN_DEAD,
	[MSPAN_CLAIMED] = 1 << MSPAN_IN_USE | 1 << MSPAN_DEAD | 1 << MSPAN_CACHED,
	[MSPAN_CACHED] = 1 << MSPAN_IN_USE | 1 << MSPAN_CLAIMED,
};

/* (a) relaxed: only that no two spans get the same number is of interest */
static _Atomic uint32_t generations;

static unsigned words_of(const struct mspan *span)
{
	return (span->elem_count + MSPAN_WORD_BITS - 1) / MSPAN_WORD_BITS;
}

static void span_set_up(struct mspan *span, void *base, unsigned span_class,
			const struct spanclass *plan, unsigned long *bits, enum mspan_state state)
{
	span->base = (uintptr_t)base;
	span->elem_count = plan->elems;
	span->magic = plan->magic;
	span->allocated = 0;
	span->free_word = 0;
	span->span_class = (uint8_t)span_class;
	span->page_class = plan->page_class;
	span->noscan = spanclass_is_size(span_class) && (span_class & 1);
	span->isolated = false;
	span->sampled = false;
	span->specials = NULL;
	span->mark_epoch = 0;
#if SLATE_DEBUG
	span->witnesses = NULL;
#endif
	span->alloc_bits = bits ? bits : span->inline_bits;
	list_node_init(&span->link);
	list_node_init(&span->all_link);
	for (unsigned i = 0; i < words_of(span); i++)
		span->alloc_bits[i] = 0;
	atomic_store_explicit(&span->generation,
			      atomic_fetch_add_explicit(&generations, 1, memory_order_relaxed),
			      memory_order_relaxed);
	/* release: pairs with the acquire in mspan_state() */
	atomic_store_explicit(&span->state, (uint8_t)state, memory_order_release);
}

bool mspan_needs_bits(unsigned span_class)
{
	return spanclass_get(span_class).elems > MSPAN_INLINE_ELEMS;
}

void mspan_init(struct mspan *span, void *base, size_t pages, unsigned span_class,
		unsigned long *bits)
{
	struct spanclass plan = spanclass_get(span_class);

	MM_ASSERT(pages == plan.pages);
	MM_ASSERT((bits != NULL) == mspan_needs_bits(span_class));
	span->pages = pages;
	span->elem_bytes = plan.elem_bytes;
	span_set_up(span, base, span_class, &plan, bits, MSPAN_IN_USE);
}

void mspan_init_large(struct mspan *span, void *base, size_t pages)
{
	/* magic 0: every offset is in object 0 */
	const struct spanclass plan = {.elems = 1, .page_class = PAGECLASS_LARGE};

	span->pages = pages;
	span->elem_bytes = pages << SLATE_PAGE_SHIFT;
	span_set_up(span, base, PAGECLASS_LARGE, &plan, NULL, MSPAN_IN_USE);
	span->inline_bits[0] = 1;
	span->allocated = 1;
}

void mspan_init_manual(struct mspan *span, void *base, size_t pages, size_t usable_bytes)
{
	const struct spanclass plan = {.elems = 1, .page_class = PAGECLASS_STACK};

	span->pages = pages;
	span->elem_bytes = usable_bytes;
	span_set_up(span, base, PAGECLASS_STACK, &plan, NULL, MSPAN_MANUAL);
	span->inline_bits[0] = 1;
	span->allocated = 1;
}

unsigned long *mspan_kill(struct mspan *span)
{
	unsigned long *bits = span->alloc_bits;

	MM_ASSERT(mspan_may_become(mspan_state(span), MSPAN_DEAD));
	/* release: pairs with the acquire in mspan_state() */
	atomic_store_explicit(&span->state, MSPAN_DEAD, memory_order_release);
	return bits == span->inline_bits ? NULL : bits;
}

bool mspan_may_become(enum mspan_state from, enum mspan_state to)
{
	return may_become[from] >> to & 1;
}

bool mspan_transition(struct mspan *span, enum mspan_state from, enum mspan_state to)
{
	uint8_t expected = (uint8_t)from;

	MM_ASSERT(mspan_may_become(from, to));
	/* relaxed: of two callers one wins; what the winner writes later is ordered by the locks it
	 * takes */
	return atomic_compare_exchange_strong_explicit(&span->state, &expected, (uint8_t)to,
						       memory_order_relaxed, memory_order_relaxed);
}

/* The bits of word i that stand for objects. */
static unsigned long word_valid(const struct mspan *span, unsigned i)
{
	unsigned left = span->elem_count - i * MSPAN_WORD_BITS;

	return left >= MSPAN_WORD_BITS ? ~0ul : (1ul << left) - 1;
}

unsigned mspan_take(struct mspan *span, void **out, unsigned n)
{
	unsigned words = words_of(span);
	unsigned taken = 0;
	unsigned i = span->free_word;

	while (taken < n && i < words) {
		unsigned long free_bits = ~span->alloc_bits[i] & word_valid(span, i);

		if (free_bits == 0) {
			i++;
			continue;
		}
		uintptr_t word_base = span->base + i * MSPAN_WORD_BITS * span->elem_bytes;
		do {
			unsigned bit = (unsigned)__builtin_ctzl(free_bits);

			free_bits &= free_bits - 1;
			span->alloc_bits[i] |= 1ul << bit;
			out[taken++] = (void *)(word_base + bit * span->elem_bytes);
		} while (taken < n && free_bits != 0);
	}
	span->free_word = (uint16_t)i;
	span->allocated = (uint16_t)(span->allocated + taken);
	return taken;
}

uintptr_t mspan_object_start(const struct mspan *span, uintptr_t addr)
{
	size_t index = mspan_object_number(span, addr);

	return index < span->elem_count ? span->base + index * span->elem_bytes : 0;
}

bool mspan_is_taken(const struct mspan *span, uintptr_t start)
{
	size_t index = mspan_object_number(span, start);

	return (span->alloc_bits[index / MSPAN_WORD_BITS] >> (index % MSPAN_WORD_BITS)) & 1;
}

unsigned mspan_sweep(struct mspan *span, const unsigned long *garbage)
{
	unsigned count = 0;

	for (unsigned i = 0; i < words_of(span); i++) {
		unsigned long lost = span->alloc_bits[i] & garbage[i];

		span->alloc_bits[i] &= ~lost;
		for (; lost; lost &= lost - 1)
			count++;
	}
	span->allocated = (uint16_t)(span->allocated - count);
	if (count > 0)
		span->free_word = 0;
	return count;
}

const char *mspan_state_name(enum mspan_state state)
{
	static const char *const names[MSPAN_STATES] = {"dead", "in use", "manual", "claimed",
							"cached"};

	return (unsigned)state < MSPAN_STATES ? names[state] : "unknown";
}

const char *mspan_why_busy(const struct mspan *span)
{
	enum mspan_state state = mspan_state(span);

	if (state == MSPAN_DEAD)
		return "a span goes home that is dead already";
	if (list_is_linked(&span->link))
		return "a span goes home that is still listed";
	if (span->page_class == PAGECLASS_LARGE)
		return NULL;
	if (state == MSPAN_MANUAL)
		return "a manual span goes home that its owner has not let go";
	if (state == MSPAN_IN_USE && span->allocated > 0)
		return "a span goes home while objects of it are out";
	return NULL;
}

const char *mspan_validate(const struct mspan *span)
{
	unsigned set = 0;

	if (mspan_state(span) == MSPAN_DEAD)
		return "a dead span is listed";
	for (unsigned i = 0; i < words_of(span); i++) {
		unsigned long word = span->alloc_bits[i];

		if (word & ~word_valid(span, i))
			return "a bit is set beyond the span's last object";
		if (i < span->free_word && word != word_valid(span, i))
			return "a free object lies before the span's search hint";
		for (; word != 0; word &= word - 1)
			set++;
	}
	return set == span->allocated ? NULL : "a span's allocated count is not its set bits";
}
