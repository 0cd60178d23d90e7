/* SPDX-License-Identifier: MIT */
/*
 * deferred.h (level 8) - frees that an NMI could not finish: chained per CPU, finished by the next
 * slow path or slate_poll().
 */
#ifndef MM_DEFERRED_H
#define MM_DEFERRED_H

/* Two chains that end with the dummy or NULL. */
struct deferred {
	void *objects;
	void *frames;
};

/* Finish this CPU's deferred frees. Any context but NMI. Or take them out, and finish them
 * anywhere; then there is nothing left in it. */
void deferred_run(void);
void deferred_take(struct deferred *deferred);
void deferred_finish(struct deferred *deferred);

#endif
