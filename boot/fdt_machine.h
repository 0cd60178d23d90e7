/* SPDX-License-Identifier: MIT */
/*
 * fdt_machine.h - the few devices of an Arm machine that the demo kernel drives, as its device tree
 * describes them.
 */
#ifndef BOOT_FDT_MACHINE_H
#define BOOT_FDT_MACHINE_H

#include "boot/fdt.h"

#define FDT_MAX_GICR   8  /* redistributor regions */
#define FDT_MAX_VIRTIO 32 /* virtio-mmio transports */

enum fdt_psci {
	FDT_PSCI_NONE,
	FDT_PSCI_HVC,
	FDT_PSCI_SMC,
};

/* Physical; size_bytes 0: there is none. */
struct fdt_window {
	uint64_t base;
	uint64_t size_bytes;
};

struct fdt_virtio {
	struct fdt_window regs;
	uint32_t intid; /* interrupt as the GIC numbers it; 0: none */
};

struct fdt_machine {
	enum fdt_psci psci;
	uint32_t psci_cpu_on; /* function number of CPU_ON */

	unsigned gic_version; /* 2, 3, or 0: none that we know */
	struct fdt_window gicd;
	struct fdt_window gicc;               /* version 2: CPU interface */
	struct fdt_window gicr[FDT_MAX_GICR]; /* version 3: redistributors */
	size_t gicr_count;
	uint32_t
		gicr_stride; /* bytes from one redistributor to the next; 0: as the hardware says */

	uint32_t timer_intid;   /* the virtual timer's; 0: unknown */
	struct fdt_window uart; /* the first PL011, or the one that stdout-path names */
	struct fdt_virtio virtio[FDT_MAX_VIRTIO];
	size_t virtio_count;
};

/* Fill machine from the tree. What is not there stays zero. */
void fdt_machine_fill(const struct fdt *fdt, struct fdt_machine *machine);

#endif
