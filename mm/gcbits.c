/* SPDX-License-Identifier: MIT */
/* gcbits.c (level 4) - arenas of words, chained through their first words. */
#include "mm/gcbits.h"

#include "lib/string.h"

struct bits_arena {
	struct bits_arena *next;
	size_t pages;
	unsigned long words[];
};

#define HEADER_WORDS (sizeof(struct bits_arena) / sizeof(unsigned long))

uint32_t gcbits_epoch;

static struct bits_arena *arenas;
static struct bits_arena *current; /* words are taken here */
static size_t used;                /* words of it */

static size_t arena_words(const struct bits_arena *arena)
{
	return (arena->pages << SLATE_PAGE_SHIFT) / sizeof(unsigned long) - HEADER_WORDS;
}

void gcbits_next_epoch(void)
{
	gcbits_epoch++;
	current = arenas;
	used = 0;
}

size_t gcbits_feed(void *memory, size_t pages)
{
	struct bits_arena *arena = memory;

	arena->next = arenas;
	arena->pages = pages;
	arenas = arena;
	current = arena;
	used = 0;
	return arena_words(arena);
}

void *gcbits_drop(size_t *pages)
{
	struct bits_arena *arena = arenas;

	current = NULL;
	if (!arena)
		return NULL;
	arenas = arena->next;
	*pages = arena->pages;
	return arena;
}

unsigned long *gcbits_take(size_t n)
{
	while (current && n > arena_words(current) - used) {
		current = current->next;
		used = 0;
	}
	if (!current)
		return NULL;
	unsigned long *words = current->words + used;

	used += n;
	memset(words, 0, n * sizeof(*words));
	return words;
}

void *gcbits_take_some(size_t *n)
{
	size_t left = current ? arena_words(current) - used : 0;

	if (*n > left)
		*n = left;
	if (*n == 0)
		return NULL;
	used += *n;
	return current->words + used - *n;
}
