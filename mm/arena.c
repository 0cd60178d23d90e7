/* SPDX-License-Identifier: MIT */
/*
 * arena.c (level 3) - the index from frame numbers to arenas, and the maps inside an arena.
 *
 * An arena number is split into two fields: the upper one selects an entry of a static table, the
 * lower one an entry of a block that is allocated when its first arena is registered. 52-bit
 * machines with 64 MiB arenas have 26 bits: 128 KiB of table, 32 KiB for each 256 GiB that are
 * populated. Where the number is short (32 bits) the table has one entry, and the block is all.
 *
 * Readers take no lock. A block is published after its entries are cleared, an arena after its
 * class bytes are; both stay for ever, so a pointer that was read never dangles.
 */
#include "mm/arena.h"

#include "lib/bitmap.h"
#include "lib/string.h"

#define INDEX_BITS   ((unsigned)SLATE_PADDR_BITS - SLATE_ARENA_SHIFT)
#define INDEX_L2_MAX 12u
#define INDEX_L2     (INDEX_BITS < INDEX_L2_MAX ? INDEX_BITS : INDEX_L2_MAX)
#define INDEX_L1     (INDEX_BITS - INDEX_L2)
#define L1_ENTRIES   ((size_t)1 << INDEX_L1)
#define L2_ENTRIES   ((size_t)1 << INDEX_L2)

/* Each piece that alloc() is asked for may cost its alignment on top. */
#define PIECE_ALIGN 64u

/* Several class bytes in one store; it may overlay an array of bytes. */
typedef _Atomic(uintptr_t) __attribute__((may_alias)) class_word_t;

/* TSan pairs a release with an acquire of the same address only: under it bytes go one by one. */
#if defined(__SANITIZE_THREAD__)
#define FILL_WORDS 0
#elif defined(__has_feature)
#define FILL_WORDS !__has_feature(thread_sanitizer)
#else
#define FILL_WORDS 1
#endif

struct index_block {
	_Atomic(struct arena *) arenas[L2_ENTRIES]; /* (a) release by arena_register() */
};

/* (a) release by arena_register(), acquire by arena_of() */
static _Atomic(struct index_block *) index_l1[L1_ENTRIES];

_Static_assert(SLATE_ARENA_SHIFT < SLATE_PADDR_BITS, "more than one arena");
_Static_assert(PAGECLASS_NONE == 0, "a zeroed window says so of all frames");
_Static_assert(ARENA_PAGES % sizeof(uintptr_t) == 0, "class bytes are whole words");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lowest byte of a word comes first");
_Static_assert(sizeof(struct arena) % sizeof(uintptr_t) == 0, "class bytes behind it are aligned");

struct arena_window arena_window;

static size_t arena_number(pfn_t pfn)
{
	return pfn.v >> ARENA_PAGE_SHIFT;
}

static struct index_block *block_of(size_t number)
{
	if (number >> INDEX_BITS)
		return NULL;
	/* acquire: pairs with the release in block_make(), so that the entries read as cleared */
	return atomic_load_explicit(&index_l1[number >> INDEX_L2], memory_order_acquire);
}

static _Atomic(struct arena *) *arena_slot(struct index_block *block, size_t number)
{
	return &block->arenas[number & (L2_ENTRIES - 1)];
}

struct arena *arena_of(pfn_t pfn)
{
	size_t number = arena_number(pfn);
	struct index_block *block = block_of(number);

	if (!block)
		return NULL;
	/* acquire: pairs with the release in arena_make(), so that class bytes read as cleared */
	return atomic_load_explicit(arena_slot(block, number), memory_order_acquire);
}

