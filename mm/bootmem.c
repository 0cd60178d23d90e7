/* SPDX-License-Identifier: MIT */
/* bootmem.c (level 2) - a bump allocator: nothing goes back, so two addresses are all its state. */
#include "mm/bootmem.h"

#include "lib/bits.h"
#include "mm/mmdebug.h"

void bootmem_init(struct bootmem *bm, void *start, size_t size_bytes)
{
	bm->next = (uintptr_t)start;
	bm->end = (uintptr_t)start + size_bytes;
	MM_ASSERT(bm->next <= bm->end);
}

void *bootmem_alloc(struct bootmem *bm, size_t size_bytes, size_t align_bytes)
{
	uintptr_t start = align_up(bm->next, align_bytes);

	/* Used up, or never filled: then not even the request need make sense, before start-up. */
	if (bm->next >= bm->end)
		return NULL;
	MM_ASSERT(bits_is_pow2(align_bytes));
	/* Aligning may pass the end, or wrap; the difference below is then meaningless. */
	if (start < bm->next || start > bm->end || bm->end - start < size_bytes)
		return NULL;
	bm->next = start + size_bytes;
	return (void *)start;
}

size_t bootmem_left(const struct bootmem *bm)
{
	return bm->end - bm->next;
}
