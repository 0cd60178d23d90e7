/* SPDX-License-Identifier: MIT */
/*
 * fdt.c - walks a flattened device tree without trusting it.
 *
 * Every access goes through fdt_read32() or fdt_next_token(), which compare with the bounds of the
 * block first; the walkers move strictly forward, so that garbage cannot make them loop. fdt_open()
 * has checked the whole tree, and the checks stay on afterwards: the blob lies in memory that
 * somebody else may have written.
 *
 * Format: Devicetree Specification, chapter 5.
 */
#include "boot/fdt.h"

#include "lib/string.h"

#define FDT_MAGIC        0xd00dfeedu
#define FDT_BEGIN_NODE   1u
#define FDT_END_NODE     2u
#define FDT_PROP         3u
#define FDT_NOP          4u
#define FDT_END          9u
#define FDT_OLDEST       16u /* the first version whose structure block is as ours */
#define FDT_NEWEST       17u
#define FDT_RESERVE_SIZE 16u

/* Offsets in the header. */
enum {
	HEADER_MAGIC = 0,
	HEADER_TOTAL = 4,
	HEADER_STRUCT = 8,
	HEADER_STRINGS = 12,
	HEADER_RESERVE = 16,
	HEADER_VERSION = 20,
	HEADER_COMPATIBLE = 24,
	HEADER_STRINGS_SIZE = 32,
	HEADER_STRUCT_SIZE = 36,
};

