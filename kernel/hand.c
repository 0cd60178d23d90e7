/* SPDX-License-Identifier: MIT */
/* hand.c - stamps on what a stress run holds, and how each kind goes back. */
#include "kernel/hand.h"

#include "kernel/selftest.h"
#include "kernel/stress_mix.h"

/* So many bytes at either end are stamped. */
#define STAMP_BYTES 48

static size_t stamp_length(const struct holding *h)
{
	return h->size_bytes < STAMP_BYTES ? h->size_bytes : STAMP_BYTES;
}

void holding_stamp(struct holding *h)
{
	size_t len = stamp_length(h);

	/* two stamps that would overlap are one */
	if (h->size_bytes < 2 * len) {
		pattern_fill(h->start, h->size_bytes, h->seed);
		return;
	}
	pattern_fill(h->start, len, h->seed);
	pattern_fill(h->start + h->size_bytes - len, len, h->seed + 1);
}

bool holding_is_intact(const struct holding *h)
{
	size_t len = stamp_length(h);

	if (h->size_bytes < 2 * len)
		return pattern_check(h->start, h->size_bytes, h->seed) == h->size_bytes;
	return pattern_check(h->start, len, h->seed) == len &&
	       pattern_check(h->start + h->size_bytes - len, len, h->seed + 1) == len;
}

void holding_begin(struct hand *hand, struct holding *h)
{
	h->seed = random_next(&hand->random);
	holding_stamp(h);
}

/* A run goes back whole or in two parts. */
static void drop_frames(const struct holding *h)
{
	pfn_t pfn = paddr_to_pfn(slate_phys(h->start));
	size_t pages = h->size_bytes >> SLATE_PAGE_SHIFT;
	size_t first = h->seed % 4 == 0 ? h->seed % pages : 0;

	if (pages == 1) {
		slate_page_free(pfn, 1);
		return;
	}
	if (first)
		slate_page_free(pfn, first);
	slate_page_free(pfn_add(pfn, first), pages - first);
}

static void drop_typed(const struct holding *h)
{
	stress_construct(h->start);
	if (h->seed & 1)
		slate_cache_free(h->cache, h->start);
	else
		slate_free(h->start);
}

void holding_drop(struct hand *hand, struct holding *h)
{
	if (h->kind == HOLDING_NONE)
		return;
	if (!holding_is_intact(h))
		hand->wrong++;
	if (h->kind == HOLDING_FRAMES)
		drop_frames(h);
	else if (h->kind == HOLDING_STACK)
		slate_stack_free(h->start);
	else if (h->kind == HOLDING_TYPED)
		drop_typed(h);
	else if (h->own_class && h->seed & 1)
		slate_free_sized(h->start, h->size_bytes);
	else
		slate_free(h->start);
	h->kind = HOLDING_NONE;
}
