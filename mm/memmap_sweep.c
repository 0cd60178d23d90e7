/* SPDX-License-Identifier: MIT */
/*
 * memmap_sweep.c (level 1) - step 4 of building a memory map: from low to high addresses, the
 * winner of each stretch is written, in the array that is being read.
 */
#include "mm/memmap.h"

struct sweep {
	struct memmap_build *build;
	size_t in;  /* next entry to read; the slots below it are free to be written */
	size_t out; /* next range to write, out <= in */
	size_t node;
	struct slate_range open[SLATE_RANGE_TYPES]; /* covers pos; size 0: none */
	struct slate_range next[SLATE_RANGE_TYPES]; /* covers its end and reaches furthest beyond */
	struct slate_range piece;                   /* not yet written: it may still grow */
};

static void remove_range(struct sweep *sweep, size_t index)
{
	struct slate_range *ranges = sweep->build->map->ranges;

	sweep->out--;
	for (size_t i = index; i < sweep->out; i++)
		ranges[i] = ranges[i + 1];
}

static void give_up(struct sweep *sweep, const struct slate_range *range)
{
	memmap_tell(sweep->build, SLATE_LINT_NO_ROOM, range, NULL, range->base, range->size_bytes);
}

/* The array is full: out == in >= 1, since whatever is written was read before. */
static void write_without_room(struct sweep *sweep, const struct slate_range *range)
{
	struct slate_range *ranges = sweep->build->map->ranges;
	size_t victim = memmap_smallest_usable(ranges, sweep->out);
	struct slate_range *last = &ranges[sweep->out - 1];
	bool usable = range->type == SLATE_RANGE_USABLE;

	if (victim < sweep->out && (!usable || ranges[victim].size_bytes < range->size_bytes)) {
		give_up(sweep, &ranges[victim]);
		remove_range(sweep, victim);
		ranges[sweep->out++] = *range;
		return;
	}
	give_up(sweep, range);
	if (usable)
		return;
	/* Only reservations are left: the last one grows over the gap, where nothing usable is. */
	last->size_bytes = memmap_end(range) - last->base;
	if (last->type < range->type)
		last->type = range->type;
}

/* Usable pieces shrink to whole frames; reservations are whole already. */
static bool shrink_to_frames(struct sweep *sweep, struct slate_range *piece)
{
	struct slate_range found = *piece;
	uint64_t end = memmap_end(piece);
	uint64_t first = memmap_page_up(piece->base);
	uint64_t last = memmap_page_down(end);

	if (first >= last) {
		memmap_tell(sweep->build, SLATE_LINT_UNALIGNED, &found, NULL, piece->base,
			    piece->size_bytes);
		return false;
	}
	if (first != piece->base)
		memmap_tell(sweep->build, SLATE_LINT_UNALIGNED, &found, NULL, piece->base,
			    first - piece->base);
	if (last != end)
		memmap_tell(sweep->build, SLATE_LINT_UNALIGNED, &found, NULL, last, end - last);
	piece->base = first;
	piece->size_bytes = last - first;
	return true;
}

static void write_piece(struct sweep *sweep)
{
	struct slate_range piece = sweep->piece;

	if (piece.size_bytes == 0)
		return;
	if (piece.type == SLATE_RANGE_USABLE && !shrink_to_frames(sweep, &piece))
		return;
	if (sweep->out < sweep->in)
		sweep->build->map->ranges[sweep->out++] = piece;
	else
		write_without_room(sweep, &piece);
}

