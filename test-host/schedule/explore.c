/* SPDX-License-Identifier: MIT */
/* explore.c - which decisions a schedule takes. */
#include "test-host/schedule/explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test-host/schedule/sched.h"

#define DEPTH_MAX  4096u
#define PLACES_MAX 8192u /* power of two */

static struct {
	uint16_t chosen;
	uint16_t count;
} trail[DEPTH_MAX];
static unsigned prefix; /* decisions that are given */
static unsigned depth;  /* decisions taken so far */

static bool is_random;
static uint64_t random_state;
static unsigned turn_odds;

/* By eight bytes of address; a mask has four bits for each byte of them, one a CPU. */
static struct place {
	uintptr_t key;
	unsigned start; /* the masks are of schedules from there */
	uint32_t readers;
	uint32_t writers;
	uint32_t adders;
	uint8_t shared; /* a bit a byte; for good */
} places[PLACES_MAX];
static unsigned place_count;
static unsigned schedule; /* its number */
static unsigned start;    /* the number of the one that began at the snapshot */
static bool grew;
static bool across_schedules;

/* ---- Random ---- */

/* xorshift64*, as host_random(). */
uint64_t explore_draw(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 2685821657736338717u) >> 16;
}

void explore_random(uint64_t seed, unsigned turn)
{
	is_random = true;
	schedule++;
	turn_odds = turn;
	/* neighbouring seeds must not draw alike */
	random_state = (seed + 1) * 0x9e3779b97f4a7c15u;
	explore_draw();
}

static unsigned choose_random(unsigned n, enum explore_choice kind)
{
	uint64_t draw = explore_draw();

	if (kind == EXPLORE_FORCED)
		return (unsigned)(draw % n);
	if (draw % turn_odds)
		return 0;
	return 1 + (unsigned)((draw / turn_odds) % (n - 1));
}

/* ---- Depth first ---- */

void explore_all(void)
{
	is_random = false;
	schedule++;
	grew = false;
	prefix = 0;
	depth = 0;
}

bool explore_next(void)
{
	while (depth > 0 && trail[depth - 1].chosen + 1u == trail[depth - 1].count)
		depth--;
	if (depth == 0)
		return false;
	trail[depth - 1].chosen++;
	prefix = depth;
	depth = 0;
	schedule++;
	return true;
}

static unsigned choose_next(unsigned n)
{
	if (depth == DEPTH_MAX)
		sched_fail("a schedule of more than %u decisions", DEPTH_MAX);
	if (depth < prefix) {
		if (trail[depth].count == n)
			return trail[depth++].chosen;
		/* a place that turned out to be shared has changed the tree */
		grew = true;
		prefix = depth;
	}
	trail[depth].chosen = 0;
	trail[depth].count = (uint16_t)n;
	depth++;
	return 0;
}

unsigned explore_choose(unsigned n, enum explore_choice kind)
{
	if (n < 2)
		return 0;
	return is_random ? choose_random(n, kind) : choose_next(n);
}

bool explore_is_new(void)
{
	return !is_random && depth >= prefix;
}

unsigned explore_depth(void)
{
	return depth;
}

unsigned explore_prefix(void)
{
	return prefix;
}

unsigned explore_schedule(void)
{
	return schedule;
}

bool explore_is_random(void)
{
	return is_random;
}

bool explore_grew(void)
{
	return grew;
}

void explore_print(void)
{
	if (is_random)
		return;
	printf("  decisions:");
	for (unsigned i = 0; i < depth; i++)
		if (trail[i].chosen)
			printf(" %u:%u/%u", i, trail[i].chosen, trail[i].count);
	printf(" of %u\n", depth);
}

/* ---- Places ---- */

void explore_forget_places(bool across)
{
	across_schedules = across;
	memset(places, 0, sizeof(places));
	place_count = 0;
}