pfn_t arena_next(pfn_t pfn)
{
	size_t number = arena_number(pfn);

	while (number >> INDEX_BITS == 0) {
		if (!block_of(number))
			number = (number | (L2_ENTRIES - 1)) + 1;
		else if (!arena_of((pfn_t){number << ARENA_PAGE_SHIFT}))
			number++;
		else if (number == arena_number(pfn))
			return pfn;
		else
			return (pfn_t){number << ARENA_PAGE_SHIFT};
	}
	return SLATE_PFN_NONE;
}

/* ---- Registration ---- */

void arena_window_set(pfn_t first, size_t pages, void *zeroed)
{
	arena_window = (struct arena_window){
		.first = first,
		.pages = pages,
		.class_of = zeroed,
		.base = (uintptr_t)pfn_to_virt(first),
		.bytes = pages << SLATE_PAGE_SHIFT,
		.spans = (uintptr_t *)((char *)zeroed + pages),
	};
}

bool arena_window_make(pfn_t first, size_t pages, void *(*alloc)(void *, size_t), void *arg)
{
	void *bytes = alloc(arg, arena_window_bytes(pages));

	if (!bytes)
		return false;
	memset(bytes, 0, arena_window_bytes(pages));
	arena_window_set(first, pages, bytes);
	return true;
}

size_t arena_window_bytes(size_t pages)
{
	return align_up(pages + (pages >> ARENA_PAGE_SHIFT) * sizeof(uintptr_t), PIECE_ALIGN);
}

/* Let addresses in the window find the arena's span pointers. */
static void window_note(size_t number, struct arena *arena)
{
	size_t before = (number << ARENA_PAGE_SHIFT) - arena_window.first.v;

	if (before < arena_window.pages)
		arena_window.spans[before >> ARENA_PAGE_SHIFT] =
			(uintptr_t)arena->span_of - before * sizeof(void *);
}

/* The window's bytes for an arena; NULL: it lies outside. */
static _Atomic uint8_t *window_bytes(size_t number)
{
	size_t at = (number << ARENA_PAGE_SHIFT) - arena_window.first.v;

	return at < arena_window.pages ? arena_window.class_of + at : NULL;
}

static size_t arena_bytes(size_t number)
{
	return sizeof(struct arena) + (window_bytes(number) ? 0 : ARENA_PAGES);
}

static struct index_block *block_make(size_t number, void *(*alloc)(void *, size_t), void *arg)
{
	struct index_block *block = alloc(arg, sizeof(*block));

	if (!block)
		return NULL;
	for (size_t i = 0; i < L2_ENTRIES; i++)
		atomic_init(&block->arenas[i], NULL);
	/* release: the cleared entries come before the block; pairs with block_of() */
	atomic_store_explicit(&index_l1[number >> INDEX_L2], block, memory_order_release);
	return block;
}

static bool arena_make(size_t number, void *(*alloc)(void *, size_t), void *arg)
{
	struct index_block *block = block_of(number);

	if (!block)
		block = block_make(number, alloc, arg);
	if (!block)
		return false;
	/* relaxed: registrations are serialised by the caller */
	if (atomic_load_explicit(arena_slot(block, number), memory_order_relaxed))
		return true;

	struct arena *arena = alloc(arg, arena_bytes(number));

	if (!arena)
		return false;
	arena->class_of = window_bytes(number);
	if (!arena->class_of) {
		arena->class_of = (_Atomic uint8_t *)(arena + 1);
		memset((void *)arena->class_of, PAGECLASS_NONE, ARENA_PAGES);
	}
	window_note(number, arena);
	/* release: the cleared class bytes come before the arena; pairs with arena_of() */
	atomic_store_explicit(arena_slot(block, number), arena, memory_order_release);
	return true;
}

/* The last arena of a range that is not empty; false when it ends outside the index. */
static bool last_number(pfn_t pfn, size_t pages, size_t *last)
{
	size_t end = pfn.v + pages - 1;

	*last = end >> ARENA_PAGE_SHIFT;
	return end >= pfn.v && *last >> INDEX_BITS == 0;
}

