/* SPDX-License-Identifier: MIT */
/* acpi_build.c - right ACPI tables, in bootphys. */
#include "test-host/acpi_build.h"

#include <string.h>

#include "test-host/bootphys.h"

#define ROOT_ENTRIES 4

void acpi_build_sum(uint8_t *bytes, size_t size_bytes, size_t sum_at)
{
	uint8_t total = 0;

	bytes[sum_at] = 0;
	for (size_t i = 0; i < size_bytes; i++)
		total = (uint8_t)(total + bytes[i]);
	bytes[sum_at] = (uint8_t)-total;
}

uint8_t *acpi_build_table(uint64_t pa, const char *signature, uint32_t size_bytes)
{
	uint8_t *table = bootphys_add(pa, size_bytes);

	memcpy(table, signature, 4);
	put32(table + 4, size_bytes);
	return table;
}

void acpi_build_table_sum(uint8_t *table)
{
	acpi_build_sum(table, le32(table + 4), 9);
}

/* A root table of count pointers. */
static void root_add(uint64_t pa, const char *signature, unsigned entry_bytes,
		     const uint64_t *entries, unsigned count)
{
	uint8_t *root = acpi_build_table(pa, signature, 36 + entry_bytes * count);

	for (unsigned i = 0; i < count; i++) {
		if (entry_bytes == 8)
			put64(root + 36 + 8 * i, entries[i]);
		else
			put32(root + 36 + 4 * i, (uint32_t)entries[i]);
	}
	acpi_build_table_sum(root);
}

void acpi_build_rsdp_sum(uint8_t *rsdp)
{
	acpi_build_sum(rsdp, 20, 8);
	acpi_build_sum(rsdp, 36, 32);
}

uint8_t *acpi_build_roots(void)
{
	static const uint64_t tables[ROOT_ENTRIES] = {ACPI_SRAT, ACPI_MADT, ACPI_SLIT, ACPI_FADT};
	uint8_t *rsdp = bootphys_add(ACPI_RSDP, 36);

	memcpy(rsdp, "RSD PTR ", 8);
	rsdp[15] = 2;
	put32(rsdp + 16, ACPI_RSDT);
	put32(rsdp + 20, 36);
	put64(rsdp + 24, ACPI_XSDT);
	acpi_build_rsdp_sum(rsdp);
	root_add(ACPI_XSDT, "XSDT", 8, tables, ROOT_ENTRIES);
	root_add(ACPI_RSDT, "RSDT", 4, tables, ROOT_ENTRIES);
	return rsdp;
}

void acpi_build_lapic(uint8_t *record, uint8_t id, uint32_t flags)
{
	record[0] = 0;
	record[1] = 8;
	record[3] = id;
	put32(record + 4, flags);
}

void acpi_build_x2apic(uint8_t *record, uint32_t id, uint32_t flags)
{
	record[0] = 9;
	record[1] = 16;
	put32(record + 4, id);
	put32(record + 8, flags);
}

uint8_t *acpi_build_madt(unsigned count)
{
	uint8_t *madt = acpi_build_table(ACPI_MADT, "APIC", 44 + 8 * count);

	for (unsigned i = 0; i < count; i++)
		acpi_build_lapic(madt + 44 + 8 * i, (uint8_t)i, 1);
	acpi_build_table_sum(madt);
	return madt;
}

uint8_t *acpi_build_srat(void)
{
	uint8_t *srat = acpi_build_table(ACPI_SRAT, "SRAT", 48 + 16 + 24 + 3 * 40);
	uint8_t *record = srat + 48;

	record[0] = 0;
	record[1] = 16;
	record[2] = 1;
	put32(record + 4, 1);
	record += 16;
	record[0] = 2;
	record[1] = 24;
	put32(record + 4, 2);
	put32(record + 8, 1);
	put32(record + 12, 1);
	record += 24;
	for (unsigned i = 0; i < 3; i++, record += 40) {
		record[0] = 1;
		record[1] = 40;
		put32(record + 2, i);
		put64(record + 8, (uint64_t)i << 31);
		put64(record + 16, 1ull << 31);
		put32(record + 28, i != 1);
	}
	acpi_build_table_sum(srat);
	return srat;
}

uint8_t *acpi_build_slit(unsigned count)
{
	uint8_t *slit = acpi_build_table(ACPI_SLIT, "SLIT", 44 + count * count);

	put64(slit + 36, count);
	for (unsigned i = 0; i < count * count; i++)
		slit[44 + i] = (uint8_t)(10 + i);
	acpi_build_table_sum(slit);
	return slit;
}
