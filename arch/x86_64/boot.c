/* SPDX-License-Identifier: MIT */
/*
 * boot.c - from the loader's tables to boot_info, then to kernel_main().
 *
 * The order matters: first everything that lies somewhere in memory is entered into the map; only
 * then free places are chosen, for page tables, the trampoline and the other CPUs' areas.
 */
#include "arch/arch.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/mmu.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/serial.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/timer.h"
#include "boot/acpi.h"
#include "boot/bootinfo.h"
#include "boot/multiboot2.h"
#include "boot/pvh.h"
#include "boot/record.h"

const char arch_name[] = "x86_64";

extern const unsigned char image_start[], image_end[];
extern unsigned char boot_stack_top[];

void arch_boot(unsigned loader, uint64_t information) __attribute__((noreturn));

volatile void *arch_map_device(uint64_t pa, size_t size_bytes)
{
	return mmu_map_device(pa, size_bytes);
}

static void parse_loader(unsigned loader, uint64_t information)
{
	bool ok = loader == LOADER_PVH ? pvh_parse(&boot_info, information, mmu_phys)
				       : multiboot2_parse(&boot_info, information, mmu_phys);

	if (!ok)
		kernel_trap("the loader's information is garbage", 0, information, loader);
}

/* Interrupt vectors and BIOS data of real mode, and the null page: never worth having. */
static void reserve_first_page(void)
{
	slate_memmap_add(&boot_info.map, 0, SLATE_PAGE_SIZE, SLATE_RANGE_FIRMWARE, "page 0");
}

static void parse_acpi(void)
{
	if (!boot_info.rsdp)
		boot_info.rsdp = acpi_find_rsdp(mmu_phys);
	acpi_parse(&boot_info, boot_info.rsdp, mmu_phys);
}

void arch_boot(unsigned loader, uint64_t information)
{
	uint32_t apic_id_max = 0;

	serial_init();
	percpu_install(&percpu_boot, 0, 0, (uintptr_t)boot_stack_top);

	reserve_first_page();
	parse_loader(loader, information);
	slate_memmap_add(&boot_info.map, mmu_image_phys(image_start),
			 (uint64_t)(image_end - image_start), SLATE_RANGE_KERNEL, "image");
	parse_acpi();

	mmu_setup();
	for (size_t i = 0; i < boot_info.cpu_count; i++)
		if (boot_info.cpus[i].hw_id > apic_id_max)
			apic_id_max = (uint32_t)boot_info.cpus[i].hw_id;
	apic_setup(apic_id_max);
	boot_cpu_first(&boot_info, apic_id());
	percpu_boot.apic_id = apic_id();
	timer_setup();
	smp_setup();
	kernel_main();
}
