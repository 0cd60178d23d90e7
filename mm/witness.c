/* SPDX-License-Identifier: MIT */
/*
 * witness.c (level 4) - records of objects, red zones and poison; who calls when stands in watch.c.
 */
#include "mm/witness.h"

#include <slate/port.h>

#include "lib/string.h"
#include "mm/callstack.h"
#include "mm/lockrank.h"
#include "mm/mmdebug.h"

#if SLATE_DEBUG

bool witness_on = true;

void witness_enable(bool on)
{
	witness_on = on;
}

struct witness *witness_of(const struct mspan *span, uintptr_t object)
{
	struct witness_table *table = span->witnesses;
	size_t number = mspan_object_number(span, object);

	return table && number < table->count ? &table->list[number] : NULL;
}

void witness_table_init(struct witness_table *table, const struct mspan *span,
			enum witness_fill fill)
{
	memset(table->list, 0, table->count * sizeof(table->list[0]));
	if (fill == WITNESS_UNKNOWN)
		return;
	for (size_t i = 0; i < table->count; i++)
		witness_fill_freed(&table->list[i], span->base + i * span->elem_bytes,
				   span->elem_bytes);
}

static void note_change(struct witness *witness)
{
	/* release: pairs with the acquire in watch_check(), which then looks again */
	atomic_fetch_add_explicit(&witness->changes, 1, memory_order_release);
}

void witness_set_state(struct witness *witness, enum witness_state state)
{
	note_change(witness);
	/* release: pairs with the acquire in witness_state() */
	atomic_store_explicit(&witness->state, (uint8_t)state, memory_order_release);
}

bool witness_claim(struct witness *witness)
{
	uint8_t expected = WITNESS_TAKEN;

	/* acq_rel: of two frees one wins, and sees what the allocation wrote */
	if (!atomic_compare_exchange_strong_explicit(&witness->state, &expected, WITNESS_FREED,
						     memory_order_acq_rel, memory_order_relaxed))
		return false;
	note_change(witness);
	return true;
}

void witness_note(struct witness_event *event, const void *caller)
{
	unsigned long irq = port_irq_save();

	event->cpu = (uint16_t)mm_cpu();
	port_irq_restore(irq);
	event->tick = port_tick();
	event->known = true;
	event->depth = (uint8_t)callstack_take(event->pcs, WITNESS_DEPTH, caller);
}

/* ---- Patterns ---- */

/* A walk looks at what others may just be writing, and then at whether they have (watch_walk.c). */
#define LOOKS_AT_OTHERS __attribute__((no_sanitize("thread")))

/* Offset of the first byte that is not the pattern, or size_bytes: a word a step where it can. */
LOOKS_AT_OTHERS static size_t first_other(uintptr_t start, uint8_t pattern, size_t size_bytes)
{
	const uintptr_t word = ~(uintptr_t)0 / 0xff * pattern;
	const volatile uint8_t *bytes = (const volatile uint8_t *)start;
	size_t at = 0;

	while (at < size_bytes && bytes[at] == pattern) {
		while ((start + at) % sizeof(word) == 0 && size_bytes - at >= sizeof(word) &&
		       *(const volatile uintptr_t *)(start + at) == word)
			at += sizeof(word);
		at += at < size_bytes && bytes[at] == pattern;
	}
	return at;
}

LOOKS_AT_OTHERS static struct witness_damage check(uintptr_t start, uint8_t pattern,
						   size_t size_bytes)
{
	const volatile uint8_t *bytes = (const volatile uint8_t *)start;
	size_t at = first_other(start, pattern, size_bytes);
	struct witness_damage damage = {.address = 0};

	if (at == size_bytes)
		return damage;
	damage.address = start + at;
	damage.found = bytes[at];
	damage.expected = pattern;

	unsigned flipped = damage.found ^ pattern;
	size_t rest = size_bytes - at - 1;

	damage.single_bit = !(flipped & (flipped - 1)) &&
			    first_other(damage.address + 1, pattern, rest) == rest;
	return damage;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

void witness_zone_write(uintptr_t object, size_t size_bytes, size_t elem_bytes)
{
	mm_poison((void *)(object + size_bytes), POISON_REDZONE,
		  smaller(elem_bytes - size_bytes, WITNESS_ZONE_MAX));
}

LOOKS_AT_OTHERS struct witness_damage witness_zone_check(const struct witness *witness,
							 uintptr_t object, size_t elem_bytes)
{
	return check(object + witness->size_bytes, POISON_REDZONE,
		     smaller(elem_bytes - witness->size_bytes, WITNESS_ZONE_MAX));
}

void witness_fill_fresh(uintptr_t object, size_t size_bytes, bool zero)
{
	if (zero)
		memset((void *)object, 0, size_bytes);
	else
		mm_poison((void *)object, POISON_FRESH, smaller(size_bytes, WITNESS_FILL_MAX));
}

/* FNV-1a (Fowler, Noll, Vo) over words: no more than a sign that something changed. */
LOOKS_AT_OTHERS static uint32_t sum_of(uintptr_t start, size_t size_bytes)
{
	const volatile uint8_t *bytes = (const volatile uint8_t *)start;
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < size_bytes; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

/* The whole element, red zone included, since a neighbour's overflow may hit it as well. */
void witness_fill_freed(struct witness *witness, uintptr_t object, size_t elem_bytes)
{
	size_t bytes = smaller(elem_bytes, WITNESS_FILL_MAX);

	if (witness->constructed) {
		witness->sum = sum_of(object, bytes);
		witness->fill = WITNESS_SUMMED;
	} else {
		mm_poison((void *)object, POISON_FREED, bytes);
		witness->fill = WITNESS_POISON;
	}
}

LOOKS_AT_OTHERS struct witness_damage witness_freed_check(const struct witness *witness,
							  uintptr_t object, size_t elem_bytes)
{
	size_t bytes = smaller(elem_bytes, WITNESS_FILL_MAX);
	struct witness_damage damage = {.address = 0};

	if (witness->fill == WITNESS_POISON)
		return check(object, POISON_FREED, bytes);
	if (witness->fill == WITNESS_SUMMED && sum_of(object, bytes) != witness->sum)
		damage.address = object;
	return damage;
}

#endif
