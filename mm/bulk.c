/* SPDX-License-Identifier: MIT */
/* bulk.c (level 8) - many objects of one size at once. */
#include <slate/port.h>
#include <slate/slate.h>

#include "mm/mcache.h"
#include "mm/object.h"
#include "mm/sampled.h"
#include "mm/trace.h"
#include "mm/watch.h"
#include "lib/string.h"

size_t slate_alloc_bulk(size_t size_bytes, size_t n, void **out, unsigned flags)
{
	bool is_tiny = object_is_tiny(size_bytes, 0, flags);
	size_t got = 0;

#if SLATE_DEBUG
	while (witness_is_on() && got < n) {
		out[got] = watch_alloc(size_bytes, 0, flags, TRACE_CALLER);
		if (!out[got])
			return got;
		got++;
	}
#endif
	if (!is_tiny && size_bytes <= SIZECLASS_MAX_BYTES && !(flags & SLATE_ANYCTX) &&
	    !port_in_nmi() && n > got) {
		unsigned noscan = flags & SLATE_NOSCAN ? 1 : 0;
		unsigned span_class = sizeclass_of(size_bytes) << 1 | noscan;

		/* The first one by the ordinary way: it knows about start-up and about drains. */
		out[0] = object_alloc(size_bytes, 0, flags & ~SLATE_ZERO, TRACE_CALLER);
		if (!out[0])
			return 0;
		got = 1 + mcache_take_many(span_class, out + 1, n - 1);
		if (SLATE_PROFILE)
			sampled_bulk(span_class, out + 1, got - 1, TRACE_CALLER);
		for (size_t i = 0; (flags & SLATE_ZERO) && i < got; i++)
			memset(out[i], 0, size_bytes);
	}
	for (; got < n; got++) {
		out[got] = object_alloc(size_bytes, 0, flags, TRACE_CALLER);
		if (!out[got])
			break;
	}
	for (size_t i = 0; trace_is_on() && i < got; i++)
		trace_alloc(out[i], size_bytes, TRACE_CALLER);
	return got;
}

void slate_free_bulk(void *const *objects, size_t n)
{
	for (size_t i = 0; i < n; i++)
		slate_free(objects[i]);
}
