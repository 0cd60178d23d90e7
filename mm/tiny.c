/* SPDX-License-Identifier: MIT */
/*
 * tiny.c (level 7) - objects of 1 to 7 bytes.
 *
 * The places of a block are multiples of its size, so every object is aligned to the largest power
 * of two that divides it, and a pointer to anything but a place, or to a place that is not taken,
 * is found at once. The block that a CPU holds is changed with interrupts off, its word by atomics,
 * for places come back from any CPU and from NMIs. An NMI takes none.
 *
 * Shortcoming: an object of one byte has twelve places a block, for the word has no room for more.
 */
#include "mm/tiny.h"

#include <slate/port.h>

#include "lib/bits.h"
#include "mm/mcentral.h"
#include "mm/mmdebug.h"
#include "mm/percpu.h"

/* A word: a bit for each place, the size, and whether a CPU holds the block. */
#define PLACES_MASK 0x0fffu
#define SIZE_SHIFT  12u
#define SIZE_MASK   0x7000u
#define HELD        0x8000u

/* By size: the bits of all places; and 256 / size rounded up, which divides offsets below 16. */
static const uint16_t all_places[TINY_SIZE_MAX + 1] = {0, 0xfff, 0xff, 0x1f, 0xf, 7, 3, 3};
static const uint16_t magic[TINY_SIZE_MAX + 1] = {0, 256, 128, 86, 64, 52, 43, 37};

_Static_assert(TINY_SPAN_BLOCKS > MSPAN_INLINE_ELEMS, "words lie where the span's own bits would");
_Static_assert(TINY_SPAN_BLOCKS <= SIZECLASS_MAX_ELEMS, "a span's bitmap has a bit a block");

void tiny_init(void)
{
	spanclass_typed[SPANCLASS_TINY - SPANCLASS_TYPED] = (struct spanclass){
		.elem_bytes = TINY_BLOCK_BYTES,
		.magic = UINT32_MAX / TINY_BLOCK_BYTES + 1,
		.elems = TINY_SPAN_BLOCKS,
		.pages = TINY_SPAN_PAGES,
		.align_pages = 1,
		.page_class = PAGECLASS_TINY,
	};
	mcentral_set_typed(SPANCLASS_TINY, NULL);
	mcache_enable(SPANCLASS_TINY);
}

static tiny_word_t *word_of(const struct mspan *span, uintptr_t address)
{
	return &span->tiny_words[(address - span->base) / TINY_BLOCK_BYTES];
}

/* relaxed: only its own CPU follows the pointer, others count those that are there */
static tiny_word_t *held_word(const struct tinycache *cache, size_t size_bytes)
{
	return atomic_load_explicit(&cache->held[size_bytes].word, memory_order_relaxed);
}

/* ---- Take ---- */

