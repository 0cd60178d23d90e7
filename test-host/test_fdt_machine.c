/* SPDX-License-Identifier: MIT */
/*
 * test_fdt_machine.c - devices and their addresses in a device tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "boot/fdt_machine.h"
#include "test-host/fdt_fixture.h"

static struct fdt_machine machine;

static int set_up(void **state)
{
	machine = (struct fdt_machine){0};
	return fdt_set_up(state);
}

static void fill(void)
{
	struct fdt fdt;

	if (!fdt_blob)
		fdt_blob = fdt_build_finish(&fdt_tree, &fdt_blob_bytes);
	assert_true(fdt_open(&fdt, fdt_blob, fdt_blob_bytes));
	fdt_machine_fill(&fdt, &machine);
}

static void fill_machine(unsigned gic_version)
{
	fdt_blob = fdt_build_machine(gic_version, &fdt_blob_bytes);
	fill();
}

static void machine_with_gicv2(void **state)
{
	(void)state;
	fill_machine(2);
	assert_int_equal(machine.gic_version, 2);
	assert_true(machine.gicd.base == 0x8000000 && machine.gicd.size_bytes == 0x10000);
	assert_true(machine.gicc.base == 0x8010000 && machine.gicc.size_bytes == 0x10000);
	assert_int_equal(machine.gicr_count, 0);
}

static void machine_with_gicv3(void **state)
{
	(void)state;
	fill_machine(3);
	assert_int_equal(machine.gic_version, 3);
	assert_int_equal(machine.gicr_count, 2);
	assert_true(machine.gicr[0].base == 0x80a0000 && machine.gicr[0].size_bytes == 0xf60000);
	assert_true(machine.gicr[1].base == 0x4000000000 &&
		    machine.gicr[1].size_bytes == 0x4000000);
}

static void psci_and_timer(void **state)
{
	(void)state;
	fill_machine(2);
	assert_int_equal(machine.psci, FDT_PSCI_SMC);
	assert_int_equal(machine.psci_cpu_on, 0xc4000003);
	assert_int_equal(machine.timer_intid, 27);
}

static void uart_of_stdout_behind_a_bus(void **state)
{
	(void)state;
	fill_machine(2);
	assert_true(machine.uart.base == 0x100000000 && machine.uart.size_bytes == 0x1000);
}

static void virtio_behind_a_bus(void **state)
{
	(void)state;
	fill_machine(2);
	assert_int_equal(machine.virtio_count, 1);
	assert_true(machine.virtio[0].regs.base == 0x9001000);
	assert_int_equal(machine.virtio[0].intid, 48);
}

static void empty_tree_has_no_devices(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(machine.psci, FDT_PSCI_NONE);
	assert_int_equal(machine.gic_version, 0);
	assert_int_equal(machine.timer_intid, 0);
	assert_int_equal(machine.uart.size_bytes, 0);
}

static void old_psci_names_its_functions(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "psci");
	fdt_build_string(&fdt_tree, "compatible", "arm,psci");
	fdt_build_string(&fdt_tree, "method", "hvc");
	FDT_CELLS(&fdt_tree, "cpu_on", 0x95c1ba60);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(machine.psci, FDT_PSCI_HVC);
	assert_int_equal(machine.psci_cpu_on, 0x95c1ba60);
}

static void build_uart(const char *name, uint32_t base)
{
	fdt_build_begin(&fdt_tree, name);
	fdt_build_string(&fdt_tree, "compatible", "arm,pl011");
	FDT_CELLS(&fdt_tree, "reg", 0, base, 0x1000);
	fdt_build_end(&fdt_tree);
}

/* Two UARTs and a stdout-path; alias "serial0" is the second. */
static void build_uarts(const char *stdout_path)
{
	fdt_build_begin(&fdt_tree, "");
	build_uart("uart@1000", 0x1000);
	build_uart("uart@2000", 0x2000);
	fdt_build_begin(&fdt_tree, "aliases");
	fdt_build_string(&fdt_tree, "serial0", "/uart@2000");
	fdt_build_end(&fdt_tree);
	if (stdout_path) {
		fdt_build_begin(&fdt_tree, "chosen");
		fdt_build_string(&fdt_tree, "stdout-path", stdout_path);
		fdt_build_end(&fdt_tree);
	}
	fdt_build_end(&fdt_tree);
	fill();
}

static void uart_first_without_stdout(void **state)
{
	(void)state;
	build_uarts(NULL);
	assert_true(machine.uart.base == 0x1000);
}

static void uart_by_path(void **state)
{
	(void)state;
	build_uarts("/uart@2000");
	assert_true(machine.uart.base == 0x2000);
}

static void uart_by_alias_with_options(void **state)
{
	(void)state;
	build_uarts("serial0:115200n8");
	assert_true(machine.uart.base == 0x2000);
}

static void uart_first_if_stdout_is_nothing(void **state)
{
	(void)state;
	build_uarts("/uart@200");
	assert_true(machine.uart.base == 0x1000);
}

static void uart_first_if_alias_is_unknown(void **state)
{
	(void)state;
	build_uarts("an-alias-that-is-longer-than-any-that-is-known");
	assert_true(machine.uart.base == 0x1000);
}

static void disabled_device_is_none(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "uart@1000");
	fdt_build_string(&fdt_tree, "compatible", "arm,pl011");
	FDT_CELLS(&fdt_tree, "reg", 0, 0x1000, 0x1000);
	fdt_build_string(&fdt_tree, "status", "disabled");
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(machine.uart.size_bytes, 0);
}

