/* SPDX-License-Identifier: MIT */
/*
 * deferred.h (level 8) - frees that an NMI could not finish: chained per CPU, finished by the next
 * slow path or slate_poll().
 */
#ifndef MM_DEFERRED_H
#define MM_DEFERRED_H

/* Finish this CPU's deferred frees. Any context but NMI. */
void deferred_run(void);

#endif
