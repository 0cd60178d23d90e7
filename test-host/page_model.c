/* SPDX-License-Identifier: MIT */
/* page_model.c - the naive page allocator, and one operation on it and on the real one. */
#include "test-host/page_model.h"

#include <string.h>

#include "mm/pagealloc_hint.h"

#define BATCH_MAX 96

/* ---- The model ---- */

bool model_add(struct page_model *model, pfn_t pfn, size_t pages, bool *taken)
{
	size_t at = model->count;

	if (pages == 0 || pfn.v + pages < pfn.v || at == MODEL_REGIONS)
		return false;
	for (size_t i = 0; i < model->count; i++) {
		const struct model_region *other = &model->regions[i];

		if (pfn.v < other->base + other->pages && other->base < pfn.v + pages)
			return false;
	}
	for (; at > 0 && model->regions[at - 1].base > pfn.v; at--)
		model->regions[at] = model->regions[at - 1];
	model->regions[at] = (struct model_region){pfn.v, pages, taken};
	memset(taken, 0, pages * sizeof(*taken));
	model->count++;
	return true;
}

static bool *frame_of(const struct page_model *model, size_t frame)
{
	for (size_t i = 0; i < model->count; i++) {
		const struct model_region *region = &model->regions[i];

		if (frame - region->base < region->pages)
			return &region->taken[frame - region->base];
	}
	return NULL;
}

static bool place_fits(size_t frame, size_t n, const struct page_fit *fit)
{
	if (!fit)
		return true;
	if (frame < fit->min.v || (fit->end.v && frame + n > fit->end.v))
		return false;
	if (fit->align_pages > 1 && frame % fit->align_pages)
		return false;
	return !fit->boundary_pages ||
	       frame / fit->boundary_pages == (frame + n - 1) / fit->boundary_pages;
}

static pfn_t alloc_in(struct model_region *region, size_t n, const struct page_fit *fit)
{
	size_t run = 0; /* free frames up to here */

	for (size_t i = 0; i < region->pages; i++) {
		run = region->taken[i] ? 0 : run + 1;
		if (run < n || !place_fits(region->base + i + 1 - n, n, fit))
			continue;
		memset(&region->taken[i + 1 - n], 1, n * sizeof(bool));
		return (pfn_t){region->base + i + 1 - n};
	}
	return SLATE_PFN_NONE;
}

pfn_t model_alloc(struct page_model *model, size_t n, const struct page_fit *fit)
{
	pfn_t pfn = SLATE_PFN_NONE;

	if (n == 0 || (fit && fit->align_pages & (fit->align_pages - 1)))
		return pfn;
	if (fit && fit->boundary_pages & (fit->boundary_pages - 1))
		return pfn;
	for (size_t i = 0; i < model->count && pfn_is_none(pfn); i++)
		pfn = alloc_in(&model->regions[i], n, fit);
	return pfn;
}

bool model_alloc_at(struct page_model *model, pfn_t pfn, size_t n)
{
	for (size_t r = 0; r < model->count; r++) {
		struct model_region *region = &model->regions[r];
		size_t at = pfn.v - region->base;

		if (at >= region->pages || n == 0 || n > region->pages - at)
			continue;
		for (size_t i = 0; i < n; i++) {
			if (region->taken[at + i])
				return false;
		}
		memset(&region->taken[at], 1, n * sizeof(bool));
		return true;
	}
	return false;
}

size_t model_free(struct page_model *model, pfn_t pfn, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!model_is_taken(model, pfn_add(pfn, i)))
			return i;
	}
	for (size_t i = 0; i < n; i++)
		*frame_of(model, pfn.v + i) = false;
	return n;
}

bool model_contains(const struct page_model *model, pfn_t pfn)
{
	return frame_of(model, pfn.v) != NULL;
}

bool model_is_taken(const struct page_model *model, pfn_t pfn)
{
	const bool *frame = frame_of(model, pfn.v);

	return frame && *frame;
}

size_t model_free_pages(const struct page_model *model)
{
	size_t free = 0;

	for (size_t r = 0; r < model->count; r++) {
		for (size_t i = 0; i < model->regions[r].pages; i++)
			free += !model->regions[r].taken[i];
	}
	return free;
}

size_t model_largest(const struct page_model *model)
{
	size_t largest = 0;

	for (size_t r = 0; r < model->count; r++) {
		size_t run = 0;

		for (size_t i = 0; i < model->regions[r].pages; i++) {
			run = model->regions[r].taken[i] ? 0 : run + 1;
			largest = run > largest ? run : largest;
		}
	}
	return largest;
}

/* ---- Comparing ---- */

struct comparison {
	const struct page_model *model;
	size_t free_pages;
	bool same;
};