struct fdt_token {
	uint32_t kind;
	uint32_t offset; /* of the token */
	uint32_t next;   /* offset of the token after it */
	uint32_t value;  /* BEGIN_NODE: offset of the name; PROP: of the value; all in the structure
			    block */
	uint32_t value_bytes;
	uint32_t name; /* PROP: offset of the name in the strings block */
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static const uint8_t *struct_block(const struct fdt *fdt)
{
	return fdt->blob + fdt->struct_offset;
}

static bool struct_read32(const struct fdt *fdt, uint32_t offset, uint32_t *value)
{
	if (fdt->struct_bytes < 4 || offset > fdt->struct_bytes - 4)
		return false;
	*value = be32(struct_block(fdt) + offset);
	return true;
}

/* Is there a terminated string at offset of a block? Its length goes to *length. */
static bool string_at(const uint8_t *block, uint32_t block_bytes, uint32_t offset, uint32_t *length)
{
	if (offset >= block_bytes)
		return false;

	size_t room = block_bytes - offset;
	size_t n = strnlen((const char *)block + offset, room);

	*length = (uint32_t)n;
	return n < room;
}

/* Structure-block offsets are multiples of 4; block lengths are below 2^32 - 4, so this cannot
 * wrap. */
static uint32_t align4(uint32_t offset)
{
	return (offset + 3) & ~3u;
}

static bool token_property(const struct fdt *fdt, struct fdt_token *token)
{
	uint32_t length;

	if (!struct_read32(fdt, token->offset + 4, &token->value_bytes) ||
	    !struct_read32(fdt, token->offset + 8, &token->name))
		return false;
	token->value = token->offset + 12;
	if (token->value > fdt->struct_bytes ||
	    token->value_bytes > fdt->struct_bytes - token->value)
		return false;
	token->next = align4(token->value + token->value_bytes);
	return string_at(fdt->blob + fdt->strings_offset, fdt->strings_bytes, token->name, &length);
}

/* Decode the token at offset. False when it does not fit the block or is unknown. */
static bool token_read(const struct fdt *fdt, uint32_t offset, struct fdt_token *token)
{
	uint32_t length;

	token->offset = offset;
	if (!struct_read32(fdt, offset, &token->kind))
		return false;
	token->next = offset + 4;
	switch (token->kind) {
	case FDT_BEGIN_NODE:
		token->value = offset + 4;
		if (!string_at(struct_block(fdt), fdt->struct_bytes, token->value, &length))
			return false;
		token->next = align4(token->value + length + 1);
		return true;
	case FDT_PROP:
		return token_property(fdt, token);
	case FDT_END_NODE:
	case FDT_NOP:
	case FDT_END:
		return true;
	default:
		return false;
	}
}

/* Walk over everything once: balanced, not too deep, one root, ends with FDT_END inside the block.
 */
static bool tree_is_sound(struct fdt *fdt)
{
	struct fdt_token token;
	uint32_t offset = 0;
	unsigned depth = 0;

	for (;; offset = token.next) {
		if (!token_read(fdt, offset, &token))
			return false;
		switch (token.kind) {
		case FDT_BEGIN_NODE:
			if (depth == 0 && fdt->root != FDT_NONE)
				return false;
			if (depth == 0)
				fdt->root = offset;
			if (++depth > FDT_MAX_DEPTH)
				return false;
			break;
		case FDT_END_NODE:
			if (depth == 0)
				return false;
			depth--;
			break;
		case FDT_PROP:
			if (depth == 0)
				return false;
			break;
		case FDT_END:
			return depth == 0 && fdt->root != FDT_NONE;
		default:
			break;
		}
	}
}

uint32_t fdt_total_bytes(const void *header)
{
	const uint8_t *h = header;
	uint32_t total = be32(h + HEADER_TOTAL);

	if (be32(h + HEADER_MAGIC) != FDT_MAGIC || total < FDT_HEADER_SIZE ||
	    total > UINT32_MAX - 8)
		return 0;
	return total;
}

static bool block_fits(const struct fdt *fdt, uint32_t offset, uint32_t size_bytes)
{
	return offset <= fdt->total_bytes && size_bytes <= fdt->total_bytes - offset;
}

bool fdt_open(struct fdt *fdt, const void *blob, size_t size_bytes)
{
	const uint8_t *h = blob;

	if (size_bytes < FDT_HEADER_SIZE || fdt_total_bytes(h) == 0 ||
	    fdt_total_bytes(h) > size_bytes)
		return false;
	fdt->blob = h;
	fdt->total_bytes = fdt_total_bytes(h);
	fdt->version = be32(h + HEADER_VERSION);
	fdt->reserve_offset = be32(h + HEADER_RESERVE);
	fdt->struct_offset = be32(h + HEADER_STRUCT);
	fdt->strings_offset = be32(h + HEADER_STRINGS);
	fdt->strings_bytes = be32(h + HEADER_STRINGS_SIZE);
	fdt->root = FDT_NONE;
	if (fdt->version < FDT_OLDEST || be32(h + HEADER_COMPATIBLE) > FDT_NEWEST)
		return false;
	if (!block_fits(fdt, fdt->struct_offset, 0) || !block_fits(fdt, fdt->reserve_offset, 0) ||
	    !block_fits(fdt, fdt->strings_offset, fdt->strings_bytes))
		return false;

	/* version 16 does not say how long the structure block is: at most to the end */
	fdt->struct_bytes = fdt->version >= 17 ? be32(h + HEADER_STRUCT_SIZE)
					       : fdt->total_bytes - fdt->struct_offset;
	return block_fits(fdt, fdt->struct_offset, fdt->struct_bytes) && tree_is_sound(fdt);
}

bool fdt_reserve(const struct fdt *fdt, uint32_t index, uint64_t *base, uint64_t *size_bytes)
{
	uint32_t room = fdt->total_bytes - fdt->reserve_offset;

	if (index >= room / FDT_RESERVE_SIZE)
		return false;

	const uint8_t *entry = fdt->blob + fdt->reserve_offset + (size_t)index * FDT_RESERVE_SIZE;

	*base = (uint64_t)be32(entry) << 32 | be32(entry + 4);
	*size_bytes = (uint64_t)be32(entry + 8) << 32 | be32(entry + 12);
	return *base != 0 || *size_bytes != 0;
}

/*
 * The next node that begins at offset or behind it on the same level: FDT_NONE once the enclosing
 * node ends.
 */
static uint32_t node_from(const struct fdt *fdt, uint32_t offset)
{
	struct fdt_token token;

	while (token_read(fdt, offset, &token)) {
		if (token.kind == FDT_BEGIN_NODE)
			return token.offset;
		if (token.kind == FDT_END_NODE || token.kind == FDT_END)
			break;
		offset = token.next;
	}
	return FDT_NONE;
}

uint32_t fdt_first_child(const struct fdt *fdt, uint32_t node)
{
	struct fdt_token token;

	if (!token_read(fdt, node, &token) || token.kind != FDT_BEGIN_NODE)
		return FDT_NONE;
	return node_from(fdt, token.next);
}

uint32_t fdt_next_sibling(const struct fdt *fdt, uint32_t node)
{
	struct fdt_token token;
	uint32_t offset = node;
	unsigned depth = 0;

	while (token_read(fdt, offset, &token) && token.kind != FDT_END) {
		offset = token.next;
		if (token.kind == FDT_BEGIN_NODE)
			depth++;
		if (token.kind == FDT_END_NODE && (depth == 0 || --depth == 0))
			return node_from(fdt, offset);
	}
	return FDT_NONE;
}

const char *fdt_name(const struct fdt *fdt, uint32_t node)
{
	struct fdt_token token;

	if (!token_read(fdt, node, &token) || token.kind != FDT_BEGIN_NODE)
		return "";
	return (const char *)struct_block(fdt) + token.value;
}

bool fdt_name_is(const struct fdt *fdt, uint32_t node, const char *base)
{
	const char *name = fdt_name(fdt, node);
	size_t n = strlen(base);

	return strncmp(name, base, n) == 0 && (name[n] == '\0' || name[n] == '@');
}

uint32_t fdt_child(const struct fdt *fdt, uint32_t node, const char *name)
{
	uint32_t child = fdt_first_child(fdt, node);

	while (child != FDT_NONE && !fdt_name_is(fdt, child, name))
		child = fdt_next_sibling(fdt, child);
	return child;
}

/* Properties come before the children of a node, so the first other token ends the search. */
struct fdt_value fdt_property(const struct fdt *fdt, uint32_t node, const char *name)
{
	const struct fdt_value none = {NULL, 0};
	struct fdt_token token;

