/* SPDX-License-Identifier: MIT */
/*
 * acpi.c - root pointer, root table, MADT, SRAT, SLIT; all read in place and trusted in nothing:
 * each length is checked against the table, each table against its checksum, and a record of zero
 * length ends its list.
 */
#include "boot/acpi.h"
#include "lib/string.h"

#define RSDP_OLD_BYTES 20
#define RSDP_NEW_BYTES 36
#define HEADER_BYTES   36
#define FACS_BYTES_MIN 64

/* Longer tables are garbage. */
#define TABLE_BYTES_MAX (64u << 20)

#define MADT_RECORDS 44
#define SRAT_RECORDS 48
#define SLIT_MATRIX  44
#define FADT_FACS    36
#define FADT_DSDT    40
#define FADT_FACS_64 132
#define FADT_DSDT_64 140

#define FLAG_ENABLED 1u

/* In the DSDT: the id of a virtio-mmio device with its terminator, how far behind it a memory
 * descriptor (ACPI 6.4.3.4) is looked for, and the length of that. */
#define VIRTIO_ID      "LNRO0005"
#define VIRTIO_NEAR    96u
#define MEMORY32_BYTES 12u

/* A table that was found readable and right in its checksum. */
struct table {
	uint64_t pa;
	const uint8_t *bytes; /* NULL: none */
	uint32_t size_bytes;
};

struct root {
	struct table table;
	uint32_t entry_bytes; /* 4: RSDT, 8: XSDT */
};

static bool sum_is_zero(const uint8_t *bytes, uint32_t size_bytes)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < size_bytes; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

static struct table table_at(uint64_t pa, boot_phys_fn *phys)
{
	const struct table none = {.bytes = NULL};
	const uint8_t *bytes = pa ? phys(pa, HEADER_BYTES) : NULL;
	uint32_t size_bytes = bytes ? le32(bytes + 4) : 0;

	if (size_bytes < HEADER_BYTES || size_bytes > TABLE_BYTES_MAX)
		return none;
	bytes = phys(pa, size_bytes);
	if (!bytes || !sum_is_zero(bytes, size_bytes))
		return none;
	return (struct table){pa, bytes, size_bytes};
}

static bool table_is(const struct table *table, const char *signature)
{
	return table->bytes && memcmp(table->bytes, signature, 4) == 0;
}

/* The root pointer, valid for its first 20 bytes at least, or NULL. */
static const uint8_t *rsdp_at(uint64_t pa, boot_phys_fn *phys)
{
	const uint8_t *rsdp = pa ? phys(pa, RSDP_OLD_BYTES) : NULL;

	if (!rsdp || memcmp(rsdp, "RSD PTR ", 8) != 0 || !sum_is_zero(rsdp, RSDP_OLD_BYTES))
		return NULL;
	return rsdp;
}

static uint64_t find_between(uint64_t start, uint64_t end, boot_phys_fn *phys)
{
	for (uint64_t pa = start; pa < end; pa += 16)
		if (rsdp_at(pa, phys))
			return pa;
	return 0;
}

uint64_t acpi_find_rsdp(boot_phys_fn *phys)
{
	const uint8_t *segment = phys(0x40e, 2); /* of the extended BIOS data area */
	uint64_t ebda = segment ? (uint64_t)le16(segment) << 4 : 0;
	uint64_t found = ebda ? find_between(ebda, ebda + 1024, phys) : 0;

	return found ? found : find_between(0xe0000, 0x100000, phys);
}

static struct root root_find(uint64_t pa, boot_phys_fn *phys)
{
	struct root root = {.entry_bytes = 8};
	const uint8_t *rsdp = rsdp_at(pa, phys);
	const uint8_t *extended;

