/* SPDX-License-Identifier: MIT */
/*
 * arena.h (level 3) - per-arena metadata: address -> span, frame -> class byte. Two loads through a
 * two-level index lead to an arena, so that 52-bit sparse physical spaces cost nothing for their
 * holes.
 *
 * Class bytes of an arena are zero when it is registered; its span pointers are undefined until the
 * class byte of the frame says otherwise. So a frame's span is read only after its class byte.
 */
#ifndef MM_ARENA_H
#define MM_ARENA_H

#include <stdatomic.h>

#include <slate/types.h>

#include "mm/directmap.h"
#include "mm/sizeclass.h"

struct mspan;

#define ARENA_SIZE       ((size_t)1 << SLATE_ARENA_SHIFT)
#define ARENA_PAGE_SHIFT (SLATE_ARENA_SHIFT - SLATE_PAGE_SHIFT)
#define ARENA_PAGES      ((size_t)1 << ARENA_PAGE_SHIFT)

/*
 * The class byte of a frame: 0 is not ours, 1 .. PAGECLASS_SPAN_LAST is the span class of an object
 * span (2 is the first: size class 0 does not exist), and above:
 */
enum page_class {
	PAGECLASS_NONE = 0,
	PAGECLASS_SPAN_LAST = 2 * SIZECLASS_COUNT - 1,
	PAGECLASS_FREE, /* ours, in no span: free, or cached, or a frame run's (the bitmap tells) */
	PAGECLASS_LARGE, /* a large object's frames */
	PAGECLASS_STACK, /* a stack's frames, but its lowest one; and its guard page */
	PAGECLASS_TINY,
	PAGECLASS_TYPED,      /* a typed cache's span */
	PAGECLASS_META,       /* Slate's own */
	PAGECLASS_SLOW,       /* look at the span: specials, unswept, being removed */
	PAGECLASS_STACK_HEAD, /* + order: the lowest frame of a stack */
	PAGECLASS_COUNT = PAGECLASS_STACK_HEAD + SLATE_STACK_ORDERS
};
_Static_assert(PAGECLASS_COUNT <= 255, "a class must fit a byte");

/*
 * The window: the class bytes of the densest stretch of memory in one array, so that a free finds
 * its byte by one load. Arenas outside it (far ranges, ranges added later) bring bytes of their
 * own.
 */
struct arena_window {
	pfn_t first;               /* (c) after arena_window_make(); a multiple of ARENA_PAGES */
	size_t pages;              /* (c) 0: no window */
	_Atomic uint8_t *class_of; /* (c) the bytes are (a) */
	/*
	 * (c) The same stretch as addresses, and where the span pointers of its arenas lie, each
	 * less the window's frames before it: so the number of a frame in the window finds its span
	 * pointer. 0: no arena there. An entry is written before any frame of its arena is given
	 * out.
	 */
	uintptr_t base;
	size_t bytes;
	uintptr_t *spans;
};

extern struct arena_window arena_window;

struct arena {
	_Atomic uint8_t *class_of; /* (c) in the window or behind the struct; the bytes are (a) */
	_Atomic(struct mspan *)
		span_of[ARENA_PAGES]; /* (a) valid where the class byte names a span */
};

/*
 * Make the window over [first, first + pages), multiples of ARENA_PAGES, before any arena is
 * registered. alloc as for arena_register().
 */
bool arena_window_make(pfn_t first, size_t pages, void *(*alloc)(void *arg, size_t size_bytes),
		       void *arg);

/* The same in arena_window_bytes() of memory that somebody else brings, and that reads as zero. */
void arena_window_set(pfn_t first, size_t pages, void *zeroed);

/*
 * Make arenas for [pfn, pfn + pages): zeroed class bytes, published in the index. alloc is asked
 * for each missing piece (arena or index block; undefined contents, aligned to a cache line) and
 * may return NULL: then false is returned and what was registered stays. Frames of the range get
 * PAGECLASS_FREE by arena_set_class() afterwards. The caller serialises (memrange.h).
 */
