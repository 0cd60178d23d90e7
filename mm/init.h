/* SPDX-License-Identifier: MIT */
/*
 * init.h (level 8) - start-up stages.
 */
#ifndef MM_INIT_H
#define MM_INIT_H

#include <slate/types.h>

/* Has slate_init() run? If not, call is reported as made in the wrong stage. */
bool init_check(const char *call);

/* Tests start over: everything forgets everything. */
void mm_reset(void);

#endif
