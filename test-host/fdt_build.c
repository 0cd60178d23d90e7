/* SPDX-License-Identifier: MIT */
/*
 * fdt_build.c - see fdt_build.h. Tokens and header by the Devicetree Specification, chapter 5.
 */
#include "test-host/fdt_build.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 40

void fdt_put32(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 24);
	p[1] = (uint8_t)(value >> 16);
	p[2] = (uint8_t)(value >> 8);
	p[3] = (uint8_t)value;
}

uint32_t fdt_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void fdt_build_token(struct fdt_build *b, uint32_t token)
{
	assert(b->struct_bytes + 4 <= sizeof(b->structure));
	fdt_put32(b->structure + b->struct_bytes, token);
	b->struct_bytes += 4;
}

static void put_bytes(struct fdt_build *b, const void *data, size_t size_bytes)
{
	assert(b->struct_bytes + size_bytes + 4 <= sizeof(b->structure));
	memcpy(b->structure + b->struct_bytes, data, size_bytes);
	b->struct_bytes += size_bytes;
	while (b->struct_bytes % 4)
		b->structure[b->struct_bytes++] = 0;
}

void fdt_build_start(struct fdt_build *b)
{
	memset(b, 0, sizeof(*b));
	b->version = 17;
}

void fdt_build_reserve(struct fdt_build *b, uint64_t base, uint64_t size_bytes)
{
	uint8_t *p = b->reserve + b->reserve_bytes;

	assert(b->reserve_bytes + 32 <= sizeof(b->reserve));
	fdt_put32(p, (uint32_t)(base >> 32));
	fdt_put32(p + 4, (uint32_t)base);
	fdt_put32(p + 8, (uint32_t)(size_bytes >> 32));
	fdt_put32(p + 12, (uint32_t)size_bytes);
	b->reserve_bytes += 16;
}

void fdt_build_begin(struct fdt_build *b, const char *name)
{
	fdt_build_token(b, 1);
	put_bytes(b, name, strlen(name) + 1);
}

void fdt_build_end(struct fdt_build *b)
{
	fdt_build_token(b, 2);
}

void fdt_build_nop(struct fdt_build *b)
{
	fdt_build_token(b, 4);
}

static uint32_t string_offset(struct fdt_build *b, const char *name)
{
	size_t length = strlen(name) + 1;

	for (size_t i = 0; i + length <= b->strings_bytes; i++) {
		if (memcmp(b->strings + i, name, length) == 0)
			return (uint32_t)i;
	}
	assert(b->strings_bytes + length <= sizeof(b->strings));
	memcpy(b->strings + b->strings_bytes, name, length);
	b->strings_bytes += length;
	return (uint32_t)(b->strings_bytes - length);
}

void fdt_build_bytes(struct fdt_build *b, const char *name, const void *data, size_t size_bytes)
{
	fdt_build_token(b, 3);
	fdt_build_token(b, (uint32_t)size_bytes);
	fdt_build_token(b, string_offset(b, name));
	put_bytes(b, data, size_bytes);
}

void fdt_build_string(struct fdt_build *b, const char *name, const char *value)
{
	fdt_build_bytes(b, name, value, strlen(value) + 1);
}

void fdt_build_cells(struct fdt_build *b, const char *name, size_t n, ...)
{
	uint8_t cells[128];
	va_list args;

	assert(n * 4 <= sizeof(cells));
	va_start(args, n);
	for (size_t i = 0; i < n; i++)
		fdt_put32(cells + i * 4, va_arg(args, uint32_t));
	va_end(args);
	fdt_build_bytes(b, name, cells, n * 4);
}

uint8_t *fdt_build_finish(struct fdt_build *b, size_t *size_bytes)
{
	size_t reserve_offset = HEADER_BYTES;
	size_t struct_offset = reserve_offset + b->reserve_bytes + 16;

	fdt_build_token(b, 9);

	size_t strings_offset = struct_offset + b->struct_bytes;
	size_t total = strings_offset + b->strings_bytes;
	uint8_t *blob = calloc(1, total);

	assert(blob);
	fdt_put32(blob + 0, 0xd00dfeed);
	fdt_put32(blob + 4, (uint32_t)total);
	fdt_put32(blob + 8, (uint32_t)struct_offset);
	fdt_put32(blob + 12, (uint32_t)strings_offset);
	fdt_put32(blob + 16, (uint32_t)reserve_offset);
	fdt_put32(blob + 20, b->version);
	fdt_put32(blob + 24, 16);
	fdt_put32(blob + 32, (uint32_t)b->strings_bytes);
	fdt_put32(blob + 36, b->version >= 17 ? (uint32_t)b->struct_bytes : 0);
	memcpy(blob + reserve_offset, b->reserve, b->reserve_bytes);
	memcpy(blob + struct_offset, b->structure, b->struct_bytes);
	memcpy(blob + strings_offset, b->strings, b->strings_bytes);
	*size_bytes = total;
	return blob;
}

