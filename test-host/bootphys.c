/* SPDX-License-Identifier: MIT */
/*
 * bootphys.c - physical memory for the parsers' tests.
 */
#include <stdlib.h>
#include <string.h>

#include "test-host/bootphys.h"

#define PIECES_MAX 64
#define RANGES_MAX 256

static struct piece {
	uint64_t pa;
	size_t size_bytes;
	uint8_t *bytes;
} pieces[PIECES_MAX];
static size_t piece_count;

static struct slate_range ranges[RANGES_MAX];
static struct slate_node_range nodes[BOOT_MAX_NODES];
static struct boot_info info;

struct boot_info *bootphys_reset(void)
{
	while (piece_count)
		free(pieces[--piece_count].bytes);
	memset(&info, 0, sizeof(info));
	info.map.ranges = ranges;
	info.map.capacity = RANGES_MAX;
	info.map.nodes = nodes;
	info.map.node_capacity = BOOT_MAX_NODES;
	return &info;
}

uint8_t *bootphys_add(uint64_t pa, size_t size_bytes)
{
	uint8_t *bytes = calloc(1, size_bytes);

	if (!bytes || piece_count == PIECES_MAX)
		abort();
	pieces[piece_count++] = (struct piece){pa, size_bytes, bytes};
	return bytes;
}

void bootphys_cut(uint64_t pa, size_t size_bytes)
{
	for (size_t i = 0; i < piece_count; i++) {
		if (pieces[i].pa != pa)
			continue;
		/* Another block, so that the byte behind the cut is not readable memory. */
		uint8_t *bytes = malloc(size_bytes ? size_bytes : 1);

		memcpy(bytes, pieces[i].bytes, size_bytes);
		free(pieces[i].bytes);
		pieces[i].bytes = bytes;
		pieces[i].size_bytes = size_bytes;
	}
}

const void *bootphys_at(uint64_t pa, uint64_t size_bytes)
{
	for (size_t i = 0; i < piece_count; i++) {
		uint64_t offset = pa - pieces[i].pa;

		if (pa >= pieces[i].pa && offset <= pieces[i].size_bytes &&
		    size_bytes <= pieces[i].size_bytes - offset)
			return pieces[i].bytes + offset;
	}
	return NULL;
}

void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)value);
	put16(at + 2, (uint16_t)(value >> 16));
}

void put64(uint8_t *at, uint64_t value)
{
	put32(at, (uint32_t)value);
	put32(at + 4, (uint32_t)(value >> 32));
}

size_t bootphys_count(const struct boot_info *boot, uint64_t base, uint64_t size_bytes,
		      unsigned type)
{
	size_t count = 0;

	for (size_t i = 0; i < boot->map.count; i++) {
		const struct slate_range *range = &boot->map.ranges[i];

		if (range->base == base && range->size_bytes == size_bytes && range->type == type)
			count++;
	}
	return count;
}
