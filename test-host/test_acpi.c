/* SPDX-License-Identifier: MIT */
/*
 * test_acpi.c - root pointer, MADT, SRAT, SLIT and FADT: right ones, and what broken firmware makes
 * of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "boot/acpi.h"
#include "test-host/acpi_build.h"
#include "test-host/bootphys.h"

static struct boot_info *info;
static uint8_t *rsdp;

static int set_up(void **state)
{
	(void)state;
	info = bootphys_reset();
	rsdp = acpi_build_roots();
	return 0;
}

static bool parse(void)
{
	return acpi_parse(info, ACPI_RSDP, bootphys_at);
}

static void cpus(void **state)
{
	(void)state;
	acpi_build_madt(4);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(info->cpus[i].hw_id, i);
}

static void disabled_cpus_do_not_count(void **state)
{
	uint8_t *madt = acpi_build_madt(3);

	(void)state;
	acpi_build_lapic(madt + 44 + 8, 1, 0);
	acpi_build_table_sum(madt);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 2);
	assert_int_equal(info->cpus[1].hw_id, 2);
}

static void broadcast_id_is_no_cpu(void **state)
{
	uint8_t *madt = acpi_build_madt(2);

	(void)state;
	acpi_build_lapic(madt + 44 + 8, 0xff, 1);
	acpi_build_table_sum(madt);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 1);
}

static void x2apic_cpus(void **state)
{
	uint8_t *madt = acpi_build_table(ACPI_MADT, "APIC", 44 + 32);

	(void)state;
	acpi_build_x2apic(madt + 44, 0x12345, 1);
	acpi_build_x2apic(madt + 60, 0x300, 0);
	acpi_build_table_sum(madt);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 1);
	assert_int_equal(info->cpus[0].hw_id, 0x12345);
}

static void a_cpu_named_twice_counts_once(void **state)
{
	uint8_t *madt = acpi_build_table(ACPI_MADT, "APIC", 44 + 8 + 16);

	(void)state;
	acpi_build_lapic(madt + 44, 7, 1);
	acpi_build_x2apic(madt + 52, 7, 1);
	acpi_build_table_sum(madt);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 1);
}

static void more_cpus_than_room(void **state)
{
	(void)state;
	acpi_build_madt(BOOT_MAX_CPUS + 6);
	assert_true(parse());
	assert_int_equal(info->cpu_count, BOOT_MAX_CPUS);
	assert_int_equal(info->cpus_dropped, 6);
}

static void unknown_records_are_stepped_over(void **state)
{
	uint8_t *madt = acpi_build_table(ACPI_MADT, "APIC", 44 + 12 + 8);

	(void)state;
	madt[44] = 1; /* an I/O APIC */
	madt[45] = 12;
	acpi_build_lapic(madt + 56, 3, 1);
	acpi_build_table_sum(madt);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 1);
	assert_int_equal(info->cpus[0].hw_id, 3);
}

static void record_of_length_zero_ends_the_list(void **state)
{
	static const uint8_t lengths[] = {0, 1};

	for (size_t i = 0; i < sizeof(lengths); i++) {
		set_up(state);
		uint8_t *madt = acpi_build_madt(3);

		madt[44 + 8 + 1] = lengths[i];
		acpi_build_table_sum(madt);
		assert_true(parse());
		assert_int_equal(info->cpu_count, 1);
	}
}

static void record_longer_than_the_table(void **state)
{
	uint8_t *madt = acpi_build_madt(2);

	(void)state;
	madt[44 + 8 + 1] = 9;
	acpi_build_table_sum(madt);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 1);
}

static void record_too_short_for_its_kind(void **state)
{
	uint8_t *madt = acpi_build_table(ACPI_MADT, "APIC", 44 + 6);

	(void)state;
	madt[45] = 6;
	acpi_build_table_sum(madt);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 0);
}

static void table_with_a_wrong_sum_is_passed_over(void **state)
{
	uint8_t *madt = acpi_build_madt(2);

	(void)state;
	madt[9] ^= 1;
	assert_true(parse());
	assert_int_equal(info->cpu_count, 0);
}

