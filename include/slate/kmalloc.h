/* SPDX-License-Identifier: MIT */
/*
 * kmalloc.h - the names that kernels usually call. Opt-in: slate.h does not include it, and it adds
 * no symbol to the program.
 *
 * Contracts are those of the functions in slate.h that each one calls: 0 bytes is a valid request,
 * freeing NULL is nothing, memory that runs out is NULL (SLATE_PFN_NONE for frames). There is no
 * GFP argument: what a function may do about a shortage follows from the caller's context, and
 * flags for the rest are those of slate_alloc_flags().
 */
#ifndef SLATE_KMALLOC_H
#define SLATE_KMALLOC_H

#include <slate/slate.h>

/* ---- Objects ---- */

static inline void *kmalloc(size_t size_bytes)
{
	return slate_alloc(size_bytes);
}

/* Zeroed. */
static inline void *kzalloc(size_t size_bytes)
{
	return slate_zalloc(size_bytes);
}

/* An array, zeroed; NULL when n * size_bytes overflows. */
static inline void *kcalloc(size_t n, size_t size_bytes)
{
	return slate_calloc(n, size_bytes);
}

static inline void *krealloc(void *object, size_t size_bytes)
{
	return slate_realloc(object, size_bytes);
}

/* align_bytes: a power of two. Freed by kfree(), as all the others. */
static inline void *kmemalign(size_t align_bytes, size_t size_bytes)
{
	return slate_alloc_aligned(size_bytes, align_bytes, 0);
}

static inline void kfree(void *object)
{
	slate_free(object);
}

/* The size that was asked for: a wrong one is reported. */
static inline void kfree_sized(void *object, size_t size_bytes)
{
	slate_free_sized(object, size_bytes);
}

/* What the object has room for, at least what was asked for. */
static inline size_t ksize(const void *object)
{
	return slate_usable_size(object);
}

/* ---- Frames, by number: slate_virt(pfn_to_paddr(pfn)) leads to their bytes ---- */

static inline pfn_t alloc_page(void)
{
	return slate_page_alloc(1, NULL);
}

/* n consecutive frames: a count, not an order. */
static inline pfn_t alloc_pages(size_t n)
{
	return slate_page_alloc(n, NULL);
}

static inline void free_page(pfn_t pfn)
{
	slate_page_free(pfn, 1);
}

/* A whole run, or any part of one. */
static inline void free_pages(pfn_t pfn, size_t n)
{
	slate_page_free(pfn, n);
}

#endif
