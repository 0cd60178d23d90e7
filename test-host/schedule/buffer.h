/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - a CPU's stores that other CPUs do not see yet. Only atomic stores are held back; plain
 * ones are visible at once. Locks, read-modify-writes that release, and sequential consistency
 * empty the buffer; a store that is known to no other CPU never enters it.
 */
#ifndef SCHED_BUFFER_H
#define SCHED_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#define BUFFER_STORES 12u

struct buffer {
	unsigned count;
	struct held {
		volatile uint8_t *place;
		uint64_t value;
		uint8_t size_bytes;
		bool release;   /* what came before it is visible first */
	} store[BUFFER_STORES]; /* oldest first */
};

/* All visible. */
void buffer_drain(struct buffer *buffer);

/* Those up to the last one that touches these bytes, and what must come before it. */
void buffer_drain_place(struct buffer *buffer, const volatile void *place, unsigned size_bytes);

void buffer_store(struct buffer *buffer, volatile void *place, uint64_t value, unsigned size_bytes,
		  bool release);

/* What the CPU itself sees there. */
uint64_t buffer_load(const struct buffer *buffer, const volatile void *place, unsigned size_bytes);

/*
 * The ways in which some of the stores can become visible just now: variant 0 is none, 1 .. count
 * the oldest so many, above (weak only) a single younger one that nothing holds back.
 */
unsigned buffer_variants(const struct buffer *buffer, bool weak);
void buffer_apply(struct buffer *buffer, unsigned variant);

#endif
