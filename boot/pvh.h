/* SPDX-License-Identifier: MIT */
/* pvh.h - the start information of the PVH boot protocol (QEMU -kernel, Xen). */
#ifndef BOOT_PVH_H
#define BOOT_PVH_H

#include "boot/record.h"

/*
 * Read the start information at start_info_pa into info. Returns false, with info unchanged, when
 * it is none, or when it has no memory map (version 0 of the protocol). Lists that cannot be read
 * are left out.
 */
bool pvh_parse(struct boot_info *info, uint64_t start_info_pa, boot_phys_fn *phys);

#endif
