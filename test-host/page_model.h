/* SPDX-License-Identifier: MIT */
/*
 * page_model.h - a page allocator that is too simple to be wrong: one bool a frame, every question
 * answered by trying each frame in turn. What pagealloc does is compared with it, call by call.
 */
#ifndef TEST_PAGE_MODEL_H
#define TEST_PAGE_MODEL_H

#include "mm/pagealloc.h"

#define MODEL_REGIONS 6

struct model_region {
	size_t base;
	size_t pages;
	bool *taken;
};

struct page_model {
	struct model_region regions[MODEL_REGIONS]; /* in ascending order */
	size_t count;
};

/* taken: an array of that many. False when it overlaps. */
bool model_add(struct page_model *model, pfn_t pfn, size_t pages, bool *taken);
pfn_t model_alloc(struct page_model *model, size_t n, const struct page_fit *fit);
bool model_alloc_at(struct page_model *model, pfn_t pfn, size_t n);
size_t model_free(struct page_model *model, pfn_t pfn, size_t n);
bool model_contains(const struct page_model *model, pfn_t pfn);
bool model_is_taken(const struct page_model *model, pfn_t pfn);
size_t model_free_pages(const struct page_model *model);
size_t model_largest(const struct page_model *model);

/* The frames of the model against those of pa, one by one. */
bool model_agrees(const struct page_model *model, struct pagealloc *pa);

/*
 * One operation on both, chosen and filled in by draw(arg), which returns any number. NULL when
 * they agree, else what they differ in.
 */
const char *model_step(struct page_model *model, struct pagealloc *pa, uint64_t (*draw)(void *arg),
		       void *arg);

#endif
