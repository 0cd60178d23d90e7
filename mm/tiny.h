/* SPDX-License-Identifier: MIT */
/*
 * tiny.h (level 7) - objects of 1 to 7 bytes without pointers, several in a block of 16 bytes.
 *
 * Blocks are the objects of a span class of their own (SPANCLASS_TINY), so magazines, depot and
 * mcentral move them. What a block holds says its word, 16 bits out of band: the size of all
 * objects in it, and a bit for each place where one starts.
 *
 *   word = 0                          the block is free, or on its way to or from a magazine
 *   word != 0: held by a CPU, or at least one object is in use
 *
 * Each CPU holds a block for each size, and takes places from it; anybody gives them back. Who
 * clears the last bit of a block, its objects' and the holder's, sends it to this CPU's magazine.
 */
#ifndef MM_TINY_H
#define MM_TINY_H

#include <stdatomic.h>

#include <slate/types.h>

struct mspan;

#define TINY_SIZE_MAX 7u

/* (a) release by who gives an object back, acquire by who takes the place, or the last one */
typedef _Atomic uint16_t tiny_word_t;

/* What this CPU takes from; a part of struct mcache. */
struct tinycache {
	_Atomic size_t allocs; /* (p) written by this CPU; (a) relaxed: read by statistics */
	struct {
		_Atomic(tiny_word_t *) word; /* (p); (a) relaxed; NULL: none */
		uintptr_t block;             /* (p) */
	} held[TINY_SIZE_MAX + 1];           /* by size; 0 is not used */
};

/* Is it a request for a tiny object? align_bytes: a power of two, or 0. */
static inline bool tiny_fits(size_t size_bytes, size_t align_bytes)
{
	return size_bytes - 1 < TINY_SIZE_MAX && align_bytes <= (size_bytes & (~size_bytes + 1));
}

void tiny_init(void);

/* An object of that size, 1 <= size_bytes <= TINY_SIZE_MAX; NULL: no block to be had. Any context
 * but NMI. */
void *tiny_alloc(size_t size_bytes);

/* What is at an address in a span of blocks. */
struct tiny_place {
	tiny_word_t *word;
	uint16_t bit;     /* of the object that starts there; 0: none can */
	bool taken;       /* it does, and is in use */
	unsigned size;    /* of the block's objects; 0: the block is free */
	uintptr_t object; /* where the one starts that holds the address; 0: none */
};

struct tiny_place tiny_look(const struct mspan *span, uintptr_t address);

/* Give back the object that starts there; false: none does, or another CPU was faster. Any context.
 * The last one of its block gives the block in the name of call. */
bool tiny_free(const struct mspan *span, uintptr_t address, const char *call);

/* A block that an NMI could not give. */
void tiny_finish(void *block);

/* Let go of what this CPU holds. No lock is held. */
void tiny_drain(void);

/* Blocks that CPUs hold, and allocations ever, of all CPUs. */
size_t tiny_held(void);
size_t tiny_allocs(void);

/* The words of a span against its bitmap; NULL or what is wrong. Caller holds its mcentral. */
const char *tiny_validate(const struct mspan *span);

#endif