	if (!rsdp)
		return root;
	extended = rsdp[15] >= 2 ? phys(pa, RSDP_NEW_BYTES) : NULL;
	if (extended && sum_is_zero(extended, RSDP_NEW_BYTES))
		root.table = table_at(le64(extended + 24), phys);
	if (table_is(&root.table, "XSDT"))
		return root;
	root.entry_bytes = 4;
	root.table = table_at(le32(rsdp + 16), phys);
	if (!table_is(&root.table, "RSDT"))
		root.table.bytes = NULL;
	return root;
}

static uint32_t root_count(const struct root *root)
{
	return (root->table.size_bytes - HEADER_BYTES) / root->entry_bytes;
}

static struct table root_entry(const struct root *root, uint32_t index, boot_phys_fn *phys)
{
	const uint8_t *entry = root->table.bytes + HEADER_BYTES + index * root->entry_bytes;

	return table_at(root->entry_bytes == 8 ? le64(entry) : le32(entry), phys);
}

/*
 * The record at *offset, with at least 2 readable bytes: type, length. Moves on. NULL at the end,
 * or where the length is nonsense.
 */
static const uint8_t *record_next(const struct table *table, uint32_t *offset)
{
	uint32_t left = *offset < table->size_bytes ? table->size_bytes - *offset : 0;
	const uint8_t *record = table->bytes + *offset;

	if (left < 2 || record[1] < 2 || record[1] > left)
		return NULL;
	*offset += record[1];
	return record;
}

static void parse_madt(struct boot_info *info, const struct table *madt)
{
	uint32_t offset = MADT_RECORDS;
	const uint8_t *record;

	while ((record = record_next(madt, &offset))) {
		/* 0: local APIC; 255 there is everyone, no CPU. 9: local x2APIC. */
		if (record[0] == 0 && record[1] >= 8 && le32(record + 4) & FLAG_ENABLED &&
		    record[3] != 0xff)
			boot_add_cpu(info, record[3]);
		if (record[0] == 9 && record[1] >= 16 && le32(record + 8) & FLAG_ENABLED)
			boot_add_cpu(info, le32(record + 4));
	}
}

static void cpu_set_node(struct boot_info *info, uint64_t hw_id, uint32_t node)
{
	for (size_t i = 0; i < info->cpu_count; i++)
		if (info->cpus[i].hw_id == hw_id)
			info->cpus[i].node = node;
}

static void parse_srat_memory(struct boot_info *info, const uint8_t *record)
{
	uint32_t node = le32(record + 2);

	if (node < SLATE_MAX_NODES && le64(record + 16))
		slate_memmap_add_node(&info->map, le64(record + 8), le64(record + 16), node);
}

/* A node is its proximity domain; what lies in one beyond SLATE_MAX_NODES stays in node 0. */
static void parse_srat(struct boot_info *info, const struct table *srat)
{
	uint32_t offset = SRAT_RECORDS;
	const uint8_t *record;
	uint32_t node;

	while ((record = record_next(srat, &offset))) {
		if (record[0] == 0 && record[1] >= 16 && le32(record + 4) & FLAG_ENABLED) {
			node = record[2] | (uint32_t)(le32(record + 8) & 0xffffff00);
			cpu_set_node(info, record[3], node < SLATE_MAX_NODES ? node : 0);
		}
		if (record[0] == 1 && record[1] >= 40 && le32(record + 28) & FLAG_ENABLED)
			parse_srat_memory(info, record);
		if (record[0] == 2 && record[1] >= 24 && le32(record + 12) & FLAG_ENABLED) {
			node = le32(record + 4);
			cpu_set_node(info, le32(record + 8), node < SLATE_MAX_NODES ? node : 0);
		}
	}
}

static void parse_slit(struct boot_info *info, const struct table *slit)
{
	uint64_t count = slit->size_bytes >= SLIT_MATRIX ? le64(slit->bytes + 36) : 0;

	if (!count || count > 0xffff || count * count > slit->size_bytes - SLIT_MATRIX)
		return;
	for (uint64_t from = 0; from < count && from < SLATE_MAX_NODES; from++)
		for (uint64_t to = 0; to < count && to < SLATE_MAX_NODES; to++)
			info->node_distance[from][to] =
				slit->bytes[SLIT_MATRIX + from * count + to];
}