static void count_alloc(struct tinycache *cache)
{
	/* relaxed, both: the figure is this CPU's own; others read it for statistics */
	atomic_store_explicit(&cache->allocs,
			      atomic_load_explicit(&cache->allocs, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* Nobody holds it, nothing is in it: it is the caller's. */
static void give_block(tiny_word_t *word, uintptr_t block, const char *call)
{
	/* relaxed: the magazine, or the mcentral's lock, carries it to the next owner */
	atomic_store_explicit(word, 0, memory_order_relaxed);
	if (!percpu_give(SPANCLASS_TINY, (void *)block))
		mcache_give_slow(SPANCLASS_TINY, (void *)block, call);
}

static void let_go(tiny_word_t *word, uintptr_t block)
{
	uint16_t before;

	if (!word)
		return;
	/* acquire: pairs with the releases of who gave its objects back; release: with the acquire
	 * of who gives the last one */
	before = atomic_fetch_and_explicit(word, (uint16_t)~HELD, memory_order_acq_rel);
	if (!(before & PLACES_MASK))
		give_block(word, block, "slate_free");
}

/* Hold this block from now on; no word: none. What was held is let go. */
static void hold(size_t size_bytes, tiny_word_t *word, uintptr_t block)
{
	unsigned long irq;
	struct mcache *mine = percpu_hold(&irq);
	struct tinycache *cache = &mine->tiny;
	tiny_word_t *old_word = held_word(cache, size_bytes);
	uintptr_t old_block = cache->held[size_bytes].block;

	atomic_store_explicit(&cache->held[size_bytes].word, word, memory_order_relaxed);
	cache->held[size_bytes].block = block;
	if (word)
		count_alloc(cache);
	percpu_let_go(irq);
	let_go(old_word, old_block);
}

/* From the block that this CPU holds. */
static void *take_held(size_t size_bytes)
{
	void *object = NULL;
	unsigned long irq;
	struct mcache *mine = percpu_hold(&irq);
	struct tinycache *cache = &mine->tiny;
	tiny_word_t *word = held_word(cache, size_bytes);

	if (word) {
		/* acquire: pairs with the release in tiny_free(): its last user is done */
		unsigned taken = atomic_load_explicit(word, memory_order_acquire);
		unsigned vacant = all_places[size_bytes] & ~taken;

		if (vacant) {
			unsigned place = bits_ctz32(vacant);

			/* relaxed: nobody else knows of the place */
			atomic_fetch_or_explicit(word, (uint16_t)(1u << place),
						 memory_order_relaxed);
			object = (void *)(cache->held[size_bytes].block + place * size_bytes);
			count_alloc(cache);
		}
	}
	percpu_let_go(irq);
	return object;
}

static __attribute__((noinline)) void *take_fresh(size_t size_bytes)
{
	void *block = percpu_take(SPANCLASS_TINY);

	if (!block)
		block = mcache_take_slow(SPANCLASS_TINY);
	if (!block)
		return NULL;
	tiny_word_t *word = word_of(arena_span_unchecked(block), (uintptr_t)block);

	MM_ASSERT(atomic_load_explicit(word, memory_order_relaxed) == 0);
	/* relaxed: the block is nobody else's yet; the first place is the caller's */
	atomic_store_explicit(word, (uint16_t)(HELD | size_bytes << SIZE_SHIFT | 1),
			      memory_order_relaxed);
	hold(size_bytes, word, (uintptr_t)block);
	return block;
}

void *tiny_alloc(size_t size_bytes)
{
	void *object = take_held(size_bytes);

	return object ? object : take_fresh(size_bytes);
}

void tiny_drain(void)
{
	for (size_t size = 1; size <= TINY_SIZE_MAX; size++)
		hold(size, NULL, 0);
}

/* ---- Give ---- */

struct tiny_place tiny_look(const struct mspan *span, uintptr_t address)
{
	tiny_word_t *word = word_of(span, address);
	/* relaxed: an object that the caller owns stays as it is; of others it is a moment's answer
	 */
	unsigned state = atomic_load_explicit(word, memory_order_relaxed);
	unsigned size = (state & SIZE_MASK) >> SIZE_SHIFT;
	unsigned offset = (unsigned)(address % TINY_BLOCK_BYTES);
	unsigned place = offset * magic[size] >> 8;
	unsigned bit = 1u << place & all_places[size];

	return (struct tiny_place){
		.word = word,
		.bit = (uint16_t)(place * size == offset ? bit : 0),
		.taken = place * size == offset && (state & bit),
		.size = size,
		.object = bit ? address - offset + place * size : 0,
	};
}

bool tiny_free(const struct mspan *span, uintptr_t address, const char *call)
{
	tiny_word_t *word = word_of(span, address);
	unsigned state = atomic_load_explicit(word, memory_order_relaxed);
	unsigned size = (state & SIZE_MASK) >> SIZE_SHIFT;
	unsigned offset = (unsigned)(address % TINY_BLOCK_BYTES);
	unsigned place = offset * magic[size] >> 8;
	unsigned bit = 1u << place & PLACES_MASK;

	if (place * size != offset || !(state & bit))
		return false;
	/* release: the object's owner is done with it; acquire: pairs with the releases of all
	 * others, for who gives the last one */
	state = atomic_fetch_and_explicit(word, (uint16_t)~bit, memory_order_acq_rel);
	if (!(state & bit))
		return false;
	if ((state & (HELD | PLACES_MASK)) == bit)
		give_block(word, address - offset, call);
	return true;
}

void tiny_finish(void *block)
{
	mcache_give_slow(SPANCLASS_TINY, block, "slate_free");
}

/* ---- Figures ---- */

static size_t held_by(const struct mcache *cache)
{
	size_t held = 0;

	for (size_t size = 1; size <= TINY_SIZE_MAX; size++)
		held += held_word(&cache->tiny, size) != NULL;
	return held;
}

static size_t allocs_by(const struct mcache *cache)
{
	return atomic_load_explicit(&cache->tiny.allocs, memory_order_relaxed);
}

static size_t sum_over_cpus(size_t (*figure)(const struct mcache *cache))
{
	size_t sum = mcache_any_online ? 0 : figure(&mcache_boot);

	for (unsigned cpu = 0; cpu < SLATE_MAX_CPUS; cpu++) {
		/* acquire: pairs with the release in mcache_online() */
		struct mcache *cache = atomic_load_explicit(&mcaches[cpu], memory_order_acquire);

		if (cache)
			sum += figure(cache);
	}
	return sum;
}

size_t tiny_held(void)
{
	return sum_over_cpus(held_by);
}

size_t tiny_allocs(void)
{
	return sum_over_cpus(allocs_by);
}

const char *tiny_validate(const struct mspan *span)
{
	for (size_t i = 0; i < TINY_SPAN_BLOCKS; i++) {
		unsigned state = atomic_load_explicit(&span->tiny_words[i], memory_order_relaxed);
		unsigned size = (state & SIZE_MASK) >> SIZE_SHIFT;

		if (state && !mspan_is_taken(span, span->base + i * TINY_BLOCK_BYTES))
			return "a block of tiny objects is free and has some";
		if (state & PLACES_MASK & ~(unsigned)all_places[size])
			return "a block of tiny objects has some where none can be";
	}
	return NULL;
}
