/* SPDX-License-Identifier: MIT */
/* shrinker.h (level 8) - the list of registered shrinkers, and the walk that asks them. */
#ifndef MM_SHRINKER_H
#define MM_SHRINKER_H

#include <slate/types.h>

void shrinker_init(void);

/*
 * Ask one after the other until about that many frames' worth are freed; returns how many that was
 * by their own account. 0 on a CPU that is inside a shrinker already. No lock is held, interrupts
 * are enabled.
 */
size_t shrinker_run(size_t pages);

/* Calls of shrink(), and the frames' worth that they told of. */
size_t shrinker_calls(void);
size_t shrinker_pages(void);

#endif
