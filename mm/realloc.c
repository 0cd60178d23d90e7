/* SPDX-License-Identifier: MIT */
/* realloc.c (level 8) - resizing, and zeroed arrays. */
#include <slate/slate.h>

#include "lib/string.h"
#include "mm/object.h"
#include "mm/words.h"

void *slate_calloc(size_t n, size_t size_bytes)
{
	size_t total_bytes;

	if (__builtin_mul_overflow(n, size_bytes, &total_bytes))
		return NULL;
	return slate_zalloc(total_bytes);
}

static size_t lowest_bit(size_t x)
{
	return x & (~x + 1);
}

/* Room for size_bytes, of which an object would have good_bytes, aligned as objects of old_bytes
 * are. */
static void *alloc_like(size_t old_bytes, size_t size_bytes, size_t good_bytes)
{
	size_t align_bytes = lowest_bit(old_bytes);

	if ((good_bytes & (align_bytes - 1)) == 0)
		return (slate_alloc)(size_bytes);
	return object_alloc(size_bytes, align_bytes, 0);
}

void *slate_realloc(void *object, size_t size_bytes)
{
	if (!object)
		return (slate_alloc)(size_bytes);
	if (size_bytes == 0) {
		slate_free(object);
		return NULL;
	}
	size_t old_bytes = object_size_fast(object, "slate_realloc");

	if (old_bytes == 0)
		return NULL;
	size_t good_bytes = slate_good_size(size_bytes);

	if (good_bytes == old_bytes)
		return object;

	void *moved = alloc_like(old_bytes, size_bytes, good_bytes);
	size_t keep_bytes = size_bytes < old_bytes ? size_bytes : old_bytes;

	if (!moved)
		return NULL;
	if (keep_bytes <= WORDS_SMALL_BYTES)
		words_copy(moved, object, keep_bytes);
	else
		memcpy(moved, object, keep_bytes);
	slate_free(object);
	return moved;
}
