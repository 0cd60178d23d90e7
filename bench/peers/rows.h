/* SPDX-License-Identifier: MIT */
/* rows.h - what the rows of the table of malloc libraries share. */
#ifndef BENCH_PEERS_ROWS_H
#define BENCH_PEERS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROWS_CPUS 2u

/* Pin this thread to the first core that the program may use; start the second one's thread. */
void rows_start(void);

/* Run fn(cpu, arg) on that many cores at once, and wait for all. */
void rows_run(unsigned cpus, void (*fn)(unsigned cpu, void *arg), void *arg);

/* One look of a wait for the other core. */
void rows_relax(void);

double rows_now_ns(void);
uint64_t rows_random_below(uint64_t *state, uint64_t bound);
void rows_fail(const char *text) __attribute__((noreturn));

/* Resident bytes over live ones: a million objects of one size; what a long life leaves. */
void row_resident(size_t size_bytes);
void row_fragmentation(void);

#endif