static struct place *place_of(const volatile void *address)
{
	uintptr_t key = ((uintptr_t)address >> 3) + 1;
	size_t at = (key * 0x9e3779b97f4a7c15u) >> 51;

	while (places[at % PLACES_MAX].key && places[at % PLACES_MAX].key != key)
		at++;
	if (!places[at % PLACES_MAX].key) {
		if (++place_count == PLACES_MAX / 2)
			sched_fail("too many places");
		places[at % PLACES_MAX].key = key;
	}
	return &places[at % PLACES_MAX];
}

/* Users of a place before they changed, for explore_return(). What is shared stays so. */
static struct change {
	struct place *place;
	struct place before;
} * changes;
static size_t change_count;
static size_t change_room;

static void note_change(struct place *place)
{
	if (is_random || across_schedules)
		return;
	if (change_count == change_room) {
		change_room = change_room ? 2 * change_room : 1024;
		changes = realloc(changes, change_room * sizeof(*changes));
		if (!changes)
			abort();
	}
	changes[change_count++] = (struct change){place, *place};
}

size_t explore_mark(void)
{
	return change_count;
}

void explore_return(size_t mark, unsigned decisions)
{
	while (change_count > mark) {
		const struct change *change = &changes[--change_count];

		change->place->start = change->before.start;
		change->place->readers = change->before.readers;
		change->place->writers = change->before.writers;
		change->place->adders = change->before.adders;
	}
	depth = decisions;
}

void explore_begin(void)
{
	start = schedule;
	change_count = 0;
}

/* Bytes (lowest bit of four) that one CPU is in a for, and another one in b. */
static uint32_t meet(uint32_t a, uint32_t b)
{
	const uint32_t each = 0x11111111u;
	uint32_t bytes = 0;

	for (unsigned i = 0; i < SCHED_CPUS; i++)
		for (unsigned j = 0; j < SCHED_CPUS; j++)
			if (i != j)
				bytes |= (a >> i) & (b >> j) & each;
	return bytes;
}

/* Have two CPUs used any of it? */
static bool has_company(const struct place *place)
{
	uint32_t users = place->readers | place->writers | place->adders;

	users |= users >> 16;
	users |= users >> 8;
	users |= users >> 4;
	users &= 15;
	return (users & (users - 1)) != 0;
}

/* The schedule's accesses to a place now show a conflict: it is shared from now on. */
static void find_conflicts(struct place *place)
{
	if (!has_company(place))
		return;

	uint32_t conflict = meet(place->writers, place->readers | place->writers | place->adders) |
			    meet(place->adders, place->readers | place->writers);

	for (unsigned byte = 0; byte < 8 && conflict; byte++) {
		if (!(conflict >> (4 * byte) & 1) || place->shared >> byte & 1)
			continue;
		place->shared |= (uint8_t)(1u << byte);
		grew = true;
	}
}

bool explore_shared(const volatile void *address, unsigned size_bytes, unsigned cpu,
		    enum explore_access access)
{
	struct place *place = place_of(address);
	unsigned first = (uintptr_t)address & 7;
	uint32_t mask = 0;
	uint8_t bytes = 0;

	for (unsigned byte = first; byte < first + size_bytes && byte < 8; byte++) {
		mask |= (uint32_t)1 << (4 * byte + cpu);
		bytes |= (uint8_t)(1u << byte);
	}
	/* for good: who uses it does not matter any more */
	if ((place->shared & bytes) == bytes)
		return true;
	if (place->start != start && !across_schedules) {
		note_change(place);
		place->start = start;
		place->readers = place->writers = place->adders = 0;
	}
	/* only who comes to a place for the first time can show a conflict */
	uint32_t *users = access == EXPLORE_READ    ? &place->readers
			  : access == EXPLORE_WRITE ? &place->writers
						    : &place->adders;

	if ((*users & mask) != mask) {
		note_change(place);
		*users |= mask;
		find_conflicts(place);
	}
	return place->shared & bytes;
}