/* A maximal run: free throughout, and bounded by frames that are not. */
static void compare_run(pfn_t pfn, size_t pages, void *arg)
{
	struct comparison *comparison = arg;

	for (size_t i = 0; i < pages; i++) {
		const bool *frame = frame_of(comparison->model, pfn.v + i);

		if (!frame || *frame)
			comparison->same = false;
	}
	comparison->free_pages += pages;
}

bool model_agrees(const struct page_model *model, struct pagealloc *pa)
{
	struct comparison comparison = {model, 0, true};
	pfn_t where;

	pagealloc_for_each_free(pa, compare_run, &comparison);
	return comparison.same && comparison.free_pages == model_free_pages(model) &&
	       comparison.free_pages == pa->free_pages &&
	       pagealloc_largest(pa) == model_largest(model) && !pagealloc_validate(pa, &where);
}

/* ---- One operation ---- */

struct step {
	struct page_model *model;
	struct pagealloc *pa;
	uint64_t (*draw)(void *arg);
	void *arg;
};

static size_t draw_below(struct step *step, size_t bound)
{
	return (size_t)(step->draw(step->arg) % bound);
}

static size_t draw_length(struct step *step)
{
	switch (draw_below(step, 8)) {
	case 0:
	case 1:
		return 1;
	case 2:
		return 1 + draw_below(step, 1600);
	case 3:
		return 60 + draw_below(step, 10);
	case 4:
		return draw_below(step, 4) ? 505 + draw_below(step, 14)
					   : 512 * (1 + draw_below(step, 8)) - draw_below(step, 2);
	default:
		return 1 + draw_below(step, 20);
	}
}

/* A frame of any region, or one near its ends, or behind it. */
static pfn_t draw_frame(struct step *step)
{
	const struct model_region *region =
		&step->model->regions[draw_below(step, step->model->count)];
	size_t at = draw_below(step, region->pages);

	switch (draw_below(step, 16)) {
	case 0:
		return (pfn_t){region->base + region->pages - at % 4};
	case 1:
		return (pfn_t){region->base - 2 + at % 4};
	default:
		return (pfn_t){region->base + at};
	}
}

static size_t draw_pow2(struct step *step, unsigned max_log2)
{
	return (size_t)1 << draw_below(step, max_log2 + 1);
}

static struct page_fit draw_fit(struct step *step)
{
	struct page_fit fit = {.min = {0}};
	size_t kinds = 1 + draw_below(step, 15);

	if (kinds & 1)
		fit.align_pages = draw_pow2(step, draw_below(step, 4) ? 7 : 13);
	if (kinds & 2)
		fit.boundary_pages = draw_pow2(step, draw_below(step, 4) ? 8 : 13);
	if (kinds & 4)
		fit.min = draw_frame(step);
	if (kinds & 8)
		fit.end = draw_frame(step);
	return fit;
}

static const char *step_alloc(struct step *step)
{
	size_t n = draw_length(step);

	return pagealloc_alloc(step->pa, n, NULL).v == model_alloc(step->model, n, NULL).v
		       ? NULL
		       : "alloc";
}

/*
 * At the hints, where they lead to a run: the lowest one. It comes back unseen as long as no frame
 * of it was anybody else's, and no more once one was.
 */
static const char *step_hinted(struct step *step)
{
	size_t n = 2 + draw_below(step, draw_below(step, 2) ? 20 : PAGE_CHUNK_PAGES - 1);
	pfn_t pfn = pagealloc_alloc_hinted(step->pa, n);
	bool hinted = !pfn_is_none(pfn);
	pfn_t inside;

	if (!hinted)
		pfn = pagealloc_alloc(step->pa, n, NULL);
	if (pfn.v != model_alloc(step->model, n, NULL).v)
		return "alloc_hinted";
	if (pfn_is_none(pfn) || draw_below(step, 2))
		return NULL;
	inside = pfn_add(pfn, draw_below(step, n));
	if (draw_below(step, 2) && pagealloc_free(step->pa, inside, 1) == 1) {
		hinted = false;
		if (!draw_below(step, 2))
			model_free(step->model, inside, 1);
		else if (!pagealloc_alloc_at(step->pa, inside, 1))
			return "alloc_at inside a run";
	}
	if (pagealloc_free_hinted(step->pa, pfn, n) != hinted)
		return "free_hinted";
	if (hinted)
		model_free(step->model, pfn, n);
	return NULL;
}

static const char *step_alloc_fit(struct step *step)
{
	size_t n = draw_length(step);
	struct page_fit fit = draw_fit(step);

	return pagealloc_alloc(step->pa, n, &fit).v == model_alloc(step->model, n, &fit).v
		       ? NULL
		       : "alloc with constraints";
}