static void build_memory(struct fdt_build *b)
{
	/* highest first, one node with two ranges */
	fdt_build_begin(b, "memory@80000000");
	fdt_build_string(b, "device_type", "memory");
	FDT_CELLS(b, "reg", 0, 0x80000000, 0, 0x40000000, 1, 0, 2, 0);
	FDT_CELLS(b, "numa-node-id", 1);
	fdt_build_end(b);
	fdt_build_begin(b, "memory@40000000");
	fdt_build_string(b, "device_type", "memory");
	FDT_CELLS(b, "reg", 0, 0x40000000, 0, 0x40000000);
	FDT_CELLS(b, "numa-node-id", 0);
	fdt_build_end(b);
	fdt_build_begin(b, "secram@e000000");
	fdt_build_string(b, "device_type", "memory");
	FDT_CELLS(b, "reg", 0, 0xe000000, 0, 0x1000000);
	fdt_build_string(b, "status", "disabled");
	fdt_build_end(b);

	fdt_build_begin(b, "reserved-memory");
	FDT_CELLS(b, "#address-cells", 2);
	FDT_CELLS(b, "#size-cells", 2);
	fdt_build_bytes(b, "ranges", "", 0);
	fdt_build_begin(b, "firmware@45000000");
	FDT_CELLS(b, "reg", 0, 0x45000000, 0, 0x200000);
	fdt_build_end(b);
	fdt_build_begin(b, "secret@46000000");
	FDT_CELLS(b, "reg", 0, 0x46000000, 0, 0x3000);
	fdt_build_bytes(b, "no-map", "", 0);
	fdt_build_end(b);
	fdt_build_begin(b, "pool");
	FDT_CELLS(b, "size", 0, 0x400000);
	FDT_CELLS(b, "alignment", 0, 0x400000);
	FDT_CELLS(b, "alloc-ranges", 0, 0x40000000, 0, 0x40000000);
	fdt_build_end(b);
	fdt_build_end(b);
}

static void build_cpus(struct fdt_build *b)
{
	static const char *const names[] = {"cpu@0", "cpu@1", "cpu@100", "cpu@101"};
	static const uint32_t ids[] = {0, 1, 0x100, 0x101};

	fdt_build_begin(b, "cpus");
	FDT_CELLS(b, "#address-cells", 1);
	FDT_CELLS(b, "#size-cells", 0);
	fdt_build_begin(b, "cpu-map");
	fdt_build_end(b);
	for (unsigned i = 0; i < 4; i++) {
		fdt_build_begin(b, names[i]);
		fdt_build_string(b, "device_type", "cpu");
		FDT_CELLS(b, "reg", ids[i]);
		FDT_CELLS(b, "numa-node-id", i / 2);
		fdt_build_end(b);
	}
	fdt_build_end(b);
	fdt_build_begin(b, "distance-map");
	FDT_CELLS(b, "distance-matrix", 0, 0, 10, 0, 1, 20, 1, 1, 10);
	fdt_build_end(b);
}

static void build_devices(struct fdt_build *b, unsigned gic_version)
{
	static const char psci[] = "arm,psci-1.0\0arm,psci-0.2\0arm,psci";

	fdt_build_begin(b, "psci");
	fdt_build_bytes(b, "compatible", psci, sizeof(psci));
	fdt_build_string(b, "method", "smc");
	fdt_build_end(b);
	fdt_build_begin(b, "intc@8000000");
	fdt_build_string(b, "compatible", gic_version == 3 ? "arm,gic-v3" : "arm,cortex-a15-gic");
	if (gic_version == 3) {
		FDT_CELLS(b, "#redistributor-regions", 2);
		FDT_CELLS(b, "reg", 0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0xf60000, 0x40, 0, 0,
			  0x4000000);
	} else {
		FDT_CELLS(b, "reg", 0, 0x8000000, 0, 0x10000, 0, 0x8010000, 0, 0x10000);
	}
	fdt_build_end(b);
	fdt_build_begin(b, "timer");
	fdt_build_string(b, "compatible", "arm,armv8-timer");
	FDT_CELLS(b, "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
	fdt_build_end(b);
	fdt_build_begin(b, "soc");
	FDT_CELLS(b, "#address-cells", 1);
	FDT_CELLS(b, "#size-cells", 1);
	FDT_CELLS(b, "ranges", 0x1000, 0, 0x9000000, 0x10000, 0x20000, 1, 0, 0x10000);
	fdt_build_begin(b, "serial@1000");
	fdt_build_string(b, "compatible", "arm,pl011");
	FDT_CELLS(b, "reg", 0x1000, 0x1000);
	fdt_build_end(b);
	fdt_build_begin(b, "serial@20000");
	fdt_build_string(b, "compatible", "arm,pl011");
	FDT_CELLS(b, "reg", 0x20000, 0x1000);
	fdt_build_end(b);
	fdt_build_begin(b, "virtio@2000");
	fdt_build_string(b, "compatible", "virtio,mmio");
	FDT_CELLS(b, "reg", 0x2000, 0x200);
	FDT_CELLS(b, "interrupts", 0, 16, 1);
	fdt_build_end(b);
	fdt_build_end(b);
}

uint8_t *fdt_build_machine(unsigned gic_version, size_t *size_bytes)
{
	struct fdt_build b;

	fdt_build_start(&b);
	fdt_build_reserve(&b, 0x44000000, 0x10000);
	fdt_build_reserve(&b, 0x48000000, 0x1234); /* the initrd again, as U-Boot does */
	fdt_build_begin(&b, "");
	FDT_CELLS(&b, "#address-cells", 2);
	FDT_CELLS(&b, "#size-cells", 2);
	fdt_build_nop(&b);
	build_devices(&b, gic_version);
	build_memory(&b);
	build_cpus(&b);
	fdt_build_begin(&b, "chosen");
	fdt_build_string(&b, "bootargs", "run=\"mem; selftest\"");
	fdt_build_string(&b, "stdout-path", "/soc/serial@20000:115200n8");
	FDT_CELLS(&b, "linux,initrd-start", 0x48000000);
	FDT_CELLS(&b, "linux,initrd-end", 0x48001234);
	fdt_build_end(&b);
	fdt_build_end(&b);
	return fdt_build_finish(&b, size_bytes);
}