	if (!token_read(fdt, node, &token) || token.kind != FDT_BEGIN_NODE)
		return none;
	while (token_read(fdt, token.next, &token) &&
	       (token.kind == FDT_PROP || token.kind == FDT_NOP)) {
		const char *found = (const char *)fdt->blob + fdt->strings_offset + token.name;

		if (token.kind == FDT_PROP && strcmp(found, name) == 0)
			return (struct fdt_value){struct_block(fdt) + token.value,
						  token.value_bytes};
	}
	return none;
}

bool fdt_cell(struct fdt_value value, uint32_t index, uint32_t *cell)
{
	if (!value.data || index >= value.size_bytes / 4)
		return false;
	*cell = be32(value.data + (size_t)index * 4);
	return true;
}

bool fdt_number(struct fdt_value value, uint32_t index, uint32_t cells, uint64_t *number)
{
	uint32_t high = 0;
	uint32_t low;

	if (cells < 1 || cells > 2 || index > UINT32_MAX / 4)
		return false;
	if (cells == 2 && !fdt_cell(value, index, &high))
		return false;
	if (!fdt_cell(value, index + cells - 1, &low))
		return false;
	*number = (uint64_t)high << 32 | low;
	return true;
}

uint32_t fdt_property_u32(const struct fdt *fdt, uint32_t node, const char *name,
			  uint32_t otherwise)
{
	struct fdt_value value = fdt_property(fdt, node, name);
	uint32_t cell;

	return value.size_bytes == 4 && fdt_cell(value, 0, &cell) ? cell : otherwise;
}

uint32_t fdt_address_cells(const struct fdt *fdt, uint32_t node)
{
	return fdt_property_u32(fdt, node, "#address-cells", 2);
}

uint32_t fdt_size_cells(const struct fdt *fdt, uint32_t node)
{
	return fdt_property_u32(fdt, node, "#size-cells", 1);
}

bool fdt_reg(const struct fdt *fdt, uint32_t parent, uint32_t node, uint32_t index, uint64_t *base,
	     uint64_t *size_bytes)
{
	struct fdt_value reg = fdt_property(fdt, node, "reg");
	uint32_t address_cells = fdt_address_cells(fdt, parent);
	uint32_t size_cells = fdt_size_cells(fdt, parent);

	if (address_cells < 1 || address_cells > 2 || size_cells > 2)
		return false;

	uint32_t stride = address_cells + size_cells;

	if (index >= reg.size_bytes / 4 / stride)
		return false;
	*size_bytes = 0;
	return fdt_number(reg, index * stride, address_cells, base) &&
	       (size_cells == 0 ||
		fdt_number(reg, index * stride + address_cells, size_cells, size_bytes));
}

bool fdt_value_has_string(struct fdt_value value, const char *s)
{
	uint32_t start = 0;

	while (value.data && start < value.size_bytes) {
		size_t room = value.size_bytes - start;
		const char *item = (const char *)value.data + start;
		size_t n = strnlen(item, room);

		if (n == room)
			return false;
		if (strcmp(item, s) == 0)
			return true;
		start += (uint32_t)n + 1;
	}
	return false;
}

bool fdt_available(const struct fdt *fdt, uint32_t node)
{
	struct fdt_value status = fdt_property(fdt, node, "status");

	return !status.data || fdt_value_has_string(status, "okay") ||
	       fdt_value_has_string(status, "ok");
}