static const char *step_alloc_at(struct step *step)
{
	pfn_t pfn = draw_frame(step);
	size_t n = draw_length(step);

	return pagealloc_alloc_at(step->pa, pfn, n) == model_alloc_at(step->model, pfn, n)
		       ? NULL
		       : "alloc_at";
}

/* Part of an allocated run, often all of it; now and then frames that are not. */
static const char *step_free(struct step *step)
{
	pfn_t pfn = draw_frame(step);
	size_t most = draw_length(step);
	size_t n = 0;

	if (draw_below(step, 8)) {
		for (size_t i = 0; i < 600 && !model_is_taken(step->model, pfn); i++)
			pfn = pfn_add(pfn, 1);
		while (n < most && model_is_taken(step->model, pfn_add(pfn, n)))
			n++;
	} else {
		n = most;
	}
	return pagealloc_free(step->pa, pfn, n) == model_free(step->model, pfn, n) ? NULL : "free";
}

/* Frames at both ends of a long run go and come, then all of it goes. */
static const char *step_free_ends(struct step *step)
{
	pfn_t pfn = draw_frame(step);
	size_t n = 0;
	size_t ends = 1 + draw_below(step, 9);

	while (n < 6000 && model_is_taken(step->model, pfn_add(pfn, n)))
		n++;
	if (n < 2 * ends)
		return NULL;
	for (unsigned i = 0; i < 2; i++) {
		pfn_t end = i ? pfn_add(pfn, n - ends) : pfn;

		if (pagealloc_free(step->pa, end, ends) != ends)
			return "free at the end of a run";
		/* one by one, since the run may lie in two regions that touch */
		for (size_t at = 0; at < ends; at++) {
			if (!pagealloc_alloc_at(step->pa, pfn_add(end, at), 1))
				return "alloc_at at the end of a run";
		}
	}
	return pagealloc_free(step->pa, pfn, n) == model_free(step->model, pfn, n) ? NULL
										   : "long free";
}

static const char *step_alloc_batch(struct step *step)
{
	pfn_t out[BATCH_MAX];
	size_t n = draw_below(step, BATCH_MAX + 1);
	size_t got = pagealloc_alloc_batch(step->pa, out, n);

	if (got > n || (got == 0 && n > 0 && model_free_pages(step->model) > 0))
		return "alloc_batch: how many";
	for (size_t i = 0; i < got; i++) {
		if (out[i].v != model_alloc(step->model, 1, NULL).v)
			return "alloc_batch";
	}
	return NULL;
}

static const char *step_free_batch(struct step *step)
{
	pfn_t pfns[BATCH_MAX];
	pfn_t pfn = draw_frame(step);
	pfn_t bad, expected_bad = SLATE_PFN_NONE;
	size_t n = draw_below(step, BATCH_MAX + 1);
	size_t stride = 1 + draw_below(step, draw_below(step, 2) ? 4 : 300);
	size_t freed = 0;

	for (size_t i = 0; i < n; i++) {
		pfns[i] = pfn;
		pfn = pfn_add(pfn, draw_below(step, stride + 1));
	}
	if (n && draw_below(step, 8) == 0)
		pfns[draw_below(step, n)] = draw_frame(step);
	for (size_t i = 0; i < n; i++) {
		bool ok = model_free(step->model, pfns[i], 1) == 1;

		freed += ok;
		if (!ok && pfn_is_none(expected_bad))
			expected_bad = pfns[i];
	}
	if (pagealloc_free_batch(step->pa, pfns, n, &bad) != freed)
		return "free_batch: how many";
	return pfn_is_none(bad) == pfn_is_none(expected_bad) ? NULL : "free_batch: bad frame";
}

static const char *step_ask(struct step *step)
{
	pfn_t pfn = draw_frame(step);

	if (pagealloc_contains(step->pa, pfn) != model_contains(step->model, pfn))
		return "contains";
	if (pagealloc_is_allocated(step->pa, pfn) != model_is_taken(step->model, pfn))
		return "is_allocated";
	return NULL;
}

const char *model_step(struct page_model *model, struct pagealloc *pa, uint64_t (*draw)(void *arg),
		       void *arg)
{
	static const char *(*const steps[])(struct step * step) = {
		step_alloc,     step_alloc,  step_free,   step_free,        step_free,
		step_alloc_fit, step_free,   step_free,   step_alloc_batch, step_free_batch,
		step_free_ends, step_ask,    step_free,   step_alloc_at,    step_alloc,
		step_free,      step_hinted, step_hinted,
	};
	struct step step = {model, pa, draw, arg};

	return steps[draw_below(&step, sizeof(steps) / sizeof(*steps))](&step);
}