static void reserve(struct boot_info *info, const struct table *table)
{
	if (table->bytes)
		boot_add_used_maybe(info, table->pa, table->size_bytes, SLATE_RANGE_ACPI_RECLAIM,
				    "ACPI table");
}

/* The FADT points to two more tables, in a 64-bit field where it is long enough and that is not 0.
 */
static uint64_t fadt_pointer(const struct table *fadt, uint32_t field, uint32_t field_64)
{
	if (fadt->size_bytes >= field_64 + 8 && le64(fadt->bytes + field_64))
		return le64(fadt->bytes + field_64);
	return fadt->size_bytes >= field + 4 ? le32(fadt->bytes + field) : 0;
}

/*
 * Devices of the id that Linux gave virtio-mmio. AML is a program, but what names such a device is
 * plain data in all that is known: the id, and soon after it a descriptor of 32-bit memory.
 */
static void find_virtio(struct boot_info *info, const struct table *dsdt)
{
	static const uint8_t memory32[] = {0x86, 9, 0};
	const uint32_t id_bytes = sizeof(VIRTIO_ID), end = dsdt->size_bytes;
	const uint8_t *aml = dsdt->bytes;

	for (uint32_t at = HEADER_BYTES; aml && at + id_bytes <= end; at++) {
		uint32_t behind = at + id_bytes;
		uint32_t stop = end - behind > VIRTIO_NEAR ? behind + VIRTIO_NEAR : end;

		if (memcmp(aml + at, VIRTIO_ID, id_bytes) != 0)
			continue;
		while (behind + MEMORY32_BYTES <= stop &&
		       memcmp(aml + behind, memory32, sizeof(memory32)) != 0)
			behind++;
		if (behind + MEMORY32_BYTES <= stop)
			boot_add_virtio(info, le32(aml + behind + 4));
	}
}

static void parse_fadt(struct boot_info *info, const struct table *fadt, boot_phys_fn *phys)
{
	struct table dsdt = table_at(fadt_pointer(fadt, FADT_DSDT, FADT_DSDT_64), phys);
	uint64_t facs_pa = fadt_pointer(fadt, FADT_FACS, FADT_FACS_64);
	const uint8_t *facs = facs_pa ? phys(facs_pa, FACS_BYTES_MIN) : NULL;

	reserve(info, &dsdt);
	find_virtio(info, &dsdt);
	/* The FACS has no checksum; firmware and system share it for ever. */
	if (facs && memcmp(facs, "FACS", 4) == 0)
		boot_add_used_maybe(info, facs_pa, FACS_BYTES_MIN, SLATE_RANGE_ACPI_NVS, "FACS");
}

bool acpi_parse(struct boot_info *info, uint64_t rsdp, boot_phys_fn *phys)
{
	struct root root = root_find(rsdp, phys);

	if (!root.table.bytes)
		return false;
	boot_add_used_maybe(info, rsdp, RSDP_NEW_BYTES, SLATE_RANGE_ACPI_RECLAIM, "ACPI root");
	reserve(info, &root.table);

	/* CPUs first: the SRAT speaks of CPUs that are known. */
	for (uint32_t i = 0; i < root_count(&root); i++) {
		struct table table = root_entry(&root, i, phys);

		reserve(info, &table);
		if (table_is(&table, "APIC"))
			parse_madt(info, &table);
		if (table_is(&table, "FACP"))
			parse_fadt(info, &table, phys);
	}
	for (uint32_t i = 0; i < root_count(&root); i++) {
		struct table table = root_entry(&root, i, phys);

		if (table_is(&table, "SRAT"))
			parse_srat(info, &table);
		if (table_is(&table, "SLIT"))
			parse_slit(info, &table);
	}
	return true;
}
