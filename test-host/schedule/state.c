/* SPDX-License-Identifier: MIT */
/*
 * state.c - snapshot, hash of the memory, known states.
 *
 * The hash is a sum over words of a mix of place and value, so that a word's share is exchanged
 * when it changes. With 64 bits and some million states a search that takes two for one is less
 * likely than one in a million.
 */
#include "test-host/schedule/state.h"

#include <stdlib.h>
#include <string.h>

#include "test-host/schedule/sched.h"

#define REGIONS_MAX  4u
#define WORD_SHIFT   3u
#define KNOWN_STATES (1u << 22) /* power of two */
#define KNOWN_FULL   (KNOWN_STATES / 4 * 3)

enum flag {
	FLAG_TOUCHED = 1, /* since the snapshot */
	FLAG_DIRTY = 2,   /* since it was hashed */
};

/* Words are numbered through all regions. */
static struct region {
	uintptr_t start;
	size_t size_bytes;
	size_t first; /* number of the first word */
} regions[REGIONS_MAX];
static unsigned region_count;
static const struct region *last = &regions[0]; /* that was stored to */
uintptr_t state_low = UINTPTR_MAX;
uintptr_t state_high;
static size_t words;

static uint64_t *saved;  /* the snapshot */
static uint64_t *hashed; /* as the hash has it */
static uint8_t *flags;
static uint32_t *touched;
static uint32_t *dirty;
static size_t touched_count;
static size_t dirty_count;
static uint64_t memory_hash;

/* What was stored over since the snapshot, for state_return(). */
static struct change {
	size_t number;
	uint64_t before;
} * changes;
static size_t change_count;
static size_t change_room;

/* ---- Memory ---- */

static void *array_of(void *old, size_t size_bytes)
{
	void *array = realloc(old, size_bytes);

	if (!array)
		abort();
	return array;
}

void state_watch(void *start, size_t size_bytes)
{
	if (region_count == REGIONS_MAX || (uintptr_t)start % 8 != 0 || size_bytes % 8 != 0)
		abort();
	regions[region_count++] = (struct region){(uintptr_t)start, size_bytes, words};
	if ((uintptr_t)start < state_low)
		state_low = (uintptr_t)start;
	if ((uintptr_t)start + size_bytes > state_high)
		state_high = (uintptr_t)start + size_bytes;
	words += size_bytes >> WORD_SHIFT;
	saved = array_of(saved, words * sizeof(*saved));
	hashed = array_of(hashed, words * sizeof(*hashed));
	flags = array_of(flags, words);
	memset(flags, 0, words);
	touched = array_of(touched, words * sizeof(*touched));
	dirty = array_of(dirty, words * sizeof(*dirty));
}

static uint64_t *word_at(size_t number)
{
	const struct region *region = &regions[0];

	while (number - region->first >= region->size_bytes >> WORD_SHIFT)
		region++;
	return (uint64_t *)region->start + (number - region->first);
}

static void forget_notes(void)
{
	for (size_t i = 0; i < touched_count; i++)
		flags[touched[i]] = 0;
	touched_count = 0;
	dirty_count = 0;
	change_count = 0;
	memory_hash = 0;
}

void state_save(void)
{
	for (unsigned i = 0; i < region_count; i++)
		memcpy(saved + regions[i].first, (const void *)regions[i].start,
		       regions[i].size_bytes);
	memcpy(hashed, saved, words * sizeof(*saved));
	forget_notes();
}

void state_restore(void)
{
	for (size_t i = 0; i < touched_count; i++) {
		size_t number = touched[i];

		*word_at(number) = hashed[number] = saved[number];
	}
	forget_notes();
}

/* As long as a word is not dirty, it is as the hash has it. */
static void note_change(size_t number)
{
	if (change_count == change_room) {
		change_room = change_room ? 2 * change_room : 1024;
		changes = array_of(changes, change_room * sizeof(*changes));
	}
	changes[change_count++] = (struct change){number, hashed[number]};
}

static void note_word(size_t number)
{
	if (!(flags[number] & FLAG_TOUCHED))
		touched[touched_count++] = (uint32_t)number;
	if (!(flags[number] & FLAG_DIRTY)) {
		dirty[dirty_count++] = (uint32_t)number;
		note_change(number);
	}
	flags[number] = FLAG_TOUCHED | FLAG_DIRTY;
}

void state_note_watched(uintptr_t at, size_t size_bytes)
{
	const struct region *region = last;

	if (at - region->start >= region->size_bytes) {
		region = &regions[0];
		while (region < regions + region_count && at - region->start >= region->size_bytes)
			region++;
		if (region == regions + region_count)
			return;
		last = region;
	}
	if (size_bytes == 0)
		return;
	size_t word = region->first + ((at - region->start) >> WORD_SHIFT);
	size_t end = region->first + ((at - region->start + size_bytes - 1) >> WORD_SHIFT);

	for (; word <= end; word++)
		if (flags[word] != (FLAG_TOUCHED | FLAG_DIRTY))
			note_word(word);
}

uint64_t state_hash(void)
{
	for (size_t i = 0; i < dirty_count; i++) {
		size_t number = dirty[i];
		uint64_t now = *word_at(number);

		flags[number] = FLAG_TOUCHED;
		if (now == hashed[number])
			continue;
		memory_hash += state_mix(number + 1, now) - state_mix(number + 1, hashed[number]);
		hashed[number] = now;
	}
	dirty_count = 0;
	return memory_hash;
}

struct state_mark state_mark(void)
{
	/* nothing is dirty then, and what is stored next a change */
	uint64_t hash = state_hash();

	return (struct state_mark){change_count, hash};
}

void state_return(struct state_mark mark)
{
	state_hash();
	while (change_count > mark.changes) {
		const struct change *change = &changes[--change_count];

		*word_at(change->number) = hashed[change->number] = change->before;
	}
	memory_hash = mark.hash;
}

bool state_is_complete(void)
{
	state_hash();
	for (unsigned i = 0; i < region_count; i++)
		if (memcmp(hashed + regions[i].first, (const void *)regions[i].start,
			   regions[i].size_bytes) != 0)
			return false;
	return true;
}

/* ---- Known states ---- */

static struct known {
	uint64_t hash;
	uint32_t schedule; /* that came there with the most to go */
	uint32_t preemptions;
} known[KNOWN_STATES];
static size_t known_count;
static uint64_t search; /* its number is part of the hash, so that forgetting is cheap */

static void clear(void)
{
	memset(known, 0, sizeof(known));
	known_count = 0;
}

void state_forget(void)
{
	search++;
	if (known_count > KNOWN_STATES / 2)
		clear();
}

bool state_is_known(uint64_t hash, unsigned preemptions, unsigned schedule)
{
	size_t at;

	/* what is forgotten in between is only searched once more */
	if (known_count > KNOWN_FULL)
		clear();
	hash = state_mix(hash, search);
	hash += hash == 0;
	at = hash >> 32;
	while (known[at % KNOWN_STATES].hash && known[at % KNOWN_STATES].hash != hash)
		at++;

	struct known *entry = &known[at % KNOWN_STATES];

	if (!entry->hash) {
		*entry = (struct known){hash, schedule, preemptions};
		known_count++;
		return false;
	}
	if (entry->preemptions >= preemptions)
		return entry->schedule != schedule;
	entry->preemptions = preemptions;
	entry->schedule = schedule;
	return false;
}
