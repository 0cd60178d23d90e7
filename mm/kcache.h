/* SPDX-License-Identifier: MIT */
/*
 * kcache.h (level 8) - typed caches: what the entry points of objects need of them.
 */
#ifndef MM_KCACHE_H
#define MM_KCACHE_H

#include <slate/types.h>

/* An object that slate_cache_prefill() put aside; NULL: none, or the class is no typed cache's. */
void *kcache_take_reserve(unsigned span_class);

/* Construct an object again that an NMI overwrote. */
void kcache_reconstruct(unsigned span_class, void *object);

/* Every object that was put aside, under its cache's lock. */
void kcache_for_each_reserved(void (*fn)(void *object, void *arg), void *arg);

#if SLATE_DEBUG
/* Of an existing cache: the size that its creator asked for; has it a constructor? */
size_t kcache_size(unsigned span_class);
bool kcache_is_constructed(unsigned span_class);
#endif

void kcache_reset(void);

#endif
