/* SPDX-License-Identifier: MIT */
/* multiboot2.h - the boot information that GRUB 2 and others hand over. */
#ifndef BOOT_MULTIBOOT2_H
#define BOOT_MULTIBOOT2_H

#include "boot/record.h"

/*
 * Read the information block at information_pa into info. Returns false when it cannot be read, or
 * has no memory map.
 */
bool multiboot2_parse(struct boot_info *info, uint64_t information_pa, boot_phys_fn *phys);

#endif