bool arena_register(pfn_t pfn, size_t pages, void *(*alloc)(void *arg, size_t size_bytes),
		    void *arg)
{
	size_t last;

	if (pages == 0)
		return true;
	if (!last_number(pfn, pages, &last))
		return false;
	for (size_t number = arena_number(pfn); number <= last; number++) {
		if (!arena_make(number, alloc, arg))
			return false;
	}
	return true;
}

size_t arena_register_bytes(pfn_t pfn, size_t pages)
{
	size_t bytes = 0;
	size_t last;

	if (pages == 0 || !last_number(pfn, pages, &last))
		return 0;
	for (size_t number = arena_number(pfn); number <= last; number++) {
		bool first_of_block =
			number == arena_number(pfn) || (number & (L2_ENTRIES - 1)) == 0;

		if (!block_of(number) && first_of_block)
			bytes += align_up(sizeof(struct index_block), PIECE_ALIGN);
		if (!arena_of((pfn_t){number << ARENA_PAGE_SHIFT}))
			bytes += align_up(arena_bytes(number), PIECE_ALIGN);
	}
	return bytes;
}

/* ---- Class bytes ---- */

unsigned arena_class(pfn_t pfn)
{
	size_t at = pfn.v - arena_window.first.v;

	/* acquire, both: pairs with the release in class_fill(), so that the span pointer is there
	 */
	if (at < arena_window.pages)
		return atomic_load_explicit(&arena_window.class_of[at], memory_order_acquire);

	const struct arena *arena = arena_of(pfn);

	if (!arena)
		return PAGECLASS_NONE;
	return atomic_load_explicit(&arena->class_of[pfn.v & (ARENA_PAGES - 1)],
				    memory_order_acquire);
}

/* A word of class bytes, each the same. */
static uintptr_t class_word(unsigned page_class)
{
	return ~(uintptr_t)0 / 0xff * page_class;
}

/* How a word of class bytes differs from one where all are the same. */
static inline uintptr_t class_difference(class_word_t *bytes, uintptr_t word)
{
	/* relaxed: see arena.h */
	return atomic_load_explicit(bytes, memory_order_relaxed) ^ word;
}

/* Of [bytes, bytes + pages), those before the first that has another class. pages > 0. */
static inline size_t count_bytes(_Atomic uint8_t *bytes, size_t pages, unsigned page_class)
{
	uintptr_t word = class_word(page_class);
	size_t into = (uintptr_t)bytes & (sizeof(word) - 1);
	class_word_t *at = (class_word_t *)((uintptr_t)bytes - into);
	class_word_t *end = (class_word_t *)(bytes + pages); /* perhaps inside a word */
	uintptr_t difference = class_difference(at, word) >> (into * 8) << (into * 8);
	size_t count;

	while (!difference && ++at < end) {
		/* four at a time, while all are the same */
		while (end - at > 4 && !class_difference(at, word) &&
		       !class_difference(at + 1, word) && !class_difference(at + 2, word) &&
		       !class_difference(at + 3, word))
			at += 4;
		difference = class_difference(at, word);
	}
	if (!difference)
		return pages;
	count = (size_t)((_Atomic uint8_t *)at - bytes) + (bitword_ctz(difference) >> 3);
	return count < pages ? count : pages;
}

/* Class bytes [at, at + pages) of one arena, by whole words where they are aligned. */
static void class_fill(struct arena *arena, size_t at, size_t pages, unsigned page_class)
{
	_Atomic uint8_t *bytes = arena->class_of;
	uintptr_t word = class_word(page_class);
	size_t end = at + pages;

	/* release, everywhere here: span pointers come first; pairs with arena_class() */
	while (FILL_WORDS && at < end && !is_aligned(at, sizeof(word)))
		atomic_store_explicit(&bytes[at++], (uint8_t)page_class, memory_order_release);
	for (; FILL_WORDS && end - at >= sizeof(word); at += sizeof(word))
		atomic_store_explicit((class_word_t *)&bytes[at], word, memory_order_release);
	while (at < end)
		atomic_store_explicit(&bytes[at++], (uint8_t)page_class, memory_order_release);
}

