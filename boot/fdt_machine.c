/* SPDX-License-Identifier: MIT */
/*
 * fdt_machine.c - finds PSCI, interrupt controller, timer, UART and virtio transports in a device
 * tree.
 *
 * One walk over all nodes in document order, with the path from the root at hand: an address is
 * translated by the "ranges" of every bus above it, and a device behind a bus without them is out
 * of the CPU's reach.
 */
#include "boot/fdt_machine.h"

#include "lib/string.h"

#define PSCI_CPU_ON_64 0xc4000003u /* the standard number since PSCI 0.2 */

/* Interrupt specifiers of the GIC: (type, number, flags). */
#define GIC_SPEC_CELLS 3
#define GIC_TYPE_SPI   0
#define GIC_TYPE_PPI   1
#define GIC_PPI_BASE   16
#define GIC_SPI_BASE   32
#define GIC_MAX_INTID  1020

#define TIMER_VIRTUAL 2 /* order of "interrupts": secure, physical, virtual, hypervisor */

struct walk {
	const struct fdt *fdt;
	uint32_t path[FDT_MAX_DEPTH]; /* [0] is the root, [depth - 1] the current node */
	unsigned depth;
};

static uint32_t current(const struct walk *w)
{
	return w->path[w->depth - 1];
}

/* Step to the next node in document order; false after the last. */
static bool walk_next(struct walk *w)
{
	uint32_t next = FDT_NONE;

	if (w->depth < FDT_MAX_DEPTH)
		next = fdt_first_child(w->fdt, current(w));
	if (next != FDT_NONE) {
		w->path[w->depth++] = next;
		return true;
	}
	for (; w->depth > 1; w->depth--) {
		next = fdt_next_sibling(w->fdt, current(w));
		if (next != FDT_NONE) {
			w->path[w->depth - 1] = next;
			return true;
		}
	}
	return false;
}

/* One bus: child address to parent address. */
static bool translate_one(const struct walk *w, unsigned level, uint64_t *address)
{
	uint32_t bus = w->path[level];
	uint32_t child_cells = fdt_address_cells(w->fdt, bus);
	uint32_t parent_cells = fdt_address_cells(w->fdt, w->path[level - 1]);
	uint32_t size_cells = fdt_size_cells(w->fdt, bus);
	struct fdt_value ranges = fdt_property(w->fdt, bus, "ranges");
	uint64_t child;
	uint64_t parent;
	uint64_t size;

	if (!ranges.data)
		return false;
	if (ranges.size_bytes == 0)
		return true;
	for (uint32_t i = 0; fdt_number(ranges, i, child_cells, &child) &&
			     fdt_number(ranges, i + child_cells, parent_cells, &parent) &&
			     fdt_number(ranges, i + child_cells + parent_cells, size_cells, &size);
	     i += child_cells + parent_cells + size_cells) {
		if (*address >= child && *address - child < size) {
			*address = *address - child + parent;
			return true;
		}
	}
	return false;
}

/* The index-th register window of the current node, as the CPU sees it. */
static bool window(const struct walk *w, uint32_t index, struct fdt_window *out)
{
	uint64_t base;
	uint64_t size;

	if (w->depth < 2 ||
	    !fdt_reg(w->fdt, w->path[w->depth - 2], current(w), index, &base, &size) || size == 0)
		return false;
	for (unsigned level = w->depth - 2; level >= 1; level--) {
		if (!translate_one(w, level, &base))
			return false;
	}
	if (size - 1 > UINT64_MAX - base)
		return false;
	*out = (struct fdt_window){base, size};
	return true;
}

/* The index-th interrupt of the current node in the GIC's numbers, 0 if there is none. */
static uint32_t interrupt(const struct walk *w, uint32_t index)
{
	struct fdt_value spec = fdt_property(w->fdt, current(w), "interrupts");
	uint32_t type;
	uint32_t number;

	if (!fdt_cell(spec, index * GIC_SPEC_CELLS, &type) ||
	    !fdt_cell(spec, index * GIC_SPEC_CELLS + 1, &number) || number >= GIC_MAX_INTID)
		return 0;
	if (type == GIC_TYPE_PPI && number < GIC_SPI_BASE - GIC_PPI_BASE)
		return number + GIC_PPI_BASE;
	if (type == GIC_TYPE_SPI && number < GIC_MAX_INTID - GIC_SPI_BASE)
		return number + GIC_SPI_BASE;
	return 0;
}

