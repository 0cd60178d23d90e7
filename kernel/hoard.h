/* SPDX-License-Identifier: MIT */
/*
 * hoard.h - frames taken out of the way by tests, remembered in the frames themselves, so that a
 * hoard can hold all memory there is.
 */
#ifndef KERNEL_HOARD_H
#define KERNEL_HOARD_H

#include <slate/types.h>

/* Stands at the start of each run. */
struct hoard_run {
	struct hoard_run *next;
	size_t pages;
};

struct hoard {
	struct hoard_run *runs; /* newest, and so smallest, first */
	size_t pages;
};

/* Take frames, by runs as long as they come, until at most `leave` are free; 0: until there are
 * none. */
void hoard_take(struct hoard *hoard, size_t leave);

/* Take single frames to the last. */
void hoard_take_singles(struct hoard *hoard);
void hoard_release(struct hoard *hoard);

/*
 * Overwrite the runs, all but their hoard_run, at most max_pages of frames; returns how many.
 * hoard_check() tells whether they still read so.
 */
size_t hoard_fill(const struct hoard *hoard, size_t max_pages);
bool hoard_check(const struct hoard *hoard, size_t max_pages);

#endif
