/* SPDX-License-Identifier: MIT */
/*
 * mmdebug.h (level 0) - assertions, reports, poison and fault injection.
 */
#ifndef MM_MMDEBUG_H
#define MM_MMDEBUG_H

#include <stdatomic.h>

#include <slate/report.h>

/* Hand a report to port_panic(), counted, with the CPU filled in. No ranked lock may be held. */
void mm_report(struct slate_report *report);

/* Reports so far, and objects given up after one. */
size_t mm_report_count(void);
size_t mm_leak_count(void);
void mm_leak_add(size_t objects);

/* Debug builds: a false expression is a report (SLATE_CRIME_ASSERT). Release: not evaluated. */
#if SLATE_DEBUG
#define MM_ASSERT(expr)                                              \
	do {                                                         \
		if (!(expr))                                         \
			mm_assert_failed(#expr, __FILE__, __LINE__); \
	} while (0)
#else
#define MM_ASSERT(expr) ((void)sizeof((expr) ? 1 : 0))
#endif
void mm_assert_failed(const char *expr, const char *file, int line);

/* Distinct fill bytes, so that a dump tells what the memory was. */
#define POISON_FRESH    0xa5 /* handed out, not yet written */
#define POISON_FREED    0x5a /* object given back */
#define POISON_REDZONE  0xbb
#define POISON_METADATA 0xd7 /* metadata given back to fixalloc */
#define POISON_STACK    0x57 /* of a kernel stack, not yet used */

void mm_poison(void *start, uint8_t byte, size_t size_bytes);
/* Offset of the first byte that is not the pattern, or size_bytes. */
size_t mm_poison_check(const void *start, uint8_t byte, size_t size_bytes);

/*
 * Fault injection for tests: the n-th page or metadata request from now fails (1: the next), then
 * `once` more requests succeed again, or all later ones fail too. 0 switches it off.
 */
void mm_fault_arm(size_t nth, bool for_ever);

/* (a) relaxed: tests arm it before they call. Requests up to the one that fails; 0: off. */
extern _Atomic size_t mm_fault_left;

/* Asked by every place that takes frames from the page allocator: true means fail now. Costs one
 * load when off. */
bool mm_fault_count(void);

static inline bool mm_fault_armed(void)
{
	return atomic_load_explicit(&mm_fault_left, memory_order_relaxed) != 0;
}

static inline bool mm_fault_now(void)
{
	return mm_fault_armed() && mm_fault_count();
}

void mm_debug_reset(void);

#endif
