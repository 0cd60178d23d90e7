/* SPDX-License-Identifier: MIT */
/*
 * track.h - exact totals for each place in the source that allocates, for files compiled with
 * -DSLATE_TRACK; slate.h includes it then. The library itself is the same.
 *
 * Each call has a struct slate_site of its own in the section slate_sites, which a linker script
 * keeps: KEEP(*(slate_sites)) in .data, between __start_slate_sites and __stop_slate_sites. Linkers
 * without a script define the two themselves.
 *
 *   successful calls = calls - failed
 *   bytes            = successful calls * size_bytes, or where the size is not constant, bytes
 *
 * Counters are atomics that all CPUs share: exact, in any context. A call costs one of them (two
 * where the size is not constant) and the test for NULL, which callers make anyway. Frees are not
 * told apart: docs/adr/0013. (slate_alloc)(n) in parentheses is not counted; nor are
 * slate_alloc_bulk(), slate_cache_alloc() and slate_page_alloc_at().
 */
#ifndef SLATE_TRACK_H
#define SLATE_TRACK_H

#include <stdatomic.h>

#include <slate/types.h>

/* Aligned to its size, so that the linker leaves no gaps between sites; and no two share a line. */
struct slate_site {
	const char *file;
	const char *function;
	uint32_t line;
	uint32_t size_bytes;  /* of each call; 0: it is not constant */
	_Atomic size_t calls; /* (a) relaxed, as all of them: figures */
	_Atomic size_t failed;
	_Atomic size_t bytes;
} __attribute__((aligned(8 * sizeof(void *))));

extern struct slate_site __start_slate_sites[] __attribute__((weak));
extern struct slate_site __stop_slate_sites[] __attribute__((weak));

static inline size_t slate_site_allocs(struct slate_site *site)
{
	return atomic_load_explicit(&site->calls, memory_order_relaxed) -
	       atomic_load_explicit(&site->failed, memory_order_relaxed);
}

static inline uint64_t slate_site_bytes(struct slate_site *site)
{
	if (site->size_bytes)
		return (uint64_t)slate_site_allocs(site) * site->size_bytes;
	return atomic_load_explicit(&site->bytes, memory_order_relaxed);
}

#ifdef SLATE_TRACK

static __attribute__((noinline, cold, unused)) void slate_site_failed(struct slate_site *site,
								      size_t size_bytes)
{
	atomic_fetch_add_explicit(&site->failed, 1, memory_order_relaxed);
	if (!site->size_bytes)
		atomic_fetch_sub_explicit(&site->bytes, size_bytes, memory_order_relaxed);
}

/* Also where it is no constant expression the first is accepted as an initialiser. */
#define SLATE_SITE_SIZE(n) (__builtin_constant_p(n) ? (uint32_t)(n) : 0)

/* call uses site_n, the size or number that was asked for; bytes is from it. */
#define SLATE_SITE(n, unit, type, call, is_none)                                               \
	__extension__({                                                                        \
		static struct slate_site site_here __attribute__((used,                        \
								  section("slate_sites"))) = { \
			__FILE__, __func__, __LINE__, SLATE_SITE_SIZE(n) * (uint32_t)(unit),   \
			0,        0,        0};                                                \
		static const uint32_t site_size = SLATE_SITE_SIZE(n);                          \
		size_t site_n = (n);                                                           \
                                                                                               \
		atomic_fetch_add_explicit(&site_here.calls, 1, memory_order_relaxed);          \
		if (!site_size)                                                                \
			atomic_fetch_add_explicit(&site_here.bytes, site_n *(unit),            \
						  memory_order_relaxed);                       \
		type site_result = (call);                                                     \
                                                                                               \
		if (__builtin_expect(is_none(site_result), 0))                                 \
			slate_site_failed(&site_here, site_n *(unit));                         \
		site_result;                                                                   \
	})
#define SLATE_SITE_NULL(object) (!(object))

#define SLATE_SITE_OBJECT(n, call) SLATE_SITE(n, 1, void *, call, SLATE_SITE_NULL)
#define SLATE_SITE_FRAMES(n, call) SLATE_SITE(n, SLATE_PAGE_SIZE, pfn_t, call, pfn_is_none)

#undef slate_alloc
#undef slate_zalloc
#undef slate_page_alloc
#define slate_alloc(n)              SLATE_SITE_OBJECT(n, slate_alloc_front(site_n))
#define slate_zalloc(n)             SLATE_SITE_OBJECT(n, slate_zalloc_front(site_n))
#define slate_alloc_flags(n, ...)   SLATE_SITE_OBJECT(n, (slate_alloc_flags)(site_n, __VA_ARGS__))
#define slate_alloc_aligned(n, ...) SLATE_SITE_OBJECT(n, (slate_alloc_aligned)(site_n, __VA_ARGS__))
/* an overflow of n * size fails, and is taken off again */
#define slate_calloc(n, size) SLATE_SITE_OBJECT((n) * (size), (slate_calloc)((n), (size)))
/* what it becomes; a call with size 0 is a failed one */
#define slate_realloc(object, n) SLATE_SITE_OBJECT(n, (slate_realloc)((object), site_n))
#define slate_page_alloc(n, ...) SLATE_SITE_FRAMES(n, slate_page_alloc_front(site_n, (__VA_ARGS__)))
#define slate_frame_alloc()      SLATE_SITE_FRAMES(1, (slate_frame_alloc)())
#define slate_stack_alloc(order)                                                              \
	SLATE_SITE((size_t)1 << (order), SLATE_PAGE_SIZE, void *, (slate_stack_alloc)(order), \
		   SLATE_SITE_NULL)

#endif
#endif
