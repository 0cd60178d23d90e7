/* SPDX-License-Identifier: MIT */
/*
 * object.h (level 8) - what the entry points of malloc.c and realloc.c share.
 */
#ifndef MM_OBJECT_H
#define MM_OBJECT_H

#include <slate/types.h>

/* align_bytes: a power of two, or 0. flags: SLATE_*. */
void *object_alloc(size_t size_bytes, size_t align_bytes, unsigned flags);

/* Element size of an object; 0 and a report in the name of call when the pointer is none. */
size_t object_size(const void *object, const char *call);

#endif