/* A bus with these ranges, and a UART at 0x1000 behind it. */
static void build_bus(const uint32_t *ranges, size_t cells)
{
	uint8_t bytes[64];

	for (size_t i = 0; i < cells; i++)
		fdt_put32(bytes + 4 * i, ranges[i]);
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "bus");
	FDT_CELLS(&fdt_tree, "#address-cells", 1);
	FDT_CELLS(&fdt_tree, "#size-cells", 1);
	if (ranges)
		fdt_build_bytes(&fdt_tree, "ranges", bytes, cells * 4);
	fdt_build_begin(&fdt_tree, "uart@1000");
	fdt_build_string(&fdt_tree, "compatible", "arm,pl011");
	FDT_CELLS(&fdt_tree, "reg", 0x1000, 0x1000);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
}

static void bus_with_empty_ranges_is_transparent(void **state)
{
	static const uint32_t none[1];

	(void)state;
	build_bus(none, 0);
	assert_true(machine.uart.base == 0x1000);
}

static void bus_without_ranges_is_out_of_reach(void **state)
{
	(void)state;
	build_bus(NULL, 0);
	assert_int_equal(machine.uart.size_bytes, 0);
}

static void bus_with_other_ranges_is_out_of_reach(void **state)
{
	static const uint32_t ranges[] = {0x2000, 0, 0x9000000, 0x1000};

	(void)state;
	build_bus(ranges, 4);
	assert_int_equal(machine.uart.size_bytes, 0);
}

static void bus_by_its_second_range(void **state)
{
	static const uint32_t ranges[] = {0x2000, 0, 0x9000000, 0x1000, 0, 2, 0x5000, 0x2000};

	(void)state;
	build_bus(ranges, 8);
	assert_true(machine.uart.base == 0x200006000);
}

static void bus_with_a_cut_range(void **state)
{
	static const uint32_t ranges[] = {0, 2, 0x5000};

	(void)state;
	build_bus(ranges, 3);
	assert_int_equal(machine.uart.size_bytes, 0);
}

static void gic_without_its_second_window_is_none(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	fdt_build_begin(&fdt_tree, "intc@1000");
	fdt_build_string(&fdt_tree, "compatible", "arm,gic-400");
	FDT_CELLS(&fdt_tree, "reg", 0, 0x1000, 0x1000);
	fdt_build_end(&fdt_tree);
	fdt_build_begin(&fdt_tree, "intc@2000");
	fdt_build_string(&fdt_tree, "compatible", "arm,gic-v3");
	FDT_CELLS(&fdt_tree, "reg", 0, 0x2000, 0x1000);
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(machine.gic_version, 0);
}

static void more_virtio_than_room(void **state)
{
	(void)state;
	fdt_build_begin(&fdt_tree, "");
	for (uint32_t i = 0; i < FDT_MAX_VIRTIO + 4; i++) {
		fdt_build_begin(&fdt_tree, "virtio");
		fdt_build_string(&fdt_tree, "compatible", "virtio,mmio");
		FDT_CELLS(&fdt_tree, "reg", 0, i * 0x1000, 0x200);
		fdt_build_end(&fdt_tree);
	}
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(machine.virtio_count, FDT_MAX_VIRTIO);
	assert_int_equal(machine.virtio[3].intid, 0);
}

static void more_redistributors_than_room(void **state)
{
	uint8_t reg[(FDT_MAX_GICR + 4) * 16] = {0};

	(void)state;
	for (uint32_t i = 0; i < FDT_MAX_GICR + 4; i++) {
		fdt_put32(reg + i * 16 + 4, i << 20);
		fdt_put32(reg + i * 16 + 12, 0x20000);
	}
	fdt_build_begin(&fdt_tree, "");
	FDT_CELLS(&fdt_tree, "#size-cells", 2);
	fdt_build_begin(&fdt_tree, "intc");
	fdt_build_string(&fdt_tree, "compatible", "arm,gic-v3");
	FDT_CELLS(&fdt_tree, "#redistributor-regions", UINT32_MAX);
	fdt_build_bytes(&fdt_tree, "reg", reg, sizeof(reg));
	fdt_build_end(&fdt_tree);
	fdt_build_end(&fdt_tree);
	fill();
	assert_int_equal(machine.gicr_count, FDT_MAX_GICR);
	assert_true(machine.gicr[FDT_MAX_GICR - 1].base == FDT_MAX_GICR << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, fdt_tear_down)
		TEST(machine_with_gicv2),
		TEST(machine_with_gicv3),
		TEST(psci_and_timer),
		TEST(uart_of_stdout_behind_a_bus),
		TEST(virtio_behind_a_bus),
		TEST(empty_tree_has_no_devices),
		TEST(old_psci_names_its_functions),
		TEST(uart_first_without_stdout),
		TEST(uart_by_path),
		TEST(uart_by_alias_with_options),
		TEST(uart_first_if_stdout_is_nothing),
		TEST(uart_first_if_alias_is_unknown),
		TEST(disabled_device_is_none),
		TEST(bus_with_empty_ranges_is_transparent),
		TEST(bus_without_ranges_is_out_of_reach),
		TEST(bus_with_other_ranges_is_out_of_reach),
		TEST(bus_by_its_second_range),
		TEST(bus_with_a_cut_range),
		TEST(gic_without_its_second_window_is_none),
		TEST(more_virtio_than_room),
		TEST(more_redistributors_than_room),
	};

	return cmocka_run_group_tests_name("fdt_machine", tests, NULL, NULL);
}
