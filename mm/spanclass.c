/* SPDX-License-Identifier: MIT */
/* spanclass.c (level 4) - spans for objects whose size is known at run time only. */
#include "mm/spanclass.h"

/* A tail of one part in so many is small enough. */
#define TAIL_PART 64u
/* Fewer objects than this in a span are taken only if nothing longer is better. */
#define ELEMS_WISHED 8u

struct spanclass spanclass_typed[SPANCLASS_TYPED_COUNT];

bool spanclass_plan(size_t elem_bytes, struct spanclass *plan)
{
	size_t best_pages = 0;
	size_t best_tail = 0;

	if (elem_bytes == 0 || elem_bytes > SIZECLASS_MAX_PAGES * SLATE_PAGE_SIZE)
		return false;
	for (size_t pages = 1; pages <= SIZECLASS_MAX_PAGES; pages++) {
		size_t bytes = pages << SLATE_PAGE_SHIFT;
		size_t elems = bytes / elem_bytes;
		size_t tail = bytes - elems * elem_bytes;

		if (elems == 0 || elems > SIZECLASS_MAX_ELEMS)
			continue;
		/* tails compare as parts of their spans */
		if (best_pages == 0 || tail * best_pages < best_tail * pages) {
			best_pages = pages;
			best_tail = tail;
		}
		if (elems >= ELEMS_WISHED && tail <= bytes / TAIL_PART)
			break;
	}
	if (best_pages == 0)
		return false;
	*plan = (struct spanclass){
		.elem_bytes = (uint32_t)elem_bytes,
		.magic = (uint32_t)(UINT32_MAX / elem_bytes + 1),
		.elems = (uint16_t)((best_pages << SLATE_PAGE_SHIFT) / elem_bytes),
		.pages = (uint8_t)best_pages,
		.align_pages = 1,
		.page_class = PAGECLASS_TYPED,
	};
	return true;
}
