/* SPDX-License-Identifier: MIT */
/*
 * memmap.h - the neutral memory map: what a boot loader said, whichever it was.
 *
 * Boot code appends entries just as they come (any order, overlapping, wrong); slate_memmap_build()
 * turns them into sorted, disjoint, page-aligned ranges and tells through a callback everything it
 * repaired or dropped. Where entries overlap, the higher type wins, so "usable" never beats a
 * reservation. Nothing here allocates: the caller owns both arrays.
 */
#ifndef SLATE_MEMMAP_H
#define SLATE_MEMMAP_H

#include <slate/types.h>

/* Ascending precedence: an overlap goes to the higher one. */
enum slate_range_type {
	SLATE_RANGE_NONE = 0,
	SLATE_RANGE_USABLE,       /* RAM that nobody holds */
	SLATE_RANGE_BOOT_RECLAIM, /* loader and boot-services memory, usable once the kernel says so
				   */
	SLATE_RANGE_ACPI_RECLAIM, /* ACPI tables */
	SLATE_RANGE_ACPI_NVS,
	SLATE_RANGE_PERSISTENT, /* NVDIMM */
	SLATE_RANGE_MODULE,     /* boot modules, initrd */
	SLATE_RANGE_BOOT_INFO,  /* loader's tables, command line */
	SLATE_RANGE_DTB,
	SLATE_RANGE_KERNEL, /* the image, with its boot stacks and page tables */
	SLATE_RANGE_TRAMPOLINE,
	SLATE_RANGE_FIRMWARE, /* runtime services, secure monitor, /memreserve/, /reserved-memory */
	SLATE_RANGE_MMIO,
	SLATE_RANGE_RESERVED, /* firmware says so, or its type is unknown to us */
	SLATE_RANGE_BAD,      /* broken RAM */
	SLATE_RANGE_TYPES
};

/* One range. size_bytes, not an end: firmware may hand over a range that ends at 2^64. */
struct slate_range {
	uint64_t base;
	uint64_t size_bytes;
	uint8_t type;           /* enum slate_range_type */
	uint8_t node;           /* NUMA node; 0 unless slate_memmap_build() found one */
	uint16_t reserved;      /* 0 */
	uint32_t firmware_type; /* the loader's own code, for the reader; 0 if there was none */
	const char *name;       /* static text such as "e820", "initrd"; may be NULL */
};

/* RAM [base, base + size_bytes) belongs to a NUMA node (SRAT, or numa-node-id in the DTB). */
struct slate_node_range {
	uint64_t base;
	uint64_t size_bytes;
	uint32_t node;
};

struct slate_memmap {
	struct slate_range *ranges;
	size_t count;
	size_t capacity;
	size_t dropped; /* entries that slate_memmap_add() had no room for */
	struct slate_node_range *nodes;
	size_t node_count;
	size_t node_capacity;
};

/* What the linter found. */
enum slate_lint_kind {
	SLATE_LINT_OVERLAP,        /* two entries overlap: other took [base, size) from range */
	SLATE_LINT_DUPLICATE,      /* the same entry twice */
	SLATE_LINT_WRAP,           /* base + size passes 2^64: cut there */
	SLATE_LINT_ZERO,           /* zero length: dropped */
	SLATE_LINT_UNALIGNED,      /* a usable head or tail smaller than a frame: dropped */
	SLATE_LINT_ABOVE_LIMIT,    /* above the physical address limit: cut or dropped */
	SLATE_LINT_INSIDE_USABLE,  /* a structure lies in usable RAM: taken out */
	SLATE_LINT_OUTSIDE_MEMORY, /* a structure lies in no known range: kept reserved */
	SLATE_LINT_UNKNOWN_TYPE,   /* treated as reserved */
	SLATE_LINT_UNSORTED,       /* out of order among entries of one name: sorted (told once) */
	SLATE_LINT_NO_ROOM,        /* the caller's array is full: usable memory was given up */
	SLATE_LINT_KINDS
};

struct slate_lint {
	enum slate_lint_kind kind;
	struct slate_range range; /* the entry as it was found */
	struct slate_range other; /* its partner; size_bytes 0 if there is none */
	uint64_t base;            /* the bytes concerned */
	uint64_t size_bytes;
};

typedef void slate_lint_fn(const struct slate_lint *lint, void *arg);

/*
 * Append one raw entry. Context: any, before or after start-up; the caller serialises. Returns
 * false, and counts it in map->dropped, when the array is full.
 */
bool slate_memmap_add(struct slate_memmap *map, uint64_t base, uint64_t size_bytes,
		      enum slate_range_type type, const char *name);

/* The same for a NUMA affinity record. */
bool slate_memmap_add_node(struct slate_memmap *map, uint64_t base, uint64_t size_bytes,
			   uint32_t node);

/*
 * Sort, merge, clip and reserve in place. Afterwards the ranges ascend, are disjoint, are frame
 * aligned (usable inward, all others outward), lie below 2^SLATE_PADDR_BITS, carry their node, and
 * neighbours of equal type, node and name are one. Splitting may need up to 2 * count + node_count
 * entries; when the array has no room, usable memory is given up (and told), never a reservation.
 * Where two entries of one type overlap, the bytes go to one of them. Node ranges are sorted and
 * made disjoint, too; a node number from SLATE_MAX_NODES up counts as node 0. Building twice
 * changes nothing. lint may be NULL. Returns the number of usable frames. Context: before start-up,
 * or any later; allocates nothing, takes no lock. Idea: memblock (Linux), e820 sanitizing.
 */
size_t slate_memmap_build(struct slate_memmap *map, slate_lint_fn *lint, void *arg);

/* Static names: "usable", "ACPI reclaim" ...; "overlap" ... Any value is accepted. */
const char *slate_range_type_name(enum slate_range_type type);
const char *slate_lint_name(enum slate_lint_kind kind);

#endif
