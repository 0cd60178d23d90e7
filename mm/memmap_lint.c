/* SPDX-License-Identifier: MIT */
/*
 * memmap_lint.c (level 1) - step 2 of building a memory map: one pass over the sorted entries that
 * tells what overlaps, in bounded work and a bounded number of findings an entry.
 */
#include "mm/memmap.h"

/* A thing that the loader put somewhere, as opposed to a statement about memory itself. */
static bool is_structure(const struct slate_range *range)
{
	return range->type >= SLATE_RANGE_MODULE && range->type <= SLATE_RANGE_TRAMPOLINE;
}

/*
 * Mark, in the field that is free for it, each structure that a statement about memory from behind
 * it in the order reaches into. What comes before it, the forward pass knows.
 */
static void mark_touched_structures(struct slate_memmap *map)
{
	uint64_t next_base = UINT64_MAX;

	for (size_t i = map->count; i-- > 0;) {
		struct slate_range *range = &map->ranges[i];

		if (is_structure(range))
			range->reserved = next_base < memmap_end(range);
		else
			next_base = range->base;
	}
}

/* a comes first in the order. The higher type wins, among equals the first. */
static void tell_overlap(struct memmap_build *build, const struct slate_range *a,
			 const struct slate_range *b)
{
	bool first_wins = a->type >= b->type;
	const struct slate_range *winner = first_wins ? a : b;
	const struct slate_range *loser = first_wins ? b : a;
	uint64_t size_bytes = memmap_min(memmap_end(a), memmap_end(b)) - b->base;

	/* Reserved memory inside RAM is what /memreserve/ is for, like a module: no contradiction.
	 */
	if (loser->type == SLATE_RANGE_USABLE &&
	    (is_structure(winner) || winner->type == SLATE_RANGE_FIRMWARE))
		memmap_tell(build, SLATE_LINT_INSIDE_USABLE, winner, loser, b->base, size_bytes);
	else
		memmap_tell(build, SLATE_LINT_OVERLAP, loser, winner, b->base, size_bytes);
}

/* Against the entry of each type that reaches furthest: at most one finding a type, whatever the
 * map. */
static void lint_entry(struct memmap_build *build, const struct slate_range *const *reach,
		       const struct slate_range *range)
{
	bool known = range->reserved;

	for (unsigned type = 1; type < SLATE_RANGE_TYPES; type++) {
		if (!reach[type] || memmap_end(reach[type]) <= range->base)
			continue;
		tell_overlap(build, reach[type], range);
		known = known || !is_structure(reach[type]);
	}
	if (is_structure(range) && !known)
		memmap_tell(build, SLATE_LINT_OUTSIDE_MEMORY, range, NULL, range->base,
			    range->size_bytes);
}

static bool is_duplicate(const struct slate_range *a, const struct slate_range *b)
{
	return a->base == b->base && a->size_bytes == b->size_bytes && a->type == b->type;
}

/* Tell, and drop duplicates, which the order has made neighbours. */
void memmap_lint(struct memmap_build *build)
{
	const struct slate_range *reach[SLATE_RANGE_TYPES] = {NULL};
	struct slate_memmap *map = build->map;
	size_t kept = 0;

	mark_touched_structures(map);
	for (size_t i = 0; i < map->count; i++) {
		struct slate_range range = map->ranges[i];
		struct slate_range *place = &map->ranges[kept];

		if (kept && is_duplicate(place - 1, &range)) {
			memmap_tell(build, SLATE_LINT_DUPLICATE, &range, place - 1, range.base,
				    range.size_bytes);
			continue;
		}
		lint_entry(build, reach, &range);
		range.reserved = 0;
		*place = range;
		kept++;
		if (!reach[range.type] || memmap_end(reach[range.type]) < memmap_end(&range))
			reach[range.type] = place;
	}
	map->count = kept;
}
