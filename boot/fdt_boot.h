/* SPDX-License-Identifier: MIT */
/*
 * fdt_boot.h - device tree to boot_info: memory, reservations, initrd, command line, CPUs and NUMA
 * nodes.
 */
#ifndef BOOT_FDT_BOOT_H
#define BOOT_FDT_BOOT_H

#include "boot/bootinfo.h"
#include "boot/fdt.h"

/*
 * Append everything that the tree places itself. Reservations become SLATE_RANGE_FIRMWARE, those
 * with "no-map" SLATE_RANGE_RESERVED: the direct map must leave these out.
 * info->dtb is read: where the tree lies, 0 if nobody knows.
 */
void fdt_boot_fill(const struct fdt *fdt, struct boot_info *info);

/*
 * Choose a place for each /reserved-memory node that gives a size only, and reserve it: the highest
 * aligned place in memory, inside its alloc-ranges, that no entry of the map holds. So it comes
 * after everything else was appended. Returns how many found no place.
 */
size_t fdt_boot_place(const struct fdt *fdt, struct boot_info *info);

#endif
