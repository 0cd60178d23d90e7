/* SPDX-License-Identifier: MIT */
/* zeroer.h (level 5) - free frames are zeroed while nobody waits for them, and counted when that
 * spared somebody the work. */
#ifndef MM_ZEROER_H
#define MM_ZEROER_H

#include <slate/types.h>

/* A request for zeroes got frames that were zero already. */
void zeroer_note_saved(size_t pages);
size_t zeroer_saved(void);

/* Free frames that are known to be zero, on all nodes. */
size_t zeroer_stock(void);

void zeroer_reset(void);

#endif
