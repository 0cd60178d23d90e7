/* SPDX-License-Identifier: MIT */
/*
 * acpi_build.h - writes ACPI tables into bootphys for tests, right ones unless the test spoils
 * them. (ACPI 6.5, 5.2; https://uefi.org/specs/ACPI/6.5/)
 */
#ifndef TEST_ACPI_BUILD_H
#define TEST_ACPI_BUILD_H

#include <stddef.h>
#include <stdint.h>

/* Where they lie. */
#define ACPI_RSDP 0xf59e0u
#define ACPI_XSDT 0x7fe2000u
#define ACPI_RSDT 0x7fe2800u
#define ACPI_MADT 0x7fe3000u
#define ACPI_SRAT 0x7fe4000u
#define ACPI_SLIT 0x7fe5000u
#define ACPI_FADT 0x7fe6000u
#define ACPI_DSDT 0x7fe7000u
#define ACPI_FACS 0x7fe8000u

/* Make the bytes sum to 0 by the one at sum_at; a table by its checksum; a root pointer by its two.
 */
void acpi_build_sum(uint8_t *bytes, size_t size_bytes, size_t sum_at);
void acpi_build_table_sum(uint8_t *table);
void acpi_build_rsdp_sum(uint8_t *rsdp);

/* A table of zeros but for signature and length. */
uint8_t *acpi_build_table(uint64_t pa, const char *signature, uint32_t size_bytes);

/* A root pointer of ACPI 2.0, an XSDT and an RSDT that both name all tables, the SRAT first. */
uint8_t *acpi_build_roots(void);

/* Records of a MADT. */
void acpi_build_lapic(uint8_t *record, uint8_t id, uint32_t flags);
void acpi_build_x2apic(uint8_t *record, uint32_t id, uint32_t flags);

/* A MADT with count enabled CPUs 0, 1, ... */
uint8_t *acpi_build_madt(unsigned count);

/* CPU 0 in node 1, CPU 1 in node 2, memory in nodes 0, 1 (disabled) and 2. */
uint8_t *acpi_build_srat(void);

/* Distances 10, 11, 12 ... row by row. */
uint8_t *acpi_build_slit(unsigned count);

#endif
