/* SPDX-License-Identifier: MIT */
/*
 * fdt_boot.c - what a device tree says about memory, modules and processors, in boot_info's words.
 *
 * Entries are appended as they come; slate_memmap_build() sorts and repairs. What the tree says
 * wrongly (an initrd that ends before it starts, a node number beyond ours) is left out rather than
 * guessed.
 */
#include "boot/fdt_boot.h"

#include "lib/string.h"

/* Node numbers beyond ours count as node 0: the memory is there, whoever it is near. */
static uint32_t numa_node(const struct fdt *fdt, uint32_t node)
{
	uint32_t id = fdt_property_u32(fdt, node, "numa-node-id", 0);

	return id < SLATE_MAX_NODES ? id : 0;
}

static void add_memory(const struct fdt *fdt, uint32_t node, struct boot_info *info)
{
	uint64_t base;
	uint64_t size;

	for (uint32_t i = 0; fdt_reg(fdt, fdt->root, node, i, &base, &size); i++) {
		slate_memmap_add(&info->map, base, size, SLATE_RANGE_USABLE, "memory");
		if (fdt_property(fdt, node, "numa-node-id").data)
			slate_memmap_add_node(&info->map, base, size, numa_node(fdt, node));
	}
}

static void add_memories(const struct fdt *fdt, struct boot_info *info)
{
	uint32_t node = fdt_first_child(fdt, fdt->root);

	for (; node != FDT_NONE; node = fdt_next_sibling(fdt, node)) {
		struct fdt_value type = fdt_property(fdt, node, "device_type");
		bool is_memory = type.data ? fdt_value_has_string(type, "memory")
					   : fdt_name_is(fdt, node, "memory");

		/* a disabled one is the secure world's */
		if (is_memory && fdt_available(fdt, node))
			add_memory(fdt, node, info);
	}
}

static bool reserve(const struct fdt *fdt, uint32_t node, struct boot_info *info, uint64_t base,
		    uint64_t size)
{
	if (fdt_property(fdt, node, "no-map").data)
		return slate_memmap_add(&info->map, base, size, SLATE_RANGE_RESERVED, "no-map");
	return slate_memmap_add(&info->map, base, size, SLATE_RANGE_FIRMWARE, "reserved-memory");
}

static bool same_pages(uint64_t base, uint64_t size, uint64_t other, uint64_t other_size)
{
	return base == other && ((size - 1) ^ (other_size - 1)) >> SLATE_PAGE_SHIFT == 0;
}

/*
 * Some loaders list the initrd and the tree itself among the reservations, too. Under their own
 * types they can be released one day.
 */
static bool is_known(const struct fdt *fdt, const struct boot_info *info, uint64_t base,
		     uint64_t size)
{
	for (size_t i = 0; i < info->module_count; i++) {
		const struct boot_module *m = &info->modules[i];

		if (same_pages(base, size, m->base, m->size_bytes))
			return true;
	}
	return info->dtb != 0 && same_pages(base, size, info->dtb, fdt->total_bytes);
}

static void add_reservations(const struct fdt *fdt, struct boot_info *info)
{
	uint64_t base;
	uint64_t size;

	for (uint32_t i = 0; fdt_reserve(fdt, i, &base, &size); i++) {
		if (!is_known(fdt, info, base, size))
			slate_memmap_add(&info->map, base, size, SLATE_RANGE_FIRMWARE,
					 "memreserve");
	}

	uint32_t parent = fdt_child(fdt, fdt->root, "reserved-memory");
	uint32_t node = fdt_first_child(fdt, parent);

	for (; node != FDT_NONE; node = fdt_next_sibling(fdt, node)) {
		if (!fdt_available(fdt, node))
			continue;
		for (uint32_t i = 0; fdt_reg(fdt, parent, node, i, &base, &size); i++)
			reserve(fdt, node, info, base, size);
	}
}

/* linux,initrd-start and -end are 32 or 64 bits wide, whatever the tree's cells are. */
static bool chosen_address(const struct fdt *fdt, uint32_t chosen, const char *name,
			   uint64_t *address)
{
	struct fdt_value value = fdt_property(fdt, chosen, name);

	return fdt_number(value, 0, value.size_bytes / 4, address);
}

static void add_chosen(const struct fdt *fdt, struct boot_info *info)
{
	uint32_t chosen = fdt_child(fdt, fdt->root, "chosen");
	struct fdt_value args = fdt_property(fdt, chosen, "bootargs");
	uint64_t start;
	uint64_t end;

	if (args.data) {
		size_t n = strnlen((const char *)args.data, args.size_bytes);

		if (n >= sizeof(info->cmdline))
			n = sizeof(info->cmdline) - 1;
		memcpy(info->cmdline, args.data, n);
		info->cmdline[n] = '\0';
	}
	if (!chosen_address(fdt, chosen, "linux,initrd-start", &start) ||
	    !chosen_address(fdt, chosen, "linux,initrd-end", &end) || end <= start)
		return;
	slate_memmap_add(&info->map, start, end - start, SLATE_RANGE_MODULE, "initrd");
	if (info->module_count < BOOT_MAX_MODULES)
		info->modules[info->module_count++] =
			(struct boot_module){start, end - start, "initrd"};
}