static void found_psci(const struct walk *w, struct fdt_value compatible, struct fdt_machine *m)
{
	struct fdt_value method = fdt_property(w->fdt, current(w), "method");
	bool standard = fdt_value_has_string(compatible, "arm,psci-0.2") ||
			fdt_value_has_string(compatible, "arm,psci-1.0");

	if (fdt_value_has_string(method, "hvc"))
		m->psci = FDT_PSCI_HVC;
	else if (fdt_value_has_string(method, "smc"))
		m->psci = FDT_PSCI_SMC;
	m->psci_cpu_on = standard ? PSCI_CPU_ON_64
				  : fdt_property_u32(w->fdt, current(w), "cpu_on", PSCI_CPU_ON_64);
}

static void found_gicv2(const struct walk *w, struct fdt_machine *m)
{
	if (m->gic_version == 0 && window(w, 0, &m->gicd) && window(w, 1, &m->gicc))
		m->gic_version = 2;
}

static void found_gicv3(const struct walk *w, struct fdt_machine *m)
{
	uint32_t regions = fdt_property_u32(w->fdt, current(w), "#redistributor-regions", 1);

	if (m->gic_version != 0 || !window(w, 0, &m->gicd))
		return;
	m->gicr_stride = fdt_property_u32(w->fdt, current(w), "redistributor-stride", 0);
	for (uint32_t i = 0; i < regions && m->gicr_count < FDT_MAX_GICR; i++) {
		if (!window(w, 1 + i, &m->gicr[m->gicr_count]))
			break;
		m->gicr_count++;
	}
	if (m->gicr_count > 0)
		m->gic_version = 3;
}

/*
 * Does /chosen/stdout-path name the current node? Either by its path or by an alias; ":115200n8"
 * may follow.
 */
static bool is_stdout(const struct walk *w)
{
	const struct fdt *fdt = w->fdt;
	uint32_t chosen = fdt_child(fdt, fdt->root, "chosen");
	struct fdt_value path = fdt_property(fdt, chosen, "stdout-path");
	char alias[32];
	size_t n = 0;

	while (n < path.size_bytes && path.data[n] != '\0' && path.data[n] != ':')
		n++;
	if (n > 0 && n < sizeof(alias) && path.data[0] != '/') {
		memcpy(alias, path.data, n);
		alias[n] = '\0';
		path = fdt_property(fdt, fdt_child(fdt, fdt->root, "aliases"), alias);
		n = path.data ? strnlen((const char *)path.data, path.size_bytes) : 0;
	}
	for (unsigned level = 1; level < w->depth; level++) {
		const char *name = fdt_name(fdt, w->path[level]);
		size_t length = strlen(name);

		if (n < length + 1 || path.data[0] != '/' ||
		    memcmp(path.data + 1, name, length) != 0)
			return false;
		path.data += length + 1;
		n -= length + 1;
	}
	return n == 0;
}

static void found_uart(const struct walk *w, struct fdt_machine *m)
{
	struct fdt_window uart;

	if (window(w, 0, &uart) && (m->uart.size_bytes == 0 || is_stdout(w)))
		m->uart = uart;
}

static void found_virtio(const struct walk *w, struct fdt_machine *m)
{
	struct fdt_virtio *v = &m->virtio[m->virtio_count];

	if (m->virtio_count == FDT_MAX_VIRTIO || !window(w, 0, &v->regs))
		return;
	v->intid = interrupt(w, 0);
	m->virtio_count++;
}

void fdt_machine_fill(const struct fdt *fdt, struct fdt_machine *machine)
{
	struct walk w = {.fdt = fdt, .path = {fdt->root}, .depth = 1};

	while (walk_next(&w)) {
		struct fdt_value c = fdt_property(fdt, current(&w), "compatible");

		if (!c.data || !fdt_available(fdt, current(&w)))
			continue;
		if (fdt_value_has_string(c, "arm,psci") ||
		    fdt_value_has_string(c, "arm,psci-0.2") ||
		    fdt_value_has_string(c, "arm,psci-1.0"))
			found_psci(&w, c, machine);
		else if (fdt_value_has_string(c, "arm,gic-400") ||
			 fdt_value_has_string(c, "arm,cortex-a15-gic"))
			found_gicv2(&w, machine);
		else if (fdt_value_has_string(c, "arm,gic-v3"))
			found_gicv3(&w, machine);
		else if (fdt_value_has_string(c, "arm,armv8-timer"))
			machine->timer_intid = interrupt(&w, TIMER_VIRTUAL);
		else if (fdt_value_has_string(c, "arm,pl011"))
			found_uart(&w, machine);
		else if (fdt_value_has_string(c, "virtio,mmio"))
			found_virtio(&w, machine);
	}
}
