/* SPDX-License-Identifier: MIT */
/*
 * hotplug.h - a range of memory that is kept out of the boot map, as if it were plugged in later:
 * tests, stress and the shell add it and remove it.
 */
#ifndef KERNEL_HOTPLUG_H
#define KERNEL_HOTPLUG_H

#include <slate/slate.h>

#define HOTPLUG_BYTES ((uint64_t)16 << 20)

/*
 * Cut it off the built map, before slate_init(): the end of the largest range of usable memory that
 * is mapped and at least eight times as large. Returns its frames, 0: there is none.
 */
size_t hotplug_keep_aside(struct slate_memmap *map, uint64_t mapped_limit);

/* size_bytes 0: there is none. */
struct slate_range hotplug_range(void);

bool hotplug_is_in(void);

/*
 * As slate_add_memory() and slate_remove_memory(). While it is out its frames are stamped; adding
 * it counts those that somebody wrote to.
 */
int hotplug_add(void);
int hotplug_remove(struct slate_holders *holders);

/* Frames of the range that were written to while it was out. */
size_t hotplug_spoilt(void);

/* Text for a holder: "frames", "objects" ... */
const char *hotplug_holder_name(enum slate_holder_kind kind);

#endif
