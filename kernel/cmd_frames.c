/* SPDX-License-Identifier: MIT */
/*
 * cmd_frames.c - a map of memory as text: a character for each block of frames, 64 to a line; lines
 * without any memory are left out.
 */
#include <slate/slate.h>

#include "kernel/command.h"
#include "kernel/console.h"

#define LINE_BLOCKS 64

/* Lines that the map should not exceed, and those it never does. */
#define LINES_WANTED ((size_t)40)
#define LINES_MAX    ((size_t)54)

/* 64 KiB. */
#define BLOCK_PAGES_MIN ((size_t)16)

struct map {
	size_t block_pages;
	size_t line; /* its number: first frame of the line / (block_pages * LINE_BLOCKS) */
	size_t lines;
	char text[LINE_BLOCKS + 1];
};

struct kind {
	size_t pages;
	char letter;
};

/* The letter of the greatest holder; a capital one when nothing is left to take. */
static char letter_of(const struct slate_frame_block *block)
{
	const struct kind kinds[] = {
		{block->object_pages, 'o'},
		{block->frame_pages, 'f'},
		{block->stack_pages, 's'},
		{block->metadata_pages, 'm'},
	};
	struct kind most = {0, '.'};

	if (block->free_pages + block->released_pages == block->pages)
		return block->released_pages > block->free_pages ? '~' : '.';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].pages > most.pages)
			most = kinds[i];
	}
	if (block->free_pages + block->released_pages == 0)
		most.letter = (char)(most.letter - 'a' + 'A');
	return most.letter;
}

static void line_clear(struct map *map)
{
	for (size_t i = 0; i < LINE_BLOCKS; i++)
		map->text[i] = ' ';
	map->text[LINE_BLOCKS] = '\0';
}

static void line_print(struct map *map)
{
	pfn_t start = {map->line * LINE_BLOCKS * map->block_pages};

	if (map->line == SIZE_MAX)
		return;
	if (map->lines < LINES_MAX)
		kprintf("%013llx %s\n", (unsigned long long)pfn_to_paddr(start).v, map->text);
	else if (map->lines == LINES_MAX)
		kprintf("... more than fits here\n");
	map->lines++;
}

static void add_block(const struct slate_frame_block *block, void *arg)
{
	struct map *map = arg;
	size_t number = block->start.v / map->block_pages;

	if (number / LINE_BLOCKS != map->line) {
		line_print(map);
		line_clear(map);
		map->line = number / LINE_BLOCKS;
	}
	map->text[number % LINE_BLOCKS] = letter_of(block);
}

static void print_legend(size_t block_pages)
{
	kprintf("one character: %zu KiB\n", block_pages << (SLATE_PAGE_SHIFT - 10));
	kprintf(". free  ~ released  o objects  f frames of callers and caches  s stacks  "
		"m metadata\n");
	kprintf("the greatest holder's letter, a capital when no frame is free; blank: no "
		"memory\n");
}

bool cmd_frames(int argc, char **argv)
{
	struct map map = {.block_pages = BLOCK_PAGES_MIN, .line = SIZE_MAX};
	struct slate_stats stats;

	(void)argc;
	(void)argv;
	slate_stats(&stats);
	while (stats.total_pages / (map.block_pages * LINE_BLOCKS) >= LINES_WANTED)
		map.block_pages *= 2;
	slate_frames_walk(map.block_pages, add_block, &map);
	line_print(&map);
	print_legend(map.block_pages);
	return true;
}
