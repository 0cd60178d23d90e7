/* SPDX-License-Identifier: MIT */
/*
 * trace_load.h - a workload that knows its own figures: what a trace of it must say.
 */
#ifndef KERNEL_TRACE_LOAD_H
#define KERNEL_TRACE_LOAD_H

#include <slate/types.h>

struct trace_load {
	size_t allocs; /* objects */
	size_t frees;
	size_t reallocs;
	size_t page_allocs;
	size_t page_frees;
	size_t live_bytes; /* as asked for: objects and frames */
	size_t peak_bytes; /* the most of it */
};

/* That many random steps, then everything is freed. One at a time. False: there was no memory. */
bool trace_load_run(size_t steps, struct trace_load *load);

#endif
