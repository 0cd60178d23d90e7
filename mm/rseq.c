/* SPDX-License-Identifier: MIT */
/*
 * rseq.c (level 7) - what all architectures' restartable sequences share: the fixup, the size
 * table, and the proof that the assembler's numbers are the compiler's.
 */
#include <slate/slate.h>

#if SLATE_PROTECT == SLATE_PROTECT_RSEQ

#include "mm/mcache.h"
#include "mm/rseq.h"
#include "mm/sizeclass.h"

_Static_assert(RSEQ_ENTRIES == MCACHE_ENTRIES && RSEQ_TAKE == MCACHE_TAKE, "indices of tops");
#define FROM_GIVE(field) \
	((long)offsetof(struct mcache, field) - (long)offsetof(struct mcache, give))
_Static_assert(FROM_GIVE(take) == 8 * RSEQ_TAKE, "take tops");
_Static_assert(FROM_GIVE(deferred) == 8 * RSEQ_DEFERRED, "deferred frees");
_Static_assert(FROM_GIVE(quiet) == RSEQ_QUIET, "quiet magazines");
_Static_assert(RSEQ_DEFERRED == (int)MCACHE_DEFERRED_OBJECTS, "index of deferred frees");
_Static_assert(FROM_GIVE(window_base) == RSEQ_WINDOW_BASE, "window");
_Static_assert(FROM_GIVE(window_granules) == RSEQ_WINDOW_GRANULES, "window");
_Static_assert(FROM_GIVE(window_map) == RSEQ_WINDOW_MAP, "window");
_Static_assert(FROM_GIVE(size_index) == RSEQ_SIZE_INDEX, "size table");
_Static_assert(RSEQ_MAGAZINE_MASK == MAGAZINE_TOP_MASK, "aligned end of a magazine");
_Static_assert(RSEQ_DUMMY_SLOT == 8 * (MAGAZINE_SLOTS - 1), "dummy top");
_Static_assert(RSEQ_SIZE_MAX == SIZECLASS_SMALL_MAX, "size table");
_Static_assert(RSEQ_FRAME_CLASS == PAGECLASS_FRAME, "class of frames");
_Static_assert(RSEQ_STACK_HEAD == PAGECLASS_STACK_HEAD, "class of stacks");
_Static_assert(RSEQ_STACK_ORDERS == SLATE_STACK_ORDERS, "orders of stacks");
_Static_assert(MCACHE_STACK == PAGECLASS_STACK_HEAD + RSEQ_STACK_ORDERS, "class of cached stacks");

uintptr_t slate_interrupt_fixup(uintptr_t pc)
{
	uintptr_t base = (uintptr_t)slate_rseq_text_start;
	uintptr_t offset = pc - base;

	if (offset >= (uintptr_t)(slate_rseq_text_end - slate_rseq_text_start))
		return pc;
	for (const struct rseq_bounds *seq = slate_rseq_table; seq < slate_rseq_table_end; seq++) {
		/* At start nothing was read yet; at commit the store has not happened. */
		if (offset > (uintptr_t)seq->start && offset <= (uintptr_t)seq->commit)
			return base + (uintptr_t)seq->start;
	}
	return pc;
}

#else

uintptr_t slate_interrupt_fixup(uintptr_t pc)
{
	return pc;
}

#endif