static void table_longer_than_memory(void **state)
{
	uint8_t *madt = acpi_build_madt(2);

	(void)state;
	put32(madt + 4, 44 + 17);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 0);
}

static void table_shorter_than_its_header(void **state)
{
	uint8_t *madt = acpi_build_madt(2);

	(void)state;
	put32(madt + 4, 35);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 0);
}

static void root_pointer_must_be_right(void **state)
{
	(void)state;
	acpi_build_madt(1);
	assert_false(acpi_parse(info, 0, bootphys_at));
	assert_false(acpi_parse(info, 0x1234, bootphys_at));
	rsdp[8]++;
	assert_false(parse());
	rsdp[8]--;
	rsdp[0] = 'X';
	assert_false(parse());
}

static void old_root_pointer_takes_the_rsdt(void **state)
{
	(void)state;
	acpi_build_madt(2);
	bootphys_cut(ACPI_RSDP, 20);
	rsdp = (uint8_t *)(uintptr_t)bootphys_at(ACPI_RSDP, 20);
	rsdp[15] = 0;
	acpi_build_sum(rsdp, 20, 8);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 2);
}

static void broken_xsdt_falls_back_to_the_rsdt(void **state)
{
	uint8_t *xsdt = (uint8_t *)(uintptr_t)bootphys_at(ACPI_XSDT, 36);

	(void)state;
	acpi_build_madt(2);
	xsdt[9]++;
	assert_true(parse());
	assert_int_equal(info->cpu_count, 2);
}

static void no_root_table_at_all(void **state)
{
	(void)state;
	put64(rsdp + 24, 0);
	put32(rsdp + 16, 0x99);
	acpi_build_rsdp_sum(rsdp);
	assert_false(parse());
}

static void table_under_another_name(void **state)
{
	uint8_t *madt = acpi_build_madt(2);

	(void)state;
	memcpy(madt, "CIPA", 4);
	acpi_build_table_sum(madt);
	assert_true(parse());
	assert_int_equal(info->cpu_count, 0);
}

static void nodes(void **state)
{
	(void)state;
	acpi_build_srat();
	acpi_build_madt(2);
	assert_true(parse());
	assert_int_equal(info->cpus[0].node, 1);
	assert_int_equal(info->cpus[1].node, 2);
	assert_int_equal(info->map.node_count, 2);
	assert_int_equal(info->map.nodes[1].node, 2);
	assert_int_equal(info->map.nodes[1].base, 1ull << 32);
	assert_int_equal(info->map.nodes[1].size_bytes, 1ull << 31);
}

/* Proximity domains have 32 bits; we have SLATE_MAX_NODES. */
static void nodes_out_of_range(void **state)
{
	uint8_t *srat = acpi_build_srat();

	(void)state;
	srat[48 + 9] = 1; /* domain 257 */
	put32(srat + 48 + 16 + 4, 0xffffffff);
	put32(srat + 48 + 40 + 2, SLATE_MAX_NODES);
	acpi_build_table_sum(srat);
	acpi_build_madt(2);
	assert_true(parse());
	assert_int_equal(info->cpus[0].node, 0);
	assert_int_equal(info->cpus[1].node, 0);
	assert_int_equal(info->map.node_count, 1);
}

static void memory_record_too_short(void **state)
{
	uint8_t *srat = acpi_build_table(ACPI_SRAT, "SRAT", 48 + 40);

	(void)state;
	srat[48] = 1;
	srat[49] = 30;
	put64(srat + 48 + 16, 0x1000);
	put32(srat + 48 + 28, 1);
	srat[48 + 30 + 1] = 10;
	acpi_build_table_sum(srat);
	assert_true(parse());
	assert_int_equal(info->map.node_count, 0);
}

static void distances(void **state)
{
	(void)state;
	acpi_build_slit(3);
	assert_true(parse());
	assert_int_equal(info->node_distance[0][0], 10);
	assert_int_equal(info->node_distance[2][1], 17);
	assert_int_equal(info->node_distance[0][3], 0);
}

static void distances_of_more_nodes_than_room(void **state)
{
	(void)state;
	acpi_build_slit(SLATE_MAX_NODES + 2);
	assert_true(parse());
	assert_int_equal(info->node_distance[1][0], 10 + SLATE_MAX_NODES + 2);
}

