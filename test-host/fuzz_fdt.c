/* SPDX-License-Identifier: MIT */
/*
 * fuzz_fdt.c - libFuzzer's way into the device tree code: any bytes, everything that the boot code
 * does with them.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/fdt_boot.h"
#include "boot/fdt_machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	static struct slate_range ranges[32];
	static struct slate_node_range nodes[4];
	static struct boot_info info;
	struct fdt_machine machine = {0};
	struct fdt fdt;

	if (!fdt_open(&fdt, data, size_bytes))
		return 0;
	memset(&info, 0, sizeof(info));
	info.map = (struct slate_memmap){
		.ranges = ranges, .capacity = 32, .nodes = nodes, .node_capacity = 4};
	fdt_boot_fill(&fdt, &info);
	fdt_boot_place(&fdt, &info);
	fdt_machine_fill(&fdt, &machine);
	if (info.cpu_count > BOOT_MAX_CPUS || machine.virtio_count > FDT_MAX_VIRTIO)
		abort();
	return 0;
}
