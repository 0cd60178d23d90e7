/* SPDX-License-Identifier: MIT */
/* buffer.c - stores that other CPUs do not see yet. */
#include "test-host/schedule/buffer.h"

#include <string.h>

#include "test-host/schedule/state.h"

static void make_visible(const struct held *held)
{
	state_note(held->place, held->size_bytes);
	memcpy((void *)(uintptr_t)held->place, &held->value, held->size_bytes);
}

static void drain_first(struct buffer *buffer, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		make_visible(&buffer->store[i]);
	buffer->count -= n;
	memmove(buffer->store, buffer->store + n, buffer->count * sizeof(buffer->store[0]));
}

void buffer_drain(struct buffer *buffer)
{
	drain_first(buffer, buffer->count);
}

static bool overlaps(const struct held *held, const volatile void *place, unsigned size_bytes)
{
	uintptr_t at = (uintptr_t)place;
	uintptr_t start = (uintptr_t)held->place;

	return at < start + held->size_bytes && start < at + size_bytes;
}

void buffer_drain_place(struct buffer *buffer, const volatile void *place, unsigned size_bytes)
{
	unsigned n = 0;

	for (unsigned i = 0; i < buffer->count; i++)
		if (overlaps(&buffer->store[i], place, size_bytes))
			n = i + 1;
	drain_first(buffer, n);
}

void buffer_store(struct buffer *buffer, volatile void *place, uint64_t value, unsigned size_bytes,
		  bool release)
{
	if (buffer->count == BUFFER_STORES)
		drain_first(buffer, 1);
	buffer->store[buffer->count++] = (struct held){place, value, (uint8_t)size_bytes, release};
}

uint64_t buffer_load(const struct buffer *buffer, const volatile void *place, unsigned size_bytes)
{
	uint8_t bytes[8] = {0};
	uint64_t value;

	memcpy(bytes, (const void *)(uintptr_t)place, size_bytes);
	for (unsigned i = 0; i < buffer->count; i++) {
		const struct held *held = &buffer->store[i];

		if (!overlaps(held, place, size_bytes))
			continue;
		for (unsigned byte = 0; byte < held->size_bytes; byte++) {
			uintptr_t at = (uintptr_t)held->place + byte - (uintptr_t)place;

			if (at < size_bytes)
				bytes[at] = (uint8_t)(held->value >> (8 * byte));
		}
	}
	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* May store i become visible before all older ones? */
static bool may_overtake(const struct buffer *buffer, unsigned i)
{
	const struct held *held = &buffer->store[i];

	if (held->release)
		return false;
	for (unsigned older = 0; older < i; older++)
		if (overlaps(&buffer->store[older], held->place, held->size_bytes))
			return false;
	return true;
}

unsigned buffer_variants(const struct buffer *buffer, bool weak)
{
	unsigned variants = buffer->count + 1;

	for (unsigned i = 1; weak && i < buffer->count; i++)
		variants += may_overtake(buffer, i);
	return variants;
}

void buffer_apply(struct buffer *buffer, unsigned variant)
{
	if (variant <= buffer->count) {
		drain_first(buffer, variant);
		return;
	}
	variant -= buffer->count;
	for (unsigned i = 1; i < buffer->count; i++) {
		if (!may_overtake(buffer, i) || --variant > 0)
			continue;
		make_visible(&buffer->store[i]);
		buffer->count--;
		memmove(buffer->store + i, buffer->store + i + 1,
			(buffer->count - i) * sizeof(buffer->store[0]));
		return;
	}
}