static void distances_with_an_absurd_count(void **state)
{
	static const uint64_t counts[] = {0, 4, 1ull << 32, UINT64_MAX};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		set_up(state);
		uint8_t *slit = acpi_build_slit(3);

		put64(slit + 36, counts[i]);
		acpi_build_table_sum(slit);
		assert_true(parse());
		assert_int_equal(info->node_distance[0][0], 0);
	}
}

static void tables_in_usable_memory_are_reserved(void **state)
{
	uint8_t *fadt = acpi_build_table(ACPI_FADT, "FACP", 148);
	uint8_t *facs = bootphys_add(ACPI_FACS, 64);

	(void)state;
	acpi_build_madt(1);
	memcpy(facs, "FACS", 4);
	acpi_build_table_sum(acpi_build_table(ACPI_DSDT, "DSDT", 100));
	put32(fadt + 36, ACPI_FACS);
	put64(fadt + 140, ACPI_DSDT);
	acpi_build_table_sum(fadt);
	slate_memmap_add(&info->map, 0, 0x8000000, SLATE_RANGE_USABLE, "e820");
	assert_true(parse());
	assert_int_equal(bootphys_count(info, ACPI_RSDP, 36, SLATE_RANGE_ACPI_RECLAIM), 1);
	assert_int_equal(bootphys_count(info, ACPI_XSDT, 68, SLATE_RANGE_ACPI_RECLAIM), 1);
	assert_int_equal(bootphys_count(info, ACPI_MADT, 52, SLATE_RANGE_ACPI_RECLAIM), 1);
	assert_int_equal(bootphys_count(info, ACPI_FADT, 148, SLATE_RANGE_ACPI_RECLAIM), 1);
	assert_int_equal(bootphys_count(info, ACPI_DSDT, 100, SLATE_RANGE_ACPI_RECLAIM), 1);
	assert_int_equal(bootphys_count(info, ACPI_FACS, 64, SLATE_RANGE_ACPI_NVS), 1);
}

/* The id of a virtio-mmio device, and a memory descriptor so many bytes behind it. */
static uint8_t *device_at(uint8_t *aml, size_t gap, uint32_t base)
{
	memcpy(aml, "LNRO0005", 9);
	aml += 9 + gap;
	aml[0] = 0x86;
	aml[1] = 9;
	put32(aml + 4, base);
	put32(aml + 8, 512);
	return aml + 12;
}

static void virtio_devices_of_the_dsdt(void **state)
{
	uint8_t *fadt = acpi_build_table(ACPI_FADT, "FACP", 148);
	uint8_t *dsdt = acpi_build_table(ACPI_DSDT, "DSDT", 400);
	uint8_t *at = dsdt + 40;

	(void)state;
	at = device_at(at, 20, 0xfeb00e00);
	at = device_at(at, 0, 0xfeb00c00);
	at = device_at(at, 10, 0xfeb00e00);
	/* no descriptor near; and an id that the table's end cuts off */
	memcpy(at, "LNRO0005", 9);
	memcpy(dsdt + 400 - 8, "LNRO0005", 8);
	put64(fadt + 140, ACPI_DSDT);
	acpi_build_table_sum(dsdt);
	acpi_build_table_sum(fadt);
	assert_true(parse());
	assert_int_equal(info->virtio_count, 2);
	assert_true(info->virtio[0] == 0xfeb00e00);
	assert_true(info->virtio[1] == 0xfeb00c00);
}

static void a_descriptor_at_the_end_of_the_dsdt(void **state)
{
	(void)state;
	for (uint32_t cut = 0; cut < 2; cut++) {
		uint32_t size_bytes = 36 + 9 + 12 - cut;

		set_up(state);
		uint8_t *fadt = acpi_build_table(ACPI_FADT, "FACP", 148);
		uint8_t *dsdt = acpi_build_table(ACPI_DSDT, "DSDT", size_bytes);
		uint8_t aml[21];

		memset(aml, 0, sizeof(aml));
		device_at(aml, 0, 0xfeb00000);
		memcpy(dsdt + 36, aml, sizeof(aml) - cut);
		put64(fadt + 140, ACPI_DSDT);
		acpi_build_table_sum(dsdt);
		acpi_build_table_sum(fadt);
		assert_true(parse());
		assert_int_equal(info->virtio_count, 1 - cut);
	}
}

