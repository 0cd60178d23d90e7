/* SPDX-License-Identifier: MIT */
/*
 * fdt.h - a read-only view of a flattened device tree (versions 16 and 17). It allocates nothing,
 * reads nothing outside the tree's own blocks, and ends on any input: a tree is walked once at
 * fdt_open(), and one that is truncated, unbalanced or too deep is refused as a whole.
 *
 * A node is the offset of its begin token in the structure block. Byte order and alignment of the
 * blob do not matter.
 */
#ifndef BOOT_FDT_H
#define BOOT_FDT_H

#include <slate/types.h>

#define FDT_HEADER_SIZE 40
#define FDT_MAX_DEPTH   32 /* levels of nodes; deeper trees are refused */
#define FDT_NONE        UINT32_MAX

struct fdt {
	const uint8_t *blob;
	uint32_t total_bytes;
	uint32_t version;
	uint32_t reserve_offset; /* memory reservation block */
	uint32_t struct_offset;
	uint32_t struct_bytes;
	uint32_t strings_offset;
	uint32_t strings_bytes;
	uint32_t root;
};

/* A property's value: a part of the blob. data is NULL when there is no such property. */
struct fdt_value {
	const uint8_t *data;
	uint32_t size_bytes;
};

/*
 * The blob's length by its header, or 0 if FDT_HEADER_SIZE bytes at header are not one.
 */
uint32_t fdt_total_bytes(const void *header);

/* Returns false if blob, of which size_bytes can be read, is no whole and well-formed tree. */
bool fdt_open(struct fdt *fdt, const void *blob, size_t size_bytes);

/* The index-th entry of the memory reservation block. False when there are no more. */
bool fdt_reserve(const struct fdt *fdt, uint32_t index, uint64_t *base, uint64_t *size_bytes);

/* FDT_NONE when there is none. */
uint32_t fdt_first_child(const struct fdt *fdt, uint32_t node);
uint32_t fdt_next_sibling(const struct fdt *fdt, uint32_t node);

/* The child whose name is name, or name followed by '@'. */
uint32_t fdt_child(const struct fdt *fdt, uint32_t node, const char *name);

/* The name with its unit address, terminated. */
const char *fdt_name(const struct fdt *fdt, uint32_t node);

/* Is the node's name base, or base followed by '@'? */
bool fdt_name_is(const struct fdt *fdt, uint32_t node, const char *base);

struct fdt_value fdt_property(const struct fdt *fdt, uint32_t node, const char *name);

/* The index-th 32-bit cell of a value; false outside. */
bool fdt_cell(struct fdt_value value, uint32_t index, uint32_t *cell);

/*
 * A number of cells (1 or 2) cells that starts at cell index; false outside, and for other widths.
 */
bool fdt_number(struct fdt_value value, uint32_t index, uint32_t cells, uint64_t *number);

/* A property of one cell, or otherwise when it is absent or has another length. */
uint32_t fdt_property_u32(const struct fdt *fdt, uint32_t node, const char *name,
			  uint32_t otherwise);

/*
 * The index-th (address, size) pair of the node's "reg", by the cell widths of its parent. False
 * when there is none, or when an address is wider than 64 bits.
 */
bool fdt_reg(const struct fdt *fdt, uint32_t parent, uint32_t node, uint32_t index, uint64_t *base,
	     uint64_t *size_bytes);

/* Widths of addresses and sizes in the children of a node; absent ones are 2 and 1. */
uint32_t fdt_address_cells(const struct fdt *fdt, uint32_t node);
uint32_t fdt_size_cells(const struct fdt *fdt, uint32_t node);

/* Does a list of strings ("compatible") hold s? An unterminated tail counts for nothing. */
bool fdt_value_has_string(struct fdt_value value, const char *s);

/* status absent, "okay" or "ok". */
bool fdt_available(const struct fdt *fdt, uint32_t node);

#endif
