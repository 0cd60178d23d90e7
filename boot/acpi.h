/* SPDX-License-Identifier: MIT */
/* acpi.h - the few ACPI tables that tell of CPUs and NUMA nodes. */
#ifndef BOOT_ACPI_H
#define BOOT_ACPI_H

#include "boot/record.h"

/* Search the BIOS areas of a PC for the root pointer, where a loader gave none. 0: not found. */
uint64_t acpi_find_rsdp(boot_phys_fn *phys);

/*
 * From the root pointer at rsdp: CPUs (MADT), nodes of CPUs and memory (SRAT), distances (SLIT),
 * virtio-mmio transports (by their id in the DSDT).
 * Tables that lie in usable memory are reserved. A table with a wrong checksum or length is passed
 * over. Returns false when there is no valid root.
 */
bool acpi_parse(struct boot_info *info, uint64_t rsdp, boot_phys_fn *phys);

#endif
