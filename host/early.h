/* SPDX-License-Identifier: MIT */
/*
 * early.h - memory for calls that come while the library is still starting: a static array, handed
 * out from its beginning and never taken back.
 */
#ifndef HOST_EARLY_H
#define HOST_EARLY_H

#include <stdbool.h>
#include <stddef.h>

#define EARLY_BYTES (64u << 10)

/* Zeroed, aligned to align_bytes (a power of two) and at least to 16; NULL when it is used up. Any
 * thread. */
void *early_alloc(size_t size_bytes, size_t align_bytes);

/* Is it one of them? Freeing one does nothing. */
bool early_owns(const void *object);

/* What was asked for. */
size_t early_size(const void *object);

#endif