static void tables_elsewhere_need_no_entry(void **state)
{
	(void)state;
	acpi_build_madt(1);
	slate_memmap_add(&info->map, 0, 0x100000, SLATE_RANGE_RESERVED, "e820");
	assert_true(parse());
	assert_int_equal(info->map.count, 1);
}

static void root_pointer_is_found_in_the_bios_area(void **state)
{
	(void)state;
	assert_int_equal(acpi_find_rsdp(bootphys_at), ACPI_RSDP);
	rsdp[8]++;
	assert_int_equal(acpi_find_rsdp(bootphys_at), 0);
}

static void root_pointer_is_found_in_the_ebda(void **state)
{
	uint8_t *pointer = bootphys_add(0x40e, 2);
	uint8_t *ebda = bootphys_add(0x9fc00, 1024);

	(void)state;
	put16(pointer, 0x9fc0);
	memcpy(ebda + 1024 - 32, rsdp, 20);
	assert_int_equal(acpi_find_rsdp(bootphys_at), 0x9fc00 + 1024 - 32);
}

/* Wrong bits whose sums are right again: what a checksum does not catch. */
static void flipped_bits(void **state)
{
	static const uint64_t tables[] = {ACPI_XSDT, ACPI_MADT, ACPI_SRAT, ACPI_SLIT};

	for (unsigned t = 0; t < 4; t++) {
		uint32_t size_bytes = 1;

		for (uint32_t bit = 0; bit < size_bytes * 8; bit++) {
			set_up(state);
			acpi_build_madt(2);
			acpi_build_srat();
			acpi_build_slit(2);
			uint8_t *table = (uint8_t *)(uintptr_t)bootphys_at(tables[t], 36);

			size_bytes = le32(table + 4);
			table[bit / 8] ^= (uint8_t)(1u << bit % 8);
			acpi_build_sum(table, size_bytes, bit / 8 == 9 ? 8 : 9);
			parse();
		}
	}
}

static void truncated(void **state)
{
	static const uint64_t tables[] = {ACPI_RSDP, ACPI_XSDT, ACPI_MADT, ACPI_SRAT, ACPI_SLIT};

	for (unsigned t = 0; t < 5; t++) {
		for (uint32_t length = 0; length < 200; length++) {
			set_up(state);
			acpi_build_madt(2);
			acpi_build_srat();
			acpi_build_slit(2);
			if (bootphys_at(tables[t], length))
				bootphys_cut(tables[t], length);
			parse();
		}
	}
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(cpus),
		CASE(disabled_cpus_do_not_count),
		CASE(broadcast_id_is_no_cpu),
		CASE(x2apic_cpus),
		CASE(a_cpu_named_twice_counts_once),
		CASE(more_cpus_than_room),
		CASE(unknown_records_are_stepped_over),
		CASE(record_of_length_zero_ends_the_list),
		CASE(record_longer_than_the_table),
		CASE(record_too_short_for_its_kind),
		CASE(table_with_a_wrong_sum_is_passed_over),
		CASE(table_longer_than_memory),
		CASE(table_shorter_than_its_header),
		CASE(root_pointer_must_be_right),
		CASE(old_root_pointer_takes_the_rsdt),
		CASE(broken_xsdt_falls_back_to_the_rsdt),
		CASE(no_root_table_at_all),
		CASE(table_under_another_name),
		CASE(nodes),
		CASE(nodes_out_of_range),
		CASE(memory_record_too_short),
		CASE(distances),
		CASE(distances_of_more_nodes_than_room),
		CASE(distances_with_an_absurd_count),
		CASE(tables_in_usable_memory_are_reserved),
		CASE(virtio_devices_of_the_dsdt),
		CASE(a_descriptor_at_the_end_of_the_dsdt),
		CASE(tables_elsewhere_need_no_entry),
		CASE(root_pointer_is_found_in_the_bios_area),
		CASE(root_pointer_is_found_in_the_ebda),
		CASE(flipped_bits),
		CASE(truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
