/* SPDX-License-Identifier: MIT */
/*
 * boot.c - from the device tree to a machine that kernel_main() can use.
 */
#include "arch/aarch64/irq.h"
#include "arch/aarch64/mmu.h"
#include "arch/aarch64/percpu.h"
#include "arch/aarch64/power.h"
#include "arch/aarch64/regs.h"
#include "arch/aarch64/serial.h"
#include "arch/arch.h"
#include "boot/fdt_boot.h"
#include "boot/record.h"

const char arch_name[] = "aarch64";

extern const char image_start[], image_end[]; /* kernel.ld */
extern char boot_stack_top[];                 /* start.S */

void arch_boot(uint64_t dtb, uint64_t image) __attribute__((noreturn));

static void __attribute__((noreturn)) boot_failed(const char *why)
{
	for (; *why; why++)
		arch_putc(*why);
	arch_poweroff(1);
}

/* Open the tree at a physical address, if there is a sound one. */
static bool dtb_open(struct fdt *fdt, uint64_t pa)
{
	const void *blob = mmu_map_dtb(pa, FDT_HEADER_SIZE);
	uint32_t size = blob ? fdt_total_bytes(blob) : 0;

	if (size != 0 && mmu_map_dtb(pa, size) && fdt_open(fdt, blob, size))
		return true;
	mmu_unmap_dtb();
	return false;
}

/*
 * The loader says where, except QEMU with an ELF file: then it is at the start of RAM, which is
 * below the image, or as far below it as an image that was linked for this machine lies.
 */
static bool dtb_find(struct fdt *fdt, uint64_t handed_over, uint64_t image)
{
	const uint64_t places[] = {handed_over, image - IMAGE_OFFSET, RAM_START};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i] != 0 && dtb_open(fdt, places[i])) {
			boot_info.dtb = places[i];
			return true;
		}
	}
	return false;
}

/* cpus[0] is the one that runs. */
static void order_cpus(uint64_t mpidr)
{
	size_t self = 0;

	while (self < boot_info.cpu_count && boot_info.cpus[self].hw_id != mpidr)
		self++;
	if (self == boot_info.cpu_count) {
		/* not in the tree, or beyond what we have room for: then it takes the last one's */
		if (self == BOOT_MAX_CPUS)
			self--;
		else
			boot_info.cpu_count++;
		boot_info.cpus[self] = (struct boot_cpu){mpidr, 0};
	}

	struct boot_cpu boot = boot_info.cpus[self];

	for (; self > 0; self--)
		boot_info.cpus[self] = boot_info.cpus[self - 1];
	boot_info.cpus[0] = boot;
}

/*
 * The first "no-map" reservation that ends above base, or NULL.
 */
static const struct slate_range *next_hole(uint64_t base, uint64_t end)
{
	const struct slate_range *first = NULL;

	for (size_t i = 0; i < boot_info.map.count; i++) {
		const struct slate_range *r = &boot_info.map.ranges[i];

		if (r->type == SLATE_RANGE_RESERVED && r->base < end &&
		    r->base + r->size_bytes > base && (!first || r->base < first->base))
			first = r;
	}
	return first;
}

static uint64_t map_memory(uint64_t base, uint64_t end)
{
	const struct slate_range *hole;
	uint64_t mapped = base;

	while (base < end && (hole = next_hole(base, end)) != NULL) {
		if (hole->base > base)
			mapped = mmu_map_ram(base, hole->base);
		base = hole->base + hole->size_bytes;
	}
	return base < end ? mmu_map_ram(base, end) : mapped;
}

/* The lowest memory that begins at or above base, or NULL. */
static const struct slate_range *next_memory(uint64_t base)
{
	const struct slate_range *first = NULL;

	for (size_t i = 0; i < boot_info.map.count; i++) {
		const struct slate_range *r = &boot_info.map.ranges[i];

		if (r->type == SLATE_RANGE_USABLE && r->base >= base &&
		    (!first || r->base < first->base))
			first = r;
	}
	return first;
}

/* Ascending: what is mapped page by page is the lowest, where stacks will lie. */
static void map_memories(void)
{
	const struct slate_range *r;

	for (uint64_t base = 0; (r = next_memory(base)) != NULL; base = r->base + 1) {
		uint64_t end;

		if (__builtin_add_overflow(r->base, r->size_bytes, &end))
			continue;
		end = map_memory(r->base, end);
		if (end > boot_info.mapped_limit)
			boot_info.mapped_limit = end;
	}
	boot_info.direct_map_offset = DIRECT_BASE;
}

/* start.S calls it: MMU on, bss cleared, on the boot stack. image: the physical address of
 * image_start. */
void arch_boot(uint64_t dtb, uint64_t image)
{
	struct percpu *self = percpu_of(0);
	struct fdt_machine machine = {0};
	struct fdt fdt;

	self->stack_top = (uintptr_t)boot_stack_top;
	percpu_install(self);
	mmu_init(image);
	serial_init(mmu_map_device(UART_DEFAULT, SLATE_PAGE_SIZE));
	if (!dtb_find(&fdt, dtb, image))
		boot_failed("slate: no device tree found\n");

	fdt_machine_fill(&fdt, &machine);
	if (machine.uart.size_bytes)
		serial_init(mmu_map_device(machine.uart.base, machine.uart.size_bytes));
	for (size_t i = 0; i < machine.virtio_count; i++)
		boot_add_virtio(&boot_info, machine.virtio[i].regs.base);
	psci_setup(&machine);

	fdt_boot_fill(&fdt, &boot_info);
	slate_memmap_add(&boot_info.map, image, (uint64_t)(image_end - image_start),
			 SLATE_RANGE_KERNEL, "kernel");
	slate_memmap_add(&boot_info.map, boot_info.dtb, fdt.total_bytes, SLATE_RANGE_DTB, "DTB");
	fdt_boot_place(&fdt, &boot_info);
	order_cpus(self->mpidr);
	map_memories();
	irq_setup(&machine);
	kernel_main();
}