bool arena_register(pfn_t pfn, size_t pages, void *(*alloc)(void *arg, size_t size_bytes),
		    void *arg);

/* Bytes that arena_register() would ask for now, at most. */
size_t arena_register_bytes(pfn_t pfn, size_t pages);

/* The first frame from pfn on that lies in an arena, or SLATE_PFN_NONE. */
pfn_t arena_next(pfn_t pfn);

/* The arena that holds pfn, or NULL. Any frame number, also garbage. Lock-free. */
struct arena *arena_of(pfn_t pfn);

/* Class byte of any frame; PAGECLASS_NONE outside all arenas. Acquire: pairs with the release in
 * arena_set_span(). */
unsigned arena_class(pfn_t pfn);

/* The same by address. Any address. */
static inline unsigned arena_class_at(const void *address)
{
	size_t at = (uintptr_t)address - arena_window.base;

	if (at >= arena_window.bytes)
		return arena_class(virt_to_pfn(address));
	/* acquire: as in arena_class() */
	return atomic_load_explicit(&arena_window.class_of[at >> SLATE_PAGE_SHIFT],
				    memory_order_acquire);
}

/*
 * How many frames from pfn on, at most pages, have this class byte: for runs, several frames a
 * step. Any frame number. Relaxed: a check of what callers say, no way to a span.
 */
size_t arena_count_class(pfn_t pfn, size_t pages, unsigned page_class);

static inline uintptr_t load_word(const uint8_t *bytes)
{
	uintptr_t word;

	__builtin_memcpy(&word, bytes, sizeof(word));
	return word;
}

/*
 * Are all n frames from pfn on free, cached or callers' frames, as far as the window tells? Plain
 * loads: nobody else writes class bytes of frames that the caller owns. If he does not own them,
 * any answer will do, since the bitmap is asked as well.
 */
static inline bool arena_is_all_free(pfn_t pfn, size_t n)
{
	const uintptr_t all = ~(uintptr_t)0 / 0xff * PAGECLASS_FREE;
	size_t at = pfn.v - arena_window.first.v;
	const uint8_t *bytes;

	if (at >= arena_window.pages || n > arena_window.pages - at)
		return false;
	bytes = (const uint8_t *)arena_window.class_of + at;
	if (n < sizeof(all)) {
		while (n > 0 && bytes[n - 1] == PAGECLASS_FREE)
			n--;
		return n == 0;
	}
	/* whole words, aligned or not; the last one may overlap the one before */
	for (; n > sizeof(all); n -= sizeof(all), bytes += sizeof(all)) {
		if (load_word(bytes) != all)
			return false;
	}
	return load_word(bytes + n - sizeof(all)) == all;
}

/* Set class bytes of frames inside registered arenas; may cross arenas. */
void arena_set_class(pfn_t pfn, size_t pages, unsigned page_class);

/*
 * Frames of a span: pointers first, then class bytes (release), so that whoever sees the class sees
 * the span.
 */
void arena_set_span(pfn_t pfn, size_t pages, struct mspan *span, unsigned page_class);

/* The span of a frame whose class says it has one; NULL otherwise. Any frame number, also garbage.
 */
struct mspan *arena_span(pfn_t pfn);

/* Metadata bytes of a window of that many frames; arena_window_make() asks for them at once. */
size_t arena_window_bytes(size_t pages);

/* The span of an address that lies in one, for sure: its class byte is not asked. */
static inline struct mspan *arena_span_unchecked(const void *address)
{
	size_t at = (uintptr_t)address - arena_window.base;

	if (at >= arena_window.bytes)
		return arena_span(virt_to_pfn(address));
	/* No atomics: neither entry is written while somebody holds what lies there. */
	return ((struct mspan *const *)
			arena_window.spans[at >> SLATE_ARENA_SHIFT])[at >> SLATE_PAGE_SHIFT];
}

/*
 * A word that a frame without a span may use while its owner gives it back: its span pointer's
 * place. NULL outside all arenas.
 */
void **arena_frame_link(pfn_t pfn);

void arena_reset(void);

#endif