static void span_fill(struct arena *arena, size_t at, size_t pages, struct mspan *span)
{
	/* relaxed: the class bytes that follow publish them */
	for (size_t i = 0; i < pages; i++)
		atomic_store_explicit(&arena->span_of[at + i], span, memory_order_relaxed);
}

/* How many of pages lie in pfn's arena. */
static size_t pages_here(pfn_t pfn, size_t pages)
{
	size_t left = ARENA_PAGES - (pfn.v & (ARENA_PAGES - 1));

	return pages < left ? pages : left;
}

static __attribute__((noinline)) size_t count_by_arenas(pfn_t pfn, size_t pages,
							unsigned page_class)
{
	size_t count = 0;

	while (count < pages) {
		pfn_t at = pfn_add(pfn, count);
		struct arena *arena = arena_of(at);
		size_t here = pages_here(at, pages - count);
		size_t same = page_class == PAGECLASS_NONE ? here : 0;

		if (arena)
			same = count_bytes(arena->class_of + (at.v & (ARENA_PAGES - 1)), here,
					   page_class);
		count += same;
		if (same < here)
			break;
	}
	return count;
}

size_t arena_count_class(pfn_t pfn, size_t pages, unsigned page_class)
{
	size_t at = pfn.v - arena_window.first.v;

	if (pages > 0 && at < arena_window.pages && pages <= arena_window.pages - at)
		return count_bytes(arena_window.class_of + at, pages, page_class);
	return count_by_arenas(pfn, pages, page_class);
}

void arena_set_class(pfn_t pfn, size_t pages, unsigned page_class)
{
	while (pages > 0) {
		struct arena *arena = arena_of(pfn);
		size_t here = pages_here(pfn, pages);

		if (arena)
			class_fill(arena, pfn.v & (ARENA_PAGES - 1), here, page_class);
		pfn = pfn_add(pfn, here);
		pages -= here;
	}
}

void arena_set_span(pfn_t pfn, size_t pages, struct mspan *span, unsigned page_class)
{
	pfn_t at = pfn;

	for (size_t left = pages; left > 0;) {
		struct arena *arena = arena_of(at);
		size_t here = pages_here(at, left);

		if (arena)
			span_fill(arena, at.v & (ARENA_PAGES - 1), here, span);
		at = pfn_add(at, here);
		left -= here;
	}
	arena_set_class(pfn, pages, page_class);
}

static bool class_has_span(unsigned page_class)
{
	return page_class != PAGECLASS_NONE && page_class != PAGECLASS_FREE &&
	       page_class != PAGECLASS_META && page_class < PAGECLASS_COUNT;
}

struct mspan *arena_span(pfn_t pfn)
{
	struct arena *arena = arena_of(pfn);
	size_t at = pfn.v & (ARENA_PAGES - 1);

	if (!arena)
		return NULL;
	/* acquire: pairs with the release in class_fill() */
	if (!class_has_span(atomic_load_explicit(&arena->class_of[at], memory_order_acquire)))
		return NULL;
	/* relaxed: ordered by the class byte */
	return atomic_load_explicit(&arena->span_of[at], memory_order_relaxed);
}

void **arena_frame_link(pfn_t pfn)
{
	struct arena *arena = arena_of(pfn);

	return arena ? (void **)&arena->span_of[pfn.v & (ARENA_PAGES - 1)] : NULL;
}

void arena_reset(void)
{
	/* relaxed: tests alone, nothing runs beside it */
	for (size_t i = 0; i < L1_ENTRIES; i++)
		atomic_store_explicit(&index_l1[i], NULL, memory_order_relaxed);
	arena_window = (struct arena_window){.pages = 0};
}