static void add_cpus(const struct fdt *fdt, struct boot_info *info)
{
	uint32_t parent = fdt_child(fdt, fdt->root, "cpus");
	uint32_t node = fdt_first_child(fdt, parent);
	uint32_t cells = fdt_address_cells(fdt, parent);

	for (; node != FDT_NONE; node = fdt_next_sibling(fdt, node)) {
		uint64_t id;

		/* "disabled" means not started yet; only "fail" rules a CPU out */
		if (!fdt_value_has_string(fdt_property(fdt, node, "device_type"), "cpu") ||
		    fdt_value_has_string(fdt_property(fdt, node, "status"), "fail") ||
		    !fdt_number(fdt_property(fdt, node, "reg"), 0, cells, &id))
			continue;
		if (info->cpu_count == BOOT_MAX_CPUS) {
			info->cpus_dropped++;
			continue;
		}
		info->cpus[info->cpu_count++] = (struct boot_cpu){id, numa_node(fdt, node)};
	}
}

/* Triples (from, to, distance); a pair given once counts both ways. */
static void add_distances(const struct fdt *fdt, struct boot_info *info)
{
	uint32_t node = fdt_child(fdt, fdt->root, "distance-map");
	struct fdt_value matrix = fdt_property(fdt, node, "distance-matrix");
	uint32_t from;
	uint32_t to;
	uint32_t distance;

	for (uint32_t i = 0; i + 2 < matrix.size_bytes / 4; i += 3) {
		if (!fdt_cell(matrix, i, &from) || !fdt_cell(matrix, i + 1, &to) ||
		    !fdt_cell(matrix, i + 2, &distance))
			return;
		if (from >= SLATE_MAX_NODES || to >= SLATE_MAX_NODES || distance > UINT8_MAX)
			continue;
		info->node_distance[from][to] = (uint8_t)distance;
		if (info->node_distance[to][from] == 0)
			info->node_distance[to][from] = (uint8_t)distance;
	}
}

void fdt_boot_fill(const struct fdt *fdt, struct boot_info *info)
{
	info->loader = "FDT";
	add_memories(fdt, info);
	add_chosen(fdt, info);
	add_reservations(fdt, info);
	add_cpus(fdt, info);
	add_distances(fdt, info);
}

/* ---- Reservations without an address ---- */

struct wanted {
	uint64_t size_bytes;
	uint64_t align_bytes; /* power of two */
	uint64_t best;        /* highest place so far */
	bool found;
};

static uint64_t range_end(uint64_t base, uint64_t size_bytes)
{
	return size_bytes > UINT64_MAX - base ? UINT64_MAX : base + size_bytes;
}

/* A reservation that overlaps [base, base + size_bytes), or NULL. */
static const struct slate_range *holder(const struct slate_memmap *map, uint64_t base,
					uint64_t size_bytes)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct slate_range *r = &map->ranges[i];

		if (r->type != SLATE_RANGE_USABLE && r->base < base + size_bytes &&
		    range_end(r->base, r->size_bytes) > base)
			return r;
	}
	return NULL;
}

/* Search [low, high) from the top; each step goes below the reservation that was in the way. */
static void place_in(const struct slate_memmap *map, struct wanted *w, uint64_t low, uint64_t high)
{
	while (high >= w->size_bytes) {
		uint64_t base = (high - w->size_bytes) & ~(w->align_bytes - 1);

		if (base < low || (w->found && base <= w->best))
			return;

		const struct slate_range *r = holder(map, base, w->size_bytes);

		if (!r) {
			w->best = base;
			w->found = true;
			return;
		}
		high = r->base;
	}
}

/* All memory inside [low, high). */
static void place_between(const struct slate_memmap *map, struct wanted *w, uint64_t low,
			  uint64_t high)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct slate_range *r = &map->ranges[i];
		uint64_t end = range_end(r->base, r->size_bytes);

		if (r->type == SLATE_RANGE_USABLE)
			place_in(map, w, r->base > low ? r->base : low, end < high ? end : high);
	}
}

static bool place(const struct fdt *fdt, uint32_t parent, uint32_t node, struct boot_info *info)
{
	uint32_t address_cells = fdt_address_cells(fdt, parent);
	uint32_t size_cells = fdt_size_cells(fdt, parent);
	struct fdt_value within = fdt_property(fdt, node, "alloc-ranges");
	struct wanted w = {.align_bytes = SLATE_PAGE_SIZE};
	uint64_t align;
	uint64_t base;
	uint64_t size;

	if (!fdt_number(fdt_property(fdt, node, "size"), 0, size_cells, &w.size_bytes) ||
	    w.size_bytes == 0 || w.size_bytes > UINT64_MAX - SLATE_PAGE_MASK)
		return false;
	w.size_bytes = (w.size_bytes + SLATE_PAGE_MASK) & ~(uint64_t)SLATE_PAGE_MASK;
	if (fdt_number(fdt_property(fdt, node, "alignment"), 0, size_cells, &align) &&
	    align > w.align_bytes)
		w.align_bytes = align;
	if (w.align_bytes & (w.align_bytes - 1))
		return false;

	if (!within.data)
		place_between(&info->map, &w, 0, UINT64_MAX);
	for (uint32_t i = 0; i < within.size_bytes / 4; i += address_cells + size_cells) {
		if (!fdt_number(within, i, address_cells, &base) ||
		    !fdt_number(within, i + address_cells, size_cells, &size))
			break;
		place_between(&info->map, &w, base, range_end(base, size));
	}
	return w.found && reserve(fdt, node, info, w.best, w.size_bytes);
}

size_t fdt_boot_place(const struct fdt *fdt, struct boot_info *info)
{
	uint32_t parent = fdt_child(fdt, fdt->root, "reserved-memory");
	uint32_t node = fdt_first_child(fdt, parent);
	size_t failed = 0;

	for (; node != FDT_NONE; node = fdt_next_sibling(fdt, node)) {
		if (!fdt_available(fdt, node) || fdt_property(fdt, node, "reg").data ||
		    !fdt_property(fdt, node, "size").data)
			continue;
		if (!place(fdt, parent, node, info))
			failed++;
	}
	return failed;
}
