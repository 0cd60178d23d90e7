/* SPDX-License-Identifier: MIT */
/* sizes.c (level 8) - how large an object is, or would be. */
#include <slate/slate.h>

#include "mm/mmdebug.h"
#include "mm/object.h"
#include "mm/watch.h"

size_t object_size(const void *object, const char *call)
{
	unsigned class = object_class(object);

#if SLATE_DEBUG
	size_t asked_bytes;

	if (witness_is_on() && watch_size(object, call, &asked_bytes))
		return asked_bytes;
#endif
	if (class - 1u < PAGECLASS_SPAN_LAST)
		return sizeclass_bytes[class >> 1];
	if (class == PAGECLASS_TINY) {
		struct tiny_place place =
			tiny_look(arena_span_unchecked(object), (uintptr_t)object);

		if (place.taken)
			return place.size;
	}
	const struct mspan *span = class == PAGECLASS_LARGE || class == PAGECLASS_TYPED
					   ? arena_span(virt_to_pfn(object))
					   : NULL;

	if (span && mspan_object_start(span, (uintptr_t)object) == (uintptr_t)object)
		return span->elem_bytes;
	object_report(class == PAGECLASS_NONE ? SLATE_CRIME_FOREIGN
		      : span                  ? SLATE_CRIME_INTERIOR
					      : SLATE_CRIME_NOT_OBJECT,
		      call, "the pointer is no object", object, 0, span);
	return 0;
}

size_t slate_usable_size(const void *object)
{
	return object ? object_size(object, "slate_usable_size") : 0;
}

size_t slate_good_size(size_t size_bytes)
{
	/* what is more is red zone */
	if (witness_is_on())
		return size_bytes;
	if (size_bytes <= SIZECLASS_MAX_BYTES)
		return sizeclass_bytes[sizeclass_of(size_bytes)];
	if (size_bytes > SIZE_MAX / 2)
		return size_bytes;
	return bytes_to_pages(size_bytes) << SLATE_PAGE_SHIFT;
}
