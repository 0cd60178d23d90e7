/* SPDX-License-Identifier: MIT */
/* realloc.c (level 8) - resizing, and zeroed arrays. */
#include <slate/slate.h>

#include "lib/string.h"
#include "mm/object.h"

void *slate_calloc(size_t n, size_t size_bytes)
{
	size_t total_bytes;

	if (__builtin_mul_overflow(n, size_bytes, &total_bytes))
		return NULL;
	return slate_zalloc(total_bytes);
}

void *slate_realloc(void *object, size_t size_bytes)
{
	if (!object)
		return slate_alloc(size_bytes);
	if (size_bytes == 0) {
		slate_free(object);
		return NULL;
	}
	size_t old_bytes = object_size(object, "slate_realloc");

	if (old_bytes == 0)
		return NULL;
	if (slate_good_size(size_bytes) == old_bytes)
		return object;

	size_t align_bytes = old_bytes & (~old_bytes + 1);
	void *moved = object_alloc(size_bytes, align_bytes, 0);

	if (!moved)
		return NULL;
	memcpy(moved, object, size_bytes < old_bytes ? size_bytes : old_bytes);
	slate_free(object);
	return moved;
}
