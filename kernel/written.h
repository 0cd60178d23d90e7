/* SPDX-License-Identifier: MIT */
/* written.h - what the marker is told of memory that is written meanwhile: for tests and figures.
 */
#ifndef KERNEL_WRITTEN_H
#define KERNEL_WRITTEN_H

#include <slate/types.h>

enum written_mode {
	WRITTEN_TOLD,
	WRITTEN_HIDDEN, /* nothing is told, though it should: the planted bug */
	WRITTEN_REFUSED /* as on a machine that cannot tell */
};

extern enum written_mode written_mode;

/* Did this machine note anything when it was asked last? */
extern bool written_works;

#endif
