/* SPDX-License-Identifier: MIT */
/* early.c - the static arena. Each object has its size in the 16 bytes before it. */
#include "host/early.h"

#include <stdatomic.h>
#include <stdint.h>

#define ALIGN_MIN 16u

static _Alignas(ALIGN_MIN) unsigned char memory[EARLY_BYTES];
/* (a) relaxed: each thread writes to what it got alone */
static _Atomic size_t used;

void *early_alloc(size_t size_bytes, size_t align_bytes)
{
	size_t old = atomic_load_explicit(&used, memory_order_relaxed);
	size_t start;

	if (align_bytes < ALIGN_MIN)
		align_bytes = ALIGN_MIN;
	if (size_bytes > EARLY_BYTES || align_bytes > EARLY_BYTES)
		return NULL;
	do {
		uintptr_t at = (uintptr_t)memory + old + ALIGN_MIN;

		at = (at + align_bytes - 1) & ~(uintptr_t)(align_bytes - 1);
		start = at - (uintptr_t)memory;
		if (start > EARLY_BYTES || size_bytes > EARLY_BYTES - start)
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(
		&used, &old, start + size_bytes, memory_order_relaxed, memory_order_relaxed));
	__builtin_memcpy(memory + start - sizeof(size_t), &size_bytes, sizeof(size_t));
	return memory + start;
}

bool early_owns(const void *object)
{
	return (uintptr_t)object - (uintptr_t)memory < EARLY_BYTES;
}

size_t early_size(const void *object)
{
	size_t size_bytes;

	__builtin_memcpy(&size_bytes, (const unsigned char *)object - sizeof(size_t),
			 sizeof(size_t));
	return size_bytes;
}
