/* SPDX-License-Identifier: MIT */
/* shadow.c - who owns what while a schedule runs. */
#include "test-host/schedule/shadow.h"

#include <string.h>

#include "test-host/schedule/checkpoint.h"
#include "test-host/schedule/sched.h"
#include "test-host/schedule/state.h"

static struct shadow_thing slots[SHADOW_SLOTS];
static struct shadow_thing saved[SHADOW_SLOTS];

void shadow_save(void)
{
	memcpy(saved, slots, sizeof(saved));
}

void shadow_restore(void)
{
	memcpy(slots, saved, sizeof(slots));
}

uint64_t shadow_hash(void)
{
	uint64_t hash = 0;

	for (unsigned i = 0; i < SHADOW_SLOTS; i++) {
		if (slots[i].kind == SHADOW_NONE)
			continue;
		hash = state_mix(hash, slots[i].start ^ (uint64_t)i << 48);
		hash = state_mix(hash, slots[i].size_bytes ^ (uint64_t)slots[i].kind << 32);
	}
	return hash;
}

void shadow_keep(void)
{
	checkpoint_keep(slots, sizeof(slots));
}

bool shadow_has(unsigned slot)
{
	sched_slot(&slots[slot]);
	return slots[slot].kind != SHADOW_NONE;
}

void shadow_put(unsigned slot, struct shadow_thing thing)
{
	sched_slot(&slots[slot]);
	for (unsigned i = 0; i < SHADOW_SLOTS; i++) {
		const struct shadow_thing *other = &slots[i];

		if (other->kind != SHADOW_NONE && thing.start < other->start + other->size_bytes &&
		    other->start < thing.start + thing.size_bytes)
			sched_fail("%#zx was given twice: to CPU %u now, and it lies in slot %u",
				   (size_t)thing.start, sched_cpu(), i);
	}
	for (unsigned i = 0; slots[slot].kind != SHADOW_NONE; i++) {
		if (i == SHADOW_SLOTS)
			sched_fail("no slot is empty");
		slot = (slot + 1) % SHADOW_SLOTS;
	}
	slots[slot] = thing;
}

struct shadow_thing shadow_take(unsigned slot)
{
	struct shadow_thing thing;

	sched_slot(&slots[slot]);
	thing = slots[slot];
	slots[slot].kind = SHADOW_NONE;
	return thing;
}
