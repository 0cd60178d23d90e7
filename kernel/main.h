/* SPDX-License-Identifier: MIT */
/*
 * main.h - what start-up found, for those who report it later.
 */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

#include <stddef.h>

#define KERNEL_VERSION "0.1"

struct startup {
	size_t usable_pages; /* what the map leaves after reservations */
	size_t free_pages;   /* of these, right after start-up, all CPUs online */
	size_t lint_count;   /* what the memory-map linter told */
	size_t raw_ranges;   /* entries of the boot map before it was built */
};

extern struct startup startup;

/* part / whole in hundredths of a percent; 0 when whole is 0. */
size_t percent_hundredths(size_t part, size_t whole);

#endif
