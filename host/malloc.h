/* SPDX-License-Identifier: MIT */
/* malloc.h - what <stdlib.h> does not declare in every C library. */
#ifndef HOST_MALLOC_H
#define HOST_MALLOC_H

#include <stddef.h>

void *memalign(size_t align_bytes, size_t size_bytes);
void *valloc(size_t size_bytes);
void *pvalloc(size_t size_bytes);
void *reallocarray(void *object, size_t n, size_t size_bytes);
size_t malloc_usable_size(void *object);
int malloc_trim(size_t keep_bytes);

/* C23 */
void free_sized(void *object, size_t size_bytes);
void free_aligned_sized(void *object, size_t align_bytes, size_t size_bytes);

#endif
