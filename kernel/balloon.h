/* SPDX-License-Identifier: MIT */
/*
 * balloon.h - the hypervisor's balloon, as far as it takes free frames (free page reporting).
 */
#ifndef KERNEL_BALLOON_H
#define KERNEL_BALLOON_H

#include <stdbool.h>

/* Look for it; from then on port_page_discard() works if there is one. Boot CPU, before the others
 * start. */
void balloon_init(void);

bool balloon_present(void);

/* Give frames back in the background, at this kernel's pace; for tests that changed it. */
void balloon_pace(void);

#endif
