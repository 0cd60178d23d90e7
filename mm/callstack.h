/* SPDX-License-Identifier: MIT */
/*
 * callstack.h (level 0) - who called: some return addresses, by the port's backtrace hook.
 */
#ifndef MM_CALLSTACK_H
#define MM_CALLSTACK_H

#include <slate/types.h>

/*
 * The callers of a public function, innermost first, into pcs: at most max. caller is its return
 * address, so the list begins there, without the allocator's own frames. Where the hook knows
 * nothing, or not this caller (code without frame pointers), he is the first one nevertheless.
 * Returns how many. Context: any.
 */
size_t callstack_take(uintptr_t *pcs, size_t max, const void *caller);

#endif
