/* SPDX-License-Identifier: MIT */
/*
 * space.c - the reservation and its pieces.
 *
 * Reserved space has no access and costs nothing; a piece is made accessible before the allocator
 * hears of it, so that the system may refuse it (it counts what may be written), and becomes memory
 * as it is touched. Each piece is half as long as all before it: few regions to search, few times
 * that memory is drained in vain before the next one, and metadata (0.03 % of a piece) for little
 * that nobody needs yet.
 */
#include "host/space.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include <slate/port.h>
#include <slate/slate.h>

#include "lib/spinlock.h"
#include "mm/arena.h"

#define RESERVE_MAX ((size_t)1 << 40)
#define RESERVE_MIN ((size_t)1 << 30)
/* Physical addresses begin here, so that both sides of the direct map have the same alignment. */
#define SPACE_BASE  ((size_t)1 << 30)
#define FIRST_BYTES ((size_t)256 << 20)

/* A piece carries its metadata: bitmap and tree, 80 bytes a MiB, and spans, 2 KiB a MiB. */
#define METADATA_SHARE 256

static struct {
	char *start;           /* (c) the first byte; its physical address is SPACE_BASE */
	size_t size_bytes;     /* (c) reserved */
	size_t used_bytes;     /* (lock) accessible, and known */
	struct spinlock lock;  /* one grows at a time */
	_Atomic size_t growth; /* (a) release when a piece is in, acquire in space_growth() */
} space;

static size_t round_up(size_t x, size_t unit)
{
	return (x + unit - 1) & ~(unit - 1);
}

static void *map(size_t size_bytes, int protection, int flags)
{
	void *start =
		mmap(NULL, size_bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return start == MAP_FAILED ? NULL : start;
}

/* As much as the system gives: a limit on address space may be set. */
static bool reserve(void)
{
	for (size_t bytes = RESERVE_MAX; bytes >= RESERVE_MIN; bytes /= 2) {
		char *start = map(bytes + SPACE_BASE, PROT_NONE, MAP_NORESERVE);

		if (!start)
			continue;
		/* What NORESERVE maps would never be counted: the usable part is mapped anew. */
		start += -(uintptr_t)start & (SPACE_BASE - 1);
		if (mmap(start, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		    start)
			return false;
		space.start = start;
		space.size_bytes = bytes;
		return true;
	}
	return false;
}

static bool make_accessible(size_t size_bytes)
{
	int saved = errno;
	bool done =
		size_bytes <= space.size_bytes - space.used_bytes &&
		mprotect(space.start + space.used_bytes, size_bytes, PROT_READ | PROT_WRITE) == 0;

	errno = saved;
	return done;
}

bool space_start(void)
{
	struct slate_range ranges[2];
	struct slate_memmap memmap = {.ranges = ranges, .capacity = 2};
	void *window;

	if (!reserve())
		return false;
	window = map(arena_window_bytes(space.size_bytes >> SLATE_PAGE_SHIFT),
		     PROT_READ | PROT_WRITE, MAP_NORESERVE);
	if (!window || !make_accessible(FIRST_BYTES))
		return false;
	space.used_bytes = FIRST_BYTES;
	slate_memmap_add(&memmap, SPACE_BASE, FIRST_BYTES, SLATE_RANGE_USABLE, "host");
	slate_memmap_build(&memmap, NULL, NULL);

	struct slate_init_params params = {
		.map = &memmap,
		.direct_map_offset = (uintptr_t)space.start - SPACE_BASE,
		.window = window,
		.window_base = SPACE_BASE,
		.window_bytes = space.size_bytes,
	};

	return slate_init(&params) == SLATE_OK;
}

size_t space_growth(void)
{
	/* acquire: pairs with the release in space_grow(), whoever sees it finds the piece */
	return atomic_load_explicit(&space.growth, memory_order_acquire);
}

static bool add_piece(size_t size_bytes)
{
	size_t at = space.used_bytes;

	if (!make_accessible(size_bytes))
		return false;
	space.used_bytes += size_bytes;
	return slate_add_memory((paddr_t){SPACE_BASE + at}, size_bytes, 0) == SLATE_OK;
}

bool space_grow(size_t size_bytes, size_t align_bytes, size_t growth)
{
	/* A long object is aligned to the largest power of two that divides its length. */
	size_t frames = round_up(size_bytes, SLATE_PAGE_SIZE);
	size_t natural = frames & (~frames + 1);
	size_t need;
	bool grown = true;

	if (size_bytes > space.size_bytes || align_bytes > space.size_bytes)
		return false;
	need = frames + (align_bytes > natural ? align_bytes : natural);
	need = round_up(need + need / METADATA_SHARE + ARENA_SIZE / 2, ARENA_SIZE);
	spinlock_acquire(&space.lock);
	/* relaxed: only the holder of the lock writes it */
	if (atomic_load_explicit(&space.growth, memory_order_relaxed) == growth) {
		size_t wish = round_up(space.used_bytes / 2, ARENA_SIZE);

		grown = (wish > need && add_piece(wish)) || add_piece(need);
		if (grown)
			/* release: pairs with the acquire in space_growth() */
			atomic_store_explicit(&space.growth, growth + 1, memory_order_release);
	}
	spinlock_release(&space.lock);
	return grown;
}
