/* SPDX-License-Identifier: MIT */
/* roots.c (level 8) - a small table of ranges, in no order. */
#include "mm/roots.h"

#include <slate/marksweep.h>
#include <slate/slate.h>

#include "mm/lockrank.h"

static struct {
	struct mm_lock lock;
	size_t count; /* (lock) */
	struct {
		uintptr_t low; /* (lock) */
		uintptr_t high;
	} range[SLATE_ROOTS];
} roots;

void roots_init(void)
{
	mm_lock_init(&roots.lock, RANK_SPECIALS);
	roots.count = 0;
}

int slate_root_add(const void *start, size_t size_bytes)
{
	uintptr_t low = (uintptr_t)start;
	int status = SLATE_ENOMEM;

	if (size_bytes == 0 || low + size_bytes < low)
		return SLATE_EINVAL;
	unsigned long irq = mm_lock_acquire(&roots.lock);

	if (roots.count < SLATE_ROOTS) {
		roots.range[roots.count].low = low;
		roots.range[roots.count++].high = low + size_bytes;
		status = SLATE_OK;
	}
	mm_lock_release(&roots.lock, irq);
	return status;
}

int slate_root_remove(const void *start)
{
	int status = SLATE_ENOENT;
	unsigned long irq = mm_lock_acquire(&roots.lock);

	for (size_t i = 0; i < roots.count && status == SLATE_ENOENT; i++) {
		if (roots.range[i].low != (uintptr_t)start)
			continue;
		roots.range[i] = roots.range[--roots.count];
		status = SLATE_OK;
	}
	mm_lock_release(&roots.lock, irq);
	return status;
}

void roots_for_each(void (*fn)(uintptr_t low, uintptr_t high, void *arg), void *arg)
{
	for (size_t i = 0; i < roots.count; i++)
		fn(roots.range[i].low, roots.range[i].high, arg);
}
