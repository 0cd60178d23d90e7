/* SPDX-License-Identifier: MIT */
/* stress_page.c - the frames of a stress run: single ones, runs, runs that must fit, stacks. */
#include "kernel/hotplug.h"
#include "kernel/selftest.h"
#include "kernel/stress_mix.h"

#define ZERO_PAGES 32

static bool keep_run(struct hand *hand, struct holding *h, pfn_t pfn, size_t pages,
		     enum stress_kind kind)
{
	if (pfn_is_none(pfn))
		return false;
	h->start = slate_virt(pfn_to_paddr(pfn));
	h->size_bytes = pages * SLATE_PAGE_SIZE;
	h->kind = HOLDING_FRAMES;
	hand->did[kind]++;
	return true;
}

static bool take_frame(struct hand *hand, struct holding *h)
{
	struct slate_page_constraints fit = {
		.max = mapped_end(), .node = SLATE_ANY_NODE, .flags = hand->flags};
	pfn_t pfn = slate_page_alloc(1, NULL);

	/* only frames that can be written are any good */
	if (!pfn_is_none(pfn) && pfn_to_paddr(pfn).v >= fit.max) {
		slate_page_free(pfn, 1);
		pfn = slate_page_alloc(1, &fit);
	}
	return keep_run(hand, h, pfn, 1, STRESS_FRAME);
}

/* Seldom half of memory and more: then others run short, and caches are drained. */
static bool take_run(struct hand *hand, struct holding *h, size_t largest_run)
{
	struct slate_page_constraints fit = {
		.max = mapped_end(), .node = SLATE_ANY_NODE, .flags = hand->flags};
	uint32_t r = random_next(&hand->random);
	size_t pages = 1 + (r >> 3) % 32;

	if (r % 128 == 0)
		pages = largest_run * 4 + (r >> 9) % largest_run;
	else if (r % 16 == 0)
		pages = 1 + (r >> 6) % largest_run;
	else if (r % 16 == 1)
		pages = 512;
	return keep_run(hand, h, slate_page_alloc(pages, &fit), pages, STRESS_RUN);
}

/* Every field of the constraints now and then; the answer must obey. */
static bool take_fitted(struct hand *hand, struct holding *h)
{
	uint32_t r = random_next(&hand->random);
	size_t pages = 1 + (r >> 16) % ZERO_PAGES;
	struct slate_page_constraints fit = {
		.max = mapped_end(),
		.align_bytes = SLATE_PAGE_SIZE << (r >> 8) % 8,
		.node = r & 1 ? 0 : SLATE_ANY_NODE,
		.flags = hand->flags | (r & 2 ? SLATE_ZERO : 0) | (r & 4 ? SLATE_RESERVE : 0),
	};
	paddr_t base;

	if (r & 8)
		fit.boundary_bytes = (uint64_t)ZERO_PAGES * SLATE_PAGE_SIZE << (r >> 12) % 4;
	if (r & 16)
		fit.max -= fit.max / 4;
	else if (r & 32 && hotplug_is_in() && !stress_must_leave())
		fit.min = hotplug_range().base;
	if (!keep_run(hand, h, slate_page_alloc(pages, &fit), pages, STRESS_FITTED))
		return false;
	base = slate_phys(h->start);
	if (base.v < fit.min || base.v + h->size_bytes > fit.max || base.v & (fit.align_bytes - 1))
		hand->wrong++;
	if (fit.boundary_bytes &&
	    (base.v ^ (base.v + h->size_bytes - 1)) & ~(fit.boundary_bytes - 1))
		hand->wrong++;
	if (r & 2 && !bytes_are(h->start, 0, h->size_bytes))
		hand->wrong++;
	return true;
}

/* A run that was given back a moment ago: another CPU may have been faster. */
static bool take_again(struct hand *hand, struct holding *h, size_t largest_run)
{
	int status;

	if (!take_run(hand, h, largest_run))
		return false;
	holding_begin(hand, h);
	holding_drop(hand, h);
	status = slate_page_alloc_at(slate_phys(h->start), h->size_bytes >> SLATE_PAGE_SHIFT);
	/* ENOENT: the range that comes and goes has just gone */
	if (status == SLATE_EBUSY || status == SLATE_ENOENT)
		return false;
	if (status != SLATE_OK)
		hand->wrong++;
	h->kind = HOLDING_FRAMES;
	hand->did[STRESS_AT]++;
	return true;
}

static bool take_stack(struct hand *hand, struct holding *h)
{
	unsigned order = random_next(&hand->random) % 4;

	h->start = slate_stack_alloc(order);
	if (!h->start)
		return false;
	h->size_bytes = SLATE_PAGE_SIZE << order;
	h->kind = HOLDING_STACK;
	hand->did[STRESS_STACK]++;
	return true;
}

void stress_page_take(struct hand *hand, struct holding *h, size_t largest_run)
{
	uint32_t r = random_next(&hand->random) % 16;
	bool taken;

	*h = (struct holding){.kind = HOLDING_NONE};
	if (hand_is_handler(hand) || r < 6)
		taken = take_frame(hand, h);
	else if (r < 9)
		taken = take_run(hand, h, largest_run);
	else if (r < 12)
		taken = take_fitted(hand, h);
	else if (r < 14)
		taken = take_stack(hand, h);
	else
		taken = take_again(hand, h, largest_run);
	if (taken)
		holding_begin(hand, h);
	else
		hand->refused++;
}
