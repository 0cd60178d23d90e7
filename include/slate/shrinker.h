/* SPDX-License-Identifier: MIT */
/*
 * shrinker.h - parts of the kernel that hold memory they could do without: caches of blocks, names,
 * pages. They are asked to give some back before a request is refused.
 */
#ifndef SLATE_SHRINKER_H
#define SLATE_SHRINKER_H

#include <slate/types.h>

/*
 * Both functions are called without an allocator lock, interrupts enabled, in the context of
 * whoever needs memory: that caller may hold locks of the kernel, so they only try locks that are
 * ever held across an allocation. They may run on several CPUs at once. They may free anything; an
 * allocation made by them is never answered by calling shrinkers again.
 */
struct slate_shrinker {
	const char *name;
	/* How many frames' worth could be freed now, at a guess; 0: leave me alone. */
	size_t (*count)(struct slate_shrinker *self);
	/* Free about that many frames' worth. Returns how many it was, at a guess. */
	size_t (*shrink)(struct slate_shrinker *self, size_t pages);
	void *arg; /* the kernel's own */

	/* Slate's; zero before slate_shrinker_add(). */
	struct slate_shrinker *next; /* (lock) */
	unsigned in_flight;          /* (lock) CPUs that are inside */
	bool leaving;                /* (lock) */
};

/*
 * Ask it from now on, after those that were added before. Returns SLATE_OK, SLATE_EINVAL (a
 * function is missing), SLATE_EEXIST (it is there already) or SLATE_ESTAGE (before slate_init()).
 */
int slate_shrinker_add(struct slate_shrinker *shrinker);

/*
 * Afterwards nobody is inside or will be: waits for CPUs that are. Not from a shrinker. Returns
 * SLATE_OK or SLATE_EINVAL (it was not added).
 */
int slate_shrinker_remove(struct slate_shrinker *shrinker);

#endif
