/* SPDX-License-Identifier: MIT */
/*
 * bootinfo.h - what the boot code found out, whichever loader and architecture: filled by the
 * parsers in boot/, read by kernel/. Addresses are physical. Everything here is static: nothing
 * allocates before mm does.
 */
#ifndef BOOT_BOOTINFO_H
#define BOOT_BOOTINFO_H

#include <slate/memmap.h>

#define BOOT_MAX_RANGES   4096
#define BOOT_MAX_NODES    64
#define BOOT_MAX_CPUS     64
#define BOOT_MAX_MODULES  16
#define BOOT_MAX_VIRTIO   32
#define BOOT_CMDLINE_SIZE 1024

struct boot_cpu {
	uint64_t hw_id; /* APIC id, MPIDR */
	uint32_t node;
};

struct boot_module {
	uint64_t base;
	uint64_t size_bytes;
	char name[32]; /* "initrd", or the module's command line, cut */
};

struct boot_info {
	struct slate_memmap map; /* raw until the kernel builds it */
	const char *loader;      /* "PVH", "multiboot2", "FDT" */
	char cmdline[BOOT_CMDLINE_SIZE];
	struct boot_module modules[BOOT_MAX_MODULES];
	size_t module_count;
	struct boot_cpu cpus[BOOT_MAX_CPUS]; /* [0] is the boot CPU */
	size_t cpu_count;
	size_t cpus_dropped;
	uint8_t node_distance[SLATE_MAX_NODES][SLATE_MAX_NODES]; /* SLIT; 0: unknown */
	uint64_t virtio[BOOT_MAX_VIRTIO]; /* registers of virtio-mmio transports */
	size_t virtio_count;
	uint64_t rsdp; /* ACPI root pointer, 0: none */
	uint64_t dtb;  /* device tree, 0: none */
	uintptr_t direct_map_offset;
	uint64_t mapped_limit; /* the boot page tables map physical memory up to here */
};

/* The only instance, with room for BOOT_MAX_RANGES ranges. */
extern struct boot_info boot_info;

#endif
