/* SPDX-License-Identifier: MIT */
/* callstack.c (level 0) - a backtrace, less what lies inside the allocator. */
#include "mm/callstack.h"

#include <slate/port.h>

/* The allocator's own frames, at most, and what is kept of the others. */
#define OWN_FRAMES 10u
#define KEPT_MAX   16u

/* No function here is longer. */
#define FUNCTION_BYTES 1024u

/* The hook's, and that of this file's function. */
static size_t own_frames(const uintptr_t *pcs, size_t depth)
{
	for (size_t i = 0; i < depth; i++) {
		if (pcs[i] - (uintptr_t)callstack_take < FUNCTION_BYTES)
			return i + 1;
	}
	return 0;
}

size_t callstack_take(uintptr_t *pcs, size_t max, const void *caller)
{
	uintptr_t all[OWN_FRAMES + KEPT_MAX];
	size_t depth = port_backtrace(all, sizeof(all) / sizeof(all[0]));
	size_t from = 0;
	size_t count = 0;

	while (from < depth && all[from] != (uintptr_t)caller)
		from++;
	/* without frame pointers in the allocator its caller is missing, but not the caller's */
	if (from == depth) {
		from = own_frames(all, depth);
		if (caller && max > 0)
			pcs[count++] = (uintptr_t)caller;
	}
	while (count < max && from < depth)
		pcs[count++] = all[from++];
	return count;
}