/* The next stretch, in ascending order, without overlap. */
static void emit(struct sweep *sweep, struct slate_range stretch)
{
	struct slate_range *piece = &sweep->piece;
	bool touches = piece->size_bytes && memmap_end(piece) == stretch.base;

	if (touches && piece->type == stretch.type && piece->node == stretch.node &&
	    memmap_same_name(piece, &stretch)) {
		piece->size_bytes += stretch.size_bytes;
		return;
	}
	/* A frame that two usable entries share is usable all the same: the first takes it. */
	if (touches && piece->type == SLATE_RANGE_USABLE && stretch.type == SLATE_RANGE_USABLE) {
		uint64_t rest =
			memmap_min(memmap_page_up(stretch.base) - stretch.base, stretch.size_bytes);

		piece->size_bytes += rest;
		stretch.base += rest;
		stretch.size_bytes -= rest;
		if (stretch.size_bytes == 0)
			return;
	}
	write_piece(sweep);
	sweep->piece = stretch;
}

/* The entry that begins at the sweep's position is open from now on, unless one of its type covers
 * it. */
static void open_entry(struct sweep *sweep, struct slate_range entry)
{
	struct slate_range *open = &sweep->open[entry.type];
	struct slate_range *next = &sweep->next[entry.type];

	if (open->size_bytes == 0)
		*open = entry;
	else if (memmap_end(&entry) > memmap_end(open) &&
		 (next->size_bytes == 0 || memmap_end(&entry) > memmap_end(next)))
		*next = entry;
}

/* Close what ends at or before pos; returns the winner among what is open, NULL if there is none.
 */
static const struct slate_range *close_entries(struct sweep *sweep, uint64_t pos)
{
	const struct slate_range *winner = NULL;

	for (unsigned type = 1; type < SLATE_RANGE_TYPES; type++) {
		struct slate_range *open = &sweep->open[type];
		struct slate_range *next = &sweep->next[type];

		if (open->size_bytes && memmap_end(open) <= pos) {
			*open = *next;
			next->size_bytes = 0;
			if (open->size_bytes && memmap_end(open) <= pos)
				open->size_bytes = 0;
		}
		if (open->size_bytes)
			winner = open;
	}
	return winner;
}

/* The node of pos; *end is lowered to where that ends. pos never goes back. */
static uint8_t node_at(struct sweep *sweep, uint64_t pos, uint64_t *end)
{
	const struct slate_memmap *map = sweep->build->map;
	const struct slate_node_range *node;

	while (sweep->node < map->node_count &&
	       map->nodes[sweep->node].base + map->nodes[sweep->node].size_bytes <= pos)
		sweep->node++;
	if (sweep->node == map->node_count)
		return 0;
	node = &map->nodes[sweep->node];
	if (pos < node->base) {
		*end = memmap_min(*end, node->base);
		return 0;
	}
	*end = memmap_min(*end, node->base + node->size_bytes);
	return (uint8_t)node->node;
}

static void run(struct sweep *sweep)
{
	struct slate_memmap *map = sweep->build->map;
	uint64_t pos = 0;

	for (;;) {
		const struct slate_range *winner;
		struct slate_range stretch;
		uint64_t end;

		close_entries(sweep, pos);
		while (sweep->in < map->capacity && map->ranges[sweep->in].base == pos)
			open_entry(sweep, map->ranges[sweep->in++]);
		winner = close_entries(sweep, pos);
		if (!winner && sweep->in == map->capacity)
			break;
		end = sweep->in < map->capacity ? map->ranges[sweep->in].base : UINT64_MAX;
		if (winner) {
			end = memmap_min(end, memmap_end(winner));
			stretch = *winner;
			stretch.node = node_at(sweep, pos, &end);
			stretch.base = pos;
			stretch.size_bytes = end - pos;
			emit(sweep, stretch);
		}
		pos = end;
	}
	write_piece(sweep);
	map->count = sweep->out;
}

void memmap_sweep(struct memmap_build *build)
{
	struct slate_memmap *map = build->map;
	struct sweep sweep = {.build = build, .in = map->capacity - map->count};

	/* To the top of the array, so that the bottom can be written. */
	for (size_t i = map->count; i-- > 0;)
		map->ranges[sweep.in + i] = map->ranges[i];
	run(&sweep);
}
