/* SPDX-License-Identifier: MIT */
/*
 * bootinfo.c - the one boot_info, with the storage of its memory map.
 */
#include "boot/bootinfo.h"

static struct slate_range boot_ranges[BOOT_MAX_RANGES];
static struct slate_node_range boot_nodes[BOOT_MAX_NODES];

struct boot_info boot_info = {
	.map =
		{
			.ranges = boot_ranges,
			.capacity = BOOT_MAX_RANGES,
			.nodes = boot_nodes,
			.node_capacity = BOOT_MAX_NODES,
		},
};
